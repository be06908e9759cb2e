"""A card that is a whole sentence (나는 말할 수 없다) is said as it stands, at the speech level of who says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aac.korean import join, kiwi

_EDGES = " .…,·~!?\"'“”‘’"
_SPOKEN = frozenset({"어", "아", "여", "어요", "아요", "여요"})
_COPULA = frozenset({"야", "에요", "예요"})
_FORMAL = frozenset({"습니다", "ᆸ니다", "습니까", "ᆸ니까"})
_SAYS = _SPOKEN | _COPULA | _FORMAL | {"다", "ᆫ다", "는다"}
_ASKS = _SPOKEN | _COPULA | _FORMAL | {"니", "냐", "나요"}
_HUMBLE = {"나": "저", "내": "제"}


@lru_cache(maxsize=65_536)
def said_at(sentence: str, level: str) -> str:
    """A fixed sentence at a speech level, with its mark: 나는 말할 수 없다 as 저는 말할 수 없어요.

    Only what tells or asks something is put otherwise; a request, a proposal, a formula stay as they stand. What may
    bid as well as tell (이리 와요) never becomes 옵니다.
    """
    asked = sentence.rstrip().endswith("?")
    text = sentence.strip(_EDGES)
    tokens = [token for token in kiwi().tokenize(text) if not token.tag.startswith("S")]
    last = tokens[-1] if len(tokens) > 1 else None
    told = last and last.tag in ("EF", "EC") and last.form in (_ASKS if asked else _SAYS)
    if not told or text.endswith("세요"):
        return text + ("?" if asked else ".")
    copula = tokens[-2].tag.startswith("VCP")
    ending = {"반말": "야" if copula else "어", "해요체": "에요" if copula else "어요"}.get(level, "")
    if not ending:
        ending = "어요" if not asked and _may_bid(tokens) else "습니까" if asked else "습니다"
    first = _predicate_at(tokens, text.rfind(" ") + 1)
    said = text[: tokens[first].start] + join(
        [*((token.form, token.tag) for token in tokens[first:-1]), (ending, "EF")]
    )
    if level != "반말":
        said = re.sub(r"(^|\s)(나|내)(?=는|가|도|를|한테|에게|\s)", lambda found: found[1] + _HUMBLE[found[2]], said)
    return said + ("?" if asked else ".")


def _predicate_at(tokens: Sequence[Any], word: int) -> int:
    """The place of the last word's predicate; of a copula, of the noun before it, which its form goes by."""
    inside = [place for place, token in enumerate(tokens) if token.start >= word and token.tag[0] in "VXE"]
    first = inside[0] if inside else len(tokens) - 2
    return first - 1 if tokens[first].tag.startswith("VCP") and first else first


def _may_bid(tokens: Sequence[Any]) -> bool:
    """Whether 어요 behind a bare deed may ask another to do it."""
    tells = any(token.tag in ("JKS", "JX", "EP") or token.form in ("안", "못") for token in tokens)
    stem = tokens[-2]
    wish = stem.tag.startswith("VX") and stem.form in ("싶", "않", "못하", "있")
    return tokens[-1].form in _SPOKEN and stem.tag.startswith(("VV", "XSV", "VX")) and not tells and not wish
