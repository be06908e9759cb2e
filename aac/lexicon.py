"""The shipped lexicon: which word, part of speech and sense stands behind a card (`lexicon.csv`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aac.records import nfc

LEXICON_FILE = Path(__file__).with_name("lexicon.csv")


@dataclass(frozen=True)
class Card:
    """One everyday word as a card; `sense` tells homographs (배, 눈, 말) apart."""

    id: int
    keyword: str
    pos: str
    category: str
    sense: str


def load_lexicon() -> list[Card]:
    """All cards in the order of the file."""
    return list(_by_keyword().values())


@lru_cache(maxsize=65_536)
def lookup(keyword: str) -> Card | None:
    """The card of a keyword, or None for a word of the user's own."""
    return _by_keyword().get(nfc(keyword))


@lru_cache(maxsize=1)
def _by_keyword() -> dict[str, Card]:
    with LEXICON_FILE.open(encoding="utf-8", newline="") as file:
        rows = [
            Card(int(r["id"]), nfc(r["keyword"]), r["pos"], r["category"], r["sense"]) for r in csv.DictReader(file)
        ]
    return {card.keyword: card for card in rows}
