"""Files of the project, read and written so that nothing is lost: one error for a user's mistake, whole files only."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


class UserError(Exception):
    """A mistake that the user can mend: the message names the file, the field and the remedy. Verbs exit 2 on it."""


def read_json(path: str | Path, made_by: str = "", hook: Any = None) -> Any:
    """Parse a UTF-8 JSON file (a byte order mark is understood).

    Raises:
        UserError: it is missing (`made_by` says what makes it), cannot be read, is not UTF-8, or not JSON.
    """
    path = Path(path)
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=hook)
    except FileNotFoundError:
        raise UserError(f"{path}: not found{f'; {made_by}' if made_by else ''}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        if not text.strip():
            raise UserError(f"{path}: the file is empty{f'; {made_by}' if made_by else ''}") from None
        # The nearest id before the fault: the record to look at.
        ids = re.findall(r'"id"\s*:\s*(\d+)', text[: error.pos])
        near = f" (in or after record {ids[-1]})" if ids else ""
        raise UserError(f"{path}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}{near}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON that can be read: {error}") from None


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A file, open to write and read, that takes the target's place once it is whole: written beside it, flushed,
    renamed. A reader never sees half a file; where anything fails the target stays as it was."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_atomic(path: str | Path, data: bytes) -> None:
    """The file's content at once, see `atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


def write_json(path: str | Path, value: Any, indent: int | None = 1) -> None:
    """Write JSON as UTF-8 (Hangul readable), atomically."""
    write_atomic(path, (json.dumps(value, ensure_ascii=False, indent=indent) + "\n").encode())
