"""States and qualities with what gives them or what they make one want; times, manners, 나 and 너 beside the rest."""

from __future__ import annotations

from dataclasses import replace

from aac.lexicon import lookup
from aac.verbs import UNWISHED
from dataset.prepare.teachers.doing import of_deeds
from dataset.prepare.teachers.frames import frames, group
from dataset.prepare.teachers.happening import arriving
from dataset.prepare.teachers.joining import (
    MANNERS,
    OPERATORS,
    POINTERS,
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
from dataset.prepare.teachers.own_words import kind_of
from dataset.prepare.teachers.reading import QUESTIONS
from dataset.prepare.teachers.roles import MEETS, TOWARD
from dataset.prepare.teachers.utterance import EDIBLE, FUTURE, Reading, category, part_of_speech

STIRRED = group("feeling") - {"사랑하다", "웃다", "울다"}
_GLAD = frozenset({"기쁘다", "행복하다", "신나다"})
_FEARED = frozenset({"무섭다"})
# What makes nobody wish for the deed beside it: 병원에 가는 게 무서워요.
_SHUNNING = frozenset({"무섭다", "걱정되다", "부끄럽다"})
_SAD = frozenset({"슬프다", "속상하다", "화나다"})
_SOLACE = TOWARD.keys() | {"쉬다", "자다", "눕다", "울다", "놀다", "듣다", "걷다", "그만"}
# What a body in pain or tired is not relieved by: 걸을 때 다리가 아파요.
_WORN = frozenset({"아프다", "어지럽다", "피곤하다", "졸리다"})
_STRAIN = frozenset({"걷다", "일어나다", "놀다", "춤추다", "하다", "말하다", "웃다", "쓰다", "읽다", "청소하다",
                     "요리하다", "보다", "만들다", "그리다", "부르다"})  # fmt: skip
# What one in pain or dizzy may well want; of any other deed it is only told when it hurts.
_EASING = frozenset({"쉬다", "자다", "눕다", "앉다", "전화하다", "말하다", "부르다", "기다리다", "찾다", "울다", "벗다",
                     "열다", "닫다", "켜다", "끄다", "사다"})  # fmt: skip
_RELIEF = frozenset({"의사", "간호사", "약", "커피"})
_REFUGE = frozenset({"병원", "약국", "집", "화장실", "침대"})
_BODILY = frozenset({"아프다", "어지럽다", "피곤하다", "덥다", "춥다"})


def felt(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """A state with what gives it (삼촌이 무서워요, 숙제 때문에 속상해요) or with what it makes one want."""
    states = [card for card in cards if is_kind(card, "state", "quality")]
    if not states:
        return None
    if happened := [card for card in cards if is_kind(card, *UNWISHED)]:  # 넘어졌어요, 아파요
        return told(happened[0], understand(without(cards, happened[0])))
    state, rest = states[0], without(cards, states[0])
    if is_kind(state, "quality"):
        return _of_quality(state, rest, understand)
    if about := _about_deed(state, cards, understand):
        return about
    body = tuple(card for card in rest if category(card) == "body")
    if body and state in _BODILY and len(rest) > len(body):
        return caused(understand((*body, state)), understand(without(rest, *body)))
    if len(rest) > 1 and len(body) == len(rest):
        return Reading("state", state, tuple(("object", card, "이") for card in rest))
    if len(rest) > 1:
        # 외롭다 친구 전화하다: who is called is not who is lonely, nor is where one goes where one is angry.
        taken = (
            (person(rest[0]) or part_of_speech(rest[0]) == "place")
            and cards[1] != state
            and any(is_kind(card, "act", "love") for card in rest)
        )
        partial = understand((state, rest[0])) if (state in STIRRED and not taken) or rest[0] == "나" else None
        if partial and partial.kind == "state" and partial.speaker != "너" and (more := understand(rest[1:])):
            return caused(partial, more)
        return caused(Reading("state", state), understand(rest))
    only = rest[0]
    if category(only) == "symptom":
        return ahead(Reading("state", state), only, " 때문에")
    if only in OPERATORS or only in QUESTIONS:
        return None
    if part_of_speech(only) == "time" and (only not in FUTURE or (state in STIRRED and only != "나중에")):
        return ahead(
            Reading("state", state), only, " 때문에" if only in FUTURE else "에" if only in group("hour") else ""
        )
    if only in ("더", "다시", "많이", "조금", "혼자"):
        return ahead(Reading("state", state), only, "")
    if state in _FEARED and part_of_speech(only) != "time":
        return Reading("state", state, (("object", only, "이"),))
    if person(only):
        return Reading("state", state, (("person", only, "이"),))
    if category(only) == "body":
        return Reading("state", state, (("object", only, "이" if state in _BODILY else " 때문에"),))
    if state in STIRRED and (noun(only) or part_of_speech(only) == "place"):
        by = "이 있어서" if state in _GLAD else " 때문에"
        return Reading("state", state, (("object", only, "에서" if part_of_speech(only) == "place" else by),))
    if state == "배부르다" and category(only) in EDIBLE:
        return Reading("state", state, (("object", only, "을 마셔서" if category(only) == "drink" else "을 먹어서"),))
    if state in ("덥다", "춥다") and part_of_speech(only) == "place":
        return Reading("state", state, (("object", only, "이"),))
    if part_of_speech(only) == "time":
        return caused(
            Reading("state", state), ahead(Reading("act", "하다"), only, "에" if only in group("hour") else "")
        )
    inner = understand(rest)
    feels = inner and inner.kind in ("state", "quality", "love", "single")
    if feels and not (inner.predicate in STIRRED and state not in STIRRED):
        return told(state, inner)
    return caused(Reading("state", state), inner)


def _about_deed(state: str, cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """A deed and what one feels about it; None where the state leads to it, or to nothing that one does."""
    rest = without(cards, state)
    body = tuple(card for card in rest if category(card) == "body") if state in _BODILY else ()
    deed = understand(without(rest, *body)) if len(rest) > len(body) else None
    if deed is None or deed.kind not in ("act", "other") or deed.mood or deed.question or deed.cause or deed.prefix:
        return None
    named = any(is_kind(card, "act", "other", "love") for card in rest)
    who = deed.card("person")
    clause = ""
    if state in _WORN:
        clause = "을 때" if _strains(state, deed, named) else ""
    elif not named and len(rest) == 1:
        return None  # 병원이 무서워요
    elif state in _SHUNNING:
        # 개가 무서워서 집에 가고 싶어요: who stands first is what one flees.
        flees = cards[1] == state and (person(cards[0]) or category(cards[0]) == "animal") and len(cards) > 2
        clause = "" if flees else "는 것"
    elif deed.kind == "other" and who and state in STIRRED:
        clause = "어서"
    elif state in STIRRED and who and deed.predicate in ("보다", "만나다"):
        clause = "어서" if state in _GLAD else "고 싶어서"
    elif state in _SAD and named and not _solaces(deed) and "집" not in rest:
        clause = "을 때" if frames()[state].instant else "는 것"
    if not clause:
        return None
    felt_so = Reading("state", state, tuple(("object", card, "이") for card in body))
    return replace(felt_so, cause=replace(deed, clause=clause))


def _solaces(deed: Reading) -> bool:
    return deed.predicate in _SOLACE or (deed.predicate in MEETS and deed.card("person") != "")


def _strains(state: str, deed: Reading, named: bool) -> bool:
    """Whether a deed is none that a body in pain, dizzy or tired is relieved by; `named`: its card is there."""
    cards = {card for _, card, _ in deed.parts}
    if cards & _RELIEF or (deed.predicate == "가다" and cards & _REFUGE) or deed.kind == "other" or deed.before:
        return False
    if named and state in ("아프다", "어지럽다"):
        return deed.predicate not in _EASING and not (deed.predicate == "가다" and not cards)
    return deed.predicate in _STRAIN and not deed.card("person")


def _of_quality(quality: str, rest: tuple[str, ...], understand: Understand) -> Reading | None:
    """A quality of a thing or person; before a deed, the thing of that quality: 큰 거 사고 싶어요."""
    only = rest[0] if len(rest) == 1 else ""
    deeds = [card for card in rest if is_kind(card, "act", "other", "love")]
    if only and (noun(only) or person(only) or part_of_speech(only) == "place" or only in POINTERS):
        if quality == "맛있다" and not (category(only) in EDIBLE or only in {"식당", "가게", "시장"} | POINTERS):
            return None
        return Reading("quality", quality, (("object", only, "이"),))
    if only in ("나", "너"):
        return ahead(Reading("quality", quality), only, "은")
    if (only and part_of_speech(only) == "time") or only in MANNERS:
        return ahead(Reading("quality", quality), only, "")
    if only and deeds:
        inner = understand(rest)
        return (
            ahead(inner, quality, "ᆫ 것") if frames()[only].needs or only in ("먹다", "마시다") else told(quality, inner)
        )
    nouns = [card for card in rest if noun(card)]
    if nouns and (inner := understand(rest)) and inner.kind in ("act", "give", "help") and not inner.lead:
        return replace(inner, quality=(quality, nouns[0]))
    return caused(Reading("quality", quality), understand(rest)) if rest else None


def timed(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    times = [card for card in cards if part_of_speech(card) == "time"]
    if not times:
        return None
    inner = understand(without(cards, times[0])) if len(cards) > 1 else None
    hour = times[0] in group("hour") | {"주말"}
    if inner and inner.kind == "single" and person(inner.predicate):
        inner = Reading("act", "만나다", (("person", inner.predicate, "을"),))
    if inner and inner.kind == "single" and category(inner.predicate) in ("body", "animal"):
        inner = replace(inner, kind="look", parts=(("object", inner.predicate, ""),))
    hour = hour or (not lookup(times[0]) and kind_of(times[0]).stand_ins == ("주말",))
    return ahead(inner, times[0], "에" if hour else "")


def mannered(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """더, 다시, 같이 … beside what the rest says; 나 and 너 as its subject."""
    for card in sorted(cards, key=lambda card: card not in ("나", "너")):
        rest = without(cards, card)
        if card in ("같이", "혼자") and only_thing(rest) and category(rest[0]) == "body":
            return ahead(Reading("single", card), rest[0], " 때문에")
        if card in MANNERS and only_thing(rest) and category(rest[0]) in ("body", "animal"):
            return ahead(Reading("look", rest[0], (("object", rest[0], ""),)), card, "")
        if card in MANNERS and (inner := understand(rest)):
            if inner.kind == "give" and card in ("같이", "혼자") and only_thing(rest):
                return ahead(Reading("single", card), rest[0], "은")
            if inner.kind in ("act", "give", "other") and not inner.card("adverb") and not inner.question:
                return replace(inner, parts=(*inner.parts, ("adverb", card, "")))
            if person(rest[0]) and len(rest) == 1:
                return ahead(Reading("single", card), rest[0], "이랑" if card in ("같이", "더") else "은")
            return ahead(inner, card, "") if inner.kind != "single" else told(card, inner)
        if card in ("나", "너") and (inner := of_deeds(rest) if arriving(rest) else understand(rest)):
            return _of_speaker(card, rest, inner)
        if card == "여기" and len(rest) == 1 and (noun(rest[0]) or person(rest[0])):
            return Reading("here", rest[0])
        if card == "여기" and (inner := arriving(cards) or understand(rest)):
            return inner if inner.own else ahead(inner, card, "서")
    return None


def _of_speaker(who: str, rest: tuple[str, ...], inner: Reading) -> Reading | None:
    only = rest[0] if len(rest) == 1 else ""
    if only in MANNERS or part_of_speech(only) == "time":
        act = Reading("act", "하다", speaker=who)
        return replace(act, parts=(("adverb", only, ""),)) if only in MANNERS else ahead(act, only, "")
    if person(only) or only in ("나", "너"):
        return Reading("people", "", (("person", who, ""), ("person", only, "")))
    if only and (noun(only) or only in POINTERS) and inner.kind != "act" and category(only) != "symptom":
        return Reading("own", only, (("person", who, ""),))
    if inner.kind in ("act", "state") and not (inner.speaker or inner.question or inner.card("person")):
        return (
            replace(inner, speaker=who)
            if who == "나" or not (inner.mood or inner.lead or inner.before)
            else ahead(inner, who, "은")
        )
    return ahead(inner, who, "은")
