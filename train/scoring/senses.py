"""Whether a sentence says a card, and in its sense: not as another word that is written alike."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aac import content, heard
from aac.lexicon import lookup
from train.scoring.wording import JOSA, START

_GOES = re.compile(rf"(?:([가-힣]+)[을를] )?{START}(?:가|갈(?!고|아|지|았|면|자|기|던)|갔|간|갑)")
_GROUND = ("body", "thing", "food", "fruit", "drink", "clothes", "media", "study")  # what one grinds or changes
_STOPS = re.compile(r"([가-힣]*?)지(?:는|를|도)? ?[마말]")
# Another word in the letters of a card: horse, tooth, tea, ship, eye, bird.
_ALIKE = {
    "말": re.compile(r"말(?:이에요|이야|이죠|씀|을 하|을 해|해|하)"),
    "이": re.compile(rf"{START}이 (?!때문|좀|아|빨|봐|닦)"),
    "차": re.compile(r"차[를가로]? ?(?:타|막|운전)"),
    "배": re.compile(r"배[가는도]? ?(?:고프|고파|고픈|부르|불러)"),
    "눈": re.compile(r"눈이 (?:와|오|내)"),
    "새": re.compile(rf"{START}새 (?!봐|보|볼|좋|있)"),
}


def says(text: str, card: str, cards: Sequence[str]) -> bool:
    """Whether the sentence says a card of a row, in its own words or in others that mean it."""
    if alike := _ALIKE.get(card):
        text = alike.sub(" ", text)
    if not heard.said(text, card, cards):
        return False
    if card == "가다":
        grounds = [lookup(m[1]) if m[1] else None for m in _GOES.finditer(text)]
        return bool(grounds) and not all(thing and thing.category in _GROUND for thing in grounds)
    if card == "하지 마세요":
        return all(_stops_own(m[1], text, cards) for m in _STOPS.finditer(text))
    noun = lookup(card)
    if len(card) > 1 or noun is None or noun.pos not in ("noun", "place"):
        return True
    return re.search(START + card + JOSA, text) is not None


def _stops_own(stem: str, text: str, cards: Sequence[str]) -> bool:
    """Whether what is to be left is of the cards (하지 마세요; 벗지 마세요 of 벗다), not nothing or another deed."""
    if not stem:
        return False
    other = lookup(f"{stem}다")
    return (
        other is None or other.keyword in cards or f"{stem}다" not in content.added(text, tuple(cards), (), frozenset())
    )
