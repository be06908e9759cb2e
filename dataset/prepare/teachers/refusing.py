"""네, 아니요, formulas, and the cards that refuse, want or ask for what the others say: 안, 싫다, 주세요."""

from __future__ import annotations

from dataclasses import replace

from dataset.prepare.teachers.doing import of_deeds
from dataset.prepare.teachers.frames import frames
from dataset.prepare.teachers.happening import arriving, told_under
from dataset.prepare.teachers.happening import topic as spoken_about
from dataset.prepare.teachers.joining import (
    MANNERS,
    OPERATORS,
    POINTERS,
    REFUSALS,
    Understand,
    ahead,
    caused,
    givable,
    is_kind,
    noun,
    person,
    told,
    without,
)
from dataset.prepare.teachers.reading import GREETINGS, QUESTIONS
from dataset.prepare.teachers.utterance import FUTURE, Reading, category, part_of_speech

_ABOUT_THINGS = frozenset({"싫다", "좋다", "원하다", "주세요", "있다", "없다", "모르다", "끝"})


def social(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """네, 아니요 and formulas before the rest; what 아니요 stands before is refused, never asked for."""
    if "아니요" in cards:
        return _refused(without(cards, "아니요"), understand)
    if "네" in cards:
        return told("네", understand(without(cards, "네")))
    greeting = next((card for card in cards if card in GREETINGS), "")
    if not greeting:
        return told("그게 아니에요", understand(without(cards, "그게 아니에요"))) if "그게 아니에요" in cards else None
    rest = without(cards, greeting)
    kept = len(rest) == 1 and noun(rest[0]) and (givable(rest[0]) or greeting != "고마워요")
    if kept and greeting not in ("안녕", "잘 자요"):
        return Reading("thanks", greeting, (("object", rest[0], ""),))
    return told(greeting, understand(rest))


def _refused(rest: tuple[str, ...], understand: Understand) -> Reading | None:
    inner = understand(rest)
    if inner is None:
        return None
    if set(rest) & {"다른 것", "도와주세요", "싫다", "안", "못", "그만", "하지 마세요", "없다", "모르다"}:
        return told("아니요", inner)
    if inner.kind in ("act", "other", "told") and not (inner.mood or inner.question or inner.speaker == "너"):
        return told("아니요", replace(inner, mood="말다" if inner.predicate == "오다" else "안"))
    if rest == ("원하다",):
        return told("아니요", Reading("state", "원하다", mood="안"))
    if len(rest) == 1 and rest[0] in MANNERS:
        return told("아니요", Reading("act", "하다", (("adverb", rest[0], ""),), mood="안"))
    if len(rest) == 1 and (
        noun(rest[0]) or person(rest[0]) or rest[0] in ("나", "너") or part_of_speech(rest[0]) == "time"
    ):
        return Reading("not this", rest[0])
    if inner.kind == "give":
        return told("아니요", replace(inner, kind="give not", mood="안"))
    if inner.kind == "wish":
        return told("아니요", replace(inner, kind="state", mood="안"))  # 물을 안 원해요
    if inner.predicate in ("좋다", "있다", "원하다") or rest == ("주세요",):
        return told("아니요", Reading("act", "하다", mood="안") if rest == ("주세요",) else replace(inner, mood="안"))
    return told("아니요", inner)


def operated(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """안, 못, 그만, 싫다, 하지 마세요, 주세요, 원하다 … over the deed, state or thing that the rest says."""
    found = [card for card in cards if card in OPERATORS]
    if not found or set(cards) & (QUESTIONS | {"도와주세요"}):
        return None
    # A refusal governs what the others say.
    operator = min(found, key=lambda card: list(OPERATORS).index(card) if card != "하지 마세요" else -1)
    rest = without(cards, operator)
    if len(found) > 1:
        other = next(card for card in found if card != operator)
        if set(cards) == {"싫다", "원하다"}:
            return Reading("act", "원하다", mood="싫다")
        if len(cards) == 2:
            return told(other, understand((operator,)))
        refused = {"하지 마세요", "싫다", "안"} & set(found)
        if refused and "주세요" in found:
            given = understand(without(cards, "주세요", *refused))
            kept = given and given.kind == "give"
            return (
                replace(given, kind="forbid giving", mood="")
                if kept
                else told(other, understand(without(cards, other)))
            )
        if set(found) == {"그만", "주세요"} and (given := understand(without(cards, "그만"))) and given.kind == "give":
            return replace(given, parts=(*given.parts, ("adverb", "그만", "")))  # 국을 그만 주세요
        if refused and "원하다" in found:
            return understand(without(cards, "원하다"))
        return told(other, understand(without(cards, other)))
    # What is wanted, asked for or refused is to come by bus; the bus is only told of.
    comes = operator not in ("안", "못") and arriving(rest)
    inner = of_deeds(rest) if comes else understand(rest)
    return _under(operator, rest, inner, understand) if inner else None


def _under(operator: str, rest: tuple[str, ...], inner: Reading, understand: Understand) -> Reading | None:
    only = rest[0] if len(rest) == 1 else ""
    alone = Reading("single", operator)
    if inner.kind in ("told", "topic"):
        return told_under(operator, (*rest, operator), inner)
    if any(category(card) == "symptom" for card in rest) and operator not in ("있다", "없다", "싫다", "모르다", "끝"):
        return spoken_about(*rest, operator)
    if inner.question or inner.mood or inner.prefix or (inner.kind == "single" and part_of_speech(only) != "noun"):
        if only in MANNERS or part_of_speech(only) == "time":
            later = operator in ("싫다", "좋다") and only in FUTURE | {"지금"}
            topic = (
                later
                or (only in MANNERS and operator == "싫다")
                or (only == "더" and operator in REFUSALS - {"안", "못"})
            )
            return ahead(alone, only, "은" if topic else "")
        if only in ("나", "너"):
            return _of_two(operator, only)
        if not (person(only) or only in POINTERS | {"여기"}) and (
            inner.question or inner.mood or operator not in REFUSALS
        ):
            return told(operator, inner)
    if only == "여기":
        return ahead(Reading("quality", operator) if operator in ("있다", "없다", "좋다", "싫다") else alone, only, "")
    if inner.kind == "state" and not inner.card("person"):
        if operator == "안" and not (inner.frame.instant or inner.lead):
            return replace(inner, mood="안")
        return (
            ahead(alone, only, "ᆫ 것")
            if only and operator in _ABOUT_THINGS - {"주세요", "원하다"}
            else caused(inner, alone)
        )
    thing = inner.card("object") if inner.kind == "quality" and not inner.question else ""
    if thing and len(rest) == 2 and operator in ("주세요", "원하다"):  # 큰 모자 주세요
        wanted = understand((thing, operator))
        return replace(wanted, quality=(inner.predicate, thing)) if wanted else None
    if inner.kind == "quality" and only and operator in _ABOUT_THINGS:
        return ahead(alone, only, "ᆫ 것")
    if inner.kind == "quality" and only:
        return replace(inner, mood="안") if operator == "안" else caused(inner, alone)
    if inner.kind == "quality" and operator in ("안", "못", "그만", "하지 마세요"):
        return replace(inner, mood="안") if operator == "안" else caused(inner, alone)
    if person(only):
        return _who(operator, only)
    deeds = [card for card in rest if is_kind(card, "act", "other", "love")]
    if deeds and inner.kind in ("act", "other", "love", "toward"):
        return _deed_under(operator, only, inner)
    if inner.kind in ("act", "give", "single") and only:
        return _thing_under(operator, only, inner)
    if inner.kind == "act":
        mood = "게" if operator == "주세요" else OPERATORS[operator]
        return replace(inner, mood=mood) if mood else told(operator, inner)
    if inner.kind == "give" and operator == "주세요" and not inner.mood:
        return replace(inner, mood="주다")
    if inner.kind == "give" and operator in REFUSALS:
        things = tuple(part for part in inner.parts if part[0] == "object")
        others = tuple((card, "한테" if person(card) else "") for role, card, _ in inner.parts if role != "object")
        return replace(inner, kind="give not", mood=operator, parts=things, lead=(*inner.lead, *others))
    if operator in REFUSALS and not (inner.mood or inner.question):
        # Nothing of the rest is asked for: it is what one refuses.
        return Reading("give not", "", tuple(("object", card, "") for card in rest), mood=operator)
    return told(operator, inner)


def _of_two(operator: str, who: str) -> Reading | None:
    """나 or 너 under an operator."""
    alone = Reading("single", operator)
    if who == "너" and operator in ("하지 마세요", "그만"):
        return Reading("stop who", who, (("operator", operator, ""),))
    if operator in ("있다", "없다", "끝", "좋다", "싫다"):
        return (
            Reading("quality", operator, speaker="나")
            if who == "나"
            else Reading("quality", operator, (("person", who, "이"),))
        )
    if operator in ("안", "못") and who == "너":
        return ahead(alone, who, "이랑")
    return ahead(alone, who, "한테" if operator == "주세요" and who == "나" else "은")


def _who(operator: str, who: str) -> Reading:
    """A person under an operator: whom one does not want, misses, or wants stopped. Never softened, never called."""
    if operator in ("싫다", "좋다", "있다", "없다"):
        return Reading("quality", operator, (("person", who, "이"),))
    if operator in ("하지 마세요", "그만"):
        return Reading("stop who", who, (("operator", operator, ""),))
    if operator == "모르다":
        return Reading("unknown", operator, (("object", who, "은"),))
    if operator == "원하다":
        return Reading("want who", who)
    josa = {"안": "이랑", "못": "이랑", "주세요": "한테", "끝": "은"}[operator]
    return ahead(Reading("single", operator), who, josa) or Reading("single", operator)


def _deed_under(operator: str, only: str, inner: Reading) -> Reading | None:
    mood = OPERATORS[operator]
    if operator == "주세요":
        asked = inner.frame.ask or inner.predicate in ("오다", "가다", "웃다", "기다리다")
        return replace(inner, kind="act" if inner.kind == "love" else inner.kind, mood="주다" if asked else "게")
    transitive = only and (frames()[only].needs or only in ("먹다", "마시다"))
    if operator in ("있다", "없다") and transitive:
        return ahead(Reading("single", operator), only, "ᆯ 것")
    if mood:
        return replace(inner, kind="act" if inner.kind == "love" else inner.kind, mood=mood)
    return ahead(Reading("single", operator), only, "는 것") if only else told(operator, inner)


def _thing_under(operator: str, thing: str, inner: Reading) -> Reading | None:
    if operator == "끝" and not (inner.kind == "act" and category(thing) in ("toy", "media", "study")):
        return ahead(Reading("single", operator), thing, "은")
    if operator == "좋다" and category(thing) == "body":
        return ahead(Reading("single", operator), thing, "이")
    if operator in ("싫다", "좋다", "있다", "없다", "끝"):
        return Reading("quality", operator, (("object", thing, "이"),))
    if operator == "모르다":
        return Reading("unknown", operator, (("object", thing, "은"),))
    place = part_of_speech(thing) == "place"
    if operator == "하지 마세요":
        act = inner.kind == "act" and category(thing) in ("toy", "vehicle", "media")
        if place:
            return ahead(Reading("single", operator), thing, "에서")
        return replace(inner, mood="말다") if act and thing not in ("불", "전화") else Reading("forbid", thing)
    if operator == "주세요" and category(thing) == "animal":
        return Reading("act", "보다", (("object", thing, "을"),), mood="게")
    if operator in ("주세요", "원하다") and (givable(thing) or inner.kind != "act"):
        if category(thing) == "body":
            return Reading("look", thing, (("object", thing, ""),))
        if operator == "원하다":
            return Reading("wish", "원하다", (("object", thing, "을"),))
        return Reading("give", "", (("object", thing, "을"),), mood="주다")
    if inner.kind == "act":
        return replace(inner, mood="게" if operator == "주세요" else OPERATORS[operator])
    return Reading("give not", "", (("object", thing, "은"),), mood=operator)
