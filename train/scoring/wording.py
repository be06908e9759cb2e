"""How a sentence says a card (`wording.json`), read from the letters alone: the gate reads morphemes,
so that neither repeats the other's mistakes.

A predicate or a function word is known by how its forms begin, any other card by its word. `noticed` holds narrower
patterns for cards that a sentence must not say, `unnoticed` those that any sentence may.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from aac.forms import START, misshapen
from aac.io import read_json
from aac.lexicon import load_lexicon, lookup
from aac.soundness import ungrammatical

WORDS_FILE = Path(__file__).with_name("wording.json")
_ONCE = ("고마워요", "미안해요", "축하해요")
_OFTEN = ("하다", "있다", "없다", "보다", "가다", "오다", "원하다", "좋다")
# What may follow a noun of one syllable, which begins too many other words.
JOSA = (
    "(?:이랑|랑|하고|과|와|을|를|이|가|은|는|도|만|에서|에게|에는|에도|에|한테|께|으로|로|의|까지|부터|요|이요|예요|이에요|이야|야|"
    "입니다|인데요|인데|이네요|이네|네요|이죠|이라서|이고|인지|인가요|인가|입니까)?(?![가-힣])"
)


@lru_cache(maxsize=1)
def table() -> dict[str, Any]:
    return read_json(WORDS_FILE)


@lru_cache(maxsize=2048)
def said(card: str, beside: bool = False) -> re.Pattern[str]:
    """How a sentence says the card, `beside` others or alone; a part that begins with ~ may stand inside a word."""
    forms = table()["said"]
    return _pattern(forms.get(f"{card}+") if beside and f"{card}+" in forms else forms.get(card), card)


@lru_cache(maxsize=2048)
def _noticed(card: str) -> re.Pattern[str]:
    forms = table()
    return _pattern(forms["noticed"].get(card) or forms["said"].get(card), card)


def _pattern(forms: str | None, card: str) -> re.Pattern[str]:
    if forms is None:
        return re.compile(START + re.escape(card) + (JOSA if len(card) == 1 else ""))
    parts = re.findall(r"(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\]|[^|])+", forms)  # split at bars outside brackets
    return re.compile("|".join(part[1:] if part.startswith("~") else f"{START}(?:{part})" for part in parts))


def strangers(text: str, cards: Sequence[str], may: Iterable[str], given: str) -> set[str]:
    """The cards of the lexicon that a text says though they are none of its own, nor what completes them.

    Args:
        may: further cards that it may say.
        given: the situation, whose words may be said.
    """
    known: set[str] = {*cards, *may, *(card for card, by in _completions().items() if by & _marks(cards))}
    explained = [found.span() for card in known for found in said(card, True).finditer(text)]

    def new(card: str, start: int, end: int) -> bool:
        longer = end if (word := lookup(card)) and word.pos in ("noun", "place", "person") else start + 1
        return not any(first <= start < last and longer <= last for first, last in explained)

    return {
        card
        for card in _noticeable()
        if card not in known and card not in given and any(new(card, *m.span()) for m in _noticed(card).finditer(text))
    }


@lru_cache(maxsize=1)
def _noticeable() -> tuple[str, ...]:
    return tuple(card.keyword for card in load_lexicon() if card.keyword not in table()["unnoticed"])


@lru_cache(maxsize=1)
def _completions() -> dict[str, frozenset[str]]:
    """What may complete which cards (or categories: @food)."""
    return {card: frozenset(word.replace("_", " ") for word in by.split()) for card, by in table()["completed"].items()}


def _marks(cards: Sequence[str]) -> frozenset[str]:
    return frozenset(cards) | {f"@{card.category}" for word in cards if (card := lookup(word))}


@lru_cache(maxsize=1)
def people() -> tuple[str, ...]:
    """Words for persons, the longest first."""
    named = [card.keyword for card in load_lexicon() if card.category == "person"]
    return tuple(sorted([*named, *table()["people"]], key=len, reverse=True))


def wrong_forms(text: str, cards: Sequence[str]) -> Iterator[str]:
    """What of a sentence nobody says: by its letters, by the gate, and a card's predicate said twice in it."""
    yield from (run for run in re.findall("[A-Za-z]+", text) if run != "TV" and run not in " ".join(cards))
    yield from misshapen(text, cards)
    yield from _said_twice(text, cards)
    if ungrammatical(text, cards):
        yield "as the gate says"


def _said_twice(text: str, cards: Sequence[str]) -> Iterator[str]:
    """일어나서 못 일어나요."""
    for card in set(cards):
        found = lookup(card)
        if found and cards.count(card) == 1 and (found.pos in ("verb", "adjective") or card in _ONCE):
            begun = Counter(m.group()[0] for m in said(card).finditer(text))
            if card not in _OFTEN and max(begun.values(), default=0) > 1:
                yield f"{card} twice"
