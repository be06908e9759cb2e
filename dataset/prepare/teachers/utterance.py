"""One deed with its slots filled: which card is the predicate, and which role every other one plays in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from aac.classes import class_of_phrase, has_senses, part_of
from aac.labels import read_label
from aac.lexicon import lookup
from aac.rules import spoken
from aac.verbs import valency
from dataset.prepare.teachers.frames import (
    NO_OBJECT,
    Frame,
    apart,
    company,
    defaults,
    follows,
    frames,
    group,
    link,
    rides,
    timely,
    together,
)

# Classes by which a noun would be spoken of as no other thing is.
_ODD = frozenset({"symptom", "person", "place"})
_UNEATEN = frozenset({"thing", "study", "media", "clothes", "toy", "place", "person", "vehicle"})
Parts = tuple[tuple[str, str, str], ...]
FUTURE = group("future")
CALLED = frozenset({"선생님", "의사", "간호사"})
EDIBLE = frozenset({"food", "fruit", "drink"})
_HOURS = group("hour") | {"주말"}
_WHEN = group("when")
_PLAYGROUNDS = frozenset(["집", "학교", "공원", "바다", "놀이터", "놀이공원", "수영장", "캠핑장"])
_SPORT = group("sport")
_NEAR = group("near") | {"아기"}
_WORKPLACES = ("집", "학교", "병원", "여기")
_SINGLE = ("call", "person", "place", "time", "adverb")
# Feelings, which another person is seen to have: 기뻐하다.
FEELINGS = frozenset({"기쁘다", "슬프다", "행복하다", "외롭다", "속상하다", "부끄럽다"})
_RESTING = frozenset(["집", "호텔", "캠핑장", "공원", "의자", "침대", "여기"])


@dataclass(frozen=True)
class Reading:
    """How a card combination is understood.

    `kind` chooses the sentences, `parts` are (role, card, josa) before the predicate, in the order of speech. `mood` is
    what a second predicate does to it (안, 못, 그만, 말다, 싫다, 싶다, 주다, 게, 좋다); `before` a deed or state that
    leads to it; `speaker` 나 or 너 where that card is chosen; `prefix` cards told first in a sentence of their own
    (네, 아니요, formulas); `first` a whole utterance told first (우유는 싫어요). What stands in front of the whole:
    `cause` a state that leads to it, or a deed that one feels something about, joined by the `clause` of `whole.py`;
    `lead` (card, josa) of words that no slot takes; `quality` (quality, noun) where one describes a noun of it.
    """

    kind: str
    predicate: str = ""
    parts: Parts = ()
    mood: str = ""
    question: str = ""
    prefix: tuple[str, ...] = ()
    speaker: str = ""
    before: str = ""
    own: Frame | None = None
    lead: tuple[tuple[str, str], ...] = ()
    cause: Reading | None = None
    quality: tuple[str, str] | None = None
    then: str = ""
    clause: str = ""
    first: Reading | None = None

    @property
    def frame(self) -> Frame:
        """What the predicate takes; `own` for a predicate that the table does not hold."""
        return self.own or frames()[self.predicate]

    @property
    def answers(self) -> bool:
        """Whether 네 or 아니요 stands before it: no question follows."""
        return bool({"네", "아니요"} & set(self.prefix))

    def card(self, role: str) -> str:
        """The first card in a role, or an empty string."""
        return next((word for name, word, _ in self.parts if name == role), "")

    def cards(self, role: str) -> list[str]:
        """All cards in a role."""
        return [word for name, word, _ in self.parts if name == role]


class _Scene(NamedTuple):
    predicate: str
    frame: Frame
    objects: tuple[str, ...]
    call: str
    person: str
    place: str
    time: str
    adverb: str


def category(keyword: str) -> str:
    """The lexicon's category of a card, or the class of a word of the user's own; empty where nothing tells."""
    entry = lookup(keyword)
    return entry.category if entry else _label(keyword)[0]


def part_of_speech(keyword: str) -> str:
    """The lexicon's part of speech of a card, or what the label of a word of the user's own says."""
    entry = lookup(keyword)
    return entry.pos if entry else _label(keyword)[1]


@lru_cache(maxsize=65_536)
def _label(keyword: str) -> tuple[str, str]:
    """(class, part of speech) of a word of the user's own.

    The folder that a card lies in tells its class only where its word does not: 온도계 among what hurts hurts nobody.
    """
    if not keyword:
        return "", ""
    if known := valency(keyword):
        return ("state", "adjective") if known.kind in ("state", "quality") else ("action", "verb")
    read = read_label(keyword)
    own = class_of_phrase(tuple(spoken(keyword).split())) if read.word_class in _ODD | EDIBLE else ""
    kept = read.word_class in EDIBLE and own not in _UNEATEN
    if own and own != read.word_class and not kept and not has_senses(spoken(keyword)):
        return own, part_of(own)
    return ("thing", "noun") if read.word_class == "symptom" and not own else (read.word_class, read.part_of_speech)


def fill(predicate: str, rest: frozenset[str]) -> Parts | None:
    """The rest of the cards in the slots of a predicate, or None where one does not fit or they do not go together."""
    frame = frames()[predicate]
    slots: dict[str, list[tuple[str, str, str]]] = {}
    for keyword in sorted(rest):
        role, josa = _slot(frame, keyword)
        if not role or (role != "object" and role in slots):
            return None
        slots.setdefault(role, []).append((role, keyword, josa))
    if ("call" in slots and "person" in slots) or apart(rest | {predicate}):
        return None
    alone = {role: slots[role][0][1] if role in slots else "" for role in _SINGLE}
    scene = _Scene(predicate, frame, tuple(word for _, word, _ in slots.get("object", ())), **alone)
    if not all(fits(scene) for fits in (_complete, _in_place, _in_time, _in_company, _in_hospital, _reachable)):
        return None
    order = ["time", "person", "place", "object"]
    if predicate == "가다":
        order = ["time", "person", "object", "place"]
    elif frame.role in ("을", "한테"):
        order = ["time", "place", "person", "object"]
    order.insert(2 if scene.adverb in ("같이", "혼자") else 4, "adverb")
    return tuple(part for role in ("call", *order) for part in slots.get(role, ()))


def _slot(frame: Frame, keyword: str) -> tuple[str, str]:
    """(role, josa) of a card beside a predicate; no role where it has none."""
    if josa := frame.objects.get("이거" if keyword == "다른 것" else keyword):
        return "object", josa
    if keyword in frame.places:
        return "place", frame.places[keyword][0]
    if keyword in frame.who:
        return "person", frame.role
    if keyword in _WHEN and (frame.kind == "act" or frame.stem == "오"):
        return "time", "에" if keyword in _HOURS else ""
    if keyword in ("오늘", "지금") and frame.kind in ("other", "state"):
        return "time", ""
    if keyword in CALLED and frame.kind in ("act", "state"):
        return "call", ""
    return ("adverb", "") if keyword in frame.adverbs else ("", "")


def _complete(scene: _Scene) -> bool:
    predicate, frame, objects, _, person, place, _, adverb = scene
    if len(objects) > 2 or (len(objects) == 2 and (person or not _pair(predicate, frame, objects))):
        return False
    if frame.needs and not objects and not (frame.kind == "quality" and (place or person)):
        return False
    if frame.kind in ("quality", "state") and sum(map(bool, (objects, place, person))) > 1:
        return predicate == "아프다" and not place and "여기" not in objects
    return not (predicate in ("있다", "원하다") and adverb) or {category(word) for word in objects} <= EDIBLE


def _pair(predicate: str, frame: Frame, objects: tuple[str, ...]) -> bool:
    kind = frame.kind in ("act", "wish") and predicate not in ("놀다", "가다", "타다", "마시다")
    drinks = sum(category(word) == "drink" for word in objects)
    return kind and together(*objects) and not (frame.kind == "wish" and drinks == 1)


def _in_place(scene: _Scene) -> bool:
    if not scene.place:
        return True
    allowed = scene.frame.places[scene.place][1]
    return allowed is None or set(scene.objects or (NO_OBJECT,)) <= allowed


def _in_time(scene: _Scene) -> bool:
    predicate, frame, objects, _, _, place, time, adverb = scene
    if not time:
        return not (set(objects) & _WHEN and adverb == "더")
    if frame.instant and frame.kind == "act" and time not in ("지금", "나중에") and predicate != "만나다":
        return False
    if set(objects) & _WHEN or (time in FUTURE and adverb == "더") or (time == "나중에" and adverb == "빨리"):
        return False
    return timely(time, predicate, (*objects, place))


def _in_company(scene: _Scene) -> bool:
    """Who does what with whom: medicine is taken alone, nobody comes alone together."""
    predicate, frame, objects, _, person, place, _, adverb = scene
    if adverb == "혼자" and set(objects) & _SPORT:
        return False
    if "약" in objects and (adverb or person or place):
        return False
    if not person:
        return True
    if any((allowed := company(card)) is not None and person not in allowed for card in (*objects, place)):
        return False
    if category(person) == "person" and person not in _NEAR and place not in ("", *_WORKPLACES):
        return False
    if adverb == "혼자" or (predicate in ("웃다", "오다") and adverb in ("같이", "빨리")):
        return False
    if predicate in ("쉬다", "자다") and place == "침대":
        return False
    if frame.role == "을" and objects:
        return False
    # 강아지랑 and 형이랑 in one breath, or 동생한테 회사에 전화하다, say too much.
    return not any(frame.objects.get(word) == "이랑" for word in objects) and not (predicate == "전화하다" and place)


def to_a_nurse(person: str, cards: Iterable[str]) -> bool:
    """Whether a doctor or a nurse, where one is called, is told these things."""
    matters = {"의사": "doctor", "간호사": "nurse"}.get(person)
    return matters is None or set(cards) <= group(matters)


def _in_hospital(scene: _Scene) -> bool:
    return to_a_nurse(scene.call, {scene.predicate, *scene.objects, scene.place} - {""})


def _reachable(scene: _Scene) -> bool:
    """No train to the toilet."""
    ridden = scene.predicate == "가다" and scene.objects and scene.place
    return not ridden or scene.place in rides(scene.objects[0])


def default(rest: frozenset[str]) -> str:
    """The predicate that the nouns among the cards share, or an empty string."""
    nouns = [k for k in sorted(rest) if part_of_speech(k) in ("noun", "place")]
    places = {k for k in nouns if part_of_speech(k) == "place"}
    names = {defaults()[k] for k in nouns if k in defaults()}
    if len(names) > 1 and places:
        names = {defaults()[k] for k in nouns if k not in places and k in defaults()} - {"타다"} or {"가다"}
    return names.pop() if len(names) == 1 else ""


def deed(rest: frozenset[str]) -> Reading | None:
    """A predicate (its own card, or the default of a noun) with its slots, or None."""
    names = [k for k in sorted(rest) if k in frames()]
    if len(names) == 2:
        return _two(names, rest - set(names))
    name = names[0] if len(names) == 1 else default(rest) if not names else ""
    if not name:
        return None
    parts = fill(name, rest - {name, "전화" if name == "전화하다" else name})
    return None if parts is None else Reading(frames()[name].kind, name, parts)


def _two(names: list[str], others: frozenset[str]) -> Reading | None:
    """Two predicates in a row: 씻고 먹다, 배고파서 먹다."""
    if any(part_of_speech(k) in ("person", "time", "function") for k in others):
        return None
    for first, second in (names, names[::-1]):
        if second in follows(first) or link(first, second):
            return _in_a_row(first, second, others)
    return None


def _in_a_row(first: str, second: str, others: frozenset[str]) -> Reading | None:
    frame, then = frames()[first], frames()[second]
    soap = others & {"손"} if first == "씻다" else frozenset()
    if first in ("가다", "앉다", "눕다", "만나다") or (frame.needs and first != "씻다"):
        before, parts = fill(first, others), fill(second, frozenset())
        goal = {word for role, word, _ in before or () if role == "place"}
        fits = {"놀다": _PLAYGROUNDS, "쉬다": _RESTING, "자다": _RESTING}.get(second, goal)
        bought = {word for role, word, _ in before or () if role == "object"}
        if not goal <= fits or (first in ("가다", "만나다") and not goal) or not bought <= set(then.objects):
            return None
    else:
        before = tuple(("object", word, "을") for word in sorted(soap))
        parts = fill(second, others - soap)
        only = follows(first).get(second)
        named = {word for role, word, _ in parts or () if role == "object"}
        if only is not None and not (named and named <= only):
            return None
        dishes = (
            first == "일어나다" and second == "씻다" and any(category(k) != "body" for k in others & set(then.objects))
        )
        if dishes or (then.needs and not parts):
            return None
    if before is None or parts is None:
        return None
    return Reading("act", second, (*(("before", word, josa) for _, word, josa in before), *parts), before=first)
