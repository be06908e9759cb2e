"""Who does it to whom, where the order of the cards tells: 엄마 보다 나 is not 나 보다 엄마."""

from __future__ import annotations

from aac.lexicon import lookup
from dataset.prepare.teachers.frames import frames
from dataset.prepare.teachers.joining import person
from dataset.prepare.teachers.utterance import Reading, category

TOWARD = {"말하다": "한테", "전화하다": "한테"}
MEETS = frozenset({"보다", "만나다", "기다리다", "찾다", "부르다", "사랑하다", "그리다", "찍다", "말하다", "전화하다"})


def by_order(cards: tuple[str, ...]) -> Reading | None:
    """Who does it to whom, where the order of 나 and another person tells: 엄마 보다 나 is not 나 보다 엄마."""
    others = [card for card in cards if person(card)]
    if cards[-1] == "나" and category(cards[0]) == "animal":  # 고양이가 저를 봐요
        others = [cards[0]]
    if len(others) == 2 and len(cards) == 3 and not person(cards[1]):
        return _between(*cards)
    if len(others) == 1 and (strange := [card for card in cards if _strange_verb(card)]):
        return _strange_deed(cards, others[0], strange[0])
    verbs = [card for card in cards if card in MEETS]
    if "나" not in cards or len(others) != 1 or len(verbs) != 1 or len(cards) != 3:
        return None
    other, verb = others[0], verbs[0]
    josa = TOWARD.get(verb, "을")
    if cards.index("나") > cards.index(other):
        return Reading("toward", verb, (("person", other, "이"), ("object", "나", josa)))
    if verb == "사랑하다":
        return Reading("love", verb, (("person", other, josa),), speaker="나")
    return Reading("act", verb, (("person", other, josa),), speaker="나")


def _between(who: str, verb: str, whom: str) -> Reading | None:
    """엄마가 아빠를 사랑해요, 형이 동생을 때려요: what two others do is told and never wished."""
    if verb == "사랑하다":
        return Reading("toward", verb, (("person", who, "이"), ("object", whom, "을")))
    harms = _strange_verb(verb) and not frames()[verb].lead
    return Reading("told", verb, (("person", who, "이"), ("object", whom, "을"))) if harms else None


def _strange_verb(card: str) -> bool:
    """Whether a word that the lexicon does not know is a deed that is told: 때리다."""
    frame = None if lookup(card) else frames().get(card)
    return frame is not None and frame.kind in ("tell", "harm") and frame.role == "이"


def _strange_deed(cards: tuple[str, ...], other: str, verb: str) -> Reading | None:
    """Who does what no table knows, told as it is and never wished: 아빠가 때려요, 누나가 나를 때려요."""
    if set(cards) - {other, verb, "나"} or frames()[verb].lead:
        return None
    parts: tuple[tuple[str, str, str], ...] = (("person", other, "이"),)
    if "나" in cards:
        mine = cards.index("나") < cards.index(other)
        parts = (("person", "나" if mine else other, "이"), ("object", other if mine else "나", "을"))
    return Reading("told", verb, parts)
