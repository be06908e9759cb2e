"""Cards that the table of `frames.py` does not put together: still one utterance, by rules for whole kinds of cards.

Nothing is invented: a noun without a predicate takes the reviewed completion of its kind (`frames.json`), a rule that
loses a card is not taken, and what no rule joins stays None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from aac.lexicon import lookup
from dataset.prepare.teachers.asking import asked, helped
from dataset.prepare.teachers.doing import of_deeds, of_things, told_first
from dataset.prepare.teachers.feeling import felt, mannered, timed
from dataset.prepare.teachers.frames import link
from dataset.prepare.teachers.happening import arriving, told
from dataset.prepare.teachers.joining import OPERATORS, Understand
from dataset.prepare.teachers.own_words import adapt, of_own_word
from dataset.prepare.teachers.parting import parted
from dataset.prepare.teachers.reading import read
from dataset.prepare.teachers.refusing import operated, social
from dataset.prepare.teachers.roles import by_order
from dataset.prepare.teachers.utterance import Reading, category

_RULES = (
    social,
    operated,
    helped,
    asked,
    felt,
    timed,
    mannered,
    lambda cards, _: told(cards),
    lambda cards, _: arriving(cards),
    lambda cards, _: of_deeds(cards),
    of_things,
    told_first,
)
# What the kinds of `forms.json` say without naming it among their parts.
_IMPLIED = {
    "help": {"도와주세요"},
    "help who": {"도와주세요"},
    "help thing": {"도와주세요"},
    "forbid": {"하지 마세요"},
    "look": {"주세요"},
    "forbid giving": {"하지 마세요", "싫다", "안", "주세요"},
    "not this": {"아니요"},
    "want who": {"원하다"},
    "unknown what": {"모르다"},
    "here": {"여기"},
    "give not": {"주세요"},
    "wish": {"원하다"},
}


@lru_cache(maxsize=200_000)
def understand(cards: tuple[str, ...]) -> Reading | None:
    """The utterance of any cards in their order, or None where nothing joins them."""
    reading = _any(cards)
    return _uncaused(reading) if reading else None


@lru_cache(maxsize=200_000)
def _any(cards: tuple[str, ...]) -> Reading | None:
    if len(cards) == 1 and lookup(cards[0]) is None:
        return of_own_word(cards[0])
    reading = by_order(cards) or _whole(cards, parted) or read(frozenset(cards)) or adapt(cards)
    if reading and reading.before and link(reading.before, reading.predicate) == "고" and _reversed(cards, reading):
        reading = of_deeds(cards)  # 약을 먹고 씻어요, 씻고 약을 먹어요
    return reading or (_loose(cards) if len(cards) > 1 else None)


def _reversed(cards: tuple[str, ...], reading: Reading) -> bool:
    deeds = [card for card in cards if card in (reading.before, reading.predicate)]
    return deeds == [reading.predicate, reading.before]


def _uncaused(reading: Reading) -> Reading:
    """손이에요, 앉고 싶어요: a part of the body is no reason for what one wants, unless a state of it is told."""
    body = [card for card, josa in reading.lead if josa == " 때문에" and category(card) == "body"]
    if len(body) != 1 or reading.kind != "act" or reading.mood or reading.question or reading.first:
        return reading
    if "약" in reading.cards("object"):  # medicine is taken for it
        return reading
    lead = tuple((card, josa) for card, josa in reading.lead if card not in body)
    return replace(reading, lead=lead, first=Reading("single", body[0]))


def _kept(reading: Reading) -> set[str]:
    """The cards that a reading says."""
    moods = {card for card, mood in OPERATORS.items() if reading.mood in (mood, card)}
    found = {
        reading.predicate,
        reading.question,
        reading.speaker,
        reading.before,
        reading.then,
        *reading.prefix,
        *moods,
    }
    found |= {card for _, card, _ in reading.parts} | {card for card, _ in reading.lead} | set(reading.quality or ())
    found |= _IMPLIED.get(reading.kind, set()) | ({"주세요"} if reading.mood == "게" else set())
    found |= {"전화"} if reading.predicate == "전화하다" or "전화하다" in found else set()
    return found.union(*(_kept(inner) for inner in (reading.cause, reading.first) if inner))


def _loose(cards: tuple[str, ...]) -> Reading | None:
    return next((reading for rule in _RULES if (reading := _whole(cards, rule))), None)


def _whole(cards: tuple[str, ...], rule: Callable[[tuple[str, ...], Understand], Reading | None]) -> Reading | None:
    """What a rule says of the cards; what loses one is not said."""
    reading = rule(cards, _any)
    return reading if reading and set(cards) <= _kept(reading) else None
