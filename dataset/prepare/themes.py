"""What step 7 deals on purpose: combinations of the messages that a person most needs, whatever the clusters hold.

A theme is a row of slots, each with the words that may stand there; the core cards stand in nearly all of them, since
chance alone would leave refusal, emergency, help, the order of persons and most questions out of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from aac.lexicon import lookup
from dataset.prepare.teachers.frames import words


def _cards(text: str) -> frozenset[str]:
    """The cards of a text as `frames.json` writes them; an underscore stands for the space inside a card."""
    return frozenset(card.replace("_", " ") for card in words(text))


_VERBS = "@action 가다 오다 먹다 마시다 보다 하다 놀다 기다리다"
_THINGS = "@food @fruit @drink @clothes @thing @media @study @toy @vehicle"
_REFUSALS = "싫다 하지_마세요 안 못 그만 아니요"
_STATES = "아프다 배고프다 배부르다 목마르다 졸리다 피곤하다 어지럽다 덥다 춥다 심심하다"
_FEELINGS = "기쁘다 슬프다 행복하다 무섭다 외롭다 속상하다 부끄럽다 걱정되다 신나다 놀라다 화나다"
_MEETING = "보다 만나다 사랑하다 기다리다 찾다 부르다 전화하다 말하다"
# (how often among those of its length, slots in the order in which they are mostly chosen)
_THEMES: tuple[tuple[int, tuple[str, ...]], ...] = (
    # What is said most: a thing and what one does with it, where one goes, who does or feels what, when and how.
    (4, ("@food @fruit", "먹다")),
    (4, ("@food @fruit @drink", "주세요")),
    (2, ("@food @fruit @drink", "더 맛있다")),
    (3, ("@drink", "마시다")),
    (5, ("@place", "가다")),
    (3, ("@clothes", "입다 벗다 주세요")),
    (2, ("@vehicle", "타다")),
    (2, ("@media", "보다 듣다 켜다 끄다")),
    (4, ("@thing @study @toy", "주세요 찾다 놀다 하다 읽다 쓰다 사다 열다 닫다 부르다")),
    (3, ("나", f"{_VERBS} {_STATES} {_FEELINGS}")),
    (3, ("너 @person", f"{_VERBS} {_STATES} {_FEELINGS}")),
    (5, (_VERBS, "더 다시 같이 빨리 천천히 혼자 많이 조금 주세요 원하다 좋다")),
    (2, ("@family 친구 선생님", "@family 친구 선생님")),
    (6, (_VERBS, _REFUSALS)),
    (4, (f"{_THINGS} @place", _REFUSALS)),
    (2, ("@person", "싫다 하지_마세요 그만 무섭다 없다 모르다 안")),
    (5, (f"@place {_THINGS} {_VERBS} @body {_STATES} 무섭다 이거 여기 나", "도와주세요")),
    (2, (f"{_STATES} 무섭다 걱정되다", "주세요 하지_마세요 그만 싫다 못 도와주세요")),
    (1, ("배고프다", "@food @fruit @dish 식당 집")),
    (1, ("목마르다", "@drink @fruit")),
    (1, ("졸리다 피곤하다", "침대 이불 커피 집 의자 약 차 물")),
    (1, ("춥다 덥다", "@clothes 이불 물 차 창문 문 집 학교 회사 병원 여기 아이스크림 주스")),
    (1, ("아프다 어지럽다", "약 병원 휴지 물 침대 이불 의사 간호사 휠체어 집 학교 화장실 의자")),
    (1, ("심심하다 피곤하다", "@media @toy 책 공원 놀이터 산책")),
    (2, (_FEELINGS, "@person @place @study @toy @media 안")),
    (1, ("무섭다 좋다 싫다", "@animal @person @place")),
    (2, ("@body", "아프다 약 병원 하지_마세요 도와주세요 반창고 춥다 씻다 싫다")),
    (5, ("@person", f"{_MEETING} 어디 언제 누구 왜 주세요 오다 좋다 나 같이 있다 도와주세요")),
    (5, (_THINGS, "주세요 더 원하다 있다 없다 이거 다른_것 좋다")),
    (8, ("@ask", f"{_VERBS} {_THINGS} @place {_STATES} @person 안 못 싫다 있다 없다 끝 지금 내일 이거 여기")),
    (3, ("네 아니요 고마워요 미안해요 그게_아니에요 안녕", f"{_THINGS} {_VERBS} {_STATES} @person 다른_것 지금")),
    (5, ("@time 지금 나중에", f"{_VERBS} {_THINGS} @place {_STATES}")),
    (6, ("@core", "@core")),
    (4, ("@time 지금 나중에", "@place", "가다")),
    (4, ("나 @person", "@place", "가다 오다")),
    (2, ("@food @fruit", "더 많이 조금 같이 빨리 천천히", "먹다")),
    (2, ("@food @fruit @drink", "더 많이 조금 빨리", "주세요")),
    (3, ("나", "@person", _VERBS)),
    (5, (f"{_THINGS} @place", _VERBS, _REFUSALS)),
    (4, ("@body", "아프다", "약 병원 의사 간호사 도와주세요 하지_마세요 많이 더 나 지금 반창고")),
    (1, ("@body", "못", "걷다 가다 자다 먹다 쓰다 일어나다 앉다 보다")),
    (4, ("나", "@family 친구 선생님 의사 간호사", f"{_MEETING} 주세요 좋다 싫다 무섭다")),
    (1, ("배고프다", "@food @fruit", "먹다 주세요 사다")),
    (1, ("목마르다", "@drink", "마시다 주세요")),
    (1, ("아프다 어지럽다 피곤하다 졸리다 춥다 무섭다", "집 병원 약국 침대 화장실", "가다 눕다 쉬다 자다 도와주세요")),
    (3, (f"{_THINGS} @place", _VERBS, "도와주세요")),
    (3, ("@ask", "안 못 @person 나 너 지금 내일", _VERBS)),
    (3, ("@ask", f"{_THINGS} @place", _VERBS)),
    (3, ("@time 지금 나중에", f"{_THINGS} @place", _VERBS)),
    (3, ("@person 나 너", f"{_THINGS} @place", f"{_VERBS} 주세요 싫다 좋다")),
    (
        3,
        (
            f"@food @fruit @drink {_VERBS}",
            "더 많이 조금 다시 빨리 천천히 같이 혼자",
            "주세요 먹다 마시다 싫다 안 그만 나",
        ),
    ),
    (2, ("씻다 앉다 눕다 사다 만들다 가다 일어나다", "먹다 쉬다 자다 기다리다 놀다", "@food @place 침대 의자 손")),
    (2, ("@vehicle", "타다", "@place", "가다")),
    (2, ("나", "@person", f"{_THINGS} @place", _VERBS)),
    (1, ("나", "@person", "같이", _VERBS)),
    (2, ("@time 지금 나중에", "@person 나", f"{_THINGS} @place", _VERBS)),
    (2, ("나", f"{_THINGS} @place", _VERBS, _REFUSALS)),
)
# Cards that join what they stand beside, or stand alone: they need no place in the table.
_FREE = _cards(f"@core @ask @person @body {_STATES} {_FEELINGS}") - _cards(_VERBS)


@dataclass(frozen=True)
class Theme:
    """`weight` among the themes of its length; `slots` in the order in which the cards are mostly chosen."""

    weight: int
    slots: tuple[frozenset[str], ...]


@lru_cache(maxsize=1)
def themes() -> tuple[Theme, ...]:
    """All themes."""
    return tuple(Theme(weight, tuple(map(_cards, slots))) for weight, slots in _THEMES)


@lru_cache(maxsize=200_000)
def meant(chosen: tuple[str, ...]) -> bool:
    """Whether a person could mean the cards: the grammar joins them all, and its table what they do with what."""
    from dataset.prepare.teachers.company import plausible
    from dataset.prepare.teachers.loose import understand
    from dataset.prepare.teachers.reading import read

    if not all(map(lookup, chosen)):
        return plausible(chosen)
    bare = frozenset(chosen) - _FREE
    if "가다" in chosen:
        bare -= {"타다"}  # one rides to where one goes
    return understand(chosen) is not None and (len(bare) < 2 or read(bare) is not None)
