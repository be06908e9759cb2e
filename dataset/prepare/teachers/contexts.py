"""Situations for a card combination: who listens, where, when, and what is being done (`sample_context`)."""

# ruff: noqa: E501 - a row of a table stays on one line

from __future__ import annotations

import random
import re

from aac.korean import join
from aac.records import Context, Persona
from aac.register import partner_class
from aac.rules import spoken
from dataset.prepare.teachers.frames import group
from dataset.prepare.teachers.loose import understand
from dataset.prepare.teachers.utterance import FUTURE, Reading, part_of_speech

# Never sampled: what a trained model does with them shows whether it reads the head word.
HELD_OUT_PARTNERS = ("옆집 친구", "미술 선생님", "안과 간호사님")
PARTNERS: dict[str, tuple[str, ...]] = {
    "친구": ("친구", "반 친구", "동네 친구", "오랜 친구", "같은 반 친구", "친한 친구", "모임 친구", "단짝 친구", "교회 친구", "복지관 친구"),
    "형제": ("형", "누나", "언니", "오빠", "큰 형", "작은 누나", "사촌 언니", "사촌 오빠"),
    "동생": ("동생", "여동생", "남동생", "막냇동생", "사촌 동생", "친한 동생", "어린 동생", "우리 동생"),
    "엄마·아빠": ("엄마", "아빠", "우리 엄마", "우리 아빠"),
    "부모님": ("부모님", "어머니", "아버지", "우리 어머니", "우리 아버지", "우리 부모님"),
    "조부모": ("할머니", "할아버지", "우리 할머니", "우리 할아버지", "외할머니", "외할아버지"),
    "배우자": ("남편", "아내", "우리 남편", "우리 아내"),
    "자녀·손주": ("아들", "딸", "큰 아들", "막내 딸", "손녀", "손자", "우리 손녀", "우리 아들"),
    "선생님": ("선생님", "담임 선생님", "음악 선생님", "체육 선생님", "보건 선생님", "복지관 선생님", "영어 선생님", "수영 강사님", "도서관 선생님", "요리 강사님"),
    "치료사": ("치료사님", "언어 치료사", "작업 치료사", "물리 치료사", "음악 치료사님", "언어 치료사님", "센터 치료사님", "놀이 치료사", "물리 치료사 선생님"),
    "의사·간호사": ("의사 선생님", "간호사", "병동 간호사", "치과 의사 선생님", "간호사 선생님", "약국 약사님", "담당 간호사님", "내과 의사 선생님", "재활과 의사", "동네 약사님"),
    "점원·직원": ("점원", "가게 점원", "식당 직원", "은행 직원", "마트 직원", "카페 직원", "버스 기사님", "도서관 사서", "매표소 직원", "빵집 점원"),
    "활동지원사": ("활동지원사", "활동지원사님", "주말 활동지원사", "새 활동지원사님", "요양보호사", "요양보호사님", "담당 활동지원사", "우리 요양보호사님"),
    "동료": ("동료", "회사 동료", "직장 동료", "같은 팀 동료", "옆자리 동료", "작업장 동료", "새 동료", "부서 동료"),
    "상사": ("상사", "팀장님", "부장님", "과장님", "직장 상사", "우리 팀장님", "센터 원장님", "새 팀장님", "복지관 원장님", "회사 대표님"),
    "낯선 사람": ("낯선 사람", "처음 보는 사람", "이웃 주민", "옆집 아주머니", "동네 아저씨", "공원 이웃", "지나가는 행인", "윗집 이웃"),
}  # fmt: skip
_POLITE = ("부모님", "조부모", "선생님", "치료사", "의사·간호사", "점원·직원", "활동지원사", "낯선 사람")
_PEERS = ("친구", "형제", "동생", "엄마·아빠")
# Classes by the speech level that they ask for first (반말, 해요체, 합쇼체), and how often each level is drawn.
_CLASSES = {
    "아동": (_PEERS, _POLITE, ()),
    "청소년": (_PEERS, _POLITE, ()),
    "성인": ((*_PEERS, "배우자", "자녀·손주"), (*_POLITE, "동료"), ("상사",)),
    "노인": (("친구", "동생", "배우자", "자녀·손주"), _POLITE[2:], ("상사",)),
}
_SHARES = {
    "아동": (0.47, 0.53, 0.0),
    "청소년": (0.47, 0.53, 0.0),
    "성인": (0.43, 0.38, 0.19),
    "노인": (0.43, 0.38, 0.19),
}
# Who listens where a person card is greeted, thanked or called for help.
_TITLED = {
    "선생님": ("선생님", "담임 선생님", "복지관 선생님", "음악 선생님"),
    "의사": ("의사 선생님", "치과 의사 선생님", "내과 의사 선생님"),
    "간호사": ("간호사님", "담당 간호사님"),
}
_LISTENERS = group("family") | {"친구"} | _TITLED.keys()
_PLACES = {
    "친구": ("집", "공원", "카페", "놀이터", "복지관"), "형제": ("집", "공원", "거실"), "동생": ("집", "공원", "거실"), "엄마·아빠": ("집", "공원", "거실", "차 안"),
    "부모님": ("집", "거실", "차 안"), "조부모": ("집", "할머니 댁", "거실"), "배우자": ("집", "거실", "공원"), "자녀·손주": ("집", "거실", "공원"),
    "선생님": ("교실", "복지관", "상담실"), "치료사": ("치료실", "센터", "상담실"), "의사·간호사": ("병원", "진료실", "대기실"), "점원·직원": ("가게", "매장", "안내 창구"),
    "활동지원사": ("집", "복지관", "공원"), "동료": ("사무실", "휴게실", "회사"), "상사": ("사무실", "회의실", "복지관"), "낯선 사람": ("공원", "길", "정류장"),
}  # fmt: skip
_TIMES = {
    "": ("아침", "이른 아침", "오전", "오전 10시", "점심시간", "오후", "오후 3시", "낮", "저녁", "저녁 7시", "밤"),
    "아침": ("아침", "이른 아침"), "점심": ("점심시간", "낮"), "저녁": ("저녁", "저녁 7시"), "밤": ("밤", "늦은 밤"),
}  # fmt: skip
_TALK = ("이야기하는 중", "쉬는 중", "함께 시간을 보내는 중", "인사를 나누는 중", "차례를 기다리는 중")
_ABSENT = 0.05


def phase_of(activity: str) -> str:
    """전 (before), 중 (during) or 뒤 (after), by the end of the activity; an unknown activity has not begun."""
    if re.search(r"(뒤|후|다음)$", activity):
        return "뒤"
    return "중" if activity.endswith("중") and not activity.endswith("려는 중") and activity not in _TALK else "전"


def sample_context(persona: Persona, keywords: list[str], rng: random.Random) -> Context:
    """A plausible situation for the cards; speech levels and the classes within one are drawn evenly.

    Every part is absent now and then: the real ones may be, too.
    """
    reading = understand(tuple(dict.fromkeys(keywords)))
    partner = _partner(persona, keywords, reading, rng)
    phase = _draw_phase(reading, rng)
    fields = {
        "time": rng.choice(_TIMES.get(reading.card("time") if reading else "", _TIMES[""])),
        "place": _place(reading, partner, rng),
        "interaction_partner": partner,
        "current_activity": _activity(reading, phase, rng),
    }
    # Who is called or greeted is there: a formula without its listener would have no speech level.
    kept = (
        {"interaction_partner"} if reading and (reading.card("call") or reading.kind in ("greeting", "help")) else set()
    )
    return Context(**{k: "" if rng.random() < _ABSENT and k not in kept else v for k, v in fields.items()})


def _partner(persona: Persona, keywords: list[str], reading: Reading | None, rng: random.Random) -> str:
    age = persona.age if persona.age in _CLASSES else "성인"
    classes = _CLASSES[age][rng.choices(range(3), weights=_SHARES[age])[0]]
    person = next((k for k in keywords if k in _LISTENERS), "")
    elder = age == "노인" and person in ("할머니", "할아버지")
    if person and reading and (reading.kind in ("greeting", "help", "love") or reading.card("call")):
        return "" if elder else rng.choice(_TITLED.get(person, (person,)))
    listens = reading is not None and (reading.kind in ("act", "give", "state") or reading.predicate == "오다")
    told = not listens or reading.question in ("누구", "왜")
    if person and not elder and not told and partner_class(person) in classes and rng.random() < 0.4:
        return person
    others = [name for name in PARTNERS[rng.choice(classes)] if not (person and told and name.endswith(person))]
    return rng.choice(others or PARTNERS["활동지원사"])


def _draw_phase(reading: Reading | None, rng: random.Random) -> str:
    if reading is None or reading.kind not in ("act", "other", "quality"):
        return "전"
    time = reading.card("time") or next((card for card, _ in reading.lead if part_of_speech(card) == "time"), "")
    if (
        time in FUTURE
        or reading.cause
        or reading.first
        or reading.own
        or reading.frame.instant
        or reading.before
        or reading.card("adverb") in ("더", "빨리")
        or reading.answers
    ):
        return "전"
    if reading.mood in ("안", "못") or reading.kind in ("quality", "other"):
        return rng.choice(("전", "뒤"))
    if reading.mood or reading.speaker == "너":
        return "전"
    return rng.choice(
        ("전", "전", "중") if time == "지금" else ("전", "전", "뒤") if time else ("전", "전", "중", "뒤")
    )


def _place(reading: Reading | None, partner: str, rng: random.Random) -> str:
    if reading and rng.random() < 0.6:
        card = next((c for role, c, josa in reading.parts if role == "place" and josa == "에서" and c != "여기"), "")
        if card:
            return spoken(card)
    return rng.choice(_PLACES.get(partner_class(partner), ("집", "공원", "복지관")))


def _activity(reading: Reading | None, phase: str, rng: random.Random) -> str:
    """The deed itself before, during or after; something unrelated for feelings, formulas and questions."""
    if reading and reading.kind == "quality" and phase == "뒤":
        name = {"맛있다": "음식을 먹고 난 뒤", "재미있다": "같이 놀고 난 뒤"}.get(reading.predicate)
        return name or rng.choice(_TALK)
    if reading is None or reading.kind not in ("act", "other") or reading.mood in ("말다", "싫다", "좋다", "주다"):
        return rng.choice(_TALK)
    frame = reading.frame
    if reading.kind == "other":
        return "인사를 나눈 뒤" if phase == "뒤" else rng.choice(_TALK)
    words = [w for role, w, j in reading.parts if role == "object" and j == "을" and w not in ("이거", "다른 것")][:1]
    noun = join(((spoken(words[0]), "NNG"), ("을", "JKO"))) + " " if words else ""
    tails = {"전": ("으려는 중", "기 전"), "중": ("는 중", "고 있는 중"), "뒤": ("고 난 뒤", "은 다음")}[phase]
    return noun + _conjugated(frame.words, frame.tag, rng.choice(tails))


def _conjugated(stem: str, tag: str, tail: str) -> str:
    first, _, rest = tail.partition(" ")
    kinds = {
        "으려는": (("으려", "EC"), ("는", "ETM")),
        "기": (("기", "ETN"),),
        "는": (("는", "ETM"),),
        "고": (("고", "EC"),),
        "은": (("은", "ETM"),),
    }
    return f"{join(((stem, tag), *kinds[first]))} {rest}"
