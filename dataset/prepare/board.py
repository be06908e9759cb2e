"""`--board FILE`: the pictures and labels of a team's own board (`.obf`, `.obz`) become cards in the images folder.

A button without a picture in the file becomes a word card, its word drawn, and is listed. Buttons that open another
board, or stand for an action of the board's software, say nothing and are no cards.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

from aac import obf
from aac.drawings import is_drawing
from aac.fonts import korean_font, wrapped
from aac.io import UserError, write_atomic, write_json
from aac.pictures import PictureError, decoded, plain
from aac.rules import card_keyword, card_word
from dataset.prepare.cards import pictures_in
from dataset.prepare.options import Options

log = logging.getLogger("aac")
LIST = "board.json"
SIZE = 224
# What a drawing could reach beyond itself: an entity, a file, an address.
_REACHES_OUT = re.compile(rb"<!ENTITY|href\s*=\s*[\"'](?!\s*(?:#|data:image/(?:png|jpeg);))|url\(\s*[\"']?(?!#)")


class BoardCard(NamedTuple):
    """A button as a card: its picture as PNG, and why that shows the word alone (empty: it does not)."""

    word: str
    picture: bytes
    reason: str


def import_board(path: Path, options: Options) -> str:
    """Write a board's cards into the images folder, and what became of each button to `board.json`.

    Pictures that the folder holds already stay as they are; new ones get the numbers after the highest. Done again
    with the same board, nothing changes.

    Raises:
        UserError: no board can be read, or nothing on it can be said.
    """
    pages = obf.read_file(path)
    for fault in pages.faults:
        log.warning("      %s", fault)
    cards = list(_cards(pages))
    if not cards:
        raise UserError(f"{path}: no button with a label to be spoken; nothing becomes a card")
    options.images.mkdir(parents=True, exist_ok=True)
    here = pictures_in(options.images)
    held = {hashlib.sha256(file.read_bytes()).digest(): file.name for file in here}
    number = max((int(match.group()) for file in here if (match := re.match(r"\d{1,9}", file.name))), default=0)
    entries: list[dict[str, str]] = []
    for card in cards:
        word = _file_word(card.word)
        name = held.get(hashlib.sha256(card.picture).digest(), "")
        if name and card_keyword(name) != word:  # one picture for two words could not be told apart
            card = BoardCard(card.word, _word_card(card.word), f"its picture is that of {name}")
            name = held.get(hashlib.sha256(card.picture).digest(), "")
        if not name:
            number += 1
            name = held[hashlib.sha256(card.picture).digest()] = f"{number}_{word}.png"
            write_atomic(options.images / name, card.picture)
        entries.append({"file": name, "word": card.word, "word_card": card.reason})
    write_json(options.file(LIST), {"board": path.name, "faults": pages.faults, "cards": entries})
    words = [entry for entry in entries if entry["word_card"]]
    for entry in words[:10]:
        log.warning("      %s: a word card: %s", entry["word"], entry["word_card"])
    return f"{len(entries)} cards, {len(words)} of them word cards (listed in {LIST}) -> {options.images}"


def _cards(pages: obf.PageSet) -> list[BoardCard]:
    """The buttons that say something, in the order of the boards; the same picture for the same word once."""
    found: dict[tuple[str, bytes], BoardCard] = {}
    reasons = {(entry.board, entry.button): obf.REASONS[entry.reason] for entry in pages.missing()}
    for path in pages.ordered():
        for button in pages.boards[path]["buttons"]:
            word = card_word(button["label"])
            if not any(sign.isalnum() for sign in word) or button.get("load_board") or button.get("action"):
                continue
            reason = reasons.get((path, button["id"]), "it has no picture")
            data = pages.picture(path, button)
            if data is not None:
                try:
                    data, reason = _as_png(data, word), ""
                except PictureError as error:
                    data, reason = None, error.reason
            card = BoardCard(word, data if data is not None else _word_card(word), reason)
            found.setdefault((card.word, card.picture), card)
    return list(found.values())


def _as_png(data: bytes, word: str) -> bytes:
    """A picture file of any kind that a board may hold as PNG.

    Raises:
        PictureError: damaged, or a drawing that reaches out of its file.
    """
    if is_drawing(data) and _REACHES_OUT.search(data):
        raise PictureError(word, "a drawing (SVG) that names other files")
    return _png(plain(decoded(data, word), name=word))


def _word_card(word: str) -> bytes:
    """The word itself in the middle of a white card, as large as it fits."""
    from PIL import Image, ImageDraw, ImageFont

    file = str(korean_font())
    card = Image.new("RGB", (SIZE, SIZE), "white")
    draw = ImageDraw.Draw(card)
    for size in (72, 56, 44, 34, 26, 20, 14):
        font = ImageFont.truetype(file, size)
        text = "\n".join(wrapped(word, font, SIZE - 24))
        left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font, align="center")
        if bottom - top <= SIZE - 24:
            break
    place = ((SIZE - right - left) / 2, (SIZE - bottom - top) / 2)
    draw.multiline_text(place, text, "black", font, align="center")
    return _png(card)


def _file_word(word: str) -> str:
    """The word as a file name can hold it."""
    return card_word(re.sub(r"[/\\:\x00-\x1f]", " ", word).strip(" .")[:60])


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
