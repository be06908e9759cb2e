"""도와주세요 and the question cards over whatever the rest says."""

from __future__ import annotations

from dataclasses import replace

from dataset.prepare.teachers.frames import Frame, group
from dataset.prepare.teachers.joining import (
    MANNERS,
    OPERATORS,
    Understand,
    ahead,
    caused,
    is_kind,
    noun,
    only_thing,
    person,
    told,
    without,
)
from dataset.prepare.teachers.reading import QUESTIONS
from dataset.prepare.teachers.utterance import Reading, category, part_of_speech


def helped(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """도와주세요 with a state (아파요, 도와주세요), a deed, a place or a thing."""
    if "도와주세요" not in cards:
        return None
    rest = without(cards, "도와주세요")
    plain = Reading("help", "")
    if len(rest) == 1 and category(rest[0]) == "symptom":
        return ahead(plain, rest[0], " 때문에")
    states = [card for card in rest if is_kind(card, "state", "quality")]
    if len(states) == 1 and (state := understand(rest)) and state.kind in ("state", "quality") and not state.question:
        return replace(state, then="도와주세요") if state.cause else caused(state, plain)
    inner = understand(rest)
    if len(rest) == 1 and person(rest[0]):
        return Reading("help who", rest[0])
    if len(rest) == 1 and (noun(rest[0]) or part_of_speech(rest[0]) in ("function", "time")):
        act = inner and inner.kind == "act" and category(rest[0]) not in ("body", "animal", "media", "nature")
        if part_of_speech(rest[0]) != "noun":
            return ahead(Reading("single", "도와주세요"), rest[0], "")
        return replace(inner, kind="help") if act and rest[0] != "불" else Reading("help thing", rest[0])
    said = inner and {role for role, *_ in inner.parts} <= {"object", "place", "before"}
    if inner and said and inner.kind == "act" and not (inner.mood or inner.question or inner.speaker):
        return replace(inner, kind="help")
    if inner and inner.kind == "give" and not inner.mood and all(map(noun, rest)):  # 물이랑 컵 좀 도와주세요
        return Reading("help thing", rest[-1], lead=tuple((card, "이랑") for card in rest[:-1]))
    happens = inner and (inner.kind == "told" or (inner.predicate in ("울다", "웃다") and inner.card("person")))
    if inner and (inner.mood in ("못", "안", "싫다") or (happens and not inner.question)):
        return replace(inner, then="도와주세요")
    first = next((card for card in rest if card in OPERATORS or card in QUESTIONS), "")
    return told(first, understand(without(cards, first))) if first else None


def asked(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """A question card over the rest, whatever it is."""
    questions = [card for card in cards if card in QUESTIONS]
    if not questions:
        return None
    question, rest = questions[0], without(cards, questions[0])
    inner = understand(rest)
    bids = (
        inner is None
        or len(questions) > 1
        or inner.before
        or inner.prefix
        or inner.question
        or inner.kind in ("greeting", "help")
    )
    bids = (
        bids
        or inner.mood in ("말다", "주다", "게", "있다", "없다")
        or inner.kind in ("give", "give not", "forbid", "stop who")
    )
    if bids and not (only_thing(rest) and inner and inner.kind == "give"):
        return told(question, inner)
    only = rest[0] if len(rest) == 1 else ""
    if inner.card({"어디": "place", "언제": "time"}.get(question, "question")) and len(rest) > 1:
        return told(question, inner)
    placed = any(part_of_speech(card) != "time" for card, _ in inner.lead)
    filled = inner.card("object") or placed or (inner.kind == "act" and not _asks_what(inner))
    if question == "누구" and inner.card("person") and len(rest) > 1:  # 엄마랑 누가 가요?
        return replace(inner, question=question) if _in_company(inner) else told(question, inner)
    if question == "뭐" and len(rest) > 1 and inner.kind in ("act", "other") and filled:
        kind_of = inner.kind == "act" and inner.card("object") and not (inner.lead or inner.mood)
        return replace(inner, question=question) if kind_of else told(question, inner)  # 무슨 옷을 입어요?
    if only in OPERATORS:
        return _asked_operator(question, only)
    if only in ("나", "너"):
        return ahead(Reading("single", question), only, "은")
    if part_of_speech(only) == "time":
        core = Reading("act", "하다", question="뭐") if question == "뭐" else Reading("single", question)
        return ahead(core, only, "에" if only in group("hour") | {"주말"} else "")
    if inner.kind in ("act", "other", "love") and (not only or is_kind(only, "act", "other", "love")):
        return replace(inner, kind="act" if inner.kind == "love" else inner.kind, question=question)
    if inner.kind in ("state", "quality", "told"):
        return replace(inner, question=question)
    if not only or only in MANNERS:
        return told(question, inner)
    if only in ("비", "바람") and question != "뭐":
        own = Frame("오" if only == "비" else "불", "VV", "other", role="이")
        return Reading("other", "", (("person", only, "이"),), question=question, own=own)
    if question == "어디":
        return Reading("where", only, (("object", only, "이"),), question=question)
    if question in ("언제", "왜") and inner.kind == "act" and category(only) not in ("animal", "body", "person"):
        return replace(inner, question=question)
    if question == "언제" and person(only):
        return Reading("other", "오다", (("person", only, "이"),), question=question)
    return Reading("asked", only, question=question)


def _in_company(inner: Reading) -> bool:
    """Whether a deed has its person beside the one who does it, so that 누가 asks for the doer."""
    return inner.kind == "act" and inner.frame.role == "이랑" and not inner.mood


def _asks_what(inner: Reading) -> bool:
    """Whether 뭐 has a slot: 뭐 먹어요, not 뭐 일어나요."""
    return inner.frame.needs or inner.predicate in ("먹다", "마시다", "놀다", "요리하다", "말하다")


def _asked_operator(question: str, operator: str) -> Reading | None:
    if operator in ("안", "못", "그만") and question != "언제":
        return Reading("act", "하다", mood=operator, question=question)
    if operator in ("싫다", "좋다", "있다", "없다", "끝", "원하다"):
        kind = "act" if operator == "원하다" else "quality"
        return Reading(kind, operator, question=question)
    if operator == "모르다":
        return Reading("unknown what", question)
    return told(question, Reading("single", operator))
