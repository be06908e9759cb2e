"""The offline teacher: a Korean grammar on Kiwi that writes three interpretations of a card combination.

Style 1 completes the cards minimally, style 2 takes another function (a request, a question) or another role of a
person card, style 3 another form. Which endings are drawn follows from what stands in the input: the partner and the
age set the speech level, the phase of the activity the tense, the utterance length and the time of day the form.
Disability and gender are never read.

The way of a combination: `reviewed.py` (fixed wording) → `frames.py` (which cards meet by the table) → `utterance.py`,
`reading.py` (what they say together; `parting.py` where their order parts two utterances), else `loose.py` (rules for
any cards) → `acts.py`, `states.py`, `questions.py`,
`social.py`, `forms.py` (three sentences of each kind) → `whole.py` (what stands around them). Words that no table knows
go through `own_words.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from aac.gate import check
from aac.labels import read_label
from aac.lexicon import lookup
from aac.persona import Context, Persona
from aac.rules import nfc
from aac.verbs import valency
from dataset.prepare.teachers.acts import say_act, say_other
from dataset.prepare.teachers.company import beside, like, plausible
from dataset.prepare.teachers.contexts import HELD_OUT_PARTNERS, PARTNERS, sample_context
from dataset.prepare.teachers.forms import list_cards, say_form, say_give_not
from dataset.prepare.teachers.frames import frames
from dataset.prepare.teachers.loose import understand
from dataset.prepare.teachers.own_words import combines
from dataset.prepare.teachers.presence import present
from dataset.prepare.teachers.questions import say_where
from dataset.prepare.teachers.reading import read
from dataset.prepare.teachers.reviewed import reviewed
from dataset.prepare.teachers.social import say_give, say_greeting, say_help, say_named, say_single, say_small
from dataset.prepare.teachers.speaker import Speaker, title
from dataset.prepare.teachers.states import say_love, say_quality, say_state, say_unknown, say_wish
from dataset.prepare.teachers.telling import say_told
from dataset.prepare.teachers.utterance import FUTURE, Reading, part_of_speech
from dataset.prepare.teachers.whole import around, told_first
from dataset.prepare.themes import themes

__all__ = ["HELD_OUT_PARTNERS", "PARTNERS", "beside", "interpret", "like", "sample_context", "themes"]

_SAY: dict[str, Callable[[Reading, Speaker], list[str]]] = {
    "act": say_act,
    "other": say_other,
    "state": say_state,
    "quality": say_quality,
    "love": say_love,
    "unknown": say_unknown,
    "wish": say_wish,
    "give": say_give,
    "give not": say_give_not,
    "name": say_named,
    "correct": say_named,
    "where": say_where,
    "greeting": say_greeting,
    "help": say_help,
    "weather": say_small,
    "birthday": say_small,
    "which": say_small,
    "told": say_told,
    "single": lambda reading, speaker: say_single(reading.predicate, speaker),
}


def interpret(keywords: list[str], persona: Persona, context: Context, rng: random.Random | None = None) -> list[str]:
    """Three distinct sentences for any cards, in the order of the styles.

    The same arguments give the same sentences; cards in another order may give others, where the order tells who does
    it to whom. Words that the lexicon does not know, and cards that do not go together, are still said in a sentence
    where one predicate joins them, and else named as what one wants to talk about. `rng` is accepted for teachers that
    draw; this one does not.

    Raises:
        ValueError: no keyword.
    """
    del rng
    if not keywords:
        raise ValueError("keywords is empty: there is nothing to say")
    cards = tuple(dict.fromkeys(map(_keyword, map(nfc, keywords))))
    if fixed := reviewed(cards, persona, context):
        return fixed
    reading = understand(cards)
    reading = reading and present(reading, Speaker(persona, context))
    speaker = _speaker(reading, persona, context)
    spare = list_cards(cards, speaker)
    if reading is None:
        return spare
    said = _say(reading, speaker)
    three = [
        other if sentence in said[:style] else sentence
        for style, (sentence, other) in enumerate(zip(said, spare, strict=True))
    ]
    # What the lexicon's words say is tested beforehand, as are the forms of a lone noun.
    plain = all(map(lookup, cards)) or (len(cards) == 1 and cards[0] not in frames())
    return three if plain else _passing(three, spare, cards, context)


def _keyword(word: str) -> str:
    """A card's word as the grammar reads it, however an app writes it: 아프다 for 아파요."""
    return word if lookup(word) or valency(word) else read_label(word).keyword


def _passing(three: list[str], spare: list[str], cards: tuple[str, ...], context: Context) -> list[str]:
    """Sentences of words that no test knows beforehand: what the gate stops is told as what one wants to talk about."""
    for style, reasons in enumerate(check(three, cards, context)):
        if reasons and not check([spare[style]], cards, context)[0] and spare[style] not in three:
            three[style] = spare[style]
    return three


def fits(keywords: Sequence[str], word: str) -> bool:
    """Whether a word may join those chosen so far: they still make one plausible utterance."""
    hand = (*keywords, word)
    if all(map(lookup, hand)):
        return not keywords or read(frozenset(hand)) is not None
    return not keywords or plausible(hand)


def joins(word: str) -> bool:
    """Whether a word ever joins another: not what is said as it stands, nor what is no noun and no predicate."""
    return lookup(word) is not None or combines(word)


def _say(reading: Reading, speaker: Speaker) -> list[str]:
    core = _SAY.get(reading.kind, say_form)(reading, speaker)
    openings = [_opening(card, speaker) for card in reading.prefix]
    if reading.first:
        openings.append(told_first(_say(reading.first, speaker), speaker.level))
    first = ", ".join(openings)
    return around(reading, speaker, core, first)


def _opening(card: str, speaker: Speaker) -> str:
    """A card told before the rest: 네, 고마워요, 무서워요."""
    if card in ("네", "아니요"):
        plain = {"네": "응", "아니요": "아니"}[card]
        return plain if speaker.level == "반말" else card
    return told_first(_say(understand((card,)) or Reading("single", card), speaker), speaker.level)


def _own_time(reading: Reading) -> bool:
    """Whether a time of the user's own is named, of which nobody knows whether it is past: 다음 주."""
    cards = [card for _, card, _ in reading.parts] + [card for card, _ in reading.lead]
    return any(not lookup(card) and part_of_speech(card) == "time" for card in cards)


def _speaker(reading: Reading | None, persona: Persona, context: Context) -> Speaker:
    """The speaker; a person who is called or greeted listens, whoever else the context names. What is to come, or what
    a state leads to, has not happened."""
    if reading and (
        reading.cause or reading.first or any(card in FUTURE for card, _ in reading.lead) or _own_time(reading)
    ):
        context = context.model_copy(update={"current_activity": ""})
    speaker = Speaker(persona, context)
    called = reading.card("call") if reading else ""
    if reading and reading.kind in ("greeting", "help"):
        called = reading.card("person")
    if not called or speaker.addressed(called):
        return speaker
    return Speaker(persona, context.model_copy(update={"interaction_partner": title(called)}))
