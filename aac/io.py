"""Files of the project, read and written so that nothing is lost: one error for a user's mistake, whole files only."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

log = logging.getLogger("aac")


class UserError(Exception):
    """A mistake that the user can mend: the message names the file, the field and the remedy. Verbs exit 2 on it."""


def escape_unprintable() -> None:
    """Show signs that the terminal's encoding has not (ASCII, a code page) as escapes: they end no verb."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # an app or a notebook may have put another kind there, or none
            stream.reconfigure(errors="backslashreplace")


def read_text(path: str | Path, made_by: str = "") -> str:
    """A UTF-8 text (a byte order mark is understood).

    Raises:
        UserError: it is missing (`made_by` says what makes it), cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: not found{f'; {made_by}' if made_by else ''}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None


def read_lines(path: str | Path, made_by: str = "") -> list[str]:
    """The lines of a text, split at line feeds alone: U+2028 and its like may stand inside a line of JSON.

    Raises:
        UserError: as of `read_text`.
    """
    return read_text(path, made_by).split("\n")


def read_json(path: str | Path, made_by: str = "", hook: Any = None) -> Any:
    """Parse a UTF-8 JSON file.

    Raises:
        UserError: as of `read_text`; or it is not JSON.
    """
    text = read_text(path, made_by)
    try:
        return json.loads(text, object_pairs_hook=hook)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise UserError(f"{path}: the file is empty{f'; {made_by}' if made_by else ''}") from None
        # The nearest id before the fault: the record to look at.
        ids = re.findall(r'"id"\s*:\s*(\d+)', text[: error.pos])
        near = f" (in or after record {ids[-1]})" if ids else ""
        raise UserError(f"{path}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}{near}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON that can be read: {error}") from None


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """JSON and a line feed, in UTF-8 (Hangul readable). Half a surrogate pair, which UTF-8 has not, is escaped."""
    return (json.dumps(value, ensure_ascii=False, indent=indent) + "\n").encode(errors="backslashreplace")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A file, open to write and read, that takes the target's place once it is whole: written beside it, flushed,
    renamed. A reader never sees half a file; where anything fails the target stays as it was. It may be read by whom
    the umask allows, and nobody who might not read the file that it replaces."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    mode = path.stat().st_mode & 0o666 if path.exists() else 0o666  # the umask is taken off by the system
    try:
        with open(temporary, "x+b", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomic(path: str | Path, data: bytes) -> None:
    """The file's content at once, see `atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


def write_json(path: str | Path, value: Any, indent: int | None = 1) -> None:
    """Write JSON as UTF-8, atomically."""
    write_atomic(path, json_bytes(value, indent))


def hold(file: int, path: Path, wait: bool = False) -> None:
    """Hold an open file for this process and its forks until they close it, however they end; `wait` until another
    process lets it go. Where there are no locks (some network mounts, Windows) a warning names the folder.

    Raises:
        UserError: another process holds it.
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise UserError(f"{path}: another run is writing to it; wait until it is done, or stop it") from None
    except (ImportError, OSError) as error:
        log.warning("%s: no locks here (%s): run one process at a time on this folder", path.parent, error)
