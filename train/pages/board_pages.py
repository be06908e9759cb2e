"""The board as the page shows it: the cards that the model knows, or a team's own board."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from aac import obf
from aac.labels import read_label
from aac.pictures import PictureError, decoded, plain
from aac.rules import card_word, spoken
from train.pages.page import credit, picture_uri, squared

COLUMNS = 6
CARD = "ext_aac_card"  # a button's known card, so that an exported board still finds it
# The folders of the first board, by the classes of words, in the order in which they stand.
_FOLDERS = {
    "person": "사람", "action": "움직임", "feeling": "마음", "state": "상태", "body": "몸", "food": "음식",
    "fruit": "과일과 채소", "drink": "마실 것", "place": "곳", "vehicle": "탈것", "clothes": "옷", "thing": "물건",
    "media": "보고 듣기", "study": "공부", "toy": "놀이", "animal": "동물", "nature": "자연", "time": "때",
    "manner": "어떻게",
}  # fmt: skip
_OTHERS = "그 밖에"
_MOST_DRAWING = 200_000  # bytes of an SVG that is shown as it is


class Known(NamedTuple):
    """A card of the model: what requests call it, its word, its picture file."""

    id: str
    word: str
    picture: Path


def known_cards(entries: Iterable[Mapping[str, Any]], images: Path) -> list[Known]:
    """The cards of `cards.json`; of several with one id the first."""
    found: dict[str, Known] = {}
    for entry in entries:
        found.setdefault(str(entry["id"]), Known(str(entry["id"]), entry["keyword"], images / entry["file"]))
    return list(found.values())


def first_board(cards: Sequence[Known]) -> obf.PageSet:
    """The known cards: core words in fixed places on the first board, all others in folders below them."""
    classes: dict[str, list[Known]] = {}
    for card in cards:
        classes.setdefault(read_label(card.word).word_class, []).append(card)
    core = classes.pop("core", [])
    folders: dict[str, list[Known]] = {}
    for name in sorted(classes, key=lambda name: (*_FOLDERS, name).index(name)):
        folders.setdefault(_FOLDERS.get(name, _OTHERS), []).extend(classes[name])
    home = "boards/home.obf"
    paths = {name: f"boards/{number}.obf" for number, name in enumerate(folders, start=1)}
    opening = [{"label": name, "load_board": {"path": path}} for name, path in paths.items()]
    rows = [*_lines(list(map(_button, core))), *_lines(opening)]
    boards = {home: _board("home", "처음 판", rows, core)}
    for name, path in paths.items():
        boards[path] = _board(Path(path).stem, name, _lines(list(map(_button, folders[name]))), folders[name])
    files = {
        f"images/{card.id}{card.picture.suffix}": card.picture.read_bytes() for card in cards if card.picture.exists()
    }
    names = {"boards": {Path(path).stem: path for path in boards}, "images": {}, "sounds": {}}
    pages = obf.PageSet(home, boards, files, {"paths": names, "format": obf.FORMAT})
    if told := credit([card.picture for card in cards[:1]]):
        pages.manifest["ext_aac_credit"] = told
    return pages


def _button(card: Known) -> obf.Button:
    return {"label": spoken(card.word), "image_id": card.id, CARD: card.id}


def _lines(buttons: Sequence[obf.Button]) -> list[list[obf.Button]]:
    return [list(buttons[first : first + COLUMNS]) for first in range(0, len(buttons), COLUMNS)]


def _board(identity: str, name: str, rows: Sequence[Sequence[obf.Button]], cards: Sequence[Known]) -> obf.Board:
    buttons = [{"id": str(number), **button} for number, button in enumerate((b for row in rows for b in row), start=1)]
    ids = iter(button["id"] for button in buttons)
    order = [[next(ids) for _ in row] + [None] * (COLUMNS - len(row)) for row in rows]
    images = [{"id": card.id, "path": f"images/{card.id}{card.picture.suffix}"} for card in cards]
    grid = {"rows": len(order), "columns": COLUMNS, "order": order}
    board = {"format": obf.FORMAT, "id": identity, "locale": "ko", "name": name, "grid": grid}
    return {**board, "buttons": buttons, "images": images, "sounds": []}


def shown(pages: obf.PageSet, cards: Sequence[Known]) -> dict[str, Any]:
    """What the page draws: boards by their paths, each button with its picture in it, so that nothing is asked later.

    Args:
        cards: what the model knows by id; other buttons are asked for by their words.
    """
    ids = {card.id for card in cards}
    by_word = {card.word: card.id for card in reversed(cards)}
    boards = {}
    for path, board in pages.boards.items():
        buttons = {button["id"]: _shown(pages, path, button, ids, by_word) for button in board["buttons"]}
        cells = [[buttons[cell] if cell is not None else None for cell in row] for row in board["grid"]["order"]]
        boards[path] = {"name": board["name"], "cells": cells}
    missing = [{"label": entry.label or entry.button, "reason": entry.reason} for entry in pages.missing()]
    told = pages.manifest.get("ext_aac_credit", "")
    return {"root": pages.root, "boards": boards, "missing": missing, "faults": pages.faults, "credit": str(told)}


def _shown(
    pages: obf.PageSet, path: str, button: obf.Button, ids: set[str], by_word: Mapping[str, str]
) -> dict[str, Any]:
    word = card_word(button["label"])
    reading = read_label(word)
    known = str(button.get(CARD, "")) if str(button.get(CARD, "")) in ids else by_word.get(reading.keyword, "")
    return {
        "word": spoken(word) or "?",
        "card": {"id": known, "word": reading.keyword} if known else {"word": word},
        "picture": _uri(pages.picture(path, button)),
        "kind": "" if button.get("load_board") else reading.part_of_speech,
        "opens": pages.linked(button),
    }


@lru_cache(maxsize=4096)
def _uri(picture: bytes | None) -> str:
    """A picture as the page shows it; empty: it cannot be read. A drawing stays one: an <img> runs nothing in it."""
    if not picture:
        return ""
    if b"<svg" in picture[:4096]:
        small = len(picture) <= _MOST_DRAWING
        return f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}" if small else ""
    try:
        return picture_uri(squared(plain(decoded(picture, "picture"))))
    except PictureError:
        return ""
