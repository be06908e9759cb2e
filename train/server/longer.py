"""Sentences long enough for an app that takes a short one ("몰라.") for an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aac.korean import speech_level
from train.interpreter.candidates import Candidate, Source, offer

if TYPE_CHECKING:
    from train.interpreter.requests import Request


def lengthen(request: Request, three: Sequence[Candidate], least: int) -> None:
    """Say sentences of fewer characters than `least` (at most 5) longer: by another one of the grammar, else with who
    is spoken to before it. What takes a sentence's place passes the gate, where anything does."""
    for place, candidate in enumerate(three):
        if len(candidate.text) >= least:
            continue
        ways = [sentence for sentence in _longer(request, candidate.text) if len(sentence) >= least]
        for sentence in ways:
            offer(request, three, place, sentence, Source.GRAMMAR)
            if candidate.text == sentence:
                break
        else:
            candidate.text, candidate.source = ways[-1], Source.FIXED


def _longer(request: Request, short: str) -> Iterator[str]:
    """The best first; the last is always long enough (있잖아 would be heard as a denial)."""
    from dataset.prepare.teachers.grammar import interpret
    from dataset.prepare.teachers.speaker import Speaker

    if request.words:
        yield from interpret(list(request.words), request.persona, request.context)
    you = Speaker(request.persona, request.context).you()
    if you not in ("", "너"):
        yield f"{you}, {short}"
    yield f"{'저기' if speech_level(short) == '반말' else '저기요'}, {short}"
