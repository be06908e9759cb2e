"""Korean analysis on Kiwi: morphemes, lemmas, speech level, polarity, coverage. The teacher, the gate and the metrics
share it. Definitions: Kiwi forms without punctuation, "?" kept; a predicate card is read through a carrier
(stem + 지 않아요), since a bare dictionary form is often tagged wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from aac.lexicon import lookup
from aac.records import nfc
from aac.rules import spoken

if TYPE_CHECKING:
    from kiwipiepy import Kiwi


class Morph(NamedTuple):
    """A morpheme as Kiwi writes it: form and part-of-speech tag (irregular marks such as VV-I are cut)."""

    form: str
    tag: str


# Register synonyms (aac_practice.md, rule 9) and lemmas that Kiwi reads in more than one way.
FRAGMENT = "조각"  # the speech level of what no predicate ends
_SYNONYMS: tuple[frozenset[str], ...] = (
    frozenset({"나", "저", "내", "제"}),
    frozenset({"너", "네", "선생님"}),
    frozenset({"먹다", "드시다", "잡수다"}),
    frozenset({"마시다", "드시다"}),
    frozenset({"주다", "드리다"}),
    frozenset({"자다", "주무시다"}),
    frozenset({"있다", "계시다"}),
    frozenset({"말하다", "말씀", "말"}),
    frozenset({"보다", "뵙다"}),
    frozenset({"아프다", "편찮다"}),
    frozenset({"이거", "이것", "이건", "이"}),
    frozenset({"뭐", "무엇", "뭘", "무슨"}),
    frozenset({"누구", "누"}),
    frozenset({"원하다", "싶다"}),
    frozenset({"좋다", "좋아하다"}),
    frozenset({"싫다", "싫어하다"}),
    frozenset({"무섭다", "무서워하다"}),
    frozenset({"같이", "함께"}),
    frozenset({"형", "오빠"}),
    frozenset({"누나", "언니"}),
)
# Function and social cards that no lemma shows: any of these patterns in the sentence covers the card.
_PATTERNS: dict[str, str] = {
    "주세요": r"주세요|주셨|주십시오|주실|줘|줬|주시|주면|줄래|줄 수|주겠|주지|주는|드려|드렸|드리|드릴|부탁",
    "도와주세요": r"도와|도움|도울",
    "하지 마세요": r"지 ?마|지 ?말|마세요|마십시오|하지 마",
    "그게 아니에요": r"그(게|건|거|것이|런 게|런 것이) (아니|아닙)",
    "네": r"^(네|예|응|그래|맞아|좋아)",
    "아니요": r"아니|아닙",
    "안녕": r"안녕",
    "고마워요": r"고마|고맙|감사",
    "미안해요": r"미안|죄송",
    "축하해요": r"축하",
    "잘 자요": r"잘 [자잤]|안녕히 주무|주무세요|주무십",
    "안": r"(^|\s)안\s|지는? ?않|지 ?마",
    "못": r"(^|\s)못\s|지 못|수 없|수가 없|못해|못하|못 ",
    "그만": r"그만",
    "끝": r"끝",
    "없다": r"없|안 계",
    "춤추다": r"춤",
    "하다": r"[하해할합했한]",
    "다른 것": r"(^|\s)(다른|딴)\s",
    "더": r"(^|\s)더(\s|는\s|요|$|\?)",
    "다시": r"다시",
    "지금": r"지금",
    "나중에": r"나중에",
    "여기": r"여기|이곳",
    "어디": r"어디|어딘|어딨|어느 쪽",
    "왜": r"왜",
    "누구": r"누구|누가|누굴|누군",
    "뭐": r"뭐|뭘|무엇|무슨|뭔",
    "언제": r"언제",
    "이거": r"이거|이것|이게|이걸|이건",
    "너": r"(^|\s)(너|네|널|넌|여보|저기요)|님|할머니|할아버지|어머니|아버지|엄마|아빠|형|누나|언니|오빠",
    "나": r"(^|\s)(나|내|난|날|저|제|전|절)(는|도|가|를|랑|한테|만|예요|야|입니다|요|에게|\s|\?|\.|,|$)|접니다",
}
_POLITE = ("요", "죠")
_FORMAL = re.compile(r"(니다만?|니까|십시오|시지요|시오)$")


@lru_cache(maxsize=1)
def kiwi() -> Kiwi:
    """The one Kiwi of the process (about a second to load, 0.5 GB)."""
    from kiwipiepy import Kiwi

    return Kiwi(num_workers=1)


@lru_cache(maxsize=200_000)
def _analyse(text: str) -> tuple[Morph, ...]:
    return tuple(Morph(token.form, token.tag.split("-")[0]) for token in kiwi().tokenize(text))


def analyse(text: str) -> list[Morph]:
    """The morphemes of a text (NFC, white space collapsed)."""
    return list(_analyse(" ".join(nfc(text).split())))


def tokens(text: str) -> list[str]:
    """The tokens of every metric: Kiwi forms without S* tags, except Latin, numbers, Hanja and the question mark."""
    return [m.form for m in analyse(text) if not m.tag.startswith("S") or m.tag in ("SL", "SN", "SH") or m.form == "?"]


def _lemmas(morphs: list[Morph]) -> set[str]:
    found: set[str] = set()
    for index, (form, tag) in enumerate(morphs):
        if tag in ("NNG", "NNP", "NP", "MAG", "MM", "IC", "XR", "SL", "SN", "SH"):
            found.add(form)
            following = morphs[index + 1] if index + 1 < len(morphs) else None
            if following and following.tag in ("XSV", "XSA"):
                found.add(f"{form}{following.form}다")
        elif tag in ("VV", "VA", "VX", "VCN"):
            found.add(f"{form}다")
    return found


_LIGHT = frozenset(
    {"하다", "되다", "있다", "주다", "싶다", "보다", "않다", "말다", "못하다", "거", "것", "수", "그", "이", "저"}
)


def content_lemmas(text: str) -> set[str]:
    """Dictionary forms of the nouns, predicates and adverbs, without light verbs and auxiliaries."""
    content = [
        m for m in analyse(text) if m.tag in ("NNG", "NNP", "VV", "VA", "MAG", "XR", "XSV", "XSA", "SL", "SN", "SH")
    ]
    return _lemmas(content) - _LIGHT


@lru_cache(maxsize=8192)
def _card_lemmas(keyword: str) -> frozenset[str]:
    card = lookup(keyword)
    predicate = card.pos in ("verb", "adjective") if card else keyword.endswith("다") and len(keyword) > 1
    if not predicate or not keyword.endswith("다"):
        return frozenset(_lemmas(analyse(keyword)) or {keyword})
    if keyword.endswith("하다") and len(keyword) >= 4 and " " not in keyword:
        return frozenset({keyword[:-2]})
    if " " not in keyword:
        parts = frozenset() if card else frozenset(_lemmas(_stem(keyword)) - {"하다", "되다"})
        return parts if len(parts) > 1 else frozenset({keyword})  # 숨쉬다: 숨 안 쉬어요
    found = _lemmas(_stem(keyword)) - {"하다", "되다"}
    return frozenset(found - {f"{lemma}하다" for lemma in found} or {keyword})  # TV를 시청 안 해요


def _stem(keyword: str) -> list[Morph]:
    """A predicate card without its ending: 손을 씻다 -> 손, 을, 씻."""
    morphs = analyse(f"{keyword[:-1]}지 않아요")
    return morphs[: next((i for i in range(len(morphs) - 1, -1, -1) if morphs[i].form == "지"), len(morphs))]


def predicate_stem(keyword: str) -> tuple[str, str, str]:
    """(words before it, stem, Kiwi's tag with its mark of irregularity) of a predicate: 손을 씻다 -> 손을, 씻, VV-R."""
    lead, _, last = keyword.removesuffix("다").rpartition(" ")
    carried = kiwi().tokenize(f"{last}지 않아요")
    stem = [token for token in carried if token.start < len(last)]
    tag = stem[-1].tag if stem else "VV"
    return lead, last, tag.replace("XSV", "VV").replace("XSA", "VA")


@lru_cache(maxsize=4096)
def _surface(keyword: str) -> re.Pattern[str] | None:
    """How a predicate card begins when conjugated (켜, 켰, 켠 …), for sentences whose lemma Kiwi misreads."""
    if not keyword.endswith("다") or " " in keyword or len(keyword) < 2:
        return None
    _, stem, tag = predicate_stem(keyword)
    forms = {join([(stem, tag), probe]) for probe in _PROBES}
    return re.compile(r"(^|\s)(" + "|".join(sorted(map(re.escape, forms), key=len, reverse=True)) + ")")


_PROBES = (
    ("어", "EF"),
    ("었", "EP"),
    ("은", "ETM"),
    ("는", "ETM"),
    ("을", "ETM"),
    ("으면", "EC"),
    ("고", "EC"),
    ("지", "EC"),
    ("습니다", "EF"),
    ("습니까", "EF"),
    ("세요", "EF"),
    ("으시", "EP"),
)


def card_lemmas(keyword: str) -> set[str]:
    """The lemmas that show a card in a sentence (several for 손을 씻다)."""
    return set(_card_lemmas(spoken(nfc(keyword))))


def _same(lemma: str, found: set[str]) -> bool:
    return lemma in found or any(lemma in group and group & found for group in _SYNONYMS)


def with_synonyms(lemmas: set[str]) -> set[str]:
    """The lemmas and every register synonym of theirs."""
    return lemmas.union(*(group for group in _SYNONYMS if group & lemmas))


def begins_with(word: str, predicate: str) -> bool:
    """Whether a word of a sentence begins like a conjugated form of a predicate, however Kiwi reads it (켤 of 켜다)."""
    surface = _surface(nfc(predicate))
    return surface is not None and surface.match(word) is not None


# Verbs of respect, which Kiwi splits (드세요 is read as 들다).
_RESPECTFUL = {"먹다": "드[시세셨셔실십]", "마시다": "드[시세셨셔실십]", "자다": "주무", "있다": "계[시세셔십신]"}


@lru_cache(maxsize=200_000)
def covers(sentence: str, keyword: str) -> bool:
    """Whether the sentence says the card: its lemmas, a register synonym, or its own words on the surface."""
    sentence, keyword = nfc(sentence), spoken(nfc(keyword))
    if pattern := _PATTERNS.get(keyword):
        return re.search(pattern, sentence) is not None
    if (polite := _RESPECTFUL.get(keyword)) and re.search(polite, sentence):
        return True
    card = lookup(keyword)
    stem = keyword[:-1] if keyword.endswith("다") and len(keyword) > 2 else keyword
    if (card is None or len(stem) > 1) and stem in sentence:
        return True
    if card is None and len(stem) > 2 and stem.replace(" ", "") in sentence.replace(" ", ""):
        return True
    if card and card.pos in ("noun", "person", "place", "time") and re.search(rf"(^|\s){re.escape(keyword)}", sentence):
        return True
    predicate = card is None or card.pos in ("verb", "adjective")
    if predicate and (surface := _surface(keyword)) and surface.search(sentence):
        return True
    if card is None and keyword.endswith(("하다", "되다")):  # 일을 안 해요, 골절 안 됐어요
        noun = re.escape(keyword[:-2])
        if re.search(rf"(^|\s){noun}[을를]? ?(안 |못 |그만 ?)?[하할해합한했되된될됩돼됐]", sentence):
            return True
    found = _lemmas(analyse(sentence))
    return all(_same(lemma, found) for lemma in card_lemmas(keyword))


@lru_cache(maxsize=200_000)
def speech_level(sentence: str) -> str:
    """반말, 해요체 or 합쇼체 by the last ending; 조각 where no predicate ends the sentence."""
    text = re.sub(r"[^\w\s]+$", "", nfc(sentence)).strip()
    clause, _, call = text.rpartition(",")
    if clause and re.fullmatch(r"\s*\S+( 선생님)?", call) and analyse(call)[-1].tag in ("NNG", "NNP", "XSN"):
        text = clause.strip()  # 고마워요, 엄마.
    if not text:
        return FRAGMENT
    if _FORMAL.search(text):
        return "합쇼체"
    if text.endswith(_POLITE) or text in ("네", "예"):
        return "해요체"
    morphs = [m for m in analyse(text) if not m.tag.startswith("S")]
    plain = re.search(r"(안녕|은데|는데|[^,\s]야|거든|잖아|네|줘|자|게|래|지|까)$", text) is not None
    if morphs and (morphs[-1].tag in ("EF", "EC", "IC") or plain or text in ("응", "아니", "그만")):
        return "반말"
    return FRAGMENT


def is_question(text: str) -> bool:
    """A question ends in a question mark: endings alone do not tell (먹었어요)."""
    return nfc(text).endswith("?")


_OUTSIDE_VIEW = re.compile(r"(소통이|사용자|이용자|이 사람|그 사람)(은|는|이|가|의)?(\s|$)")
_ABOUT_CARDS = re.compile(r"카드|해석|의미")
_WANTS_OF_OTHERS = re.compile(r"싶어 ?[하해한할함합했]")


def seen_from_outside(text: str, keywords: Sequence[str]) -> bool:
    """Third person: the sentence tells about the person, or about the cards, instead of speaking for the person.

    싶어 하다 tells another's wish: it stands where a card names somebody else.
    """
    others = any((card := lookup(word)) and card.pos == "person" and word != "나" for word in keywords)
    about_cards = _ABOUT_CARDS.search(text) and not _ABOUT_CARDS.search(" ".join(keywords))
    return bool(_OUTSIDE_VIEW.search(text) or about_cards or (not others and _WANTS_OF_OTHERS.search(text)))


# Slips of Kiwi's join, mended on the surface: pattern -> replacement.
_FIXES = tuple(
    (re.compile(pattern), right)
    for pattern, right in (
        ("못하아", "못해"),
        ("못하았", "못했"),
        ("(?<=[가-힣])(?<![마모부적쑤])셔요", "세요"),
        ("뼜", "삐었"),
        ("뼈서 그", "삐어서 그"),
        ("지 마 (?=[주줘줬줄])", "지 말아 "),
        ("거에요", "거예요"),
        ("까해", "까 해"),
        ("까합", "까 합"),
        ("도와 (?=[주줘줬줄])", "도와"),
        ("게해 (?=[주줘줬줄])", "게 해 "),
        ("지 말세요", "지 마세요"),
        ("말었", "말았"),
        ("좋아 하", "좋아하"),
    )
)
_EYO = re.compile("([가-힣])에요")


def _open(match: re.Match[str]) -> str:
    syllable = match[1]
    return syllable + ("예요" if (ord(syllable) - 0xAC00) % 28 == 0 and syllable not in "니이" else "에요")


def polish(text: str) -> str:
    """Known slips of conjugation, copula and spacing mended."""
    for pattern, right in _FIXES:
        text = pattern.sub(right, text)
    return _EYO.sub(_open, text) if "에요" in text else text


@lru_cache(maxsize=400_000)
def _join(morphs: tuple[tuple[str, str], ...]) -> str:
    return polish(kiwi().join(list(morphs)))


def join(morphs: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> str:
    """Morphemes to text: conjugated, with the right josa and spacing, known slips of Kiwi mended."""
    return _join(tuple((form, tag) for form, tag in morphs))
