"""Personal memory: the same cards and the same partner bring back what the person said, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from aac.feedback import Consent, Feedback
from aac.persona import Context, Persona
from dataset.prepare.teachers.grammar import interpret
from train.interpreter.candidates import STYLE_NAMES
from train.interpreter.memory import said, with_memory

MOTHER, DOCTOR = Context(interaction_partner="엄마"), Context(interaction_partner="의사 선생님")
WHO = Persona(age="성인")


def offered(words: list[str], context: Context = MOTHER) -> list[dict[str, Any]]:
    three = interpret(words, WHO, context)
    return [{"text": text, "style": style, "source": "model"} for text, style in zip(three, STYLE_NAMES, strict=True)]


def journal(words: list[str], *outcomes: dict[str, Any], partner: str = "엄마·아빠") -> list[dict[str, Any]]:
    return [
        {"event": "shown", "request": "r", "cards": words, "partner": partner, "offered": []},
        *({"request": "r", **outcome} for outcome in outcomes),
    ]


EDIT = {"event": "edited", "place": 1, "text": "물 좀 갖다 줘."}


def texts(told: list[dict[str, Any]]) -> list[str]:
    return [candidate["text"] for candidate in told]


def test_an_edit_is_offered_first_and_marked() -> None:
    earlier = said(journal(["물", "주세요"], EDIT))
    for words in (["물", "주세요"], ["주세요", "물"]):
        plain = offered(words)
        told = with_memory(plain, earlier, words, MOTHER)
        assert told[0]["text"] == EDIT["text"] and told[0]["source"] == "own" and len(told) == 3
        assert texts(told)[1:] == [plain[0]["text"], plain[2]["text"]]  # the one it was made of gives way


def test_nothing_is_offered_to_another_kind_of_partner_or_for_other_cards() -> None:
    earlier = said(journal(["물", "주세요"], EDIT))
    for words, context in ((["물", "주세요"], DOCTOR), (["물"], MOTHER), (["물", "더", "주세요"], MOTHER)):
        assert with_memory(offered(words, context), earlier, words, context) == offered(words, context)


def test_the_last_outcome_counts_and_what_was_undone_does_not() -> None:
    words = ["물", "주세요"]
    chosen = {"event": "chosen", "place": 0, "text": "물 줘."}
    for outcomes, first in (([EDIT, chosen], "물 줘."), ([chosen, EDIT], EDIT["text"])):
        assert with_memory(offered(words), said(journal(words, *outcomes)), words, MOTHER)[0]["text"] == first
    for last in ("undone", "none"):
        assert not said(journal(words, EDIT, {"event": last}))
    same = {"event": "chosen", "place": 2, "text": offered(words)[2]["text"]}
    told = with_memory(offered(words), said(journal(words, same)), words, MOTHER)
    assert texts(told) == [same["text"], offered(words)[0]["text"], offered(words)[1]["text"]]  # none stands twice


@pytest.mark.parametrize(
    ("words", "text"), [(["싫다", "물"], "물 마시고 싶어."), (["하지 마세요"], "계속해 줘."), (["물"], "<b>물</b>")]
)
def test_a_sentence_turned_round_is_never_offered(words: list[str], text: str) -> None:
    typed = {"event": "typed", "text": text}
    assert with_memory(offered(words), said(journal(words, typed)), words, MOTHER) == offered(words)
    typed["text"] = "물 싫단 말이야." if "물" in words and "싫다" in words else interpret(words, WHO, MOTHER)[2]
    told = with_memory(offered(words), said(journal(words, typed)), words, MOTHER)
    assert told[0]["text"] == typed["text"]  # the control


def test_a_correction_is_tried_on_another_noun_in_its_own_place() -> None:
    earlier = said(journal(["물", "주세요"], {"event": "edited", "place": 2, "text": "물을 좀 줘."}))
    words = ["사과", "주세요"]
    told = with_memory(offered(words), earlier, words, MOTHER)
    assert told[2]["text"] == "사과를 좀 줘." and told[2]["source"] == "like own"
    assert told[:2] == offered(words)[:2]
    for other in (["사과", "싫다"], ["가다", "주세요"]):  # another function; no noun
        assert with_memory(offered(other), earlier, other, MOTHER) == offered(other)
    drink = said(journal(["물", "주세요"], {"event": "edited", "place": 0, "text": "물 마시게 좀 줘."}))
    assert with_memory(offered(words), drink, words, MOTHER) == offered(words)  # nobody drinks an apple: the gate


Trait = Callable[[list[str], list[str]], dict[str, Any]]


def _softens(words: list[str], three: list[str]) -> dict[str, Any]:
    """Puts 좀 before the last word of the first sentence of two words or more."""
    place = next((k for k, text in enumerate(three) if " " in text and "좀" not in text), None)
    if place is None:
        return {"event": "chosen", "place": 0, "text": three[0]}
    head, _, tail = three[place].rpartition(" ")
    return {"event": "edited", "place": place, "text": f"{head} 좀 {tail}"}


def _types_own(words: list[str], three: list[str]) -> dict[str, Any]:
    return {"event": "typed", "text": f"음, {three[0]}"}


def _takes_the_last(words: list[str], three: list[str]) -> dict[str, Any]:
    return {"event": "chosen", "place": 2, "text": three[2]}


def test_simulated_people_get_back_what_they_corrected_and_others_lose_nothing(tmp_path: Path) -> None:
    nouns = ["물", "밥", "사과", "우유", "빵", "공", "책", "인형"]
    asked = [[noun, verb] for noun in nouns for verb in ("주세요", "좋다", "싫다", "없다", "더")]
    feedback = Feedback(tmp_path)
    numbers = count()
    people: list[Trait] = [_softens, _types_own, _takes_the_last]
    for person, trait in enumerate(people, start=1):
        feedback.agree(person, Consent(keep=True, use=True), {"age": 30})
        for words in asked[::2]:
            request = str(next(numbers))
            three = interpret(words, WHO, MOTHER)
            context = MOTHER.public()
            shown = {"event": "shown", "request": request, "cards": words, "context": context, "offered": three}
            feedback.add(person, shown)
            feedback.add(person, {"request": request, **trait(words, three)})
    for person, trait in enumerate(people, start=1):
        earlier = said(feedback.events(person))
        again = [with_memory(offered(words), earlier, words, MOTHER) for words in asked[::2]]
        wanted = [trait(words, interpret(words, WHO, MOTHER))["text"] for words in asked[::2]]
        adopted = sum(told[0]["text"] == text for told, text in zip(again, wanted, strict=True))
        assert adopted >= 0.9 * len(wanted), (person, adopted, len(wanted))
        fresh = [(words, trait(words, interpret(words, WHO, MOTHER))["text"]) for words in asked[1::2]]
        before = sum(text in texts(offered(words)) for words, text in fresh)
        after = sum(text in texts(with_memory(offered(words), earlier, words, MOTHER)) for words, text in fresh)
        assert after >= before, (person, before, after)
    stranger = said(feedback.events(4))
    assert all(with_memory(offered(words), stranger, words, MOTHER) == offered(words) for words in asked)
