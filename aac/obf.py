"""Open Board Format (openboardformat.org): a board (`.obf`), or linked boards with their pictures (`.obz`).

Files come from anywhere. They are read in memory, nothing that they name is fetched, and what is wrong with a board is
a line in `faults`, never a guess. Ids become texts and every grid its full size; all else, `ext_` fields too, stays as
it was, so that what is written and read again is the same.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from aac.archive import read_archive, tidy, write_archive
from aac.io import UserError, json_bytes

FORMAT = "open-board-0.1"
MANIFEST = "manifest.json"
MOST_SIDE = 100  # rows or columns of a grid
# Why a button's picture is not in the file.
REASONS = {
    "nowhere": "its picture's id leads nowhere",
    "address": "its picture is only an address, which is not fetched",
    "absent": "its picture is not in the file",
}
Board = dict[str, Any]
Button = dict[str, Any]


class Missing(NamedTuple):
    """A button whose picture is not in the file: it is shown as a word. `reason`: a key of REASONS."""

    board: str
    button: str
    label: str
    reason: str

    def __str__(self) -> str:
        return f"{self.board}: {self.label or self.button}: {REASONS[self.reason]}"


@dataclass
class PageSet:
    """Linked boards: what an `.obz` holds; an `.obf` is a set of one.

    Attributes:
        root: path of the board that is shown first.
        boards: by their paths.
        files: pictures and sounds, by their paths.
        manifest: what stands in it beside `root`; `paths` finds boards, images and sounds by their ids.
        faults: what was wrong with the file, a line each.
    """

    root: str
    boards: dict[str, Board]
    files: dict[str, bytes] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list, compare=False)

    def ordered(self) -> Iterator[str]:
        """The boards as links lead to them from the first one, each once; then those that no link leads to."""
        ahead, seen = [self.root], {self.root}
        while ahead:
            path = ahead.pop(0)
            yield path
            linked = [self.linked(button) for button in self.boards[path]["buttons"]]
            fresh = [other for other in dict.fromkeys(linked) if other and other not in seen]
            seen.update(fresh)
            ahead += fresh
        yield from (path for path in self.boards if path not in seen)

    def linked(self, button: Button) -> str:
        """The path of the board that a button opens; empty: none that is here."""
        link = button.get("load_board")
        if not isinstance(link, dict):
            return ""
        identity = str(link.get("id", ""))
        paths = [tidy(str(link.get("path", ""))), self._listed("boards", identity)]
        paths += [path for path, board in self.boards.items() if board["id"] == identity]
        return next((path for path in paths if path in self.boards), "")

    def picture(self, board: str, button: Button) -> bytes | None:
        """The content of a button's picture file; None: there is none here."""
        found = self._picture(board, button)
        return found if isinstance(found, bytes) else None

    def missing(self) -> list[Missing]:
        """Buttons that name a picture which is not here, in the order of the boards."""
        return [
            Missing(path, button["id"], button["label"], reason)
            for path in self.ordered()
            for button in self.boards[path]["buttons"]
            if button.get("image_id") and isinstance(reason := self._picture(path, button), str)
        ]

    def _picture(self, board: str, button: Button) -> bytes | str:
        """The picture's content, or why there is none (a key of REASONS)."""
        identity = button.get("image_id", "")
        image = next((image for image in self.boards[board]["images"] if image["id"] == identity), {})
        if (data := _inline(image.get("data"))) is not None:
            return data
        for path in (tidy(str(image.get("path") or "")), self._listed("images", identity)):
            if path in self.files:
                return self.files[path]
        if not image:
            return "nowhere"
        return "address" if image.get("url") else "absent"

    def _listed(self, kind: str, identity: str) -> str:
        """The path that the manifest gives for an id; empty: none."""
        return self.manifest["paths"][kind].get(identity, "") if identity and self.manifest else ""


def read_file(path: str | Path) -> PageSet:
    """A board file.

    Raises:
        UserError: it cannot be read, or holds no board.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return read_bytes(data, str(path))


def read_bytes(data: bytes, name: str) -> PageSet:
    """The content of an `.obf` or `.obz`, whatever it is called.

    Raises:
        UserError: it holds no board.
    """
    if data.startswith(b"PK"):
        return _read_set(data, name)
    faults: list[str] = []
    board = _board(_parsed(data, name), name, faults)
    path = "boards/1.obf"
    manifest = _manifest({"paths": {"boards": {board["id"]: path}}})
    return _with_link_faults(PageSet(path, {path: board}, {}, manifest, faults))


def write_bytes(pages: PageSet) -> bytes:
    """The content of an `.obz`."""
    manifest = {**pages.manifest, "root": pages.root}
    boards = {path: json_bytes(board, 1) for path, board in pages.boards.items()}
    return write_archive({MANIFEST: json_bytes(manifest, 1), **boards, **pages.files})


def _read_set(data: bytes, name: str) -> PageSet:
    faults: list[str] = []
    files = read_archive(data, name, faults)
    manifest = _manifest(_parsed(files.pop(MANIFEST), f"{name}: {MANIFEST}") if MANIFEST in files else {})
    boards: dict[str, Board] = {}
    for path in [path for path in files if path.lower().endswith(".obf")]:
        content = files.pop(path)
        try:
            boards[path] = _board(_parsed(content, path), path, faults)
        except UserError as error:
            faults.append(f"{error}; left out")
    if not boards:
        raise UserError(f"{name}: no board in it{f' ({faults[0]})' if faults else ''}")
    listed = manifest["paths"]["boards"]
    for path, board in boards.items():
        if path not in listed.values():
            listed.setdefault(board["id"], path)
    root = tidy(str(manifest.pop("root", "")))
    if root not in boards:
        root, wanted = next(iter(boards)), root
        faults.append(f"{MANIFEST}: the first board {wanted!r} is not here; {root} is shown first")
    return _with_link_faults(PageSet(root, boards, files, manifest, faults))


def _with_link_faults(pages: PageSet) -> PageSet:
    for path, board in pages.boards.items():
        if lost := sum(bool(button.get("load_board")) and not pages.linked(button) for button in board["buttons"]):
            pages.faults.append(f"{path}: {lost} links lead to boards that are not here")
    return pages


def _manifest(value: Any) -> dict[str, Any]:
    """A manifest with its three tables of paths, whatever it lacks."""
    value = dict(value) if isinstance(value, dict) else {}
    told = value.get("paths") if isinstance(value.get("paths"), dict) else {}
    tables = {**told, **{kind: _table(told.get(kind)) for kind in ("boards", "images", "sounds")}}
    return {**value, "format": FORMAT, "paths": tables}


def _table(value: Any) -> dict[str, str]:
    entries = value.items() if isinstance(value, dict) else ()
    return {str(key): tidy(path) for key, path in entries if isinstance(path, str)}


def _parsed(data: bytes, name: str) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: not JSON: {error}") from None


def _board(value: Any, name: str, faults: list[str]) -> Board:
    """A board whose ids are texts and whose grid is full.

    Raises:
        UserError: it is none.
    """
    if not isinstance(value, dict) or not isinstance(value.get("buttons"), list):
        raise UserError(f"{name}: no board: an object with a list of buttons is needed")
    board = {**value, "format": FORMAT, "id": str(value.get("id") or PurePosixPath(name).stem)}
    board["name"] = value["name"] if isinstance(value.get("name"), str) else board["id"]
    board["buttons"] = _with_ids(value["buttons"], f"{name}: buttons", faults)
    for button in board["buttons"]:
        label = button.get("label")
        button["label"] = label if isinstance(label, str) else "" if label is None else str(label)
        for key in ("image_id", "sound_id"):
            if key in button:
                button[key] = "" if button[key] is None else str(button[key])
    for kind in ("images", "sounds"):
        board[kind] = _with_ids(value.get(kind) or [], f"{name}: {kind}", faults)
    board["grid"] = _grid(value.get("grid"), board["buttons"], name, faults)
    return board


def _with_ids(entries: Any, where: str, faults: list[str]) -> list[dict[str, Any]]:
    """The entries of a list that have an id of their own, as a text."""
    found: dict[str, dict[str, Any]] = {}
    for place, entry in enumerate(entries if isinstance(entries, list) else [], start=1):
        identity = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(identity, str | int) or str(identity) in found:
            why = "no id" if not isinstance(identity, str | int) else f"the id {identity!r} stands twice"
            faults.append(f"{where}: no. {place}: {why}; left out")
            continue
        found[str(identity)] = {**entry, "id": str(identity)}
    return list(found.values())


def _grid(value: Any, buttons: list[Button], name: str, faults: list[str]) -> dict[str, Any]:
    """Rows x columns of button ids or None. Buttons that stand nowhere get rows of their own below.

    Raises:
        UserError: more rows or columns than a board can have.
    """
    value = value if isinstance(value, dict) else {}
    known = {button["id"] for button in buttons}
    told = value.get("order") if isinstance(value.get("order"), list) else []
    rows = [[_cell(cell, known) for cell in row] if isinstance(row, list) else [] for row in told]
    if lost := sum(cell is not None for row in told if isinstance(row, list) for cell in row) - sum(
        cell is not None for row in rows for cell in row
    ):
        faults.append(f"{name}: {lost} places of the grid name no button; left empty")
    columns = max([_side(value.get("columns")), *map(len, rows)])
    columns = columns or max(1, math.ceil(math.sqrt(len(buttons))))
    placed = {cell for row in rows for cell in row}
    loose = [button["id"] for button in buttons if button["id"] not in placed]
    if loose and told:
        faults.append(f"{name}: {len(loose)} buttons stand nowhere in the grid; put below it")
    rows += [[] for _ in range(_side(value.get("rows")) - len(rows))]
    rows += [loose[first : first + columns] for first in range(0, len(loose), columns)]
    if max(len(rows), columns) > MOST_SIDE:
        raise UserError(f"{name}: a grid of {len(rows)} x {columns}; at most {MOST_SIDE} a side")
    order = [row + [None] * (columns - len(row)) for row in rows]
    return {**value, "rows": len(order), "columns": columns, "order": order}


def _cell(value: Any, known: set[str]) -> str | None:
    return str(value) if isinstance(value, str | int) and str(value) in known else None


def _side(value: Any) -> int:
    """A number of rows or columns, however written; 0 where it is none. One too many is refused by whoever counts."""
    try:
        return min(max(0, int(value)), MOST_SIDE + 1)
    except (TypeError, ValueError, OverflowError):
        return 0


def _inline(value: Any) -> bytes | None:
    """The content of a `data:` URI; None: it is none."""
    if not isinstance(value, str) or not value.startswith("data:"):
        return None
    head, _, body = value.partition(",")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body) or None
    try:
        return base64.b64decode("".join(body.split()), validate=True) or None
    except (binascii.Error, ValueError):
        return None
