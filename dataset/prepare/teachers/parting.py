"""Two utterances in a row, parted by the order of the cards: 우유 싫다 물 주세요 refuses the milk and not the water."""

from __future__ import annotations

from dataclasses import replace

from dataset.prepare.teachers.joining import POINTERS, REFUSALS, Understand, is_kind, noun, person
from dataset.prepare.teachers.reading import QUESTIONS
from dataset.prepare.teachers.utterance import Reading, part_of_speech

_DEEDS = ("act", "other", "love")
_PARTS = ("싫다", "하지 마세요", "아니요", "끝")


def parted(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """What stands before 싫다, 하지 마세요, 아니요 or 끝 in a sentence of its own, and what the cards after it say."""
    place = next((n for n, card in enumerate(cards) if card in _PARTS), 0)
    before, after = cards[:place], cards[place + 1 :]
    if not before or not after or set(cards) & (QUESTIONS | {"도와주세요"}):
        return None
    if (REFUSALS | {"아니요", "없다"}) & {*before, *after}:
        return None
    asked = understand(after)
    first = _ended(before, understand) if cards[place] == "끝" else understand(cards[: place + 1])
    if not first or not asked or asked.first or asked.cause or asked.prefix or first.first:
        return None
    if cards[place] == "끝":
        fits = any(is_kind(card, *_DEEDS) or card == "주세요" for card in after)
    else:
        fits = _asks_for_another(before, after, asked)
    if cards[place] == "싫다" and first.kind == "quality":  # 우유는 싫어요, 물 주세요
        first = replace(first, parts=tuple((role, card, "은") for role, card, _ in first.parts))
    return replace(asked, first=first) if fits else None


def _ended(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """숙제가 끝났어요, 밥을 먹는 게 끝났어요."""
    inner = understand(cards)
    if inner and inner.kind == "act" and not inner.mood and any(is_kind(card, "act") for card in cards):
        return Reading("quality", "끝", cause=replace(inner, clause="는 것"))
    ended = understand((*cards, "끝"))
    return ended if ended and ended.kind == "quality" else None


def _asks_for_another(before: tuple[str, ...], after: tuple[str, ...], asked: Reading) -> bool:
    """Whether the cards after a refusal ask for something of their own: 택시 타다, but neither 타다 nor 친구 타다."""
    deed = any(is_kind(card, *_DEEDS) for card in after)
    if "주세요" in after:
        return len(after) > 1
    if any(is_kind(card, *_DEEDS) for card in before):
        return deed and asked.kind == "act"
    if not deed or not all(map(_named, before)):
        return False
    people = all(map(person, before)) and asked.card("person")
    return bool(asked.card("object") or people or (asked.predicate == "가다" and asked.card("place")))


def _named(card: str) -> bool:
    return noun(card) or person(card) or card in POINTERS or part_of_speech(card) in ("place", "time")
