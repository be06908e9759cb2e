"""Which speech level a partner asks for: one committed table (`register.json`) for the teacher and for the metrics."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

REGISTER_FILE = Path(__file__).with_name("register.json")
AGES = ("아동", "청소년", "성인", "노인")
LEVELS = ("반말", "해요체", "합쇼체")
ALWAYS = "늘 "  # before a level: to intimates, too
UNKNOWN = "미상"
INTIMATE = frozenset({"친구", "동생", "형제", "배우자", "자녀·손주", "엄마·아빠"})
# What may stand before a partner's head word in a free sentence: 우리 엄마, 처음 보는 사람.
_MODIFIERS = frozenset({
    "우리", "반", "담임", "담당", "동네", "옆집", "새", "직장", "회사", "가게", "식당", "마트",
    "은행", "카페", "버스", "언어", "작업", "물리", "음악", "큰", "작은", "사촌", "외", "친한",
    "낯선", "처음", "보는", "모르는", "주말", "같은", "학교", "복지관", "센터", "병동", "치과", "내과",
})  # fmt: skip


@lru_cache(maxsize=1)
def _register() -> dict[str, Any]:
    return json.loads(REGISTER_FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _heads() -> list[tuple[str, str]]:
    """(head word, class), the longest first, so that 남동생 or 의사 선생님 is read before 동생 or 선생님."""
    pairs = [(head, name) for name, heads in _register()["heads"].items() for head in heads]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


@lru_cache(maxsize=10_000)
def partner_class(text: str) -> str:
    """The class of a partner by the head at the end of its expression ("동네 약국 약사님"); unknown is "미상"."""
    text = " ".join(text.split())
    return next((name for head, name in _heads() if text == head or text.endswith((" " + head, "의 " + head))), UNKNOWN)


def levels(partner: str, age: str, speech_level: str = "") -> list[str]:
    """The accepted speech levels for a partner, the one to generate first.

    A persona's own `speech_level` overrides the table save for intimates: nobody speaks 합쇼체 to their spouse because
    they do at work. `늘 합쇼체` says that they do. An unknown age is read as an adult's.
    """
    level = speech_level.removeprefix(ALWAYS)
    if level in LEVELS and (level != speech_level or partner_class(partner) not in INTIMATE):
        return [level]
    return list(_register()["table"][partner_class(partner)][AGES.index(age if age in AGES else "성인")])


# Who listens: 활동지원사 선생님과, 우리 엄마한테. 의 and 와 behind one syllable end too many other words.
_WITH = re.compile(r"(?:이랑|랑|과|와|하고|한테|에게|께)$")
_AT = re.compile(r"(?:에서|에)$")
_TIMES = re.compile(
    r"새벽|아침|오전|점심(?:시간|때)?|낮|오후|저녁(?:시간|때)?|밤|\d{1,2}시(?:\s?\d{1,2}분|\s?반)?|주말"
)


def named_in(text: str) -> dict[str, str]:
    """The partner, the place and the time that a free sentence names: 엄마한테 집에서, 상사와 회의실에서 점심시간에.

    What it does not name is left out.
    """
    words = [word.strip(".,!?~") for word in text.split()]
    found: dict[str, str] = {}
    for place, word in enumerate(words):
        who, where = _WITH.sub("", word), _AT.sub("", word)
        if who != word and who and "interaction_partner" not in found:
            titles = (" ".join([*words[max(0, place - back) : place], who]) for back in (2, 1, 0))
            if title := next((title for title in titles if _is_title(title)), ""):
                found["interaction_partner"] = title
        elif where != word and where and not _TIMES.search(where) and (word.endswith("서") or "place" not in found):
            found["place"] = where
    if time := " ".join(match.group() for match in _TIMES.finditer(text)):
        found["time"] = time
    return found


def _is_title(phrase: str) -> bool:
    """Whether the phrase names a partner and nothing before: 활동지원사 선생님, 우리 엄마, 우리 팀 팀장님."""
    before = phrase.split()[:-1]
    known = partner_class(phrase) != UNKNOWN
    return known and all(partner_class(word) != UNKNOWN or word in _MODIFIERS for word in before)
