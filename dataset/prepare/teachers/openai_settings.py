"""Where a remote teacher is and how to ask it: from the environment, or from a `.env` file that is never committed."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aac.io import UserError, read_text

DEFAULT_URL = "https://api.openai.com/v1"


@dataclass(frozen=True)
class Settings:
    """How to reach the teacher. The key is never shown, logged or stored.

    `tries`: how often a request that fails is sent before the run stops. `rounds`: how often a combination whose answer
    is bad is asked before it is rejected. `pause`: seconds before the second try, doubled with each.
    """

    model: str
    base_url: str = DEFAULT_URL
    key: str = field(default="", repr=False)
    voice: str = "first"
    temperature: float | None = None
    concurrency: int = 8
    timeout: float = 60.0
    tries: int = 8
    rounds: int = 3
    pause: float = 1.0

    @classmethod
    def load(cls, env_file: Path, voice: str = "first", need_key: bool = True) -> Settings:
        """From the environment, and from `.env` what stands there alone.

        Raises:
            UserError: a value is missing or not a number.
        """
        known = {**read_env(env_file), **os.environ}
        if not known.get("OPENAI_MODEL"):
            raise UserError(f"--teacher openai: name the model, OPENAI_MODEL=... in the environment or in {env_file}")
        if need_key and not known.get("OPENAI_API_KEY"):
            raise UserError(
                f"--teacher openai: no key; put OPENAI_API_KEY=... into the environment or into {env_file} (a server "
                f"of your own that checks none takes any word)"
            )
        url, key = (known.get("OPENAI_BASE_URL") or DEFAULT_URL).strip(), known.get("OPENAI_API_KEY", "")
        if not _is_address(url):
            raise UserError("OPENAI_BASE_URL: must look like https://host/v1")
        if not known["OPENAI_MODEL"].isprintable():
            raise UserError("OPENAI_MODEL: holds signs that no name has (a line break, damaged characters)")
        if not (key.isascii() and key.isprintable()):
            raise UserError("OPENAI_API_KEY: holds signs that no key has (a line break, a letter that is not ASCII)")
        certificates = known.get("SSL_CERT_FILE")
        if certificates and not Path(certificates).is_file():
            raise UserError(f"SSL_CERT_FILE: {certificates}: no such file; mend or unset it")
        numbers: dict[str, Any] = {
            "concurrency": _number(known, "CONCURRENCY", int),
            "timeout": _number(known, "TIMEOUT", float),
            "temperature": _number(known, "TEMPERATURE", float, zero=True),
            "pause": _number(known, "PAUSE", float, zero=True),
        }
        numbers = {name: number for name, number in numbers.items() if number is not None}
        return cls(known["OPENAI_MODEL"], url, key, voice, **numbers)

    @property
    def host(self) -> str:
        """Where requests go, without a user's name or password that the address may hold."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2] or self.base_url


def _number(known: dict[str, str], name: str, kind: type, zero: bool = False) -> Any:
    """The value of AAC_TEACHER_`name`; None where it has none."""
    variable = f"AAC_TEACHER_{name}"
    if not (text := known.get(variable)):
        return None
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not (number > 0 or (zero and number == 0)) or number == math.inf:
        raise UserError(f"{variable}: must be a number {'from 0 on' if zero else 'above 0'}, not {text!r}")
    return number


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        whole = parts.scheme in ("http", "https") and url.isprintable() and " " not in url
        return bool(host) and whole and (parts.port or 1) > 0
    except ValueError:  # of the port, the brackets, the host's name
        return False


def read_env(path: Path) -> dict[str, str]:
    """`NAME=value` lines; `export`, quotes, blank lines and # comments are understood. No such file: nothing.

    Raises:
        UserError: a line is none of these (its number is told, not its text: it may hold a key).
    """
    found: dict[str, str] = {}
    if not path.is_file():
        return found
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise UserError(f"{path}: line {number} must look like NAME=value")
        value = value.strip()
        if value[:1] in ("'", '"') and value.endswith(value[0]) and len(value) > 1:
            value = value[1:-1]
        else:
            value = value.partition(" #")[0].strip()
        found[name.strip()] = value
    return found
