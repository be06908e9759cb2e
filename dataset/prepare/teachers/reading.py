"""Cards to one plausible utterance: which card is the predicate and which role every other one plays (`frames.py`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from dataset.prepare.lexicon import lookup
from dataset.prepare.teachers.frames import (
    CAUSES,
    COMPANIONS,
    FUTURE,
    KITS,
    LINKS,
    QUESTIONS,
    TEACHER,
    THINGS,
    TIMES,
    Frame,
    defaults,
    frames,
)

GREETINGS = frozenset({"안녕", "고마워요", "미안해요", "축하해요", "잘 자요"})
STOPS = frozenset(["안", "못", "그만"])
_WISHES = {"하지 마세요": "말다", "싫다": "싫다", "원하다": "싶다", "주세요": "주다", "좋다": "좋다"}
_HELP_NOUNS = frozenset(["숙제", "공부", "운동", "컴퓨터", "휴대폰"])
_HELP_VERBS = frozenset(
    [
        "씻다",
        "일어나다",
        "앉다",
        "눕다",
        "입다",
        "벗다",
        "먹다",
        "걷다",
        "찾다",
        "만들다",
        "청소하다",
        "요리하다",
        "타다",
        "읽다",
        "쓰다",
    ]
)
_NO_WISH = frozenset(["약", "아침", "점심", "저녁", "밤"])
_EMPTY = [("", "", "")]
Parts = tuple[tuple[str, str, str], ...]
_ORDER = ("time", "person", "place", "object", "adverb")


@dataclass(frozen=True)
class Reading:
    """`parts`: (role, card, josa) before the predicate, in order. `mood` is what a second predicate does to it
    (안, 못, 그만, 말다, 싫다, 싶다, 주다, 좋다, 돕다); `before` a deed or state that leads to it."""

    kind: str
    predicate: str = ""
    parts: tuple[tuple[str, str, str], ...] = ()
    mood: str = ""
    question: str = ""
    prefix: str = ""
    speaker: str = ""
    before: str = ""

    @property
    def frame(self) -> Frame:
        return frames()[self.predicate]

    def card(self, role: str) -> str:
        """The first card in a role, or an empty string."""
        return next((word for name, word, _ in self.parts if name == role), "")

    def role(self, card: str) -> str:
        """What a card does in the utterance."""
        return next((name for name, word, _ in self.parts if word == card), "")


def _category(keyword: str) -> str:
    entry = lookup(keyword)
    return entry.category if entry else ""


def _givable(keyword: str) -> bool:
    if _category(keyword) in ("food", "fruit", "drink", "clothes") or keyword in THINGS:
        return True
    return keyword in ("이거", "다른 것", "약", "책", "꽃", "공", "인형", "장난감", "블록", "퍼즐")


def _fill(name: str, rest: frozenset[str]) -> Parts | None:
    """The rest of the cards in the slots of a predicate, or None where one does not fit."""
    frame = frames()[name]
    slots: dict[str, list[tuple[str, str, str]]] = {}
    for keyword in sorted(rest):
        josa = frame.objects.get("이거" if keyword == "다른 것" else keyword)
        if josa:
            role = "object"
        elif keyword in frame.places:
            role, josa = "place", frame.places[keyword][0]
        elif keyword in frame.who:
            role, josa = "person", frame.role
        elif keyword in TIMES and frame.kind in ("act", "other"):
            role, josa = "time", "에" if keyword in ("주말", "아침", "점심", "저녁", "밤") else ""
        elif keyword in ("오늘", "지금") and frame.kind == "state":
            role, josa = "time", ""
        elif keyword in frame.adverbs:
            role, josa = "adverb", ""
        else:
            return None
        slots.setdefault(role, []).append((role, keyword, josa))
    return _ordered(name, frame, slots)


def _ordered(name: str, frame: Frame, slots: dict[str, list[tuple[str, str, str]]]) -> Parts | None:
    """The filled slots in the order of speech, or None where they do not go together."""
    if any(len(slots.get(role, [])) > 1 for role in ("time", "person", "place", "adverb")):
        return None
    objects = [word for _, word, _ in slots.get("object", [])]
    time, person, place, adverb = (slots.get(r, _EMPTY)[0][1] for r in ("time", "person", "place", "adverb"))
    if len(objects) > 2 or (len(objects) == 2 and (person or not _pair(name, frame, objects))):
        return None
    if frame.needs and not objects and not (frame.kind == "quality" and (place or person)):
        return None
    if place and (allowed := frame.places[place][1]) is not None and not (objects and set(objects) <= allowed):
        return None
    if frame.kind in ("quality", "state") and sum(map(bool, (objects, place, person))) > 1:
        body = name == "아프다" and not place and "여기" not in objects
        if not body:
            return None
    if (
        name == "있다"
        and adverb
        and not all(_category(word) in ("food", "fruit", "drink") for word in objects or ["-"])
    ):
        return None
    if not _timely(name, frame, time, place, objects, adverb) or not _social(name, objects, person, place, adverb):
        return None
    order = ("time", "person", "object", "place", "adverb") if name == "가다" else _ORDER
    return tuple(part for role in order for part in slots.get(role, []))


def _pair(name: str, frame: Frame, objects: list[str]) -> bool:
    """Two objects are named together only where they are of a kind: 사과랑 바나나."""
    kinds = {_category(word) for word in objects}
    return (
        frame.kind in ("act", "wish")
        and name not in ("놀다", "가다", "타다")
        and len(kinds) == 1
        and kinds <= {"food", "fruit", "clothes", "drink"}
    )


def _timely(name: str, frame: Frame, time: str, place: str, objects: list[str], adverb: str) -> bool:
    if frame.instant and frame.kind == "act" and time and time not in ("지금", "나중에") and name != "만나다":
        return False
    if time == "밤" and place and place not in ("집", "침대", "호텔", "캠핑장", "화장실", "바다"):
        return False
    if set(objects) & {"별", "달"} and time and time not in ("밤", "저녁", "오늘", "지금", "나중에", "내일", "주말"):
        return False
    if time in FUTURE and adverb == "더":
        return False
    return not (time and set(objects) & TIMES) and not (set(objects) & TIMES and adverb == "더")


def _social(name: str, objects: list[str], person: str, place: str, adverb: str) -> bool:
    """Who does what with whom: medicine is taken alone, nobody comes alone together."""
    if ("약" in objects and (adverb or person or place)) or (person and adverb == "혼자"):
        return False
    if (name in ("웃다", "오다") and person and adverb in ("같이", "혼자")) or (person == "가족" and adverb == "같이"):
        return False
    if name == "오다" and person and adverb == "빨리":
        return False
    if name in ("쉬다", "자다") and person and place == "침대":
        return False
    return _reachable(name, objects, place)


def _reachable(name: str, objects: list[str], place: str) -> bool:
    """No train to the toilet."""
    if name != "가다" or not objects or not place:
        return True
    if objects[0] == "기차":
        return place in ("바다", "산", "집", "놀이공원", "캠핑장")
    return place not in ("화장실", "놀이터", "여기") or (objects[0] == "휠체어" and place == "화장실")


def _default(rest: frozenset[str]) -> str:
    """The predicate that the nouns among the cards share."""
    nouns = [k for k in sorted(rest) if lookup(k).pos in ("noun", "place")]  # type: ignore[union-attr]
    meals = [k for k in rest if k in ("점심", "저녁", "아침")]
    names = {defaults()[k] for k in nouns if k in defaults()}
    places = [k for k in nouns if lookup(k).pos == "place"]  # type: ignore[union-attr]
    if len(names) > 1 and places:
        names = {defaults()[k] for k in nouns if k not in places and k in defaults()} - {"타다"} or {"가다"}
    if not names and meals and not nouns:
        return ""
    return names.pop() if len(names) == 1 else ""


def _deed(rest: frozenset[str]) -> Reading | None:
    """A predicate (its own card, or the default of a noun) with its slots."""
    names = [k for k in sorted(rest) if k in frames()]
    if len(names) == 2:
        return _two(names, rest)
    if len(names) > 2:
        return None
    name = names[0] if names else _default(rest)
    if name == "전화하다" and not names:
        rest -= {"전화"}
    if not name:
        return None
    parts = _fill(name, rest - {name} if names else rest)
    return None if parts is None else Reading(frames()[name].kind, name, parts)


def _two(names: list[str], rest: frozenset[str]) -> Reading | None:
    others = rest - set(names)
    for first, second in (names, names[::-1]):
        if second in CAUSES.get(first, ()) or (first, second) in LINKS:
            if any(lookup(k).pos in ("person", "time", "function") for k in others):  # type: ignore[union-attr]
                return None
            target = first if (first, second) in LINKS and frames()[first].needs else second
            if first == "씻다":
                soap = others & {"손"}
                parts = _fill(second, others - soap)
                fixed = tuple(("before", k, "을") for k in sorted(soap))
            elif first in ("가다", "앉다", "눕다") or target == first:
                parts, fixed = (), _fill(first, others)
                fixed = None if fixed is None else tuple(("before", w, j) for _, w, j in fixed)
                if not fixed and first == "가다":
                    return None
                if second in ("놀다",) and any(
                    w not in ("집", "학교", "공원", "바다", "놀이터", "놀이공원", "수영장", "산")
                    for _, w, _ in fixed or ()
                ):
                    return None
                if second in ("쉬다", "자다") and any(
                    w not in ("집", "호텔", "캠핑장", "공원", "의자", "침대", "여기") for _, w, _ in fixed or ()
                ):
                    return None
            elif first == "만나다":
                fixed = tuple(("before", w, j) for _, w, j in _fill(first, others) or ())
                parts = ()
                if not fixed:
                    return None
            else:
                parts, fixed = _fill(second, others), ()
            if parts is None or fixed is None or (frames()[second].needs and not parts):
                return None
            return Reading("act", second, (*fixed, *parts), before=first)
    return None


def _modal(cards: frozenset[str], key: str) -> Reading | None:
    """싫다, 원하다, 주세요 … over a deed: 먹기 싫어요, 불을 켜 주세요, 하지 마세요."""
    rest = cards - {key}
    names = [k for k in rest if k in frames()]
    if len(names) != 1 or frames()[names[0]].kind not in ("act", "other"):
        return None
    if rest & (STOPS | QUESTIONS):
        return None
    deed = _deed(rest)
    if (
        deed is None
        or (deed.card("time") and key != "주세요")
        or (deed.card("adverb") in ("더", "다시") and key != "주세요")
    ):
        return None
    mood = _WISHES[key]
    if mood == "좋다" and deed.frame.instant:
        return None
    if deed.kind == "other" and (
        mood in ("싫다", "좋다", "싶다") or (deed.predicate != "오다" and mood == "주다") or deed.card("adverb")
    ):
        return None
    if (
        mood == "주다"
        and deed.predicate != "오다"
        and (not deed.frame.ask or deed.card("adverb") in ("혼자", "같이") or deed.card("person"))
    ):
        return None
    if mood == "주다" and deed.predicate == "오다" and deed.card("person"):
        return None
    if mood == "말다" and (
        deed.card("person")
        or deed.card("place")
        or deed.card("adverb")
        or deed.predicate in ("자다", "먹다", "전화하다", "쉬다")
    ):
        return None
    return replace(deed, mood=mood)


def _give(rest: frozenset[str], key: bool) -> Reading | None:
    """Things asked for: 물 더 주세요."""
    things = [k for k in sorted(rest) if _givable(k)]
    adverbs = [k for k in rest if k in ("더", "많이", "조금", "빨리", "다시")]
    people = [k for k in rest if k in TEACHER - {"가족"}]
    times = [k for k in rest if k in ("지금", "나중에")]
    if (
        len(things) + len(adverbs) + len(people) + len(times) != len(rest)
        or max(len(adverbs), len(people), len(times)) > 1
    ):
        return None
    if (
        (not things and not (key and rest and not people and not times))
        or len(things) > 2
        or (not key and (people or not things))
    ):
        return None
    counted = all(_category(k) in ("food", "fruit", "drink") for k in things)
    if (adverbs and adverbs[0] in ("많이", "조금") and not counted) or (
        "약" in things and adverbs and adverbs[0] != "빨리"
    ):
        return None
    if (
        len(things) == 2
        and _category(things[0]) not in ("food", "fruit", "drink", "clothes")
        and not any(set(things) <= kit for kit in KITS)
    ):
        return None
    if len(things) == 2 and (len({_category(k) for k in things}) > 1 or set(things) & {"이거", "다른 것"}):
        return None
    parts = [("time", t, "") for t in times] + [("person", p, "한테") for p in people]
    parts += [("object", t, "을") for t in things] + [("adverb", a, "") for a in adverbs]
    return Reading("give", "", tuple(parts))


def _asked(cards: frozenset[str], question: str) -> Reading | None:
    rest = cards - {question}
    only = next(iter(rest)) if len(rest) == 1 else ""
    if question == "어디" and (
        only in THINGS
        or only in TEACHER | {"아기", "의사", "간호사", "여기"}
        or (_category(only) in ("place", "clothes") and only != "집")
    ):
        return Reading("where", only, (("object", only, "이"),), question=question)
    if (only == "이거" and question in ("뭐", "누구")) or (only == "생일" and question == "언제"):
        return Reading("which", only, (("object", only, ""),), question=question)
    if rest & (STOPS | QUESTIONS | {"나", "너"}) or not rest:
        return None
    if "다시" in rest or "혼자" in rest or "더" in rest or "많이" in rest or "조금" in rest:
        return None
    deed = _needless(rest, question)
    if deed is None or deed.before or question not in deed.frame.questions:
        return None
    taken = {"뭐": "object", "어디": "place", "누구": "person", "언제": "time", "왜": "time"}[question]
    if (
        deed.card(taken)
        or deed.card("adverb") in ("천천히", "빨리")
        or (deed.card("time") in ("지금", "나중에") and question == "뭐")
    ):
        return None
    if question == "누구" and (deed.card("adverb") or deed.kind == "state"):
        return None
    if question == "왜" and deed.kind == "state" and (deed.card("adverb") or deed.card("time")):
        return None
    return replace(deed, question=question)


def _needless(rest: frozenset[str], question: str) -> Reading | None:
    """With 뭐 or 누구 the question card itself fills the slot that a predicate needs."""
    name = next((k for k in rest if k in frames()), "")
    frame = frames().get(name)
    if question == "뭐" and frame and frame.needs and frame.kind == "act":
        probe = next(iter(frame.objects))
        others = rest - {name}
        if others & set(frame.objects) or others & set(frame.places):
            return None
        parts = _fill(name, others | {probe})
        return None if parts is None else Reading("act", name, tuple(p for p in parts if p[1] != probe))
    return _deed(rest)


def _special(cards: frozenset[str]) -> Reading | None:
    """Formulas and naming: 엄마, 고마워요 / 이거 사과예요 / 그게 아니라 물이에요."""
    people = [k for k in sorted(cards) if lookup(k).pos == "person" and _category(k) == "person"]  # type: ignore[union-attr]
    if greeting := next((k for k in cards if k in GREETINGS), ""):
        rest = cards - {greeting}
        birthday = {"생일"} & rest if greeting == "축하해요" else set()
        who = [k for k in people if k not in ("아기", "소방관", "경찰관", "요리사", "가족", "친구", "동생")]
        if greeting == "안녕":
            who = [k for k in who if k in ("선생님", "의사", "간호사", "할머니", "할아버지", "이모", "삼촌")]
        if rest - birthday - set(who[:1]) or (greeting == "잘 자요" and set(rest) & {"선생님", "의사"}):
            return None
        return Reading(
            "greeting", greeting, tuple(("person", k, "") for k in who) + tuple(("object", k, "") for k in birthday)
        )
    if "도와주세요" in cards:
        return _help(cards - {"도와주세요"})
    if "그게 아니에요" in cards:
        rest = [k for k in cards if k != "그게 아니에요"]
        known = len(rest) == 1 and lookup(rest[0]).pos in ("noun", "place") and rest[0] not in ("전화", "여행", "이")  # type: ignore[union-attr]
        return Reading("correct", "", (("object", rest[0], ""),)) if known else None
    if cards & {"이거"} and len(cards) == 2:
        noun = next(iter(cards - {"이거"}))
        if _category(noun) in ("food", "fruit", "drink", "clothes", "thing", "toy", "animal") and noun not in (
            [
                "불",
                "문",
                "창문",
                "생일",
                "여행",
                "산책",
                "운동",
                "수영",
                "낚시",
                "축구",
                "야구",
                "농구",
                "배드민턴",
                "돈",
                "전화",
            ]
        ):
            return Reading("name", "이거", (("object", noun, ""),))
    if "여기" in cards and len(cards) == 2 and _category(next(iter(cards - {"여기"}))) == "place":
        return Reading("name", "여기", (("object", next(iter(cards - {"여기"})), ""),))
    if (
        "생일" in cards
        and cards - {"생일"}
        and cards - {"생일"} <= TIMES | COMPANIONS - frozenset({"지금", "나중에", "가족"})
        and len(cards) <= 3
    ):
        time = [k for k in cards if k in ("오늘", "내일", "주말")]
        who = [k for k in cards if k in COMPANIONS - {"가족"}]
        if len(time) <= 1 and len(who) <= 1 and len(time) + len(who) == len(cards) - 1:
            return Reading(
                "birthday", "생일", tuple(("time", k, "") for k in time) + tuple(("person", k, "") for k in who)
            )
    if cards & {"비", "바람"} and len(cards) == 2:
        rest = next(iter(cards - {"비", "바람"}), "")
        if rest in ("오늘", "지금", "여기", "많이", "조금", "다시") and not ("바람" in cards and rest in ("여기",)):
            return Reading("weather", next(iter(cards & {"비", "바람"})), (("time", rest, ""),))
    return None


def _help(rest: frozenset[str]) -> Reading | None:
    people = [k for k in rest if k in TEACHER - {"가족", "동생"}]
    others = rest - set(people)
    if len(people) > 1 or len(others) > 2:
        return None
    person = tuple(("person", k, "") for k in people)
    if not others:
        return Reading("greeting", "도와주세요", person)
    if len(others) == 1 and (only := next(iter(others))) in _HELP_NOUNS:
        return Reading("help", "", (*person, ("object", only, "")))
    deed = _deed(others)
    names = [k for k in others if k in _HELP_VERBS]
    if (
        deed is None
        or len(names) != 1
        or deed.before
        or any(role not in ("object", "place") for role, _, _ in deed.parts)
    ):
        return None
    return Reading("help", names[0], (*person, *deed.parts))


@lru_cache(maxsize=1_000_000)
def read(cards: frozenset[str]) -> Reading | None:
    """The one plausible utterance of the cards, or None."""
    if any(lookup(keyword) is None for keyword in cards) or not cards:
        return None
    if len(cards) == 1:
        return _alone(cards)
    if prefix := next((k for k in ("네", "아니요") if k in cards), ""):
        inner = read(cards - {prefix})
        if (
            inner is None
            or inner.kind not in ("act", "give", "quality", "state")
            or (inner.kind == "state" and inner.card("person") != "")
            or inner.question
            or inner.prefix
            or inner.speaker == "너"
        ):
            return None
        negative = inner.mood in ("안", "못", "싫다") or inner.predicate in ("싫다", "없다")
        return (
            replace(inner, prefix=prefix)
            if negative == (prefix == "아니요") and inner.mood not in ("말다", "그만")
            else None
        )
    if special := _special(cards):
        return special
    if cards & (GREETINGS | {"도와주세요", "그게 아니에요", "네", "아니요"}):
        return None
    if questions := [k for k in cards if k in QUESTIONS]:
        return _asked(cards, questions[0]) if len(questions) == 1 else None
    if speakers := [k for k in cards if k in ("나", "너")]:
        return _spoken(cards, speakers)
    if stops := [k for k in cards if k in STOPS]:
        return _stopped(cards, stops)
    if "주세요" in cards and (given := _give(cards - {"주세요"}, key=True)):
        return replace(given, mood="주다")
    for key in _WISHES:
        if key in cards and (wish := _modal(cards, key)):
            return wish
    if cards & {"주세요", "하지 마세요"}:
        return None
    return _deed(cards) or _give(cards, key=False)


def _alone(cards: frozenset[str]) -> Reading:
    keyword = next(iter(cards))
    if keyword in ("눈사람", "생일", "비", "바람"):
        return Reading("single", keyword)
    if keyword in THINGS or (_category(keyword) == "clothes" and keyword not in defaults()):
        return _give(cards, key=False) or Reading("single", keyword)
    return _deed(cards) or Reading("single", keyword)


def _spoken(cards: frozenset[str], speakers: list[str]) -> Reading | None:
    if len(speakers) > 1 or cards & (STOPS | {"주세요", "하지 마세요", "원하다"}):
        return None
    rest = cards - set(speakers)
    deed = _deed(rest)
    if deed is None or deed.before:
        return None
    if speakers[0] == "나":
        plain = deed.kind in ("act", "state") or deed.predicate in ("좋다", "싫다")
        fits = plain and not (deed.kind == "state" and deed.card("person")) and deed.card("adverb") != "같이"
        return replace(deed, speaker="나") if fits else None
    if deed.kind == "state" and not deed.card("object") and not deed.card("person") and deed.frame.who:
        return replace(deed, speaker="너")
    shared = (
        deed.kind == "act"
        and "같이" in deed.frame.adverbs
        and not deed.card("person")
        and deed.card("adverb") in ("", "같이", "더")
    )
    if not shared or set(c for _, c, _ in deed.parts) & {"약", "숙제", "지금"}:
        return None
    return replace(deed, speaker="너")


def _stopped(cards: frozenset[str], stops: list[str]) -> Reading | None:
    if len(stops) > 1 or cards & {"주세요", "하지 마세요", "원하다"}:
        return None
    stop = stops[0]
    deed = _deed(cards - {stop})
    if deed is None or deed.before or deed.card("adverb") in ("더", "다시", "많이", "조금", "천천히", "빨리"):
        return None
    if deed.kind == "state":
        fine = stop == "안" and not deed.card("person") and not deed.frame.instant and deed.predicate != "걱정되다"
        return replace(deed, mood=stop) if fine and deed.card("time") != "나중에" else None
    if deed.kind == "quality":
        fine = stop == "안" and deed.predicate not in ("있다", "없다", "싫다", "끝") and not deed.card("adverb")
        return replace(deed, mood=stop) if fine else None
    if (
        deed.kind != "act"
        or (deed.predicate in ("여행가다", "찾다", "만나다") and stop == "그만")
        or (deed.predicate == "가다" and deed.card("object"))
    ):
        return None
    if stop == "그만" and (
        deed.card("adverb") != ""
        or deed.frame.instant
        or deed.card("person")
        or deed.card("place")
        or deed.card("time") not in ("", "오늘", "지금")
        or deed.predicate == "가다"
    ):
        return None
    return replace(deed, mood=stop)


@lru_cache(maxsize=100_000)
def _next(chosen: frozenset[str], pool: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(k for k in pool if k not in chosen and read(chosen | {k}) is not None)


def next_cards(chosen: list[str], pool: list[str]) -> list[str]:
    """The keywords of the pool that still form one plausible utterance with the chosen ones (none chosen: all)."""
    return list(_next(frozenset(chosen), tuple(pool))) if chosen else list(pool)
