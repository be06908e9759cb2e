"""Asking for things and help, formulas, names, birthdays, the weather, and one card alone."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from dataset.prepare.teachers.acts import before_words
from dataset.prepare.teachers.endings import at, conjugate, copula, particle, sentence
from dataset.prepare.teachers.forms import fill_form
from dataset.prepare.teachers.frames import group
from dataset.prepare.teachers.reviewed import reviewed_card
from dataset.prepare.teachers.speaker import HONORED, Speaker, before_predicate, spoken, stem_of, title, word
from dataset.prepare.teachers.utterance import EDIBLE, Reading, category

PHRASES_FILE = Path(__file__).with_name("phrases.json")
_HEARTFELT = frozenset({"고마워요", "미안해요"})


@lru_cache(maxsize=1)
def phrases() -> dict[str, dict[str, list[str]]]:
    """Fixed sentences of readings: {reading: {level: three sentences}}; {you} and {subject} stand for a person."""
    return json.loads(PHRASES_FILE.read_text(encoding="utf-8"))


def say_give(reading: Reading, speaker: Speaker) -> list[str]:
    """A thing asked for; where no other card says how, also asked after and needed."""
    level, person = speaker.level, reading.card("person")
    short = [said.text for said in before_predicate(reading, speaker, {"object": ""})]
    full = [said.text for said in before_predicate(reading, speaker)]
    want = full if speaker.length and not {"이거", "다른 것"} & set(reading.cards("object")) else short
    third_person = person in HONORED and not speaker.addressed(person)
    please = phrases()["@give to an elder" if third_person else "@give"][level]
    if level == "합쇼체" and reading.mood != "주다":
        please = ["부탁드립니다.", *please[1:]]
    if reading.mood == "주다" or reading.card("adverb") or reading.card("time"):
        return [sentence([*lead, verb]) for lead, verb in zip((short, want, want), please, strict=True)]
    asks = at(level, "있어?", "있어요?", "있습니까?") if speaker.clock == 0 else please[1]
    needed = [word(card, level) for card in reading.cards("object")]
    calls = [said.text for said in before_predicate(reading, speaker) if said.role == "call"]
    needed = [*calls, *(particle(thing, "이랑") for thing in needed[:-1]), particle(needed[-1], "이")]
    third = [*needed, at(level, "필요해.", "필요해요.", "필요합니다.")]
    if any(category(card) in EDIBLE for card in reading.cards("object")):
        third = [*want, please[2]]
    return [sentence([*short, please[0]]), sentence([*short, asks]), sentence(third)]


def say_help(reading: Reading, speaker: Speaker) -> list[str]:
    """Help with a deed (씻는 것 좀 도와주세요) or with a thing to do (숙제)."""
    level = speaker.level
    person = reading.card("person")
    call = [f"{title(person)},"] if person else []
    if not (reading.predicate or reading.card("object")):
        return fill_form("help", level)
    if not reading.predicate:
        noun = word(reading.card("object"), level)
        tails = phrases()["@help"][level]
        if noun in ("나", "저"):
            return [sentence([noun, "좀", tail.removeprefix("좀 ")]) for tail in tails]
        return [
            sentence([*call, lead, tail]) for lead, tail in zip((noun, noun, particle(noun, "을")), tails, strict=True)
        ]
    _, stem, tag = stem_of(reading, speaker)
    said = [part for part in before_predicate(reading, speaker) if part.role in ("object", "place")]
    return [
        spoken(reading, [*call, *before_words(reading, 0)], said, conjugate(stem, tag, name, level), fuse=True)
        for name in ("help", "help?", "helphope")
    ]


def say_greeting(reading: Reading, speaker: Speaker) -> list[str]:
    """A formula, with the person it is for."""
    card, person, level = reading.predicate, title(reading.card("person")), speaker.level
    formula = phrases()["생일 축하해요"][level] if reading.card("object") else reviewed_card(card, speaker) or []
    if not person:
        return list(formula)
    first = formula[0].rstrip(".?")
    mark = formula[0][-1]
    if card in _HEARTFELT:
        to = particle(person, "께" if reading.card("person") in HONORED and level != "반말" else "한테")
        return [f"{person}, {formula[0]}", f"{first}, {person}{mark}", f"{to} {formula[0]}"]
    return [f"{person}, {formula[0]}", f"{first}, {person}{mark}", f"{person}, {formula[2]}"]


def say_named(reading: Reading, speaker: Speaker) -> list[str]:
    """이거 사과예요, 여기 학교예요, and the correction 그게 아니라 물이에요."""
    level, noun = speaker.level, reading.card("object")
    if reading.kind == "correct":
        lead = at(level, "그게 아니야,", "그게 아니에요,", "그게 아닙니다,")
        return [sentence([start, copula(noun, level)]) for start in (lead, "그게 아니라", "그게 아니고")]
    here, formal = reading.predicate == "여기", level == "합쇼체"
    leads = (
        ("여기", "여기가", "여기는") if here else ("이것은", "이것이", "이건") if formal else ("이거", "이게", "이건")
    )
    return [sentence([lead, copula(noun, level, mark)]) for lead, mark in zip(leads, ".?.", strict=True)]


def say_small(reading: Reading, speaker: Speaker) -> list[str]:
    """Weather, birthdays and the questions that name a thing."""
    level = speaker.level
    if reading.kind == "which":
        return list(phrases()[f"{reading.predicate} {reading.question}"][level])
    time, person = reading.card("time"), reading.card("person")
    if reading.kind == "birthday":
        lead = [word for word in (time, person) if word]
        last = [particle(time, "은"), person] if time else [f"{person}의"]
        return [
            sentence([*lead, copula("생일", level)]),
            sentence([*lead, copula("생일", level, "?")]),
            sentence([*last, copula("생일", level)]),
        ]
    noun, stem = {"비": ("비", "오"), "바람": ("바람", "불")}[reading.predicate]
    words = [time, particle(noun, "이")] if time in ("오늘", "지금", "여기") else [particle(noun, "이"), time]
    return [sentence([*words, conjugate(stem, "VV", name, level)]) for name in ("plain", "plain?", "see")]


def _addressing(texts: list[str], you: str, name: str) -> list[str]:
    return [text.replace("{you}", you).replace("{subject}", particle(name, "이")) for text in texts]


def say_person(person: str, speaker: Speaker) -> list[str]:
    """A person's card alone: called where the person listens, else named, asked after and missed."""
    level, name, respect = speaker.level, title(person), person in HONORED
    if speaker.addressed(person):
        return _addressing(phrases()["@call"][level], speaker.call(person), name)
    where = (
        at(level, "어디 계셔?", "어디 계세요?", "어디 계십니까?")
        if respect
        else at(level, "어디 있어?", "어디 있어요?", "어디 있습니까?")
    )
    near = person in group("near") | {"아기"}
    wish = (particle(name, "이"), "보") if near else (particle(name, "을"), "만나")
    return [copula(name, level), sentence([name, where]), sentence([wish[0], conjugate(wish[1], "VV", "want", level)])]


def say_single(keyword: str, speaker: Speaker) -> list[str]:
    """A card alone that no predicate completes: the reviewed triple, a person, or a name."""
    level = speaker.level
    if triple := reviewed_card(keyword, speaker):
        return triple
    if keyword in phrases():
        return list(phrases()[keyword][level])
    if category(keyword) == "person":
        return say_person(keyword, speaker)
    tails = phrases()["@look"][level]
    return [copula(keyword, level), sentence([keyword, tails[0]]), sentence([particle(keyword, "을"), tails[1]])]
