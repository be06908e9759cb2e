"""What else says a card than its own word: a denied wish (싫다), the vehicle with 로 (타다), a request (도와주세요)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aac.korean import covers
from aac.lexicon import lookup

_DENIED_WISH = (
    r"고 싶지(?:는|가|도)? ?(?:않|못)|(?:^|\s)(?:안|못)\s\S*(?:래|게|거|겠|려고)"
    r"|지(?:는|도)? ?않(?:을|겠|으려|고 싶)|괜찮아"
)
_ELSEWISE = {
    "싫다": re.compile(_DENIED_WISH),
    "목마르다": re.compile(r"목이? ?(?:말|마르|마른)"),
    "배고프다": re.compile(r"배가? ?(?:고프|고파|고픈|고팠)"),
    "배부르다": re.compile(r"배가? ?(?:부르|불러|부른|불렀)"),
    "화나다": re.compile(r"화가? ?(?:나|났|난|날)"),
    "원하다": re.compile(r"면 좋|면 안 [되돼될됩]|주세요|주실|[줄할갈]래|고 싶"),
    "다시": re.compile(r"한 번 더|또"),
    "만나다": re.compile(r"뵙|뵐|뵈|봬"),
    "너": re.compile(r"(?:세요|셔요|셨어요|시|실)\S*\?$"),
    "놀다": re.compile(r"노[시셨세십]"),
}
_REQUEST = re.compile(r"[가-힣] ?(?:주세요|주실|주시|줘|줄래|주십시오|주면)")
_BY_VEHICLE = re.compile(r"(\S+?)(?:으로|로)(?:\s|$)")
# Denials that deny nothing: asking leave (먹으면 안 돼요?), and a body that is not well (다리가 안 좋아서).
_LEAVE = re.compile(r"면 안 (?=[되돼될됩][^?]*\?)")
_UNWELL = re.compile(r"(?<=[이가은는도] )안 (?=좋)")


def said(sentence: str, keyword: str, keywords: Sequence[str]) -> bool:
    """Whether the sentence says a card, in its own words or in others that mean it."""
    if covers(sentence, keyword):
        return True
    if pattern := _ELSEWISE.get(keyword):
        return pattern.search(sentence) is not None
    if keyword == "도와주세요":  # asking for the deed itself: 문 열어 주세요, 화장실에 데려다 주세요
        deed = any(
            (card := lookup(word)) and (card.pos in ("verb", "place") or card.category == "vehicle")
            for word in keywords
        )
        return deed and _REQUEST.search(sentence) is not None
    if keyword == "타다":
        return any(_category(word) == "vehicle" for word in _BY_VEHICLE.findall(sentence))
    # Whose feeling it is needs no word where the person speaks: 피곤해서 그렇습니다.
    feels = any(_category(word) in ("state", "feeling") for word in keywords)
    return keyword == "나" and feels and len(keywords) == 2 and not sentence.endswith("?")


def without_idle_denials(sentence: str, keywords: Sequence[str]) -> str:
    """The sentence without the denials that deny nothing of the cards."""
    plain = _LEAVE.sub("면 ", sentence)
    return _UNWELL.sub("", plain) if any(_category(word) == "body" for word in keywords) else plain


def _category(word: str) -> str:
    card = lookup(word)
    return card.category if card else ""
