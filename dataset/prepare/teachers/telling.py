"""What happens, hurts or is not known: told, asked after or called for help with, never wished for.

숨이 막혀요, 넘어졌는데 좀 도와주실래요?, 토할 것 같아요. The kinds are those of `aac/verbs.py`; a verb that no table
knows is told, too.
"""

from __future__ import annotations

from dataset.prepare.teachers.acts import before_words, say_mood
from dataset.prepare.teachers.endings import conjugate, sentence
from dataset.prepare.teachers.questions import say_question
from dataset.prepare.teachers.speaker import Speaker, before_predicate, me, stem_of
from dataset.prepare.teachers.utterance import FUTURE, Reading

# The endings of the three styles by kind and by when it is told.
_TOLD = {
    ("tell", ""): ("plain", "plain?", "telling"),
    ("event", "now"): ("plain", "plain?", "see"),
    ("event", "past"): ("past", "past?", "ended"),
    ("body", "now"): ("plain", "helped?", "why"),
    ("body", "past"): ("past", "fell?", "why"),
    ("body", "near"): ("likely", "nearly?", "past"),
    ("harm", "now"): ("plain", "helped?", "why"),
    ("harm", "past"): ("past", "past?", "seem"),
    ("vital", ""): ("plain", "plain?", "now"),
}
# Where a card asks for help, it follows in words of its own.
_WITHOUT_HELP = {"helped?": "telling", "fell?": "pastreason", "nearly?": "likely"}
_DENIED = ("안", "plain"), ("", "not"), ("안", "telling")
_DENIED_PAST = ("안", "past"), ("", "didnot"), ("안", "pastreason")
_STOP = ("그만", "stop"), ("그만", "please"), ("그만", "hopeyou")


def say_told(reading: Reading, speaker: Speaker) -> list[str]:
    """Three sentences that wish for nothing."""
    frame = reading.frame
    if reading.question:
        return say_question(reading, speaker)
    if reading.mood == "안":
        ahead = any(card in FUTURE for card, _ in reading.lead)
        endings = _DENIED_PAST if frame.instant and not ahead else _DENIED
    elif reading.mood == "그만" and frame.kind == "harm":
        endings = _STOP
    elif reading.mood:
        return say_mood(reading, speaker)
    else:
        endings = tuple(("", name) for name in _names(reading, speaker))
    lead = [*me(reading, speaker), *before_words(reading, 0)]
    words = [said.text for said in before_predicate(reading, speaker)]
    sentences = []
    for negation, name in endings:
        ahead_of, stem, tag = stem_of(reading, speaker, negation)
        sentences.append(sentence([*lead, *words, *ahead_of, conjugate(stem, tag, name, speaker.level)]))
    return sentences


def _names(reading: Reading, speaker: Speaker) -> tuple[str, str, str]:
    frame = reading.frame
    known = frame.own.told if frame.own else ""
    if any(card in FUTURE for card, _ in reading.lead):
        return ("likely", "nearly?", "fear") if frame.kind in ("body", "harm") else ("likely", "plain?", "telling")
    if speaker.phase == "뒤" and frame.kind == "tell":
        return "past", "past?", "pastreason"
    first, second, third = _TOLD[frame.kind, known]
    return first, _WITHOUT_HELP.get(second, second) if reading.then else second, third
