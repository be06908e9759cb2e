"""Reviewed wording (`reviewed.json`): what a lone core card and a fixed set of emergencies are answered with, never
generated. A committed table that a speech-language pathologist can read and sign."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from aac.persona import Context, Persona
from aac.rules import nfc
from dataset.prepare.teachers.endings import particle
from dataset.prepare.teachers.speaker import Speaker

REVIEWED_FILE = Path(__file__).with_name("reviewed.json")


@lru_cache(maxsize=1)
def _table() -> dict[frozenset[str], dict[str, list[str]]]:
    """{cards: {level: three sentences}}; the cards of an entry are joined by a plus sign."""
    entries = json.loads(REVIEWED_FILE.read_text(encoding="utf-8"))
    return {frozenset(cards.split("+")): levels for cards, levels in entries.items()}


def reviewed(cards: Sequence[str], persona: Persona, context: Context) -> list[str] | None:
    """The reviewed triple of the cards, whatever their order, for who speaks to whom; None where there is none."""
    levels = _table().get(frozenset(map(nfc, cards)))
    if levels is None:
        return None
    return triple(levels, Speaker(persona, context))


def reviewed_card(card: str, speaker: Speaker) -> list[str] | None:
    """The reviewed triple of a card alone."""
    levels = _table().get(frozenset({card}))
    return triple(levels, speaker) if levels else None


def triple(levels: dict[str, list[str]], speaker: Speaker) -> list[str]:
    """The sentences of the speaker's level, with the partner in the place of {you}."""
    you = speaker.you() or "저기요"
    return [text.replace("{you}", you).replace("{subject}", particle(you, "이")) for text in levels[speaker.level]]
