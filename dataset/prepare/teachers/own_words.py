"""Words of the user's own among cards: still one utterance where possible.

A noun that no table knows stands in for a card that does (드론 먹다 for 사과 먹다): the combination is read with the
stand-in, then the word takes its place again. The predicate must be among the cards: none is invented for a strange
noun. A predicate has no stand-in: `frames.py` knows what it takes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import islice, product

from aac.lexicon import lookup
from aac.verbs import UNWISHED
from dataset.prepare.teachers.frames import frames
from dataset.prepare.teachers.reading import read
from dataset.prepare.teachers.utterance import Reading

_NOUNS = ("책", "텔레비전", "사과", "물", "컵", "옷", "공", "게임", "음악", "집", "공원", "버스", "침대", "손")
_WITHOUT_PREDICATE = frozenset({"give", "where", "correct", "name"})
_TRIES = 2000


def of_predicate(word: str) -> Reading:
    """A predicate of the user's own alone."""
    frame = frames()[word]
    return Reading("told" if frame.kind in UNWISHED else frame.kind, word, mood="주다" if frame.serves else "")


@lru_cache(maxsize=10_000)
def adapt(cards: tuple[str, ...]) -> Reading | None:
    """The utterance of cards with nouns of the user's own among them that `read` does not join, or None."""
    strange = [card for card in cards if lookup(card) is None]
    if not strange or len(cards) == 1 or any(card in frames() for card in strange):
        return None
    persons = [card for card in cards if card in frames() and frames()[card].role in ("을", "한테", "이")]
    someone = ("친구",) if any(frames()[card].kind in ("act", "other", "love") for card in persons) else ()
    choices = [(*someone, *_NOUNS) if card in strange else (card,) for card in cards]
    for stand_ins in islice(product(*choices), _TRIES):
        reading = read(frozenset(stand_ins)) if len(set(stand_ins)) == len(cards) else None
        if found := reading and _restored(reading, dict(zip(stand_ins, cards, strict=True))):
            return found
    return None


def _restored(reading: Reading, card_of: dict[str, str]) -> Reading | None:
    """The reading with the cards themselves in the place of their stand-ins; None where a predicate is invented."""
    bare = reading.kind in _WITHOUT_PREDICATE | {"single"}
    if not bare and reading.predicate not in card_of.values():
        return None
    parts = tuple((role, card_of.get(card, card), josa) for role, card, josa in reading.parts)
    return replace(reading, parts=parts, predicate=card_of.get(reading.predicate, reading.predicate))
