"""Personal memory: what a person said with the same cards to the same kind of partner is offered to them again, first.

Nothing is trained and nobody else's journal is read. What a person corrected once is also tried with another noun
(물 좀 주세요 for 밥, too), in the place of the sentence they corrected, where the gate finds nothing wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aac import gate
from aac.lexicon import lookup
from aac.persona import Context
from aac.register import partner_class
from aac.rules import INTERPRETATIONS
from dataset.prepare.teachers.endings import particle
from train.interpreter.candidates import STYLE_NAMES, Source

# Why even a person's own sentence is not offered: turned round it says what the cards refuse; mark-up is not theirs.
_NEVER = frozenset({"polarity_flipped", "control_text", "empty"})
_JOSA = {"을": "을", "를": "을", "이": "이", "가": "이", "은": "은", "는": "은", "로": "로", "으로": "로", "랑": "이랑",
         "이랑": "이랑", "": ""}  # fmt: skip
_SWAPPED = ("noun", "place", "person")


@dataclass(frozen=True)
class Said:
    """What became of one request: the sentence, whether the person wrote it, and where the one it came from stood."""

    cards: tuple[str, ...]
    partner: str
    text: str
    own: bool = False
    place: int = 0
    request: str = ""


def said(events: Iterable[dict[str, Any]]) -> list[Said]:
    """The requests of a journal that ended in a sentence, the latest outcome last; what was undone is gone."""
    asked: dict[str, Said] = {}
    found: dict[str, Said] = {}
    for event in events:
        request = event.get("request", "")
        match event["event"]:
            case "shown":
                asked[request] = Said(tuple(event["cards"]), event.get("partner", ""), "", request=request)
            case "undone" | "none":
                found.pop(request, None)
            case "chosen" | "edited" | "typed" as kind if request in asked:
                found.pop(request, None)  # so that it stands last
                own, place = kind != "chosen", event.get("place", 0) % INTERPRETATIONS
                found[request] = replace(asked[request], text=event["text"], own=own, place=place)
    return list(found.values())


def with_memory(
    offered: Sequence[dict[str, Any]], earlier: Sequence[Said], words: Sequence[str], context: Context
) -> list[dict[str, Any]]:
    """Three candidates, of which one may be the person's own.

    Args:
        offered: the model's, as `Candidate.public` shows them.
        earlier: what the person said before, the latest last.
        words: the cards' words.
    """
    partner = partner_class(context.interaction_partner)
    known = [entry for entry in earlier if entry.partner == partner]
    same = next((entry for entry in reversed(known) if sorted(entry.cards) == sorted(words)), None)
    if same and not _NEVER & set(gate.check([same.text], words, context)[0]):
        others = _without(offered, same)
        return [_candidate(same, Source.OWN), *others[: INTERPRETATIONS - 1]]
    if same:
        return list(offered)
    for entry in _likened(known, words):
        if not gate.check([entry.text], words, context)[0]:
            return _in_its_place(offered, entry)
    return list(offered)


def _candidate(entry: Said, source: Source) -> dict[str, Any]:
    return {
        "text": entry.text,
        "style": STYLE_NAMES[entry.place],
        "style_confidence": 0.0,
        "source": str(source),
        "reasons": [],
    }


def _without(offered: Sequence[dict[str, Any]], entry: Said) -> list[dict[str, Any]]:
    """The candidates without the one that says the same, else without the one whose form it takes."""
    texts = [gate.comparable(candidate["text"]) for candidate in offered]
    same = gate.comparable(entry.text)
    left = texts.index(same) if same in texts else entry.place
    return [candidate for place, candidate in enumerate(offered) if place != left]


def _in_its_place(offered: Sequence[dict[str, Any]], entry: Said) -> list[dict[str, Any]]:
    if gate.comparable(entry.text) in {gate.comparable(candidate["text"]) for candidate in offered}:
        return list(offered)
    three = list(offered)
    three[entry.place] = _candidate(entry, Source.LIKE_OWN)
    return three


def _likened(earlier: Sequence[Said], words: Sequence[str]) -> Iterator[Said]:
    """What the person wrote for other cards, with one noun put in another's place; the latest first."""
    for entry in reversed(earlier):
        gone, come = set(entry.cards) - set(words), set(words) - set(entry.cards)
        if not entry.own or len(entry.cards) != len(words) or len(gone) != 1 or len(come) != 1:
            continue
        old, new = gone.pop(), come.pop()
        if _kind(old) == _kind(new) and (text := _swapped(entry.text, old, new)):
            yield replace(entry, cards=tuple(words), text=text)


def _kind(word: str) -> str:
    """The part of speech of a word that another can stand for; of any other word itself."""
    card = lookup(word)
    return card.pos if card and card.pos in _SWAPPED else word


def _swapped(text: str, old: str, new: str) -> str:
    """The sentence with a noun in another's place, its particle fitted; empty: it does not stand there just once."""
    josa = "|".join(sorted(filter(None, _JOSA), key=len, reverse=True))
    places = list(re.finditer(rf"(?<![가-힣]){re.escape(old)}({josa})?(?![가-힣])", text))
    if len(places) != 1 or text.count(old) != 1:
        return ""
    [place] = places
    return text[: place.start()] + particle(new, _JOSA[place[1] or ""]) + text[place.end() :]
