"""What is asked of the model: cards, who speaks, where; checked, without a word of what was sent in an error."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from aac.fields import field_named, text_problem
from aac.io import UserError
from aac.persona import Context, Persona
from aac.pictures import MOST_PIXELS, PictureError, picture_format
from aac.rules import MOST_CARDS
from train.interpreter.requests import LONGEST_WORD, checked_word
from train.server.errors import ApiError, bad

Record = TypeVar("Record", Persona, Context)

MOST_SEED = 2**63
ANOTHER_THREE = 0.8  # the temperature at which a seed draws other sentences
# What a data URL may say that it holds, and what its content then is.
_KINDS = {"png": "PNG", "jpeg": "JPEG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP"}
_DATA_URL = re.compile(r"data:image/([a-z0-9.+-]+);base64,", re.IGNORECASE)


@dataclass(frozen=True)
class Card:
    """One chosen card: a picture file's content, the id of a known card, a word, or two of them."""

    id: str = ""
    picture: bytes = b""
    word: str = ""


@dataclass(frozen=True)
class Question:
    """One request of three sentences.

    Attributes:
        past: what was said before, by the person or the partner. No model is trained to read it yet.
        temperature, seed: 0 and 0 for the likeliest sentences.
        least: letters that each sentence has at least.
    """

    cards: tuple[Card, ...]
    persona: Persona
    context: Context
    past: str = ""
    temperature: float = 0.0
    seed: int = 0
    least: int = 0

    @property
    def draw(self) -> tuple[float, int]:
        """What must be equal for questions to be decoded together."""
        return self.temperature, self.seed

    @cached_property
    def key(self) -> str:
        """Equal questions have one answer."""
        pictures = [hashlib.sha256(card.picture).hexdigest() for card in self.cards]
        plain = [replace(card, picture=b"") for card in self.cards]
        return hashlib.sha256(repr((pictures, plain, replace(self, cards=()))).encode()).hexdigest()


def read_question(body: Mapping[str, Any]) -> Question:
    """The body of `POST /v1/aac/interpretations`.

    Raises:
        ApiError: a part is not what it must be.
    """
    if set(body) - {"cards", "persona", "context", "past", "seed"}:
        raise ApiError(400, "A body holds cards, persona, context, past and seed, and nothing else.", "unknown_field")
    cards = body.get("cards")
    if not isinstance(cards, list):
        raise bad("cards", f"a list of 1 to {MOST_CARDS} cards is needed")
    seed = read_seed(body.get("seed"))
    return Question(
        read_cards([read_card(card, f"cards[{place}]") for place, card in enumerate(cards[: MOST_CARDS + 1])]),
        read_record(Persona, body.get("persona"), "persona"),
        read_record(Context, body.get("context"), "context"),
        read_text(body.get("past") or "", "past"),
        ANOTHER_THREE if seed else 0.0,
        seed,
    )


def read_cards(cards: list[Card]) -> tuple[Card, ...]:
    """Raises ApiError where there are none, or too many."""
    if not 1 <= len(cards) <= MOST_CARDS:
        raise bad("cards", f"1 to {MOST_CARDS} cards are needed, not {'more' if cards else 'none'}")
    return tuple(cards)


def read_card(value: Any, where: str) -> Card:
    """`{"id": 200}`, `{"image": "data:image/png;base64,..."}`, `{"word": "물"}`; a word may stand beside the others."""
    parts = [value.get(name) for name in ("id", "image", "word")] if isinstance(value, dict) else []
    if all(part is None for part in parts) or set(value) - {"id", "image", "word"}:
        raise bad(where, "an object with id, image or word is needed")
    identity, picture, word = parts
    if identity is not None and picture is not None:
        raise bad(where, "id or image, not both")
    good = isinstance(identity, int | str) and not isinstance(identity, bool) and len(str(identity)) <= LONGEST_WORD
    if identity is not None and not good:
        raise bad(f"{where}.id", "a card's number, or its name")
    return Card(
        "" if identity is None else str(identity),
        b"" if picture is None else read_picture(picture, f"{where}.image"),
        "" if word is None else read_word(word, f"{where}.word"),
    )


def read_word(value: Any, where: str) -> str:
    """Raises ApiError where no sentence can hold it."""
    try:
        return checked_word(value, where)
    except UserError:
        message = f"a word of at most {LONGEST_WORD} characters, without mark-up and control signs"
        raise bad(where, message) from None


def read_picture(value: Any, where: str) -> bytes:
    """A data URL's content. No address is ever fetched.

    Raises:
        ApiError: it is no data URL, holds no picture, another kind than it says, or too many pixels by its header.
    """
    start = _DATA_URL.match(value) if isinstance(value, str) else None
    kind = _KINDS.get(start[1].lower()) if start else None
    if not start or not kind:
        kinds = ", ".join(f"image/{name}" for name in _KINDS if name != "jpg")
        raise bad(where, f"a data URL with base64 is needed, no other address is read; of {kinds}")
    try:
        data = base64.b64decode(value[start.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise bad(where, "its base64 is damaged") from None
    try:
        found = picture_format(data, where)
    except PictureError as error:
        large = "pixels" in error.reason or "flat" in error.reason
        reason = f"more than {MOST_PIXELS // 10**6} megapixels, or too flat" if large else "not a readable picture"
        raise bad(where, reason) from None
    if found != kind:
        raise bad(where, f"its content is not {kind}, as its address says")
    return data


def read_record(kind: type[Record], value: Any, where: str) -> Record:
    """Who speaks, or where: an object of any of its fields, or nothing; a context may be a sentence.

    Raises:
        ApiError: a field is unknown, or a value is none of its field.
    """
    if kind is Context and isinstance(value, str):
        return kind.parse(read_text(value, where))
    if value is not None and not isinstance(value, dict):
        raise bad(where, "an object of fields is needed")
    for place, (key, entry) in enumerate((value or {}).items(), start=1):
        name = field_named(key, kind.table)
        if not name:
            raise bad(where, f"its key no. {place} is none of {', '.join(kind.table)}")
        if remedy := kind.table[name].problem(entry):
            raise bad(f"{where}.{name}", remedy)
    try:
        return kind.parse(value)
    except UserError:
        raise bad(where, "one field stands twice, under two of its names") from None


def read_text(value: Any, where: str) -> str:
    """Raises ApiError where it is no text, or longer than a field may be."""
    if not isinstance(value, str):
        raise bad(where, "a text is needed")
    if problem := text_problem(value):
        raise bad(where, problem)
    return value


def read_seed(value: Any) -> int:
    """Raises ApiError where it is no whole number of 64 bits."""
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not -MOST_SEED <= value < MOST_SEED:
        raise bad("seed", "a whole number of 64 bits")
    return value
