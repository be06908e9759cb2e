"""Where a remote teacher is and how to ask it: from the environment, or from a `.env` file that is never committed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aac.io import UserError

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
        numbers: dict[str, Any] = {}
        for name, kind in (("temperature", float), ("concurrency", int), ("timeout", float), ("pause", float)):
            variable = f"AAC_TEACHER_{name.upper()}"
            if text := known.get(variable, ""):
                try:
                    numbers[name] = kind(text)
                except ValueError:
                    raise UserError(f"{variable}: must be a number, not {text!r}") from None
        if numbers.get("concurrency", 1) < 1:
            raise UserError("AAC_TEACHER_CONCURRENCY: must be at least 1")
        url, key = known.get("OPENAI_BASE_URL") or DEFAULT_URL, known.get("OPENAI_API_KEY", "")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise UserError("OPENAI_BASE_URL: must look like https://host/v1")
        if not (key.isascii() and key.isprintable()):
            raise UserError("OPENAI_API_KEY: holds signs that no key has (a line break, a letter that is not ASCII)")
        return cls(known["OPENAI_MODEL"], url, key, voice, **numbers)

    @property
    def host(self) -> str:
        """Where requests go, without a user's name or password that the address may hold."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2] or self.base_url


def read_env(path: Path) -> dict[str, str]:
    """`NAME=value` lines; `export`, quotes, blank lines and # comments are understood. No such file: nothing.

    Raises:
        UserError: a line is none of these (its number is told, not its text: it may hold a key).
    """
    found: dict[str, str] = {}
    if not path.is_file():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
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
