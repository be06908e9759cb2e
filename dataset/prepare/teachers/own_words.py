"""Words of the user's own among cards, by their classes: what one does with such a thing, and what stands beside it.

A noun that no table knows stands in for a card of its class (마라탕 for 빵): the combination is read with the stand-in,
then the word takes its place again. What one does with it comes from its class (`own_words.json`); for a noun of no
known class no predicate is invented. A predicate has no stand-in: `frames.py` knows what it takes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path

from aac.lexicon import lookup
from aac.rules import spoken
from aac.verbs import UNWISHED
from dataset.prepare.teachers.frames import defaults, frames
from dataset.prepare.teachers.reading import read
from dataset.prepare.teachers.utterance import Reading, category, part_of_speech

OWN_WORDS_FILE = Path(__file__).with_name("own_words.json")
# Beside a noun of which nothing is known only these are put: they go with whatever there is.
OPEN = frozenset(
    {"좋다", "싫다", "있다", "없다", "주세요", "원하다", "어디", "보다", "이거", "그게 아니에요", "나", "더"}
)
_NOUNS = ("책", "물", "컵", "텔레비전", "사과", "집")
_WITHOUT_PREDICATE = frozenset({"give", "where", "correct", "name", "single"})
_PLACED = ("에", "에서")
_VARIANTS = 3  # forms `own word N`


@dataclass(frozen=True)
class OwnKind:
    """What one does with the words of a class, or some of them.

    `stand_ins`: cards whose company such a word keeps; `company`: beside which cards it may stand, where it has none;
    `predicate` with the josa of the word before it: what one mostly does with it; `given`: one asks to be handed it;
    `form`: the sentences of one alone (`forms.json`), else.
    """

    name: str = ""
    words: frozenset[str] = frozenset()
    ends: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    company: frozenset[str] = frozenset()
    predicate: str = ""
    josa: str = "을"
    given: bool = False
    form: str = ""


@lru_cache(maxsize=1)
def _kinds() -> tuple[OwnKind, ...]:
    rows = json.loads(OWN_WORDS_FILE.read_text(encoding="utf-8"))

    def words(row: dict[str, str], name: str) -> tuple[str, ...]:
        return tuple(word.replace("_", " ") for word in row.get(name, "").split())

    return tuple(
        OwnKind(
            row["class"], frozenset(words(row, "words")), words(row, "ends"), words(row, "as"),
            frozenset(words(row, "with")), row.get("does", ""),
            row.get("josa", "을"), row.get("give", False), row.get("form", ""),
        )
        for row in rows
    )  # fmt: skip


@lru_cache(maxsize=65_536)
def kind_of(word: str) -> OwnKind:
    """What one does with a noun that the lexicon does not know."""
    name, said = category(word), spoken(word)
    for kind in _kinds():
        every = not (kind.words or kind.ends)
        if kind.name == name and (every or said in kind.words or said.endswith(kind.ends or ("\0",))):
            return kind
    return OwnKind(form=f"own word {zlib.crc32(said.encode()) % _VARIANTS}")


def of_own_word(word: str) -> Reading:
    """A word of the user's own alone."""
    if word in frames():
        frame = frames()[word]
        return Reading("told" if frame.kind in UNWISHED else frame.kind, word, mood="주다" if frame.serves else "")
    part, kind = part_of_speech(word), kind_of(word)
    if part in ("sentence", "social", "negation"):
        return Reading("own sentence", word)
    if part == "person":
        return Reading("single", word)
    if kind.predicate:
        return Reading("act", kind.predicate, ((_role(kind), word, kind.josa),))
    if kind.given:
        return Reading("give", "", (("object", word, "을"),))
    if kind.form == "look":
        return Reading("look", word, (("object", word, ""),))
    return Reading(kind.form or "single", word)


def _role(kind: OwnKind) -> str:
    return "place" if kind.josa in _PLACED else "object"


def strange(word: str) -> bool:
    """Whether a word is a noun of which nothing is known, not even its class."""
    return lookup(word) is None and word not in frames() and not kind_of(word).name


@lru_cache(maxsize=100_000)
def adapt(cards: tuple[str, ...]) -> Reading | None:
    """The utterance of cards with nouns of the user's own among them that `read` does not join, or None."""
    own = [card for card in cards if lookup(card) is None]
    if not own or len(cards) == 1 or any(card in frames() or not _stand_ins(card) for card in own):
        return None
    if any(strange(card) for card in own) and (len(own) > 1 or not set(cards) - set(own) <= OPEN | set(frames())):
        return None
    for stand_ins in _hands(cards, own):
        reading = read(frozenset(stand_ins)) if len(set(stand_ins)) == len(cards) else None
        if found := reading and _restored(reading, dict(zip(stand_ins, cards, strict=True))):
            return found
    return None


def _hands(cards: tuple[str, ...], own: list[str]) -> Iterator[tuple[str, ...]]:
    return product(*(_stand_ins(card, cards) if card in own else (card,) for card in cards))


def _stand_ins(card: str, cards: tuple[str, ...] = ()) -> tuple[str, ...]:
    if not strange(card):
        return kind_of(card).stand_ins
    someone = any(word in frames() and frames()[word].role in ("을", "한테") for word in cards)
    return ("친구", *_NOUNS) if someone else _NOUNS


def _restored(reading: Reading, card_of: dict[str, str]) -> Reading | None:
    """The reading with the cards themselves in the place of their stand-ins; None where it says what only these are."""
    predicate = card_of.get(reading.predicate, reading.predicate)
    if reading.kind not in _WITHOUT_PREDICATE and predicate not in card_of.values():
        own = {stand_in: card for stand_in, card in card_of.items() if stand_in != card}
        invented = {kind_of(card).predicate for card in own.values()} - {""}
        if predicate not in {defaults().get(stand_in) for stand_in in own}:
            return None  # what one does with another card: 배드민턴
        if reading.kind not in ("act", "help") or reading.before or len(invented) != 1:
            return None
        predicate = invented.pop()
    by_josa = {card: kind_of(card) for stand_in, card in card_of.items() if stand_in != card}

    def josa_of(card: str, josa: str) -> str:
        kind = by_josa.get(card)
        return kind.josa if kind and kind.predicate == predicate else josa

    parts = tuple(
        (role, card_of.get(card, card), josa_of(card_of.get(card, card), josa)) for role, card, josa in reading.parts
    )
    before = card_of.get(reading.before, reading.before)
    return replace(reading, parts=parts, predicate=predicate, before=before)


def combines(word: str) -> bool:
    """Whether a word of the user's own ever stands beside another: a predicate, or a noun with company."""
    company = word not in frames() and (_stand_ins(word) or kind_of(word).company)
    return word in frames() or (bool(company) and part_of_speech(word) in ("noun", "person", "place", "time"))
