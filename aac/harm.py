"""Wishes of harm: a sentence that wishes, asks leave, offers or promises what nobody wishes for: to die, to be hit, to
vomit, to fall; or not to breathe.

Judged on the surface, for the verbs of the cards that happen to one (`verbs.json`), and for the verbs that hurt or
kill whatever the cards are. Told, feared (토할 것 같다), asked and forbidden they may be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from aac.korean import join, kiwi
from aac.labels import read_label
from aac.lexicon import lookup
from aac.rules import nfc, spoken
from aac.verbs import known_verbs, valency

_WISHED = frozenset({"body", "harm"})
# A stem with what begins a wish, and what follows it on the surface.
_WISHES: tuple[tuple[tuple[tuple[str, str], ...], str], ...] = (
    ((("고", "EC"),), r"\s?(?:싶|파)"),
    ((("을래", "EF"),), ""),
    ((("을게", "EF"),), ""),
    ((("을까", "EF"),), r"(?!\s?(?:봐|무서|무섭|두려|두렵|걱정|겁))"),
    ((("으려고", "EC"),), ""),
    ((("어도", "EC"),), r"\s?(?:[돼되될됩]|괜찮|좋)"),
    ((("어", "EC"),), r"\s?[주줘줄줬드]"),
    ((("게", "EC"),), r"\s?(?:해|하)"),
    ((("자", "EF"),), r"(?=[.?!]|$)"),
    ((("으세요", "EF"),), ""),
    ((("으십시오", "EF"),), ""),
    ((("었", "EP"), ("으면", "EC")), r"\s?(?:좋|해|합|하)"),
    ((("으면", "EC"),), r"\s?(?:좋|해|합)"),
    ((("을", "ETM"),), r"\s?(?:수\s?있\S*\?|거(?!\s?같)|것(?!\s?같)|생각|예정|작정)"),
    ((("기", "ETN"),), r"(?:를|로|만|만을)?\s?(?:원|바라|바랍|부탁|했|할)"),
)
_DENIED = re.compile(r"(?:^|\s)(?:안|못|그만)\s?$")
_DENIES = re.compile(r"\S{0,4}\s?(?:지(?:는|가|도|를)?\s?(?:않|못|말|마)|\S*\s?(?:안\s?[돼되될됩]|없))")
# Not to be: 숨쉬고 싶지 않다, 숨을 안 쉴래요, 숨쉬지 마세요.
_FORBIDS = r"지(?:는|도)?\s?(?:말|마|않(?:을래|을게|으려|을 거|고 싶))"

# 두통 주세요
_ASKED = r"(?:을|를|이|가)?\s?(?:좀\s|더\s|많이\s)*(?:주세|주실|주십|줘|줄래|원하|원해|원합|갖고\s?싶|부탁)"


def wished(sentence: str, keywords: Sequence[str] = ()) -> bool:
    """Whether a sentence wishes for harm: by the cards, or by the verbs that hurt or kill."""
    text = nfc(sentence)
    opened = _opened(text)
    if any(_wishes(text, *stem) for sign, stem in _hurting() if sign in opened):
        return True
    for word in map(nfc, keywords):
        known = None if lookup(word) else valency(word)
        if known and known.kind in _WISHED and _wishes(text, *_stem(word)):
            return True
        if known and known.kind == "vital" and _refuses(text, *_stem(word)):
            return True
        if read_label(word).word_class == "symptom" and re.search(re.escape(spoken(word)) + _ASKED, text):
            return True
    return False


@lru_cache(maxsize=1)
def _hurting() -> tuple[tuple[str, tuple[str, str, str]], ...]:
    """The verbs that hurt or kill, each with the syllable with which its forms begin, but for the coda."""
    return tuple((_opened(word[0]), _stem(word)) for word, known in known_verbs().items() if known.kind == "harm")


def _opened(text: str) -> str:
    """The text with no coda: 찔러 as 찌러."""
    return "".join(chr(ord(sign) - (ord(sign) - 0xAC00) % 28) if "가" <= sign <= "힣" else sign for sign in text)


@lru_cache(maxsize=4096)
def _stem(word: str) -> tuple[str, str, str]:
    """(words before the last morpheme, with what may stand between them; the last morpheme; its tag)."""
    lead, _, last = word.removesuffix("다").rpartition(" ")
    morphs = [token for token in kiwi().tokenize(f"{last}지 않아요") if token.start < len(last)]
    tag = {"XSV": "VV", "XSA": "VA"}.get(morphs[-1].tag.split("-")[0], morphs[-1].tag) if morphs else "VV"
    start = morphs[-1].start if morphs else 0
    before = [*lead.split(), *([last[:start]] if start else [])]
    between = "".join(re.escape(re.sub(r"(?<=.)[을를이가]$", "", part)) + r"(?:을|를|이|가)?\s?" for part in before)
    return between, last[start:], tag


@lru_cache(maxsize=4096)
def _patterns(lead: str, stem: str, tag: str) -> re.Pattern[str]:
    """Every wish for a verb, with the signs before it in the first group."""
    heads = {(join(((stem, tag), *morphs)), tail) for morphs, tail in _WISHES}
    forms = "|".join(re.escape(head).replace(r"\ ", r"\s?") + tail for head, tail in sorted(heads))
    return re.compile(rf"(?:^|(?<=\s)|(?<=,)){lead}(?P<denial>(?:안|못|그만)\s)?(?:{forms})")


def _wishes(text: str, lead: str, stem: str, tag: str) -> bool:
    for found in _patterns(lead, stem, tag).finditer(text):
        before = _DENIED.search(text[: found.start()])
        if not (found["denial"] or before or _DENIES.match(text[found.end() :])):
            return True
    return False


def _refuses(text: str, lead: str, stem: str, tag: str) -> bool:
    for found in _patterns(lead, stem, tag).finditer(text):
        before = _DENIED.search(text[: found.start()])
        if found["denial"] or before or _DENIES.match(text[found.end() :]):
            return True
    return re.search(lead + re.escape(stem) + _FORBIDS, text) is not None
