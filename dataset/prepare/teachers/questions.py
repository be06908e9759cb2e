"""Sentences with a question card: at least two of three end in a question mark."""

from __future__ import annotations

from aac.korean import join
from aac.verbs import UNWISHED
from dataset.prepare.teachers.endings import at, conjugate, copula, particle, sentence
from dataset.prepare.teachers.speaker import (
    ELDERS,
    HONORED,
    Said,
    Speaker,
    before_predicate,
    me,
    spoken,
    stem_of,
    title,
)
from dataset.prepare.teachers.utterance import FEELINGS, Reading, part_of_speech

_PARTNERS_DEED = frozenset({"plain?", "past?", "doing?", "done?", "going?"})
_PLACED = {"가": "", "앉": "에", "눕": "에"}
_BODILY = frozenset({"아프다", "춥다", "덥다", "무섭다"})
_PERSON = {"이": "누가", "을": "누구", "한테": "누구한테"}


def say_question(reading: Reading, speaker: Speaker) -> list[str]:
    """A deed or state under 뭐, 어디, 누구, 왜 or 언제: two questions and a request to be told."""
    ahead, stem, tag = _asked_stem(reading, speaker)
    said = _ordered(reading, speaker)
    asked = _word(reading, speaker)
    elder = any(part.role == "call" and part.card in HONORED for part in said)
    person = reading.card("person")
    respected = person in HONORED or (person in ELDERS and speaker.level != "반말")
    does = reading.frame.kind in ("state", "other") or (reading.question == "왜" and not speaker.addressed(person))
    told = does and respected and not elder
    seen = reading.predicate in FEELINGS and any(part.role == "person" for part in said)
    if seen:  # 엄마가 왜 기뻐하는 거예요?
        stem, tag = join(((stem, tag), ("어", "EC"))) + "하", "VV"
    sentences = []
    for name in ("plain?", "doing?", "tell") if seen else _names(reading, speaker):
        respect = told or (elder and name in _PARTNERS_DEED and asked != "누가")
        own = reading.frame.honorific.removesuffix("시") if name == "want?" and speaker.respectful else ""
        if name == "want?" and not speaker.respectful and speaker.level == "해요체":
            verb = join(((stem, tag), ("을래요", "EF"))) + "?"
        else:
            verb = conjugate(own or stem, tag, name, speaker.level, respect)
        sentences.append(spoken(reading, me(reading, speaker), said, " ".join([*ahead, verb])))
    return sentences


def _asked_stem(reading: Reading, speaker: Speaker) -> tuple[list[str], str, str]:
    """The predicate that is asked about, under what denies, refuses or wants it: 안 가, 가기 싫, 가고 싶."""
    if reading.kind in ("state", "quality") and reading.mood == "안":
        return ["안"], reading.frame.stem, reading.frame.tag
    ahead, stem, tag = stem_of(reading, speaker, reading.mood if reading.mood in ("안", "못", "그만") else "")
    if reading.mood in ("싫다", "싶다", "좋다"):
        tail, own = {"싫다": ("기", "싫"), "싶다": ("고", "싶"), "좋다": ("는", "게 좋")}[reading.mood]
        kind = {"기": "ETN", "고": "EC", "는": "ETM"}[tail]
        return ahead, f"{join(((stem, tag), (tail, kind)))} {own}", "VA"
    return ahead, stem, tag


def _names(reading: Reading, speaker: Speaker) -> tuple[str, str, str]:
    frame, question, formal = reading.frame, reading.question, speaker.level == "합쇼체"
    if reading.mood:
        return (
            ("plain?", "itis?", "tellhow") if reading.mood in ("싫다", "싶다", "좋다") else ("plain?", "doing?", "tell")
        )
    if frame.kind in ("state", "quality"):
        return ("past?", "done?", "told") if frame.instant or frame.tag == "VV" else ("plain?", "itis?", "tellhow")
    if frame.kind in UNWISHED:
        going = "going?" if question == "언제" else "doing?"
        return ("past?", "done?", "told") if frame.instant else ("plain?", going, "tell")
    began = speaker.phase == "뒤" and question != "언제" and not reading.card("time") and not frame.instant
    if began and frame.kind == "act":
        return "past?", "done?", "told"
    if frame.kind == "other":
        return "plain?", "going?" if question == "언제" else "doing?", "tell"
    if question == "왜" or frame.kind == "wish":
        return "plain?", "doing?", "tell"
    if question == "언제":
        return "plain?", "can", "tell" if speaker.length == 1 or formal else "should?"
    asks = "should?" if formal else "shall?" if speaker.age else ("going?", "want?", "going?")[speaker.clock]
    return "plain?", asks, "tell" if speaker.length == 1 or formal else "should?"


def _ordered(reading: Reading, speaker: Speaker) -> list[Said]:
    """The words with the question word at its place: who and when stand before it."""
    question, frame = reading.question, reading.frame
    # 왜 asks for the reason of another's deed: 할머니가 왜 도서관에 가세요?
    other = frame.kind == "act" and frame.role == "이랑" and question == "왜"
    said = before_predicate(
        reading, speaker, {"person": "이"} if other and not _with_partner(reading, speaker) else None
    )
    asked = Said("question", question, _word(reading, speaker))
    if question == "왜" and frame.kind == "state":
        return [*said, asked]
    leads = {"call", "person"} if question != "왜" or other or frame.role == "이" else {"call"}
    if question not in ("왜", "언제"):
        leads.add("time")
    if question == "뭐" or (question == "누구" and frame.role != "이랑"):
        leads.add("place")
    first = [part for part in said if part.role in leads]
    return [*first, asked, *(part for part in said if part.role not in leads)]


def _with_partner(reading: Reading, speaker: Speaker) -> bool:
    return speaker.addressed(reading.card("person"))


def _word(reading: Reading, speaker: Speaker) -> str:
    question, frame = reading.question, reading.frame
    if question == "누구":
        if frame.role == "이랑" and reading.card("person"):
            return "누가"
        whole = frame.role == "을" and (speaker.length or speaker.level == "합쇼체")
        return "누구를" if whole else _PERSON.get(frame.role, "누구랑")
    if question == "어디" and reading.predicate == "여행가다":
        return "어디로"
    if question == "어디" and (frame.kind == "quality" or reading.predicate in _BODILY):
        return "어디가"
    if question == "어디":
        return {"에서": "어디서"}.get(josa := _PLACED.get(frame.stem, "에서"), particle(question, josa))
    if question != "뭐":
        return question
    if frame.kind in ("state", "quality"):
        return "뭐가" if speaker.level != "합쇼체" else "무엇이"
    if reading.kind == "act" and reading.card("object"):
        return "무슨"
    if reading.predicate == "놀다":
        return "뭐 하면서" if speaker.length else "뭐 하고"
    if speaker.level == "합쇼체":
        return "무엇을"
    return "뭘" if speaker.length == 2 or frame.noun else "뭐"


def say_where(reading: Reading, speaker: Speaker) -> list[str]:
    """Where a thing, a place or a person is."""
    level, card = speaker.level, reading.predicate
    if card == "여기":
        third = at(level, "여기가 어딘지 알려 줘.", "여기가 어딘지 알려 주세요.", "여기가 어딘지 알려 주시겠습니까?")
        return [sentence([word, copula("어디", level, "?")]) for word in ("여기", "여기가")] + [third]
    word, respect = title(card), card in HONORED
    if speaker.addressed(card):
        return [
            sentence([f"{word},", at(level, "어디야?", "어디세요?", "어디십니까?")]),
            sentence([f"{word},", "어디", conjugate("있", "VA", "see?" if respect else "plain?", level)]),
            sentence([f"{word},", "어디 있는지", at(level, "알려 줘.", "알려 주세요.", "알려 주시겠습니까?")]),
        ]
    is_there = at(level, "계셔", "계세요", "계십니까") if respect else at(level, "있어", "있어요", "있습니까")
    whether = "계신지" if respect else "있는지"
    knows = at(level, "알아?", "아세요?" if speaker.respectful else "알아요?", "아십니까?")
    tells = at(level, "알려 줘.", "알려 주세요.", "알려 주시겠습니까?")
    place = part_of_speech(card) == "place" and speaker.clock != 2
    return [
        sentence([particle(word, "이") if level == "합쇼체" else word,
                  copula("어디", level, "?") if place else f"어디 {is_there}?"]),
        sentence([particle(word, "이"), "어디에", f"{is_there}?"]),
        sentence([particle(word, "이"), "어디", whether, knows if speaker.clock == 1 else tells]),
    ]  # fmt: skip
