"""A JSON list read element by element, so that memory does not grow with the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PIECE = 1 << 20  # characters read at a time
_SPACE = re.compile(r"[ \t\n\r]*")


def json_items(path: str | Path, hook: Any = None) -> Iterator[Any]:
    """The elements of a UTF-8 file (a byte order mark is understood) that holds one JSON list.

    Raises:
        ValueError: anything else stands there. What came before was yielded; why, whoever reads the whole file says.
        OSError, RecursionError: as of reading, and of JSON too deep.
    """
    decoder = json.JSONDecoder(object_pairs_hook=hook)
    with open(path, encoding="utf-8-sig") as file:
        text, at, more = "", 0, True

        def sign() -> str:
            """The next character that is no space, not yet passed; empty at the end of the file."""
            nonlocal text, at, more
            while (at := _SPACE.match(text, at).end()) == len(text) and more:
                text, at = file.read(_PIECE), 0
                more = bool(text)
            return text[at : at + 1]

        def passing(*wanted: str) -> str:
            nonlocal at
            if (found := sign()) not in wanted:
                raise ValueError(f"expected {' or '.join(wanted)}, not {found!r}")
            at += 1
            return found

        passing("[")
        if sign() == "]":
            passing("]")
        else:
            while True:
                sign()
                while True:
                    try:
                        value, end = decoder.raw_decode(text, at)
                        if len(text) - end > 2 or not more:  # else a number may go on: 1 is read of "1e+"
                            break
                    except json.JSONDecodeError:
                        if not more:
                            raise
                    piece = file.read(max(_PIECE, len(text) - at))
                    text, at, more = text[at:] + piece, 0, bool(piece)
                at = end
                yield value
                if passing(",", "]") == "]":
                    break
        if sign():
            raise ValueError("more stands after the list")
