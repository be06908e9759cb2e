"""One deed with all else in the slots that its kind leaves, and nouns alone by the completions of their kinds."""

from __future__ import annotations

from dataclasses import replace

from aac.korean import join
from aac.lexicon import lookup
from dataset.prepare.teachers.frames import Frame, chain, defaults, during, frames, instruments, takes
from dataset.prepare.teachers.joining import POINTERS, Understand, ahead, givable, is_kind, noun, person, told, without
from dataset.prepare.teachers.own_words import kind_of
from dataset.prepare.teachers.roles import MEETS, TOWARD
from dataset.prepare.teachers.utterance import Reading, category, part_of_speech

_MOVES = {"가다": "에", "오다": "에", "앉다": "에", "눕다": "에"}
_TOOLS = frozenset({"손", "발", "팔", "다리", "눈", "귀", "코"})
_HANDLED = frozenset(
    {"하다", "쓰다", "그리다", "만들다", "열다", "닫다", "켜다", "끄다", "찍다", "보다", "읽다", "듣다"}
)
# What one sees and hears with, not what is seen: 눈 때문에 못 보겠어요.
_SENSES = frozenset({("눈", "보다"), ("귀", "듣다")})
GIVE_TO = Frame("주", "VV", "act")


def of_deeds(cards: tuple[str, ...]) -> Reading | None:
    """One deed with everything else in the slots that its kind leaves, or two deeds in the order of the cards."""
    verbs = [card for card in cards if is_kind(card, "act", "other", "love")]
    rest = without(cards, *verbs)
    if len(verbs) == 2 and "하다" in verbs and not rest:
        other = next(card for card in verbs if card != "하다")
        return ahead(Reading("act", "하다"), other, "는 것")
    if len(verbs) == 2:
        return _two_deeds(verbs, rest)
    if len(verbs) != 1:
        return None
    verb = verbs[0]
    frame = frames()[verb]
    reading = Reading("act" if frame.kind == "love" else frame.kind, verb)
    for card in rest:
        tool = card in instruments(verb) and not (frame.needs and len(rest) == 1)
        role, josa = ("lead", "로") if tool else _slot(verb, card)
        if role == "lead":
            reading = replace(reading, lead=(*reading.lead, (card, josa)))
        elif role and not (role != "object" and reading.card(role)) and len(reading.cards("object")) < 2:
            reading = replace(reading, parts=(*reading.parts, (role, card, josa)))
        else:
            return None
    if frame.serves:
        reading = replace(reading, mood="주다")
    order = ("time", "person", "place", "object", "adverb")
    if reading.card("object") and verb not in TOWARD:  # 아빠랑 코트를 보고: two of 을 are too many
        with_whom = [(role, card, "이랑" if role == "person" else josa) for role, card, josa in reading.parts]
        reading = replace(reading, parts=tuple(with_whom))
    return replace(reading, parts=tuple(sorted(reading.parts, key=lambda part: order.index(part[0]))))


def _slot(verb: str, card: str) -> tuple[str, str]:
    """(role, josa) of a card beside a verb that names no such slot; "lead" stands before everything."""
    frame = frames()[verb]
    if josa := frame.objects.get("이거" if card in POINTERS else card):
        return "object", josa
    if person(card):
        if frame.kind == "other":
            return "person", "이"
        if verb in MEETS:
            return "person", TOWARD.get(verb, "을")
        return "person", frame.role if frame.own else "이랑"
    if part_of_speech(card) == "place":
        if verb in ("보다", "그리다", "찾다") or "place" in takes(verb):
            return "object", "을"
        return "place", (frame.own.place if frame.own else "") or _MOVES.get(verb, "에서")
    if card in POINTERS:
        return ("object", "을") if "을" in frame.objects.values() or frame.needs else ("", "")
    if not noun(card):
        return "", ""
    if category(card) == "animal" and verb in MEETS:
        return "object", TOWARD.get(verb, "을")
    if (card, verb) in _SENSES:
        return "lead", " 때문에"
    if {category(card), card} & takes(verb) or (takes(verb) and not category(card)):
        return "object", frame.own.josa if frame.own else "을"
    if category(card) in ("body", "symptom"):
        return "lead", "로" if card in _TOOLS and verb in _HANDLED else " 때문에"
    if card in ("비", "바람"):
        return "lead", "이 오니까" if card == "비" else "이 부니까"
    if verb == "하다" and (predicate := defaults().get(card)):
        done = frames()[predicate]
        deed_of = join(((done.noun + done.stem, done.tag), ("는", "ETM"))) + " 거"
        return "lead", f"{done.objects.get(card, '을')} {deed_of}"
    return "lead", _chain(card)


def _chain(card: str) -> str:
    """How a noun is said before another deed, a word of the user's own as what it stands for."""
    if lookup(card):
        return chain(card)
    stand_ins = kind_of(card).stand_ins
    return " 때문에" if category(card) == "symptom" else chain(stand_ins[0]) if stand_ins else "을 가지고"


def _two_deeds(verbs: list[str], rest: tuple[str, ...]) -> Reading | None:
    """버스 타고 시장에 가고 싶어요: every noun goes to the deed that takes it, the nearer where both do."""
    first, second = verbs
    own: dict[str, list[str]] = {first: [], second: []}
    for card in rest:
        fits = [verb for verb in verbs if card in frames()[verb].objects or card in frames()[verb].places]
        fits = fits or [verb for verb in verbs if category(card) in takes(verb)] or [second]
        own[fits[0]].append(card)
    before = of_deeds((*own[first], first))
    after = of_deeds((*own[second], second))
    if (
        not before
        or not after
        or before.kind not in ("act", "other")
        or "사랑하다" in verbs
        or after.kind not in ("act", "other")
        or before.lead
    ):
        return None
    parts = tuple(("before", card, josa) for _, card, josa in before.parts)
    return replace(after, kind="act", parts=(*parts, *after.parts), before=first)


def of_things(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """Nouns alone, by the completions of their kinds."""
    people = tuple(card for card in cards if person(card))
    places = tuple(card for card in cards if part_of_speech(card) == "place")
    things = tuple(card for card in cards if noun(card))
    pointers = tuple(card for card in cards if card in POINTERS)
    if len(people) + len(places) + len(things) + len(pointers) != len(cards):
        return None
    if pointers:
        return _pointed(pointers, people + places + things, understand)
    if len(people) == 2:
        inner = understand(places + things) if places or things else None
        return ahead(ahead(inner, people[1], "이랑"), people[0], "이랑") if inner else Reading(
            "people", "", tuple(("person", card, "") for card in people))  # fmt: skip
    if len(people) > 2:
        return None
    if people:
        return _with_person(people[0], places + things, understand)
    if places:
        return _in_places(places, things, understand)
    return _things(things, understand)


def _pointed(pointers: tuple[str, ...], rest: tuple[str, ...], understand: Understand) -> Reading | None:
    if not rest:
        return Reading("give", "", tuple(("object", card, "을") for card in pointers))
    if len(pointers) == 1 and len(rest) == 1 and (noun(rest[0]) or part_of_speech(rest[0]) == "place"):
        if pointers[0] == "이거":
            return Reading("name", "이거", (("object", rest[0], ""),))
        return replace(inner, quality=("다른 것", rest[0])) if (inner := understand(rest)) else None
    if len(pointers) == 1 and len(rest) == 1:
        return Reading("own", pointers[0], (("person", rest[0], ""),))
    return None


def _with_person(who: str, others: tuple[str, ...], understand: Understand) -> Reading | None:
    inner = understand(others)
    if inner is None or inner.card("person"):
        return None
    if len(others) == 1 and category(others[0]) == "symptom":
        return ahead(inner, who, "이")
    if len(others) == 1 and (inner.kind != "act" or category(others[0]) in ("clothes", "thing", "body")):
        return Reading("own", others[0], (("person", who, ""),))
    return ahead(inner, who, "이랑" if inner.kind == "act" else "한테")


def _in_places(places: tuple[str, ...], things: tuple[str, ...], understand: Understand) -> Reading | None:
    if len(places) > 2:
        return None
    going = Reading("act", "가다", (*(("object", card, "이랑") for card in places[:-1]), ("place", places[-1], "에")))
    if not things:
        return going
    if len(things) > 1:
        return ahead(understand(things), places[0], "에서") if len(places) == 1 else None
    thing = things[0]
    if thing in ("비", "바람"):
        return ahead(going, thing, _slot("가다", thing)[1])
    inner = understand(things)
    there = inner and inner.kind == "act" and inner.predicate != "가다" and len(places) == 1
    if there and category(thing) not in ("thing", "body", "vehicle", "clothes"):
        return ahead(inner, places[0], "에서")
    return ahead(going, thing, _chain(thing))


def _things(things: tuple[str, ...], understand: Understand) -> Reading | None:
    kinds = {category(card) for card in things}
    if kinds == {"body"}:
        return Reading("look", things[0], tuple(("object", card, "") for card in things))
    if all(givable(card) for card in things) and len(things) < 4:
        return _many(things)
    # What is said first: the weather, the day, the body that is the reason, then what one rides, does or sees.
    first = min(
        things,
        key=lambda card: (
            card not in ("비", "바람", "생일"),
            category(card) not in ("body", "symptom"),
            category(card) != "vehicle",
            givable(card),
            category(card) == "animal",
        ),
    )
    rest = without(things, first)
    inner = understand(rest)
    if inner is None:
        return None
    if first in ("비", "바람"):
        return ahead(inner, first, _slot("가다", first)[1])
    if first == "생일":
        return ahead(inner, first, "에")
    if category(first) == "symptom":
        return ahead(inner, first, " 때문에")
    if category(first) == "body":
        fits = givable(rest[0]) or category(rest[0]) in ("toy", "vehicle", "media")
        return ahead(inner, first, " 때문에") if fits else None
    animals = [card for card in things if category(card) == "animal"]
    if len(things) == 2 and len(animals) == 2:
        return Reading("act", "보다", tuple(("object", card, "을") for card in things))
    if len(things) == 2 and animals and givable(other := without(things, *animals)[0]):
        return Reading("act", "주다", (("person", animals[0], "한테"), ("object", other, "을")), own=GIVE_TO)
    if inner.lead and inner.kind == "give" and inner.lead[0][1] != "이랑":
        return None
    return ahead(inner, first, during(first) if inner.kind == "give" and lookup(first) else _chain(first))


def _many(things: tuple[str, ...]) -> Reading:
    """Things asked for together; where one predicate takes them all, that one: 밥이랑 국을 먹고 싶어요."""
    lead = tuple((card, "이랑") for card in things[:-2])
    parts = tuple(("object", card, "을") for card in things[-2:])
    if {category(card) for card in things} <= {"food", "fruit"}:
        return Reading("act", "먹다", parts, lead=lead)
    return Reading("give", "", parts, lead=lead)


def told_first(cards: tuple[str, ...], understand: Understand) -> Reading | None:
    """The last rule: what is a sentence by itself, before the rest."""
    for card in cards:
        if part_of_speech(card) in ("verb", "adjective", "negation", "sentence") and (
            inner := understand(without(cards, card))
        ):
            return told(card, inner)
    return None
