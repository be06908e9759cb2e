"""Cards to the one plausible utterance that they form."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from aac.lexicon import lookup
from dataset.prepare.teachers.frames import defaults, frames, group, together
from dataset.prepare.teachers.utterance import CALLED, EDIBLE, Reading, category, deed, fill, part_of_speech, to_a_nurse

GREETINGS = frozenset({"안녕", "고마워요", "미안해요", "축하해요", "잘 자요"})
STOPS = frozenset({"안", "못", "그만"})
QUESTIONS = group("ask")
_MOODS = {"하지 마세요": "말다", "싫다": "싫다", "원하다": "싶다", "주세요": "주다", "좋다": "좋다"}
# Who is greeted, thanked or called for help by a title or as family.
_THANKED = group("family") - {"동생"} | CALLED
_SALUTED = CALLED | {"할머니", "할아버지", "이모", "삼촌"}
_ADDRESSEES = group("near")
_ITEMS = group("item")
_GIVEN = _ITEMS | {"이거", "다른 것", "약", "책", "꽃", "공", "인형", "장난감", "블록", "퍼즐"}
_COUNTED = frozenset({"휴지", "종이", "색연필", "연필", "블록", "풍선", "컵", "접시", "숟가락", "젓가락", "수건"})
_DEGREE = frozenset({"더", "많이", "조금", "빨리", "다시"})
_DUTIES = frozenset({"청소하다", "기다리다", "찾다", "말하다", "전화하다"})
_HELP_NOUNS = frozenset({"숙제", "공부", "운동"})
_HELP_VERBS = frozenset({
    "씻다", "일어나다", "앉다", "눕다", "입다", "벗다", "먹다", "걷다", "찾다", "만들다", "청소하다", "요리하다",
    "타다", "읽다", "쓰다",
})  # fmt: skip
_UNNAMED = group("sport") | {
    "불", "문", "창문", "생일", "공부", "여행", "산책", "운동", "수영", "낚시", "돈", "전화", "게임", "이",
}  # fmt: skip
_SLOT_OF = {"뭐": "object", "어디": "place", "누구": "person", "언제": "time", "왜": "time"}


@lru_cache(maxsize=1_000_000)
def read(cards: frozenset[str]) -> Reading | None:
    """The one plausible utterance of the cards, or None."""
    if not cards or any(lookup(keyword) is None for keyword in cards):
        return None
    if len(cards) == 1:
        return _alone(cards)
    if prefix := next((k for k in ("네", "아니요") if k in cards), ""):
        return _answered(prefix, read(cards - {prefix}))
    if special := _special(cards):
        return special
    if cards & (GREETINGS | {"도와주세요", "그게 아니에요"}):
        return None
    if questions := cards & QUESTIONS:
        return _asked(cards, min(questions)) if len(questions) == 1 else None
    if "너" in cards:
        return _spoken_to(cards - {"너"})
    if "나" in cards:
        return _spoken_of(cards - {"나"})
    if stops := cards & STOPS:
        return _stopped(cards - stops, min(stops)) if len(stops) == 1 else None
    if "주세요" in cards and (given := _give(cards - {"주세요"}, asked=True)):
        return replace(given, mood="주다")
    for key, mood in _MOODS.items():
        if key in cards and (wish := _modal(cards - {key}, mood)):
            return wish
    if cards & {"주세요", "하지 마세요"}:
        return None
    return deed(cards) or _give(cards, asked=False)


def _alone(cards: frozenset[str]) -> Reading:
    keyword = min(cards)
    if keyword in ("생일", "비", "바람"):
        return Reading("single", keyword)
    if keyword in _ITEMS or (category(keyword) == "clothes" and keyword not in defaults()):
        return _give(cards, asked=False) or Reading("single", keyword)
    return deed(cards) or Reading(frames()[keyword].kind if keyword in frames() else "single", keyword)


def _answered(prefix: str, inner: Reading | None) -> Reading | None:
    """네 before what one affirms, 아니요 before what one denies."""
    if inner is None or inner.kind not in ("act", "give", "quality", "state"):
        return None
    if (inner.kind == "state" and inner.card("person")) or inner.question or inner.prefix or inner.speaker == "너":
        return None
    negative = inner.mood in ("안", "못", "싫다") or inner.predicate in ("싫다", "없다")
    fits = negative == (prefix == "아니요") and inner.mood not in ("말다", "그만")
    return replace(inner, prefix=(prefix,)) if fits else None


def _spoken_of(rest: frozenset[str]) -> Reading | None:
    """나 in what one does, will not or cannot do, in how one is, and as the one who is given to."""
    if "주세요" in rest:
        given = _give(rest - {"주세요"}, asked=True)
        if given is None or given.card("person") or not given.card("object"):
            return None
        return replace(given, mood="주다", parts=(("person", "나", "한테"), *given.parts))
    told = read(rest)
    if told is None or told.kind not in ("act", "state", "quality") or told.card("adverb") == "같이":
        return None
    if told.question or told.before or told.prefix or told.speaker or told.mood in ("그만", "말다", "주다"):
        return None
    if told.predicate in ("덥다", "춥다") and told.card("object"):
        return None  # the place is cold, not I
    if told.kind == "quality" and (told.predicate not in ("좋다", "싫다") or told.card("place") or not told.parts):
        return None
    return None if told.kind == "state" and told.card("person") else replace(told, speaker="나")


def _spoken_to(rest: frozenset[str]) -> Reading | None:
    """너 in a shared deed or a state: with you, would you, you seem."""
    told = deed(rest)
    if told is None or told.before or told.card("call"):
        return None
    if told.kind == "state":
        return replace(told, speaker="너") if not told.parts and told.frame.who else None
    shared = told.kind == "act" and "같이" in told.frame.adverbs and not told.card("person")
    shared = shared and told.card("adverb") in ("", "같이", "더") and told.predicate not in _DUTIES
    apart = {card for _, card, _ in told.parts} & {"약", "숙제", "지금", "휠체어"}
    return replace(told, speaker="너") if shared and not apart and len(told.cards("object")) < 2 else None


def _stopped(rest: frozenset[str], stop: str) -> Reading | None:
    """안, 못 and 그만 over a deed, 안 over a state or a quality."""
    if rest & {"주세요", "하지 마세요", "원하다"}:
        return None
    told = deed(rest)
    if told is None or told.before or told.card("adverb") in _DEGREE | {"천천히"}:
        return None
    if told.kind == "state":
        fits = stop == "안" and not told.card("person") and not told.frame.instant and told.predicate != "걱정되다"
    elif told.kind == "quality":
        fits = stop == "안" and told.predicate not in ("있다", "없다", "싫다", "끝") and not told.card("person")
    elif stop == "그만":
        bare = not any(told.card(role) for role in ("adverb", "person", "place"))
        fits = bare and not told.frame.instant and told.card("time") in ("", "오늘", "지금")
        fits = fits and told.predicate not in ("가다", "여행가다", "사다")
    else:
        fits = told.predicate != "찾다" and not (told.predicate == "가다" and told.card("object"))
        fits = fits and not (told.predicate == "보다" and "나무" in rest)
        fits = fits and told.card("time") != "나중에"
        fits = fits and not (stop == "못" and told.predicate == "먹다" and told.card("place"))
        fits = fits and not (told.predicate == "마시다" and told.card("person"))
        fits = fits and told.card("adverb") in (("",) if told.card("time") else ("", "혼자", "같이"))
    return replace(told, mood=stop) if fits and told.kind in ("state", "quality", "act") else None


def _modal(rest: frozenset[str], mood: str) -> Reading | None:
    """싫다, 원하다, 주세요 … over a deed: 먹기 싫어요, 불을 켜 주세요, 하지 마세요."""
    names = [k for k in rest if k in frames()]
    if len(names) != 1 or frames()[names[0]].kind not in ("act", "other") or rest & (STOPS | QUESTIONS):
        return None
    told = deed(rest)
    if told is None:
        return None
    person, adverb = told.card("person"), told.card("adverb")
    if mood != "주다" and (
        told.card("time") or adverb in ("더", "다시") or (mood == "싫다" and adverb in ("빨리", "천천히"))
    ):
        return None
    comes = told.predicate == "오다"
    if mood == "말다":
        fits = not (person or adverb or told.card("place")) and told.card("call") not in ("의사", "간호사")
        fits = fits and told.predicate not in ("자다", "먹다", "전화하다", "쉬다", "찾다")
    elif mood == "주다":
        waits = told.predicate == "기다리다" and told.card("object")
        fits = not person and (comes or (told.frame.ask and adverb not in ("혼자", "같이") and not waits))
    elif told.kind == "other":
        fits = False
    elif mood == "좋다":
        fits = not told.frame.instant and told.predicate not in _DUTIES | {"사다"} and not adverb
        fits = fits and not (told.predicate == "씻다" and told.card("object"))
        fits = fits and not {"약", "여기"} & set(rest) and not (told.predicate == "가다" and told.card("object"))
    else:
        fits = told.predicate != "찾다" and (mood != "싫다" or told.predicate != "만나다")
    return replace(told, mood=mood) if fits else None


def _give(rest: frozenset[str], asked: bool) -> Reading | None:
    """Things asked for: 물 더 주세요. `asked`: the card 주세요 itself is there."""
    things = [k for k in sorted(rest) if category(k) in EDIBLE | {"clothes"} or k in _GIVEN]
    people = [k for k in sorted(rest) if k in (_ADDRESSEES | CALLED) - {"가족"}]
    adverbs, times = sorted(rest & _DEGREE), sorted(rest & {"지금", "나중에"})
    if len(things) + len(adverbs) + len(people) + len(times) != len(rest) or len(things) > 2:
        return None
    if not all(to_a_nurse(person, things) for person in people):
        return None
    if max(len(adverbs), len(people), len(times)) > 1 or (not things and (not asked or people or times)):
        return None
    if (set(people) - CALLED and not asked) or (len(things) == 2 and not together(*things)):
        return None
    edible = {category(k) for k in things} <= EDIBLE
    adverb = next(iter(adverbs), "")
    if (adverb in ("많이", "조금") and not edible) or ("약" in things and adverb not in ("", "빨리")):
        return None
    if (adverb == "더" and not edible and not set(things) <= _COUNTED) or (adverb == "다시" and edible and things):
        return None
    if (adverb == "빨리" and "나중에" in times) or (adverb and set(people) - CALLED):
        return None
    parts = [("call", k, "") for k in people if k in CALLED] + [("time", k, "") for k in times]
    parts += [("person", k, "한테") for k in people if k not in CALLED]
    return Reading("give", "", (*parts, *(("object", k, "을") for k in things), *(("adverb", k, "") for k in adverbs)))


def _asked(cards: frozenset[str], question: str) -> Reading | None:
    rest = cards - {question}
    only = min(rest) if len(rest) == 1 else ""
    person = only in _ADDRESSEES | {"아기", "의사", "간호사"}
    place = category(only) in ("place", "clothes") and only != "집"
    if question == "어디" and (only in _ITEMS or only == "여기" or person or place):
        return Reading("where", only, (("object", only, "이"),), question=question)
    if (only == "이거" and question in ("뭐", "누구")) or (only == "생일" and question == "언제"):
        return Reading("which", only, (("object", only, ""),), question=question)
    if rest & (STOPS | QUESTIONS | {"나", "너"}) or rest & {"다시", "혼자", "더", "많이", "조금", "천천히", "빨리"}:
        return None
    told = _filled_by_question(rest) if question == "뭐" else deed(rest)
    if told is None or told.before or question not in told.frame.questions or told.card(_SLOT_OF[question]):
        return None
    if told.frame.asked is not None and not set(told.cards("object")) <= told.frame.asked:
        return None
    if question == "뭐" and told.card("time") in ("지금", "나중에"):
        return None
    if question == "누구" and told.frame.role == "을" and told.card("object"):
        return None  # whom, or which bus: one waits for one of them
    if (
        question == "어디"
        and "식당" in told.frame.places
        and not set(told.cards("object")) <= (told.frame.places["식당"][1] or set())
    ):
        return None  # where one eats what is had at a restaurant, not tomatoes
    if len(told.cards("object")) > 1 or (question == "누구" and (told.card("adverb") or told.kind == "state")):
        return None
    if question == "왜" and told.kind == "state" and {role for role, *_ in told.parts} & {"adverb", "time", "call"}:
        return None
    return replace(told, question=question)


def _filled_by_question(rest: frozenset[str]) -> Reading | None:
    """뭐 itself fills the slot of a predicate that needs an object."""
    name = next((k for k in rest if k in frames()), "")
    frame = frames().get(name)
    if frame is None or not frame.needs or frame.kind != "act":
        return deed(rest)
    probe = next(iter(frame.objects))
    if rest & (set(frame.objects) | set(frame.places)):
        return None
    parts = fill(name, rest - {name} | {probe})
    return None if parts is None else Reading("act", name, tuple(part for part in parts if part[1] != probe))


def _special(cards: frozenset[str]) -> Reading | None:
    """Formulas, names, birthdays and the weather: 엄마, 고마워요 / 이거 사과예요 / 그게 아니라 물이에요."""
    if greeting := next(iter(sorted(cards & GREETINGS)), ""):
        return _greeted(greeting, cards - {greeting})
    if "도와주세요" in cards:
        return _helped(cards - {"도와주세요"})
    only = min(cards - {"이거", "여기", "그게 아니에요"}, default="")
    if len(cards) == 2 and "그게 아니에요" in cards:
        known = part_of_speech(only) in ("noun", "place") and only not in ("전화", "여행", "이")
        return Reading("correct", "", (("object", only, ""),)) if known else None
    named = category(only) in EDIBLE | {"clothes", "thing", "toy", "animal", "study"} and only not in _UNNAMED
    if len(cards) == 2 and "이거" in cards and named:
        return Reading("name", "이거", (("object", only, ""),))
    if len(cards) == 2 and "여기" in cards and category(only) == "place":
        return Reading("name", "여기", (("object", only, ""),))
    if "생일" in cards:
        return _birthday(cards - {"생일"})
    if len(cards) == 2 and (weather := cards & {"비", "바람"}):
        rest = min(cards - weather, default="")
        if rest in ("오늘", "지금", "많이", "조금", "다시") or (rest == "여기" and "비" in weather):
            return Reading("weather", min(weather), (("time", rest, ""),))
    return None


def _greeted(greeting: str, rest: frozenset[str]) -> Reading | None:
    birthday = {"생일"} & rest if greeting == "축하해요" else frozenset()
    who = sorted(rest & (_SALUTED if greeting == "안녕" else _THANKED))[:1]
    if rest - birthday - set(who) or (greeting == "잘 자요" and rest & {"선생님", "의사"}):
        return None
    parts = [("person", k, "") for k in who] + [("object", k, "") for k in sorted(birthday)]
    return Reading("greeting", greeting, tuple(parts))


def _birthday(rest: frozenset[str]) -> Reading | None:
    time, who = rest & {"오늘", "내일", "주말"}, rest & (group("companion") - {"가족"})
    if not rest or rest - time - who or len(time) > 1 or len(who) > 1:
        return None
    return Reading("birthday", "생일", tuple(("time", k, "") for k in time) + tuple(("person", k, "") for k in who))


def _helped(rest: frozenset[str]) -> Reading | None:
    people = sorted(rest & ((_ADDRESSEES | CALLED) - {"가족", "동생"}))
    others = rest - set(people)
    if len(people) > 1 or len(others) > 2:
        return None
    person = tuple(("person", k, "") for k in people)
    if rest == {"나"}:
        return Reading("help", "", (("object", "나", ""),))
    if not others:
        return Reading("greeting", "도와주세요", person)
    if len(others) == 1 and others <= _HELP_NOUNS:
        return Reading("help", "", (*person, ("object", min(others), "")))
    told = deed(others)
    names = sorted(others & _HELP_VERBS)
    if told is None or len(names) != 1 or told.before or {role for role, *_ in told.parts} - {"object", "place"}:
        return None
    if people and not to_a_nurse(people[0], others):
        return None
    if names[0] == "타다" and others & {"오토바이", "배", "비행기"}:
        return None
    return Reading("help", names[0], (*person, *told.parts))
