"""What a card's label says: labels as people write them (아파요, 배(과일), 큰 공, 수영하기, 나는 말할 수 없다) to words
that the grammar, the gate and the metrics can use.

A card's word in the rows is `Reading.keyword`: a dictionary form, a noun, or a fixed sentence. Where the bare word
would be taken for something else it carries what it means in brackets, 배(과일), so that whoever meets it later, a
checkpoint or an app, reads it alike without a table: `read_label` of a keyword gives that keyword. `rules.spoken` is
what one hears of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from aac import classes
from aac.korean import kiwi
from aac.lexicon import Card, lookup
from aac.rules import SENSE, card_word, spoken

_EDGES = " .…,·~!\"'“”‘’"
# Other ways to write a card of the lexicon.
_SAME = {
    other: card
    for card, others in {
        "고마워요": "고맙습니다 감사합니다 감사해요 고마워", "미안해요": "미안합니다 죄송합니다 죄송해요 미안 미안해",
        "안녕": "안녕하세요", "축하해요": "축하합니다 축하해", "잘 자요": "잘_자 안녕히_주무세요",
        "네": "예 응 네네", "아니요": "아니 아니오 아뇨", "주세요": "줘 줘요",
        "도와주세요": "도와줘 도와줘요 도와_주세요 도와_줘", "하지 마세요": "하지마 하지_마 하지마세요 하지마요",
        "그만": "그만해 그만하세요 그만해요", "그게 아니에요": "그게_아니야 그거_아니에요 그거_아니야",
        "나": "저 내 내가 제가", "너": "당신 네가", "이거": "이것", "여기": "여기서 여기에", "뭐": "무엇 무엇을",
        "어디": "어디에 어디서", "많이": "많은", "끝": "모두_끝 다했어요 끝났어요", "같이": "함께", "싫다": "싫어하다",
        "좋다": "좋아하다", "텔레비전": "TV 티비 텔레비젼", "휴대폰": "핸드폰", "아기": "아가", "다른 것": "다른_거",
    }.items()
    for other in (word.replace("_", " ") for word in others.split())
}  # fmt: skip
_QUESTIONS = frozenset({"어떻게", "어느", "어느 것", "얼마", "얼마나", "몇", "몇 개", "무슨", "어떤"})
_PARTS_OF_SPEECH = {
    **dict.fromkeys(("noun", "명사", "n", "nouns", "pronoun", "대명사"), "noun"),
    **dict.fromkeys(("verb", "동사", "v", "verbs"), "verb"),
    **dict.fromkeys(("adjective", "형용사", "adj", "descriptive"), "adjective"),
    **dict.fromkeys(("adverb", "부사", "adv", "function"), "function"),
    **dict.fromkeys(("person", "사람", "proper name"), "person"),
    **dict.fromkeys(("place", "장소"), "place"),
    **dict.fromkeys(("time", "시간"), "time"),
    **dict.fromkeys(("question", "의문사"), "question"),
    **dict.fromkeys(("social", "감탄사", "인사", "interjection"), "social"),
    **dict.fromkeys(("sentence", "문장", "phrase"), "sentence"),
}
_TITLES = {"verb": "동사", "adjective": "형용사", "sentence": "문장", "function": "부사", "noun": "명사"}
_NO_THINGS = frozenset({"action", "state", "social", "question", "manner"})  # classes that no noun is in
_ME = frozenset({"나", "저", "내", "제"})
_NOMINAL = frozenset({"것", "거", "방법", "법"})  # 쉬는 것, 푸는 방법
_STEMS = ("VV", "VA", "VX", "XSV", "XSA", "VCN")
_SPOKEN_PLAINLY = ("어", "아", "여")
_PLAIN = frozenset({"다", "ᆫ다", "는다", *_SPOKEN_PLAINLY, "어요", "아요", "여요", "습니다", "ᆸ니다"})
_NOT_PLAIN = ("NNB", "EP", "VCP", "NP", "MM")
_SAID_TO_SOMEBODY = frozenset({"축하", "감사", "고맙", "미안", "사랑", "환영"})
_DENYING = frozenset({"없", "싫", "아니"})
_AUXILIARY = frozenset({"싶", "않", "못하", "말", "버리", "두"})


@dataclass(frozen=True)
class Reading:
    """What a label says.

    Attributes:
        label: as the team wrote it.
        keyword: the card's word in the rows; reading it again gives the same reading.
        lemma: what is heard of it, in its dictionary form; a fixed sentence as it stands.
        part_of_speech: the lexicon's (noun, verb, adjective, person, place, time, function, social, negation,
            question), or sentence; empty: not known.
        word_class: a category of the lexicon or a class of `classes.json`; empty: not known.
        sense: what tells a homograph.
        sentence: a fixed sentence that is said as it stands; empty: a word that combines.
        sure: 0 to 1. From 0.9 on a table knows the word, at 0.4 and below nothing does.
        synonyms: other words for the same card.
    """

    label: str
    keyword: str
    lemma: str
    part_of_speech: str
    word_class: str
    sense: str = ""
    sentence: str = ""
    sure: float = 1.0
    synonyms: tuple[str, ...] = ()

    def public(self) -> dict[str, Any]:
        """As `cards.json` holds it."""
        told = {"lemma": self.lemma, "part_of_speech": self.part_of_speech, "class": self.word_class}
        told |= {"sense": self.sense, "sentence": self.sentence, "synonyms": ", ".join(self.synonyms)}
        return {name: text for name, text in told.items() if text} | {"sure": self.sure}


def read_label(label: str, corrections: Mapping[str, str] | None = None) -> Reading:
    """What a label says.

    Args:
        label: as it stands in a file's name, in a table or on a board.
        corrections: what a table says of the card and what then holds: `sense`, `part_of_speech`, `category` (the
            name of a folder will do), `synonyms` (separated by commas); and `folder`, where the card lies on a board,
            which tells the class of a word that no table knows, or has several of. Fields may be missing or empty.
    """
    told = {name: card_word(text) for name, text in (corrections or {}).items() if text}
    return _corrected(_read(card_word(label)), told)


@lru_cache(maxsize=65_536)
def _read(label: str) -> Reading:
    if lookup(label):
        return _of_lexicon(label, label)
    sense = SENSE.search(label)
    said = SENSE.sub("", label).strip(_EDGES) if sense else label.strip(_EDGES)
    said, *others = [part.strip() for part in re.split(r"\s*/\s*", said) if part.strip()] or [label]
    reading = replace(_read_words(said, label.rstrip().endswith("?")), label=label, synonyms=tuple(others))
    return _in_sense(reading, sense[1].strip()) if sense and sense[1].strip() else reading


def _corrected(reading: Reading, told: Mapping[str, str]) -> Reading:
    """A reading by what a person says of the card."""
    synonyms = tuple(word for word in re.split(r"\s*[,;/|]\s*", told.get("synonyms", "")) if word)
    if synonyms:
        reading = replace(reading, synonyms=synonyms)
    if sense := told.get("sense", ""):
        reading = _in_sense(reading, sense)
    part = _PARTS_OF_SPEECH.get(told.get("part_of_speech", "").lower(), "")
    if part and part != reading.part_of_speech and not (part == "noun" and _names_something(reading)):
        reading = _as_part(reading, part)
    category = told.get("category", "")
    if name := classes.named(category):
        reading = _in_class(reading, name, 1.0)
    folder = classes.named(told.get("folder", ""))
    if folder and (not reading.word_class or folder in classes.classes_of(reading.lemma)):
        reading = _in_class(reading, folder, 0.8)
    if not reading.word_class and synonyms:
        like = next((other for other in map(_read, synonyms) if other.word_class), None)
        reading = _in_class(reading, like.word_class, 0.9) if like else reading
    return reading


def _names_something(reading: Reading) -> bool:
    return reading.part_of_speech in ("noun", "person", "place", "time")


def _in_sense(reading: Reading, sense: str) -> Reading:
    """A reading with what tells its meaning: a class, a part of speech, or a text that nobody knows."""
    if part := _PARTS_OF_SPEECH.get(sense.lower(), "") if sense in _TITLES.values() else "":
        return _as_part(replace(reading, sense=sense), part)
    name = classes.class_by_sense(reading.lemma, sense)
    reading = replace(reading, sense=sense)
    if name and name == reading.word_class:
        return reading
    return _in_class(reading, name, 0.95) if name else replace(reading, sure=min(reading.sure, 0.6))


def _in_class(reading: Reading, name: str, sure: float) -> Reading:
    """A noun in another class than its word alone would tell. What a predicate or a sentence is, it stays."""
    if reading.part_of_speech in ("verb", "adjective", "sentence", "negation", "social", "question", "function"):
        return reading
    if (card := lookup(reading.lemma)) and card.category == "core":
        return reading  # 나 among toys is I
    if name in _NO_THINGS:  # a folder of deeds holds what they are done with, too
        return reading if reading.word_class or name != "action" else _done(reading)
    if name == reading.word_class:
        return replace(reading, sure=max(reading.sure, sure))
    keyword, part = f"{reading.lemma}({classes.title(name)})", classes.part_of(name)
    return replace(reading, keyword=keyword, part_of_speech=part, word_class=name, sure=max(reading.sure, sure))


def _done(reading: Reading) -> Reading:
    """점프 among deeds: 점프하다."""
    if [_tag(token) for token in _tokens(f"{reading.lemma}하다")[-2:]] != ["XSV", "EF"]:
        return reading
    return replace(_read(f"{reading.lemma}하다"), label=reading.label, synonyms=reading.synonyms, sure=0.8)


def _as_part(reading: Reading, part: str) -> Reading:
    """A reading as the part of speech that a person names."""
    said = reading.sentence or reading.lemma
    if part == "sentence":
        return replace(reading, keyword=f"{said}({_TITLES[part]})", part_of_speech=part, sentence=said, sure=1.0)
    if part in ("verb", "adjective") and not said.endswith("다"):
        return replace(_read(f"{said}하다"), label=reading.label, synonyms=reading.synonyms)
    title = _TITLES.get(part) or classes.title(part)
    lemma = spoken(reading.label) if part == "noun" else reading.lemma
    name = "" if part in _TITLES else part
    return replace(
        reading, keyword=f"{lemma}({title})", lemma=lemma, part_of_speech=part, word_class=name, sentence="", sure=1.0
    )


def _of_lexicon(label: str, word: str, sure: float = 1.0) -> Reading:
    card = lookup(word)
    assert isinstance(card, Card)
    return Reading(label, card.keyword, card.keyword, card.pos, card.category, "", "", sure)


def _read_words(said: str, asked: bool) -> Reading:
    """The reading of a label without brackets."""
    same = _SAME.get(said, said)
    if lookup(same):
        return _of_lexicon(said, same, 1.0 if same == said else 0.95)
    if name := classes.class_of(said):
        return Reading(said, said, said, classes.part_of(name), name, sure=0.95)
    if said.isdecimal():
        return Reading(said, said, said, "noun", "number", sure=0.9)
    if said in _QUESTIONS:
        return Reading(said, said, said, "question", "question", sure=0.9)
    tokens = _tokens(said)
    return (
        _bare_particle(said, tokens)
        or _sentence(said, tokens, asked)
        or _predicate(said, tokens)
        or _noun(said, tokens)
    )


def _tokens(text: str) -> list[Any]:
    return [token for token in kiwi().tokenize(text) if token.tag not in ("SF", "SP", "SE", "SS", "SO", "SW")]


def _tag(token: Any) -> str:
    return str(token.tag).split("-")[0]


def _bare_particle(said: str, tokens: Sequence[Any]) -> Reading | None:
    """…에서, …을 통하여: a particle alone, which no sentence can hold but behind a noun."""
    if tokens and (tokens[0].tag[0] == "J" or said in ("에", "에서", "와", "과", "까지", "부터", "을 통하여")):
        return Reading(said, said, said, "function", "particle", sure=0.3)
    return None


def _stem_at(tokens: Sequence[Any]) -> int:
    """The place of the last stem (보 of 보고 있다, 싫 of 싫어하다); -1: there is none."""
    place = max((i for i, token in enumerate(tokens) if _tag(token) in _STEMS), default=-1)
    purpose = next((i for i, token in enumerate(tokens) if token.form == "위하" and i > 1), 0)
    if purpose == place and place > 0:
        return _stem_at(tokens[:purpose])  # 열기 위해
    behind = place > 1 and _tag(tokens[place - 2]) in _STEMS
    two = (tokens[place - 1].form, tokens[place].form) if behind else ()
    return place - 2 if two in (("고", "있"), ("어", "하")) else place


def _sentence(said: str, tokens: Sequence[Any], asked: bool) -> Reading | None:
    """A fixed sentence: more than a predicate alone, ending in a finite form (어디 있어요?, 나는 말할 수 없다).

    Of a sentence that only says that I do or am so (나는 싫어해요) the predicate is left to combine.
    """
    stem, last = _stem_at(tokens), tokens[-1] if tokens else None
    if last is None or said.endswith("세요") or (said.endswith("요") and last.form in ("요", "라고요", "고요")):
        return Reading(said, said, said, "sentence", "", sentence=said, sure=0.9) if last else None
    if stem < 0 and not any(_tag(token) == "VCP" for token in tokens):
        return None
    finite = last.tag == "EF" or (last.tag == "EC" and last.form in (*_SPOKEN_PLAINLY, "지"))
    if not finite or last.form in ("음", "ᆷ") or any(token.form == "위하" for token in tokens):
        return None
    lead = _without_me(tokens[: max(stem, 0)])
    me = len(lead) < max(stem, 0)
    told = [token for token in tokens if token in lead or token.start >= tokens[stem].start]
    whole = any(_makes_whole(token, last.form == "다") for token in told)
    subject = any(token.tag in ("JKS", "JX") for token in lead)
    bare = not lead or (_tag(tokens[stem]) in ("XSV", "XSA") and len(lead) == 1)
    whole = whole or (not bare and any(token.form in _SAID_TO_SOMEBODY for token in tokens[-4:]))
    phrase = not me and not subject and last.form in ("다", *_SPOKEN_PLAINLY)  # 축구를 하다, 공을 걷어차
    if not asked and not whole and last.form in _PLAIN and (bare or phrase):
        return None
    return Reading(said, said, said, "sentence", "", sentence=said, sure=0.95 if last.tag == "EF" else 0.8)


def _makes_whole(token: Any, dictionary: bool) -> bool:
    """Whether a part makes a sentence of a phrase: time, denial, degree, somebody else, a wish."""
    if _tag(token) == "MAG":
        return not dictionary or token.form in ("안", "못")
    return _tag(token) in _NOT_PLAIN or (_tag(token) == "VX" and token.form in _AUXILIARY)


def _without_me(tokens: Sequence[Any]) -> list[Any]:
    """나는, 제가 before the rest left out."""
    rest = list(tokens)
    if rest and rest[0].tag == "NP" and rest[0].form in _ME:
        return rest[2:] if len(rest) > 1 and rest[1].tag[0] == "J" else rest[1:]
    return rest


def _predicate(said: str, tokens: Sequence[Any]) -> Reading | None:
    """The dictionary form of what a predicate ends, however: 아파요, 큰, 수영하기, 문을 열기 위해, 쉬는 것."""
    stem = _stem_at(tokens)
    if stem < 0:
        return None
    ending = tokens[stem + 1 :]
    if any(token.tag[0] in "NJ" and token.form not in _NOMINAL for token in ending):
        return None  # 큰 공, 배우는 사람: a noun ends it
    word, lead = tokens[stem], _without_me(tokens[:stem])
    while lead and (lead[0].tag[0] == "J" or (lead[0].tag == "IC" and lead[0].form in ("에", "을", "를"))):
        del lead[0]
    before = said[lead[0].start : lead[-1].end] if lead else ""
    joined = bool(lead) and lead[-1].end == word.start and word.form in ("하", "되") and lead[-1].tag[0] in "NX"
    form = word.form
    if [token.form for token in ending[:2]] == ["어", "하"]:  # 싫어하다, 무서워하다
        form = said[word.start : ending[1].start] + "하"
    lemma = f"{before}{'' if joined or not before or _tag(word) in ('XSV', 'XSA') else ' '}{form}다"
    if lookup(same := _SAME.get(lemma, lemma)):
        return _of_lexicon(said, same, 0.95)
    if any(_makes_whole(token, True) or token.tag == "ETN" for token in [*lead, word]) or (lead and form in _DENYING):
        return Reading(said, lemma, lemma, "sentence", "", sentence=lemma, sure=0.8)  # 안 먹기, 가기 싫은, 먹고 싶은
    kind = "adjective" if _tag(word) in ("VA", "XSA", "VCN") else "verb"
    sure = 0.9 if lemma == said else 0.85
    return Reading(said, lemma, lemma, kind, "action" if kind == "verb" else "state", sure=sure)


_MEASURES = frozenset({"조각", "잔", "그릇", "봉지", "접시", "개", "마리", "명", "병", "장", "권"})
_NO_HEADS = frozenset({"time", "number", "shape", "position", "action"})


def _noun(said: str, tokens: Sequence[Any]) -> Reading:
    """A noun of one or several words, without what joins it to a sentence (위에: 위)."""
    kept = list(tokens)
    while len(kept) > 1 and kept[-1].tag[0] == "J":
        kept.pop()
    words = tuple(said.split())
    word = said[: kept[-1].end] if kept else said
    inner = _read_words(word, False) if word != said else None
    if len(words) == 1 and not (inner and inner.word_class) and (described := _adnominal(said)):
        return described
    if inner:
        return replace(inner, label=said, sure=min(inner.sure, 0.9))
    if len(kept) == 1 and kept[0].tag in ("MAG", "MAJ", "MM", "IC"):
        part = ("social", "social") if kept[0].tag == "IC" else ("function", "manner")
        return Reading(said, said, said, *part, sure=0.8)
    name = classes.class_of_phrase(_counted(words))
    if name and not (len(words) > 1 and len(words[-1]) == 1 and name in _NO_HEADS):
        return Reading(said, said, said, classes.part_of(name), name, sure=0.85)
    last = kept[-1] if len(kept) > 1 else None
    if last and len(last.form) > 1 and (name := classes.class_of(last.form)):
        return Reading(said, said, said, classes.part_of(name), name, sure=0.7)
    if (name := classes.named(said)) and name not in _NO_THINGS:
        return Reading(said, said, said, classes.part_of(name), name, sure=0.7)
    known = bool(kept) and all(token.tag in ("NNG", "XSN", "XPN", "MM", "ETM", "SN") for token in kept)
    return Reading(said, said, said, "noun", "", sure=0.5 if known else 0.4)


def _counted(words: tuple[str, ...]) -> tuple[str, ...]:
    """What is counted: 케이크 of 케이크 조각, 사과 of 사과 두 개."""
    if len(words) > 1 and words[-1] in _MEASURES:
        words = words[:-1]
    return words[:-1] if len(words) > 1 and classes.class_of(words[-1]) == "number" else words


def _adnominal(said: str) -> Reading | None:
    """젖은, 빈, which Kiwi takes for nouns where nothing follows."""
    tokens = _tokens(f"{said} 것")
    if len(tokens) == 3 and _tag(tokens[0]) in ("VV", "VA") and tokens[1].tag == "ETM":
        return _predicate(said, tokens)
    return None
