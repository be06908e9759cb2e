"""Words of the user's own, and cards that the table would not put together: still one utterance where possible.

A word that no table knows stands in for a card that does (드론 먹다 for 사과 먹다): the combination is read with the
stand-in, then the word takes its place again. The predicate must be among the cards: none is invented for a strange
noun.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import islice, product

from aac.korean import predicate_stem
from aac.lexicon import lookup
from dataset.prepare.teachers.frames import Frame, frames
from dataset.prepare.teachers.reading import read
from dataset.prepare.teachers.utterance import Reading, part_of_speech

_NOUNS = ("책", "텔레비전", "사과", "물", "컵", "옷", "공", "게임", "음악", "집", "공원", "버스", "침대", "손")
_STAND_INS = {
    "": _NOUNS, "noun": _NOUNS, "place": ("집", "공원", "도서관", "바다"), "person": ("친구", "엄마", "의사"),
    "time": ("오늘", "나중에"), "function": ("같이", "혼자", "더"),
}  # fmt: skip
_VERBS = ("읽다", "춤추다", "씻다", "가다")
_ADJECTIVES = ("예쁘다", "피곤하다")
_WITHOUT_PREDICATE = frozenset({"give", "where", "correct", "name"})
_TRIES = 2000


@lru_cache(maxsize=10_000)
def adapt(cards: tuple[str, ...]) -> Reading | None:
    """The utterance of cards that `read` does not join, or None."""
    strange = [card for card in cards if lookup(card) is None]
    if len(cards) == 1 and strange and not cards[0].endswith("다"):
        return Reading("single", cards[0])
    persons = [card for card in cards if card in frames() and frames()[card].role in ("을", "한테", "이")]
    someone = ("친구",) if any(frames()[card].kind in ("act", "other", "love") for card in persons) else ()
    choices = [(*someone, *_stand_ins(card)) if card in strange else (card,) for card in cards]
    for stand_ins in islice(product(*choices), _TRIES if strange else 0):
        reading = read(frozenset(stand_ins)) if len(set(stand_ins)) == len(cards) else None
        if found := reading and _restored(reading, dict(zip(stand_ins, cards, strict=True))):
            return found
    return None


def _stand_ins(card: str) -> tuple[str, ...]:
    if lookup(card) is None and card.endswith("다") and len(card) > 1:
        return _ADJECTIVES if predicate_stem(card)[2].startswith("VA") else _VERBS
    return _STAND_INS.get(part_of_speech(card), (card,)) if card not in ("나", "너") else (card,)


def _restored(reading: Reading, card_of: dict[str, str]) -> Reading | None:
    """The reading with the cards themselves in the place of their stand-ins."""
    stand_in = reading.predicate
    predicate = card_of.get(stand_in, stand_in)
    if stand_in not in card_of and reading.kind not in _WITHOUT_PREDICATE | {"single"}:
        return None
    parts = tuple((role, card_of.get(card, card), josa) for role, card, josa in reading.parts)
    if predicate == stand_in:
        return replace(reading, parts=parts)
    if reading.kind in _WITHOUT_PREDICATE | {"single"} or predicate in frames():
        return replace(reading, parts=parts, predicate=predicate)
    lead, stem, tag = predicate_stem(predicate)
    known = frames()[stand_in]
    own = Frame(stem, tag, known.kind, role=known.role, questions=known.questions)
    before = (("object", lead, ""),) if lead else ()
    return replace(reading, parts=(*parts, *before), predicate=predicate, own=own)
