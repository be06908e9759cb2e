"""Utterances that are said by reviewed sentence forms (`forms.json`) instead of a predicate's endings: whose a thing
is, who shall be stopped, what nothing joins.

A form is a sentence with slots: `{it}`, with a josa `{it:을}`, `{it:copula}` for 사과예요, `{who:whose}` for 제 / 엄마.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from aac.korean import join
from aac.labels import read_label
from aac.verbatim import said_at
from dataset.prepare.teachers.endings import conjugate, copula, particle, sentence
from dataset.prepare.teachers.frames import frames
from dataset.prepare.teachers.speaker import ELDERS, HONORED, Speaker, title, word
from dataset.prepare.teachers.utterance import EDIBLE, Reading, category, part_of_speech

FORMS_FILE = Path(__file__).with_name("forms.json")
_NOMINALS = {
    "더": "더 하는 것", "다시": "다시 하는 것", "네": "맞는 것", "안": "안 하는 것",
    "못": "못 하는 것", "그만": "그만하는 것", "주세요": "주는 것", "도와주세요": "도와주는 것",
    "하지 마세요": "하지 않는 것", "끝": "끝난 것", "같이": "같이 하는 것", "혼자": "혼자 하는 것",
    "빨리": "빨리 하는 것", "천천히": "천천히 하는 것", "많이": "많이 하는 것", "조금": "조금 하는 것",
}  # fmt: skip


class _Word(str):
    """A word of a form; the format gives its josa: f"{word:이}"."""

    level: str
    card: str

    def __format__(self, josa: str) -> str:
        if josa == "copula":
            return copula(self, self.level, "").removesuffix(".")
        if josa == "ask":
            return copula(self, self.level, "?").removesuffix("?")
        if josa == "whose" and self in ("나", "저", "너"):
            return {"나": "내", "저": "제", "너": "네"}[self]
        return particle(str(self), "" if josa == "whose" else josa)


def _word(card: str, text: str, level: str) -> _Word:
    found = _Word(text)
    found.level, found.card = level, card
    return found


@lru_cache(maxsize=1)
def _forms() -> dict[str, dict[str, list[str]]]:
    """{form: {level: three sentences}}."""
    return json.loads(FORMS_FILE.read_text(encoding="utf-8"))


def fill_form(name: str, level: str, **cards: str) -> list[str]:
    """The three sentences of a form, with its slots filled."""
    spoken = {slot: _word(card, spoken_as(card, level), level) for slot, card in cards.items()}
    return [sentence([text.format(**spoken)]) for text in _forms()[name][level]]


def spoken_as(card: str, level: str) -> str:
    """A card in the middle of a sentence; a predicate as a thing: 먹는 거, 아픈 거."""
    if card in _NOMINALS:
        return nominal(card, "", level)
    return nominal(card, "는 것", level) if card in frames() else word(card, level)


def nominal(card: str, tail: str, level: str) -> str:
    """A predicate as a thing: 먹는 거, 먹을 거, 큰 거."""
    if card in _NOMINALS:
        text = _NOMINALS[card]
    else:
        frame = frames()[card]
        plain = frame.tag.startswith("VA") and not frame.stem.endswith(("있", "없"))
        ending = "을" if tail.startswith("ᆯ") else "은" if plain else "는"
        text = join(((frame.words, frame.tag), (ending, "ETM"))) + " 것"
    return text if level == "합쇼체" else text[:-1] + "거"


def list_cards(cards: tuple[str, ...], speaker: Speaker) -> list[str]:
    """The last resort, for cards that nothing joins: what one wants to talk about."""
    listed = _listed(list(cards), speaker)
    return [sentence([text.format(all=listed)]) for text in _forms()["topic"][speaker.level]]


def say_form(reading: Reading, speaker: Speaker) -> list[str]:
    """A reading whose kind names a form."""
    kind, card, level = reading.kind, reading.predicate, speaker.level
    who = reading.card("person")
    if kind == "own sentence":
        text = said_at(read_label(card).sentence or title(card), level)
        who = "저기요" if speaker.kind == "점원·직원" else speaker.you() or "저기요"
        return [form.format(it=text, who=who) for form in _forms()[kind][level]]
    if kind == "topic":
        return list_cards(tuple(reading.cards("object")), speaker)
    if kind == "toward":
        return _say_toward(reading, speaker)
    if kind == "stop who":
        operator = reading.card("operator")
        if card == "너" or speaker.addressed(card):
            return fill_form(f"{operator} you", level, who=speaker.word(card) if card == "너" else speaker.call(card))
        return fill_form(f"{operator} who", level, it=card)
    if kind == "people":
        return _say_people(reading, speaker)
    if kind == "unknown what":
        return fill_form(f"모르다 {card}", level)
    if kind == "own" and who == "너":
        return fill_form("yours", level, who=speaker.word(who), it=card)
    if kind == "own":
        pointed = who in ("이거", "다른 것")
        return fill_form("pointed" if pointed else kind, level, who=who, it=card)
    if kind == "look":
        it = _listed(reading.cards("object"), speaker)
        return [sentence([form.format(it=it)]) for form in _forms()["look"][level]]
    if kind == "forbid giving":
        return [sentence([form.format(it=_listed(reading.cards("object"), speaker))]) for form in _forms()[kind][level]]
    if kind == "forbid":
        served = category(card) in EDIBLE or card == "약"
        return fill_form("forbid giving" if served else "하지 마세요 thing", level, it=card)
    if kind == "asked":
        of = "person" if category(card) == "person" else "place" if part_of_speech(card) == "place" else "thing"
        return fill_form(f"{reading.question} {of}", level, it=card)
    if kind == "not this":
        of = "place" if part_of_speech(card) == "place" else "person" if category(card) == "person" else "thing"
        return fill_form(f"not this {of}", level, it=speaker.word(card))
    if kind == "pass on":
        return fill_form(f"{reading.card('greeting')} who", level, it=card)
    if kind == "help who" and card in ("경찰관", "소방관", "의사", "간호사") and not speaker.addressed(card):
        return fill_form("help from", level, it=card)
    if kind == "thanks":
        return fill_form(f"{card} thing", level, it=reading.card("object"))
    if kind == "help who" and speaker.addressed(card):
        return fill_form("help you", level, it=speaker.call(card))
    return fill_form(kind, level, it=card)


def _say_people(reading: Reading, speaker: Speaker) -> list[str]:
    """Two persons, or 나 and somebody."""
    who, other = sorted(reading.cards("person"), key=lambda card: card == "나")
    if other == "나" and speaker.addressed(who):
        return fill_form("us called", speaker.level, it=speaker.call(who))
    form = "us" if {"나", "너"} & {who, other} else "people"
    return fill_form(form, speaker.level, who=speaker.word(who), it=speaker.word(other))


def say_give_not(reading: Reading, speaker: Speaker) -> list[str]:
    """A thing under a refusal: 휴지는 안 할래요."""
    it = _listed(reading.cards("object"), speaker)
    return [sentence([form.format(it=it)]) for form in _forms()[f"{reading.mood} thing"][speaker.level]]


def _listed(cards: list[str], speaker: Speaker) -> _Word:
    """밥이랑 물이랑 컵."""
    names = [speaker.word(card) if card == "너" else spoken_as(card, speaker.level) for card in cards]
    return _word("", " ".join([*(particle(name, "이랑") for name in names[:-1]), names[-1]]), speaker.level)


def _say_toward(reading: Reading, speaker: Speaker) -> list[str]:
    """What another does to me: 엄마가 나를 봐."""
    who, level, frame = reading.card("person"), speaker.level, reading.frame
    whom = [particle(speaker.word(card), josa) for role, card, josa in reading.parts if role == "object"]
    me, stem = " ".join(whom), frame.words
    respect = who in HONORED or (who in ELDERS and level != "반말")
    if reading.card("object") != "나":  # 엄마가 아빠를 사랑해요
        subject = particle(title(who), "이")
        told = ("plain", "plain?", "see")
        return [sentence([subject, me, conjugate(stem, frame.tag, name, level, respect)]) for name in told]
    wish = sentence([particle(title(who), "이"), me, conjugate(stem, frame.tag, "hope", level, respect)])
    if speaker.addressed(who):
        call = speaker.call(who) + ","
        return [
            *(sentence([call, me, conjugate(stem, frame.tag, name, level)]) for name in ("please", "please?")),
            wish,
        ]
    subject = particle(title(who), "이")
    names = ("plain", "plain?")
    return [*(sentence([subject, me, conjugate(stem, frame.tag, name, level, respect)]) for name in names), wish]
