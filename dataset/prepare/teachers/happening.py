"""What happens, hurts or is not known, among other cards: whom, where and what it happens to, and what refuses it."""

from __future__ import annotations

from dataclasses import replace

from aac.verbs import UNWISHED, Valency
from dataset.prepare.teachers.frames import Frame, frames, takes
from dataset.prepare.teachers.joining import is_kind, noun, person, without
from dataset.prepare.teachers.utterance import Reading, category, part_of_speech

# What another card may do to it. Nobody is asked to stop breathing, and only what is known to be harmless is wished.
_UNDER = {
    "안": "안", "못": "못", "싫다": "싫다", "그만": "그만", "하지 마세요": "말다", "원하다": "싶다",
}  # fmt: skip


def told(cards: tuple[str, ...]) -> Reading | None:
    """One such verb with whom, where and what it happens to; what has no slot stands before it as the reason."""
    verbs = [card for card in cards if is_kind(card, *UNWISHED)]
    if len(verbs) != 1:
        return None
    frame, reading = frames()[verbs[0]], Reading("told", verbs[0])
    for card in without(cards, verbs[0]):
        if person(card) and not reading.card("person"):
            part = ("person", card, frame.role)
        elif {category(card), card} & takes(verbs[0]) and not reading.card("object"):
            part = ("object", card, frame.own.josa if frame.own else "을")
        elif part_of_speech(card) == "place" and not reading.card("place"):
            part = ("place", card, (frame.own.place if frame.own else "") or "에서")
        elif noun(card) and not reading.lead:
            reading = replace(reading, lead=((card, " 때문에"),))
            continue
        else:
            return None
        reading = replace(reading, parts=(*reading.parts, part))
    order = ("person", "place", "object")
    return replace(reading, parts=tuple(sorted(reading.parts, key=lambda part: order.index(part[0]))))


ARRIVES = Frame("오", "VV", "event", role="이", own=Valency("event", told="now"))


def arriving(cards: tuple[str, ...]) -> Reading | None:
    """버스가 와요: a vehicle comes by itself, where nobody else does."""
    vehicles, others = [card for card in cards if category(card) == "vehicle"], without(cards, "오다")
    there = tuple(card for card in others if part_of_speech(card) == "place" or card == "여기")
    if "오다" not in cards or len(vehicles) != 1 or len(vehicles) + len(there) != len(others) or len(there) > 1:
        return None
    parts = (("person", vehicles[0], "이"), *(("place", card, "에") for card in there))
    return Reading("told", "오다", parts, own=ARRIVES)


def told_under(operator: str, cards: tuple[str, ...], inner: Reading) -> Reading:
    """What is told under a card that refuses or wants: refused, forbidden, but wished only where no harm is."""
    kind, mood = inner.frame.kind, _UNDER.get(operator, "")
    felt = inner.frame.own is not None and bool(inner.frame.own.objects)  # 두려워하다 is no deed that one could want
    barred = {"싶다": kind != "tell" or felt, "말다": kind == "vital", "싫다": kind == "event"}.get(mood, not mood)
    if barred or inner.mood or inner.question:
        return topic(*cards)
    return replace(inner, mood=mood)


def topic(*cards: str) -> Reading:
    """What one wants to talk about, where nothing else may be said."""
    return Reading("topic", "", tuple(("object", card, "") for card in cards))
