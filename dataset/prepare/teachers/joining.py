"""What the rules for any cards share: what a card is, and how one joins an utterance that the rest makes.

One part is the core (a deed, a state, a thing asked for, a card with a reviewed triple of its own); every other card is
said in front of it: who, when, where, why, with what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dataset.prepare.teachers.frames import frames, group
from dataset.prepare.teachers.utterance import EDIBLE, Reading, category, part_of_speech

# What the rest of the cards says: `loose.understand`, which hands itself to every rule.
Understand = Callable[[tuple[str, ...]], Reading | None]

OPERATORS = {
    "안": "안", "못": "못", "그만": "그만", "싫다": "싫다", "좋다": "좋다", "원하다": "싶다", "하지 마세요": "말다",
    "주세요": "주다", "있다": "있다", "없다": "없다", "모르다": "", "끝": "",
}  # fmt: skip
REFUSALS = frozenset({"안", "못", "그만", "싫다", "하지 마세요"})
MANNERS = frozenset({"더", "다시", "같이", "혼자", "빨리", "천천히", "많이", "조금"})
POINTERS = frozenset({"이거", "다른 것"})


def without(cards: tuple[str, ...], *taken: str) -> tuple[str, ...]:
    return tuple(card for card in cards if card not in taken)


def is_kind(card: str, *kinds: str) -> bool:
    frame = frames().get(card)
    return frame is not None and frame.kind in kinds and card not in OPERATORS


def person(card: str) -> bool:
    """Whether a card names somebody other than speaker and partner."""
    return category(card) == "person"


def noun(card: str) -> bool:
    """Whether a card names a thing, an animal, a part of the body; a word that the lexicon does not know does."""
    return part_of_speech(card) in ("noun", "") and not (card.endswith("다") and len(card) > 1 and card in frames())


def only_thing(cards: tuple[str, ...]) -> bool:
    """Whether the cards are one noun."""
    return len(cards) == 1 and noun(cards[0])


def givable(card: str) -> bool:
    """What one can ask for and be handed."""
    kinds = EDIBLE | {"clothes", "thing", "study"}
    return (category(card) in kinds and card not in group("fixture")) or card in group("portable")


def ahead(inner: Reading | None, card: str, josa: str) -> Reading | None:
    """The card in front of an utterance; what asks where or is a name already takes no more."""
    return replace(inner, lead=((card, josa), *inner.lead)) if inner else None


def told(card: str, inner: Reading | None) -> Reading | None:
    """A card's own short sentence before the rest: 무서워요, 도와주세요."""
    return replace(inner, prefix=(card, *inner.prefix)) if inner else None


def caused(state: Reading | None, inner: Reading | None) -> Reading | None:
    """배고파서 밥을 먹고 싶어요: a state of one's own leads to the rest."""
    if not state or not inner or inner.cause or state.cause or state.speaker == "너":
        return None
    return replace(inner, cause=replace(state, prefix=()), prefix=(*state.prefix, *inner.prefix))
