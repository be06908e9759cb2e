"""Which cards stand beside a word of the user's own: what the rules for any cards make of them must give each a slot.

The strict table (`frames.py`) decides for the lexicon's words, and by their stand-ins for nouns of a known class.
"""

from __future__ import annotations

from functools import lru_cache

from aac.lexicon import load_lexicon, lookup
from aac.verbs import known_verbs
from dataset.prepare.teachers.frames import defaults, frames
from dataset.prepare.teachers.joining import noun
from dataset.prepare.teachers.loose import understand
from dataset.prepare.teachers.own_words import OPEN, OwnKind, adapt, kind_of, strange
from dataset.prepare.teachers.utterance import EDIBLE, Reading, category, part_of_speech

_PLAIN = frozenset({
    "act", "other", "give", "quality", "state", "told", "where", "wish", "help", "name", "correct", "give not", "asked",
    "look", "unknown", "not this",
})  # fmt: skip
_FRONT = frozenset({"", "에", "에서", "은", "이"})
_LIKE = {"act": ("만들다",), "body": ("어지럽다",), "state": ("피곤하다",)}
_ANY = frozenset({"좋다", "싫다", "있다", "없다", "끝", "무섭다", "오다", "아프다", "원하다"})
_DOING = frozenset({"하다", "연주하다", "치다", "배드민턴치다", "부르다"})
_BEFORE = frozenset({"time", "function", "person", "place"})


@lru_cache(maxsize=200_000)
def plausible(hand: tuple[str, ...]) -> bool:
    """Whether cards, with words of the user's own among them, make one plain utterance."""
    if any(map(strange, hand)):
        return len(hand) == 2 and bool(OPEN & set(hand)) and adapt(hand) is not None
    if {"네", "아니요"} <= set(hand) or sum(part_of_speech(card) == "time" for card in hand) > 1:
        return False
    if "어디" in hand and len(hand) > 2 and any(part_of_speech(card) == "place" for card in hand):
        return False
    kinds = [kind_of(card) for card in hand if lookup(card) is None and card not in frames()]
    if any(kind.company and not set(hand) & kind.company for kind in kinds):
        return False
    reading = understand(hand)
    return reading is not None and (bool(adapt(hand)) or (_plain(reading) and _suits(reading)))


def _plain(reading: Reading) -> bool:
    own = reading.kind in _PLAIN or reading.kind.startswith("own ")
    alone = not (
        reading.cause or reading.first or reading.quality or reading.before or set(reading.prefix) - {"네", "아니요"}
    )
    if reading.kind in ("give", "give not") and not all(map(noun, reading.cards("object"))):
        return False
    objects = reading.cards("object")
    if reading.kind in ("give", "give not") and len({category(card) in EDIBLE for card in objects}) > 1:
        return False
    if objects and reading.predicate in frames() and frames()[reading.predicate].lead:
        return False  # 블라우스를 마음을 바꾸다
    if reading.question and (reading.prefix or reading.kind in ("quality", "state")):
        return False
    if "아니요" in reading.prefix and reading.mood not in ("안", "못", "싫다", "말다"):
        return False
    return own and alone and all(_in_front(card, josa) for card, josa in reading.lead)


def _in_front(card: str, josa: str) -> bool:
    return category(card) == "symptom" or (josa in _FRONT and part_of_speech(card) in _BEFORE)


def _suits(reading: Reading) -> bool:
    """Whether what the predicate is done with is of a class that it takes."""
    if reading.kind not in ("act", "told", "quality", "state", "help", "other") or reading.predicate not in frames():
        return True
    frame, objects = frames()[reading.predicate], reading.cards("object")
    if frame.own:
        taken = frame.own.objects
        return "*" in taken or all(_sorts(card) & taken for card in objects)
    if reading.kind not in ("act", "help") and reading.predicate in _ANY:
        return True
    stand_ins = {card: {card} if lookup(card) else set(kind_of(card).stand_ins) for card in objects}
    return all(stand_ins[card] & set(frame.objects) for card in objects)


def _sorts(card: str) -> set[str]:
    """A noun and its class, as `verbs.json` names what a verb takes; what one does (수학, 축구) is no thing."""
    does = defaults().get(card, "") if lookup(card) else kind_of(card).predicate
    doing = does in _DOING or (does == "타다" and category(card) == "toy")
    return {card, "doing" if doing else category(card)}


def like(word: str) -> tuple[str, ...]:
    """The card in whose place a word of the user's own is dealt on purpose (`themes.py`)."""
    if lookup(word):
        return ()
    if word in frames():
        return _LIKE.get(frames()[word].kind, ())
    if category(word) == "symptom":
        return ("어지럽다",)
    return () if strange(word) else kind_of(word).stand_ins[:1]


def beside(word: str) -> frozenset[str] | None:
    """The words that alone may stand beside a noun of the user's own; None: any that fits."""
    if lookup(word) or word in frames():
        return None
    return OPEN if strange(word) else _company(kind_of(word))


@lru_cache(maxsize=512)
def _company(kind: OwnKind) -> frozenset[str]:
    words = [card.keyword for card in load_lexicon()]
    like = {word for word in words for card in kind.stand_ins if word != card and plausible((card, word))}
    names = {kind.name, *map(category, kind.stand_ins)}
    return frozenset(like | kind.company | {verb for verb, known in known_verbs().items() if known.objects & names})
