"""The whole sentence around its core: what leads to it (배고파서), what stands in front of it (내일, 허리 때문에),
what is told before it in a sentence of its own (네, 무서워요)."""

from __future__ import annotations

import re

from aac.korean import join
from dataset.prepare.teachers.acts import before_words
from dataset.prepare.teachers.endings import at, conjugate, particle
from dataset.prepare.teachers.forms import fill_form, nominal
from dataset.prepare.teachers.frames import frames
from dataset.prepare.teachers.speaker import (
    ELDERS,
    HONORED,
    Speaker,
    before_predicate,
    me,
    spoken,
    stem_of,
    title,
    word,
)
from dataset.prepare.teachers.utterance import Reading, category

# Sentences that ask or forbid: 아파서 does not lead to them.
_BIDS = re.compile(r"(?:줘|[주마오하계]세요|마|말아요|주십시오|마십시오|부탁드립니다|하자|[^어]봐)\.$")
_CALL = re.compile(r"^\S+(?: 선생님)?, ")


def around(reading: Reading, speaker: Speaker, core: list[str], first: str) -> list[str]:
    """Three whole sentences.

    Args:
        core: the three sentences of the reading without what stands around them.
        first: what is told before, as a sentence without its mark; may be empty.
    """
    return [_around(reading, speaker, text, style, first) for style, text in enumerate(core)]


def _around(reading: Reading, speaker: Speaker, text: str, style: int, first: str) -> str:
    if reading.quality:
        text = _described(text, *reading.quality)
    calls, lead = _lead(reading, speaker)
    if reading.cause:
        lead = [_because(reading.cause, speaker, text, style), *lead]
    if lead:
        called = _CALL.match(text)
        call = called.group() if called else ""
        text = call + " ".join([*lead, text[len(call) :]])
    if calls and not text.startswith(calls[0]):
        text = f"{calls[0]}, {text}"
    if reading.then:
        text = f"{text.rstrip('.?')}, {fill_form('help', speaker.level)[style]}"
    return f"{first}, {text}" if first else text


def _described(text: str, quality: str, noun: str) -> str:
    frame = frames().get(quality)
    own = join(((frame.stem, frame.tag), ("는" if frame.stem.endswith("있") else "은", "ETM"))) if frame else "다른"
    return re.sub(rf"(^|\s){re.escape(noun)}", rf"\g<1>{own} {noun}", text, count=1)


def _lead(reading: Reading, speaker: Speaker) -> tuple[list[str], list[str]]:
    """(who is called, words in front)."""
    calls, words = [], []
    for card, josa in reading.lead:
        if category(card) == "person" and josa in ("이랑", "한테", "을") and speaker.addressed(card):
            calls.append(speaker.call(card))
        elif card == "너" and not speaker.you():
            calls.append("저기요")
        elif card == "너" and josa == "은" and _bidden(reading):
            calls.append(speaker.you())
        elif card == "너":
            words.append(particle(speaker.you(), josa))
        elif josa.endswith("것"):
            words.append(nominal(card, josa, speaker.level))
        else:
            short = josa == "이랑" or not josa
            words.append(particle(word(card, speaker.level), josa) if not short else particle(title(card), josa))
    return calls, [text for text in words if text]


def _bidden(reading: Reading) -> bool:
    """Whether the partner is asked for something: called, not spoken about."""
    asks = reading.kind in ("act", "other", "give", "help") or reading.predicate in ("도와주세요", "주세요")
    return asks and not reading.question


def _because(state: Reading, speaker: Speaker, text: str, style: int) -> str:
    """배고파요, / 배고픈데 / 배고파서, as the sentence that follows asks for it."""
    frame, level = state.frame, speaker.level
    if state.clause:
        return _clause(state, speaker)
    said = [part.text for part in before_predicate(state, speaker)]
    if state.lead:
        said = [*_lead(state, speaker)[1], *said]
    words = [*([particle(word("나", level), "이")] if state.speaker == "나" else []), *said]
    if _BIDS.search(text) and style == 0:
        name = "past" if frame.instant else "plain"
        return " ".join([*words, conjugate(frame.stem, frame.tag, name, level).rstrip(".") + ","])
    past = (("었", "EP"),) if frame.instant else ()
    verbal = frame.tag.startswith("VV") or frame.stem.endswith(("있", "없"))
    if text.endswith("?"):
        tail: tuple[tuple[str, str], ...] = (*past, ("는데" if past or verbal else "은데", "EC"))
    elif _BIDS.search(text):
        tail = (*past, ("으니까", "EC"))
    else:
        tail = (("어서", "EC"),)
    return " ".join([*words, join(((frame.stem, frame.tag), *tail))])


# How a deed joins what one feels about it or of it, in the levels 반말 and 해요체, and in 합쇼체.
_CLAUSES: dict[str, tuple[tuple[tuple[str, str], ...], str, str]] = {
    "는 것": ((("는", "ETM"),), " 게", " 것이"),  # 병원에 가는 게 무서워요
    "을 때": ((("을", "ETM"),), " 때", " 때"),  # 걸을 때 다리가 아파요
    "어서": ((("어서", "EC"),), "", ""),  # 친구가 와서 기뻐요
    "고 싶어서": ((("고", "EC"), ("싶", "VX"), ("어서", "EC")), "", ""),  # 엄마를 보고 싶어서 슬퍼요
}


def _clause(deed: Reading, speaker: Speaker) -> str:
    """병원에 가는 게, 걸을 때, 할머니가 오셔서."""
    person, level = deed.card("person"), speaker.level
    theirs = deed.kind == "other" and (person in HONORED or (person in ELDERS and level != "반말"))
    respect = (("으시", "EP"),) if theirs else ()
    endings, informal, formal = _CLAUSES[deed.clause]
    ahead, stem, tag = stem_of(deed, speaker)
    lead = [*_lead(deed, speaker)[1], *me(deed, speaker, "이"), *before_words(deed, 0)]
    verb = join(((stem, tag), *respect, *endings)) + (formal if level == "합쇼체" else informal)
    return spoken(deed, lead, before_predicate(deed, speaker), " ".join([*ahead, verb]))


def told_first(sentences: list[str], level: str) -> str:
    """The first sentence of a triple as an opening without its mark: 네, 무서워요, 왜 그래요."""
    return sentences[0].rstrip(".?!") or at(level, "응", "네", "네")
