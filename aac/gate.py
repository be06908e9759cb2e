"""The gate that every candidate passes before a user sees it, and every sentence of a remote teacher before it is
kept: no model, only what the sentence says.

Reasons, in the order in which they are given:
`empty`, `control_text` (tokens or mark-up), `not_hangul`, `particle_wrong` (이어폰야), `repeats` (a loop),
`harm_wished` (`harm.py`), `card_missing`, `polarity_flipped` (of the sentence, and of every clause: `refusal.py`),
`person_added`, `number_added`, `predicate_added` and `content_added` (`content.py`), `ungrammatical` (also `forms.py`),
`question_lost`, `order_wrong`, `tense_wrong`, `title_wrong` and `many_sentences` (`soundness.py`), `duplicate` (of an
earlier candidate). All from
`card_missing` to `many_sentences` are judged only where the cards' words are known: without `keywords` the other seven
remain. `unfinished`, an answer that was cut off, only the decoder can tell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from aac import content, harm, heard, refusal, soundness
from aac.io import read_json
from aac.korean import FRAGMENT, Morph, analyse, speech_level
from aac.lexicon import load_lexicon, lookup
from aac.records import Context, Persona, nfc
from aac.register import REGISTER_FILE, UNKNOWN, levels, partner_class
from aac.rules import spoken

# Mark-up, role labels and special tokens; a user's sentence never holds these signs.
_CONTROL = re.compile(r"[<>{}|\\`#*_~\[\]\ufffd]|https?:|\b(?:user|assistant|system)\b|&\w+;", re.IGNORECASE)
# Endings whose form the syllable before decides, and which end no other word (먹는, 신랑, 가을 do).
_ENDING = re.compile(r"([가-힣])(를|야|예요|으로)(?![가-힣])")
# Two syllables or more four times in a row, one seven times: no emphasis (빨리빨리, 네네네) but a loop.
_LOOP = re.compile(r"(.{2,60}?)\1{3}|(.)\2{6}")
# Latin that Korean uses as it stands: TV, PC, ATM.
_ABBREVIATION = re.compile(r"[A-Z]{1,4}")

_NEGATIVE_CARDS = ("안", "못", "싫다", "없다", "모르다", "아니다", "말다", "아니요", "하지 마세요", "그게 아니에요")
_NEGATIVE_PREDICATES = frozenset({"싫", "싫어하", "모르", "아니"})
_NEGATIVE_AUXILIARIES = frozenset({"않", "못하", "말"})

# Words for one person: any of them stands for the others.
_SAME_PERSON = (
    frozenset({"엄마", "어머니", "어머님", "부모님"}),
    frozenset({"아빠", "아버지", "아버님", "부모님"}),
    frozenset({"동생", "남동생", "여동생", "막냇동생"}),
    frozenset({"할머니", "외할머니"}),
    frozenset({"할아버지", "외할아버지"}),
)
_CALLED_TEACHER = frozenset({"의사", "주치의", "간호사", "치료사", "약사", "강사", "교사", "활동지원사", "요양보호사"})
# Persons beside the lexicon's and the partners' words.
_MORE_PERSONS = frozenset({
    "어머님", "아버님", "외할머니", "외할아버지", "고모", "이모부", "고모부", "숙모", "사촌", "조카", "며느리",
    "사위", "부부", "아내", "남편", "아저씨", "아주머니", "아줌마", "오빠", "언니", "형", "누나", "막내", "애인",
    "남자친구", "여자친구", "소년", "소녀", "청년", "노인", "어른", "어린이", "꼬마", "신부", "수녀", "목사", "스님",
    "경찰", "군인", "가수", "배우", "선수", "감독", "사장", "부장", "과장", "팀장", "원장", "교장", "대통령", "판사",
    "변호사", "기자", "작가", "화가", "농부", "어부", "상인", "주인", "손님", "이웃", "후배", "선배", "동창", "단짝",
    "도둑", "범인",
})  # fmt: skip
_PRONOUNS = frozenset({"당신", "그녀", "걔", "쟤", "얘", "그분", "이분", "저분", "니"})
# Words that end like a person's title but name nobody, or name the speaker.
_NOBODY = frozenset({"나", "너", "저", "사람", "님", "이"})
_NAME_JOSA = frozenset({"한테", "에게", "께", "랑", "이랑", "하고", "와", "과", "이", "가", "께서"})

_DIGITS = {
    "하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "석": 3, "서": 3, "넷": 4, "네": 4, "넉": 4, "다섯": 5,
    "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9, "열": 10, "스물": 20, "스무": 20, "서른": 30, "마흔": 40, "쉰": 50,
    "예순": 60, "일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "칠": 7, "팔": 8, "구": 9, "십": 10, "백": 100,
    "천": 1000, "만": 10000,
}  # fmt: skip
_CLOCK = ("시", "분")


def check(
    three: Sequence[str], keywords: Sequence[str] | None, context: Context, persona: Persona | None = None
) -> list[list[str]]:
    """Why each candidate may not be shown; an empty list passes.

    Args:
        three: the candidates in the order in which they are shown.
        keywords: the cards' words, or None where only the pictures are known.
        context: persons and numbers that stand here may stand in a sentence.
        persona: who speaks, where the sentences are their own: the level must then be one for their partner.

    Returns:
        One list of reason codes a candidate.
    """
    reasons: list[list[str]] = []
    earlier: set[str] = set()
    for candidate in three:
        sentence = nfc(candidate)
        same = comparable(sentence)
        why = _own_reasons(sentence, tuple(nfc(word) for word in keywords or ()), context)
        if persona and keywords and "empty" not in why and not level_fits(sentence, persona, context):
            why.append("register_wrong")
        if sentence and same in earlier:
            why.append("duplicate")
        earlier.add(same)
        reasons.append(why)
    return reasons


def level_fits(sentence: str, persona: Persona, context: Context) -> bool:
    """Whether the sentence's speech level is one that the register table accepts for the persona and the partner.

    A fragment has none. Where the table asks for 합쇼체, 해요체 is no rudeness, and nobody is wronged by politeness
    from somebody whose partner is not known.
    """
    accepted = levels(context.interaction_partner, persona.age, persona.speech_level)
    level = speech_level(sentence)
    polite = level == "해요체" and "합쇼체" in accepted
    formula = level == "합쇼체" and "해요체" in accepted
    return level == FRAGMENT or level in accepted or polite or formula


def comparable(sentence: str) -> str:
    """What makes two candidates one: letters and question marks, without spacing and other punctuation."""
    return "".join(sign for sign in nfc(sentence) if sign.isalnum() or sign == "?").casefold()


def control_text(text: str) -> str:
    """The first token, mark-up or control sign in a text that no sentence may hold; empty: there is none."""
    found = _CONTROL.search(text)
    return found.group() if found else next((sign for sign in text if unicodedata.category(sign)[0] == "C"), "")


def polarity_kept(sentence: str, keywords: Sequence[str]) -> bool:
    """Whether the sentence denies what the cards deny, and nothing else.

    A negative card must be heard (아니요 beside another one as a denial of its own), and no sentence holds more
    negations than negative cards: 싫지 않아요 takes back what 싫다 says.
    """
    words = [nfc(word) for word in keywords]
    refused = "아니요" in words
    denied = sum(_negative_card(word) for word in words if word != "아니요")
    allowed = denied + 2 * refused  # 아니요, 그거 아니에요: one denial, said twice
    return min(denied, 1) + refused <= negations(sentence) <= allowed


def negations(sentence: str) -> int:
    """How many times a sentence denies: 안, 못, 지 않다 / 못하다 / 말다, 싫다, 없다, 모르다, 아니다."""
    return _negations(nfc(sentence))


def _own_reasons(sentence: str, cards: tuple[str, ...], context: Context) -> list[str]:
    keywords = tuple(map(spoken, cards))
    if not any(sign.isalnum() for sign in sentence):
        return ["empty"]
    given = " ".join([*keywords, *context.public().values()])
    why = []
    if control_text(sentence):
        why.append("control_text")
    if not _hangul(sentence, given):
        why.append("not_hangul")
    if any(_mismatched(syllable, ending) for syllable, ending in _ENDING.findall(sentence)):
        why.append("particle_wrong")
    if _LOOP.search(comparable(sentence)):
        why.append("repeats")
    if harm.wished(sentence, cards):
        why.append("harm_wished")
    if not keywords:
        return why
    if not all(heard.said(sentence, word, keywords) for word in keywords):
        why.append("card_missing")
    denied = polarity_kept(heard.without_idle_denials(sentence, keywords), keywords)
    if not denied or refusal.turned_round(sentence, keywords):
        why.append("polarity_flipped")
    if added_persons(sentence, keywords, context):
        why.append("person_added")
    if _numbers(sentence) - _numbers(given) - _sounding(keywords):
        why.append("number_added")
    homographs = tuple(card for card in cards if card not in keywords)  # 배(과일) is completed as no ship is
    return why + _meaning_reasons(sentence, keywords, context, homographs)


def _meaning_reasons(
    sentence: str, keywords: tuple[str, ...], context: Context, homographs: tuple[str, ...]
) -> list[str]:
    """What the sentence adds to its cards, and what no person would say."""
    texts = tuple(context.public().values())
    extra = content.added(sentence, (*keywords, *homographs), texts, persons())
    refuses = refusal.REFUSING & set(keywords)
    deeds = {
        lemma
        for lemma in extra
        if refuses and (lemma.endswith("다") or re.search(f"{re.escape(lemma)}[하할한해했합]", sentence))
    }
    judged = {
        "predicate_added": deeds,
        "content_added": extra - deeds,
        "ungrammatical": soundness.ungrammatical(sentence, keywords),
        "question_lost": soundness.question_lost(sentence, keywords),
        "order_wrong": soundness.order_wrong(sentence, keywords),
        "tense_wrong": soundness.tense_wrong(sentence),
        "title_wrong": soundness.title_wrong(sentence, keywords, context.interaction_partner, persons()),
        "many_sentences": soundness.many_sentences(sentence, keywords),
    }
    return [reason for reason, found in judged.items() if found]


def _mismatched(syllable: str, ending: str) -> bool:
    """Whether an ending stands behind the wrong kind of syllable: 를, 야, 예요 want an open one, 으로 a closed one."""
    coda = (ord(syllable) - ord("가")) % 28
    return coda in (0, 8) if ending == "으로" else coda > 0  # 8: ㄹ takes 로


def mended(sentence: str) -> str:
    """The sentence with every ending in the form that fits the syllable before it."""
    forms = {"를": "을", "야": "이야", "예요": "이에요", "으로": "로"}
    return _ENDING.sub(lambda m: m[1] + (forms[m[2]] if _mismatched(m[1], m[2]) else m[2]), sentence)


def _hangul(sentence: str, given: str) -> bool:
    """Whole syllables only; Latin where the cards or the context hold it, or as an abbreviation."""
    words = re.findall(r"[^\W\d_]+", sentence)
    foreign = [run for word in words for run in re.findall(r"[^가-힣]+", word)]
    known = given.casefold()
    fine = all(_ABBREVIATION.fullmatch(run) or (run.isascii() and run.casefold() in known) for run in foreign)
    return fine and re.search("[가-힣]", sentence) is not None


@lru_cache(maxsize=8192)
def _negative_card(keyword: str) -> bool:
    # Alone, 치마 is read as a prohibition: the sentence decides only about words that the lexicon does not know.
    return keyword in _NEGATIVE_CARDS or (lookup(keyword) is None and _negations(keyword) > 0)


@lru_cache(maxsize=100_000)
def _negations(sentence: str) -> int:
    morphs = analyse(sentence)
    prohibits = re.search(r"지[는도를]? ?[마말맙]", sentence) is not None  # 치마 is read as a prohibition now and then
    count = 0
    for place, (form, tag) in enumerate(morphs):
        if tag in ("MAG", "IC"):
            count += form in ("안", "못") or form.startswith(("아니", "아뇨"))
        elif tag in ("VV", "VA", "VX", "VCN"):
            denied = prohibits if form == "말" else any(m.form == "지" for m in morphs[max(0, place - 2) : place])
            count += form.endswith("없") or form in _NEGATIVE_PREDICATES or (denied and form in _NEGATIVE_AUXILIARIES)
    return count


@lru_cache(maxsize=1)
def persons() -> frozenset[str]:
    shipped = {card.keyword for card in load_lexicon() if card.category == "person"}
    partners = {head.split()[-1] for heads in read_json(REGISTER_FILE)["heads"].values() for head in heads}
    bare = {word.removesuffix("님") for word in partners} - {"선생"}
    return frozenset(shipped | partners | bare | _MORE_PERSONS) - _NOBODY


def _named(text: str) -> set[str]:
    """The persons that a text names; 님 is cut, 선생님 stays."""
    morphs = analyse(text)
    found = set()
    for place, (form, tag) in enumerate(morphs):
        after = morphs[place + 1] if place + 1 < len(morphs) else Morph("", "")
        bare = form if form == "선생님" else form.removesuffix("님") or form
        called = after.tag in ("JKV", "XSN") or after.form == "씨"
        acts = after.tag.startswith("J") and after.form in _NAME_JOSA
        if tag in ("NNG", "NNP") and (form in persons() or bare in persons()):
            found.add(form if form == "부모님" else bare)
        elif (tag == "NP" and form in _PRONOUNS) or (tag == "NNP" and (called or acts)):
            found.add(form)
    return found


def added_persons(sentence: str, keywords: tuple[str, ...], context: Context) -> set[str]:
    given = " ".join([*keywords, *context.public().values()])
    known = _named(given) | {word.removesuffix("님") for word in given.split()}
    allowed = known.union(*(group for group in _SAME_PERSON if group & known))
    if known & _CALLED_TEACHER or "너" in keywords or partner_class(context.interaction_partner) == UNKNOWN:
        allowed |= {"선생님"}
    if "너" in keywords and partner_class(context.interaction_partner) == "점원·직원":
        allowed |= {"사장"}
    parts = {person for person in _named(sentence) if len(person) > 1 and person in given}  # 경찰 of 경찰차
    return _named(sentence) - allowed - parts


def _sounding(keywords: tuple[str, ...]) -> set[tuple[int, str]]:
    """The numbers that Kiwi may read in a card's own word: 팔, 열래요 of 열다, 오이, 사자."""
    return {(value, "") for word, value in _DIGITS.items() if any(card.startswith(word) for card in keywords)}


@lru_cache(maxsize=100_000)
def _numbers(text: str) -> frozenset[tuple[int, str]]:
    """The quantities of a text as (value, clock unit): at 10시, 열 명 is still an invention, but 22시 is 열 시."""
    morphs = analyse(text)
    found = []
    for place, (form, tag) in enumerate(morphs):
        after = morphs[place + 1].form if place + 1 < len(morphs) else ""
        unit = after if after in _CLOCK else ""
        if tag == "W_SERIAL" and re.fullmatch(r"\d+:\d+", form):
            found += zip(map(_number, form.split(":")), _CLOCK, strict=True)
        elif tag == "SN":
            found += [(_number(digits), unit) for digits in re.findall(r"\d+", form)]
        elif _numeral(morphs, place):
            value = _value(form)
            if place and _numeral(morphs, place - 1) and found[-1][0] > value and found[-1][0] % 10 == 0:
                value += found.pop()[0]  # 열 + 두
            found.append((value, unit))
    return frozenset((value % 12 if unit == "시" else value, unit) for value, unit in found)


def _number(digits: str) -> int:
    """Its value; of a number that nobody says, one as large."""
    return int(digits[:18])


def _numeral(morphs: Sequence[Morph], place: int) -> bool:
    form, tag = morphs[place]
    if tag == "MM":  # 이 is "this"; 한 번 and 한번 are manner
        return form in _DIGITS and form != "이" and not _one_of(form, morphs[place + 1 : place + 2])
    return tag == "NR" and (form in _DIGITS or all(sign in _DIGITS for sign in form))


def _one_of(form: str, after: Sequence[Morph]) -> bool:
    """한 번, 한 잔, 한 입: manner and measure, no number."""
    return form == "한" and bool(after) and after[0].form in ("번", "잔", "입", "모금", "그릇", "조각")


def _value(numeral: str) -> int:
    """열 → 10, 이십 → 20, 백오 → 105."""
    if numeral in _DIGITS:
        return _DIGITS[numeral]
    total = unit = 0
    for sign in numeral:
        if (digit := _DIGITS[sign]) < 10:
            unit = digit
        else:
            total, unit = total + max(unit, 1) * digit, 0
    return total + unit
