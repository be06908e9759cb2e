"""Who listens: a person is called only where they are the partner. Of anybody else one speaks."""

from __future__ import annotations

from dataclasses import replace

from dataset.prepare.teachers.speaker import Speaker
from dataset.prepare.teachers.utterance import Reading

# What is said of somebody absent instead: 아빠한테 고맙다고 말하고 싶어요.
_PASSED_ON = frozenset({"고마워요", "미안해요", "축하해요"})


def present(reading: Reading, speaker: Speaker) -> Reading:
    """The reading with nobody called who is not there. Where no partner is named, whom a card calls listens."""
    if not speaker.partner:
        return reading
    if reading.kind == "greeting" and (who := reading.card("person")) and not speaker.addressed(who):
        if reading.predicate == "도와주세요":
            return Reading("help who", who)
        return Reading("pass on", who, (("greeting", reading.predicate, ""),)) if _passes_on(reading) else reading
    if reading.kind == "help" and (who := reading.card("person")) and not speaker.addressed(who):
        others = tuple(part for part in reading.parts if part[0] != "person")
        return replace(reading, parts=others, lead=((who, "이"), *reading.lead))
    who = reading.card("call")
    if not who or speaker.addressed(who):
        return reading
    others = tuple(part for part in reading.parts if part[0] != "call")
    if reading.kind == "state" and not (reading.question or reading.mood):
        seen = Reading("act", "만나다", (("person", who, "을"),), prefix=reading.prefix)
        return replace(seen, cause=replace(reading, parts=others, prefix=()))
    if "약" in reading.cards("object"):  # nobody takes it together with the doctor
        return Reading("act", "만나다", (("person", who, "을"),), prefix=reading.prefix, lead=(("약", " 때문에"),))
    if reading.kind == "give":
        return replace(reading, parts=others, lead=((who, "한테"), *reading.lead))
    return replace(reading, parts=others, lead=((who, "이랑"), *reading.lead))


def _passes_on(reading: Reading) -> bool:
    return reading.predicate in _PASSED_ON and not reading.card("object")
