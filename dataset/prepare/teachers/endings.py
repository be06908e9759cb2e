"""How a stem ends and a noun is joined: the endings of the three speech levels (`endings.json`), josa, the copula."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from aac.korean import join, polish
from aac.persona import LEVELS

ENDINGS_FILE = Path(__file__).with_name("endings.json")
_FINAL = ("어/EF", "어요/EF", "습니다/EF")
# 있다, 없다 and 걱정되다 describe, and yet take the endings of a verb: 있는데, not 있은데.
_LIKE_VERBS = ("있", "밌", "없", "걱정되", "원하")
_OF_A_VERB = {("은데", "EF"): ("는데", "EF"), ("은데요", "EF"): ("는데요", "EF"), ("은", "ETM"): ("는", "ETM")} | {
    ("은가", "EC"): ("나", "EC"),
    ("은지", "EC"): ("는지", "EC"),
}
_SPOKEN = {
    "나이": "내가", "저이": "제가", "너이": "네가", "다른 거을": "다른 걸", "다른 거이": "다른 게",
    "다른 거은": "다른 건", "이거을": "이거", "이거이": "이게", "이거은": "이건",
}  # fmt: skip


def at(level: str, plain: str, polite: str, formal: str) -> str:
    """The form of a speech level, of one for each."""
    return (plain, polite, formal)[LEVELS.index(level)]


@lru_cache(maxsize=1)
def _endings() -> dict[str, str | list[str]]:
    """{name: one text a level, in Kiwi's morphemes (form/TAG), the punctuation last}.

    Where all three end alike there is one text, with {} for 어 / 어요 / 습니다.
    """
    return json.loads(ENDINGS_FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=512)
def _ending(name: str, level: str) -> tuple[tuple[tuple[str, str], ...], str]:
    entry, index = _endings()[name], LEVELS.index(level)
    text = entry.replace("{}", _FINAL[index]) if isinstance(entry, str) else entry[index]
    *morphs, mark = text.split()
    return tuple((m.split("/")[0], m.split("/")[1]) for m in morphs), mark


@lru_cache(maxsize=200_000)
def conjugate(stem: str, tag: str, name: str, level: str, honorific: bool = False) -> str:
    """A stem with a named ending and its punctuation; `honorific` adds -시- for a deed of the person honoured."""
    morphs, mark = _ending(name, level)
    if stem.endswith(_LIKE_VERBS):
        morphs = (_OF_A_VERB.get(morphs[0], morphs[0]), *morphs[1:])
    if not honorific or morphs[0][0] in ("으시", "시"):
        respect: tuple[tuple[str, str], ...] = ()
    elif morphs[:2] == (("고", "EC"), ("있", "VX")):
        respect, morphs = (("고", "EC"), ("계시", "VX")), morphs[2:]
    else:
        respect = (("으시", "EP"),)
    return join(((stem, tag), *respect, *morphs)) + mark


@lru_cache(maxsize=50_000)
def particle(word: str, josa: str) -> str:
    """A word with its josa in the form that its last sound asks for: 물로, 책으로, 누나랑, 다른 걸."""
    if not josa or josa[0] == " ":
        return word + josa  # 허리 때문에: a word of its own
    if spoken := _SPOKEN.get(word + josa):
        return spoken
    head, *rest = josa.split()
    last = (ord(word[-1]) - 0xAC00) % 28 if "가" <= word[-1] <= "힣" else 0
    open_forms = {"을": "를", "이": "가", "은": "는", "이랑": "랑"}
    head = ("로" if last in (0, 8) else "으로") if head == "로" else head if last else open_forms.get(head, head)
    return " ".join([word + head, *rest])


def copula(noun: str, level: str, mark: str = ".") -> str:
    """The noun with the copula: 사과예요, 물이야, 집입니다."""
    if level == "합쇼체":
        return noun + ("입니까?" if mark == "?" else "입니다.")
    closed = (ord(noun[-1]) - 0xAC00) % 28 if "가" <= noun[-1] <= "힣" else 0
    return noun + at(level, "이야" if closed else "야", "이에요" if closed else "예요", "") + mark


def sentence(words: Iterable[str]) -> str:
    """Words to one sentence, empty ones dropped."""
    return polish(" ".join(word for word in words if word))
