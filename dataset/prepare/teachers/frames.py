"""The compatibility table: which cards may meet in one utterance. A possible sentence is not yet a plausible one, so
every predicate names the cards that its slots take, and every noun the predicate that it is heard with.
"""

# ruff: noqa: E501 - a row of a table stays on one line

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

from dataset.prepare.lexicon import load_lexicon, lookup

COMPANIONS = frozenset(["엄마", "아빠", "할머니", "할아버지", "형", "누나", "동생", "친구", "가족", "이모", "삼촌"])
TEACHER = COMPANIONS | {"선생님"}
HONORED = frozenset(["할머니", "할아버지", "선생님", "의사", "간호사"])
TITLES = {"의사": "의사 선생님", "간호사": "간호사님"}
FUTURE = frozenset(["내일", "나중에", "주말"])
TIMES = frozenset(["오늘", "내일", "지금", "나중에", "주말", "아침", "점심", "저녁", "밤"])
THINGS = frozenset(
    [
        "컵",
        "접시",
        "숟가락",
        "젓가락",
        "휴지",
        "수건",
        "칫솔",
        "비누",
        "반창고",
        "이불",
        "의자",
        "우산",
        "안경",
        "공책",
        "연필",
        "가위",
        "색연필",
        "종이",
        "이어폰",
        "휴대폰",
        "풍선",
        "열쇠",
        "가방",
        "마스크",
        "보청기",
        "카메라",
        "돈",
        "카드",
        "선물",
        "시계",
    ]
)
# Things that one asks for together.
KITS = (
    frozenset(["컵", "접시", "숟가락", "젓가락"]),
    frozenset(["공책", "연필", "가위", "색연필", "종이"]),
    frozenset(["수건", "칫솔", "비누", "휴지"]),
    frozenset(["열쇠", "휴대폰", "카드", "돈", "가방", "우산", "안경", "마스크"]),
)
QUESTIONS = frozenset(["뭐", "어디", "누구", "왜", "언제"])


# Kiwi's marks for stems whose look does not tell: 닫으면 keeps its ㄷ, 들으면 does not.
_CONJUGATION = {stem: "VV-R" for stem in ["닫", "입", "씻", "벗", "웃"]} | {stem: "VV-I" for stem in ["듣", "걷", "눕"]}


@dataclass(frozen=True)
class Frame:
    """What a predicate takes. `kind`: act (one's own deed), other (another's deed), state (of body or mind), quality
    (of a thing). `objects`: {card: josa}; `places`: {card: (josa, objects that fit there or None for all)}.
    `who` stands with the deed by the josa `role`; `ask`: it can be asked of the partner; `instant`: it has no course.
    """

    stem: str
    tag: str = "VV"
    kind: str = "act"
    objects: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[str, frozenset[str] | None]] = field(default_factory=dict)
    who: frozenset[str] = frozenset()
    role: str = "이랑"
    adverbs: frozenset[str] = frozenset()
    questions: frozenset[str] = frozenset()
    ask: bool = False
    instant: bool = False
    needs: bool = False
    noun: str = ""
    honorific: str = ""
    solo: frozenset[str] = frozenset()


@cache
def _names(text: str) -> tuple[str, ...]:
    """`@category` stands for its cards, a leading minus takes one away."""
    found: list[str] = []
    for word in text.split():
        if word.startswith("@"):
            found += [card.keyword for card in load_lexicon() if card.category == word[1:]]
        elif word.startswith("-"):
            found.remove(word[1:])
        else:
            found.append(word)
    return tuple(found)


def _objects(text: str, josa: str = "을") -> dict[str, str]:
    return dict.fromkeys(_names(text), josa)


def _places(text: str, josa: str = "에서") -> dict[str, tuple[str, frozenset[str] | None]]:
    """`집 시장:@fruit` : at home anything, at the market fruit only (several joined by +)."""
    found: dict[str, tuple[str, frozenset[str] | None]] = {}
    for item in text.split():
        place, _, only = item.partition(":")
        allowed = frozenset(_names(only.replace("+", " "))) if only else None
        found.update(dict.fromkeys(_names(place), (josa, allowed)))
    return found


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _act(stem: str, objects: str = "", places: str = "", who: frozenset[str] = frozenset(), adverbs: str = "", **rest):
    return Frame(stem, objects=_objects(objects), places=_places(places), who=who, adverbs=_set(adverbs), **rest)


_SHARED = "같이 혼자"
_WHEN_WHY = _set("언제 왜")
_FULL = _set("언제 왜 누구 뭐 어디")
_PETS = "강아지 고양이"


def _acts() -> dict[str, Frame]:
    c = COMPANIONS
    food = "@food @fruit"
    return {
        "먹다": _act(
            "먹",
            f"{food} 약 아침 점심 저녁 이거",
            "집 식당:@food+점심+저녁 학교:점심 공원:@fruit+김밥+빵+샌드위치",
            c,
            f"{_SHARED} 더 많이 조금 천천히",
            questions=_FULL,
            honorific="드시",
            solo=_set("약"),
        ),
        "마시다": _act(
            "마시",
            "@drink",
            "집 식당:물+콜라+주스 회사:커피+물+차",
            c,
            f"{_SHARED} 더 많이 조금 천천히",
            questions=_FULL,
        ),
        "보다": _act(
            "보",
            "텔레비전 영화 뉴스 사진 꽃 별 달 나무 @animal 이거",
            "집:텔레비전+영화+뉴스+사진 영화관:영화 동물원:@animal+-강아지+-고양이+-소+-돼지+-닭+-나비+-물고기 공원:꽃+나비+새 바다:별+달 산:별+달+꽃+새",
            c,
            f"{_SHARED} 다시 더",
            questions=_set("언제 왜 누구 뭐"),
            needs=True,
        ),
        "가다": Frame(
            "가",
            objects=_objects("버스 택시 기차 지하철 자동차 자전거 휠체어", "로"),
            places=_places("@place 여기", "에"),
            who=c,
            adverbs=_set(f"{_SHARED} 다시 빨리"),
            questions=_set("언제 왜 누구 어디"),
        ),
        "여행가다": _act("가", "여행", "", c, _SHARED, questions=_set("언제 누구 어디"), needs=True),
        "놀다": Frame(
            "놀",
            objects=_objects("공 인형 장난감 블록", "을 가지고") | _objects(_PETS, "이랑"),
            places=_places("집 학교 공원:공+강아지 바다:공+강아지 놀이터:공+강아지 놀이공원:여행 수영장:공"),
            who=c,
            adverbs=_set(f"{_SHARED} 더 많이"),
            questions=_set("언제 누구 어디 뭐"),
        ),
        "하다": _act(
            "하",
            "게임 컴퓨터 숙제 공부 축구 야구 농구 배드민턴 수영 운동 산책 낚시 퍼즐 이거",
            "집:게임+컴퓨터+숙제+공부+운동+퍼즐 학교:축구+농구+공부+배드민턴+야구 도서관:숙제+공부 공원:산책+운동+배드민턴+축구 수영장:수영 바다:낚시+수영",
            c,
            f"{_SHARED} 더 다시 많이 조금",
            questions=_FULL,
            needs=True,
        ),
        "자다": _act(
            "자",
            "",
            "집 침대 호텔 캠핑장",
            _set("엄마 아빠 할머니 동생 아기"),
            "더 혼자 많이 조금",
            questions=_set("언제 왜 어디"),
            honorific="주무시",
        ),
        "쉬다": _act("쉬", "", "집 침대 공원 여기", c, "더 조금 혼자 같이 많이", questions=_set("언제 왜 어디")),
        "씻다": _act(
            "씻",
            "손 발 사과 포도 딸기 토마토 컵 접시",
            "화장실:손+발 집:손+발+컵+접시",
            _set(""),
            "빨리 다시 혼자",
            questions=_WHEN_WHY,
        ),
        "사다": _act(
            "사",
            f"{food} 우유 주스 콜라 @clothes 꽃 선물 책 공책 연필 장난감 인형 휴지 비누 칫솔 이거",
            "가게 시장:@fruit+생선+고기+떡+꽃+옷+양말",
            c,
            f"{_SHARED} 더 많이 조금",
            questions=_FULL,
            ask=True,
            needs=True,
        ),
        "읽다": _act(
            "읽",
            "책 편지 이거",
            "집:책+편지 학교:책 도서관:책",
            TEACHER,
            f"{_SHARED} 다시 더 천천히",
            questions=_set("언제 왜 뭐"),
            ask=True,
            needs=True,
        ),
        "쓰다": _act(
            "쓰",
            "편지 이거",
            "집 학교",
            TEACHER,
            f"{_SHARED} 다시 천천히",
            questions=_set("언제 왜 뭐"),
            ask=True,
            needs=True,
        ),
        "그리다": _act(
            "그리",
            "그림 꽃 나무 강아지 고양이 토끼 집 자동차 코끼리 나비",
            "학교 도서관:여행",
            TEACHER,
            f"{_SHARED} 다시 더 천천히",
            questions=_set("언제 왜 뭐"),
            ask=True,
            needs=True,
        ),
        "듣다": _act(
            "듣", "음악 노래 라디오", "집", TEACHER, f"{_SHARED} 다시 더", questions=_set("언제 왜 뭐"), needs=True
        ),
        "부르다": _act(
            "부르", "노래", "집 학교", TEACHER, f"{_SHARED} 다시 더", questions=_set("언제 왜"), ask=True, needs=True
        ),
        "춤추다": _act("춤추", "", "집 학교", TEACHER, f"{_SHARED} 더 다시", questions=_set("언제 왜")),
        "입다": _act(
            "입",
            "옷 바지 치마 코트 이거",
            "",
            _set(""),
            "혼자 다시 빨리",
            questions=_set("언제 왜 뭐"),
            instant=True,
            needs=True,
        ),
        "벗다": _act(
            "벗",
            "옷 코트 양말 신발 모자 장갑 안경 바지 이거",
            "",
            _set(""),
            "혼자",
            questions=_WHEN_WHY,
            instant=True,
            needs=True,
        ),
        "열다": _act(
            "열",
            "문 창문 가방 이거",
            "",
            _set(""),
            "빨리 혼자 다시 조금",
            questions=_WHEN_WHY,
            ask=True,
            instant=True,
            needs=True,
        ),
        "닫다": _act(
            "닫",
            "문 창문 가방 이거",
            "",
            _set(""),
            "빨리 혼자 다시",
            questions=_WHEN_WHY,
            ask=True,
            instant=True,
            needs=True,
        ),
        "켜다": _act(
            "켜",
            "불 텔레비전 컴퓨터 라디오 음악 이거",
            "",
            _set(""),
            "빨리 혼자 다시",
            questions=_WHEN_WHY,
            ask=True,
            instant=True,
            needs=True,
        ),
        "끄다": _act(
            "끄",
            "불 텔레비전 컴퓨터 라디오 음악 이거",
            "",
            _set(""),
            "빨리 혼자",
            questions=_WHEN_WHY,
            ask=True,
            instant=True,
            needs=True,
        ),
        "타다": _act(
            "타",
            "@vehicle -배 배 이거",
            "공원:자전거",
            c,
            f"{_SHARED} 더 다시",
            questions=_set("언제 왜 어디 누구 뭐"),
            needs=True,
        ),
        "만들다": _act(
            "만들",
            "김밥 빵 샌드위치 케이크 카레 국수 떡 샐러드 눈사람 연 이거",
            "집",
            TEACHER,
            f"{_SHARED} 더 다시",
            questions=_set("언제 왜 누구 뭐"),
            ask=True,
            needs=True,
        ),
        "찍다": _act(
            "찍",
            "사진",
            "공원 바다 동물원 산 여기 학교",
            TEACHER,
            f"{_SHARED} 더 다시 많이",
            questions=_set("언제 왜 누구 어디"),
            ask=True,
            needs=True,
        ),
        "찾다": _act(
            "찾",
            "열쇠 가방 휴대폰 안경 카드 양말 신발 모자 장갑 우산 시계 책",
            "",
            COMPANIONS,
            "같이 빨리 다시 혼자",
            questions=_set("왜 뭐"),
            ask=True,
            instant=True,
            needs=True,
        ),
        "만나다": Frame(
            "만나",
            places=_places("집 학교 공원 식당 여기 도서관"),
            who=TEACHER | _set("의사"),
            role="을",
            adverbs=_set("다시 혼자"),
            questions=_set("언제 왜 어디 누구"),
            instant=True,
        ),
        "기다리다": Frame(
            "기다리",
            objects=_objects("버스 택시 기차 지하철"),
            places=_places("집 학교 여기 병원"),
            who=TEACHER,
            role="을",
            adverbs=_set("더 조금 혼자 같이"),
            questions=_set("왜 누구 어디"),
            ask=True,
        ),
        "걷다": _act(
            "걷",
            "",
            "공원 바다 산",
            c,
            f"{_SHARED} 더 천천히 빨리 조금 많이",
            questions=_set("왜 어디"),
        ),
        "뛰다": _act("뛰", "", "공원 놀이터", COMPANIONS, f"{_SHARED} 더 빨리", questions=_set("왜 어디")),
        "앉다": Frame(
            "앉",
            places=_places("의자 침대 여기", "에"),
            who=COMPANIONS,
            adverbs=_set(_SHARED),
            questions=_set("어디"),
            instant=True,
        ),
        "눕다": Frame(
            "눕", places=_places("침대 여기", "에"), adverbs=_set("조금 더 혼자"), questions=_set("어디"), instant=True
        ),
        "일어나다": Frame("일어나", adverbs=_set("빨리 천천히 다시 혼자"), questions=_WHEN_WHY, instant=True),
        "전화하다": Frame(
            "하",
            who=TEACHER | _set("의사"),
            role="한테",
            places=_places("집 병원 학교 회사", "에"),
            adverbs=_set("다시 빨리 혼자"),
            questions=_set("언제 왜 누구"),
            noun="전화",
            ask=True,
        ),
        "말하다": Frame(
            "하",
            who=TEACHER | _set("의사 간호사"),
            role="한테",
            adverbs=_set("다시 천천히 혼자"),
            questions=_set("언제 왜 누구 뭐"),
            noun="말",
            ask=True,
        ),
        "청소하다": Frame(
            "하",
            places=_places("집 화장실 학교", "을"),
            who=c,
            adverbs=_set(f"{_SHARED} 빨리"),
            questions=_WHEN_WHY,
            noun="청소",
        ),
        "요리하다": Frame(
            "하", places=_places("집"), who=c, adverbs=_set(_SHARED), questions=_set("언제 누구 뭐"), noun="요리"
        ),
        "신다": _act("신", "양말 신발 운동화", "", _set(""), "혼자 다시 빨리", instant=True, needs=True),
        "치다": _act(
            "치",
            "피아노 기타 북",
            "집 학교",
            TEACHER,
            f"{_SHARED} 더 다시",
            questions=_set("언제 왜 누구"),
            ask=True,
            needs=True,
        ),
        "날리다": _act("날리", "연", "공원 바다", c, f"{_SHARED} 다시", questions=_set("언제 누구 어디"), needs=True),
    }


def _others() -> dict[str, Frame]:
    everyone = TEACHER | _set("아기 의사 간호사 경찰관 소방관 요리사")
    own = everyone - _set("의사 간호사 경찰관 소방관 요리사")
    subject = {"kind": "other", "role": "이"}
    return {
        "오다": Frame(
            "오",
            who=everyone,
            places=_places("집 학교 병원 여기", "에"),
            adverbs=_set("빨리 다시 같이 혼자"),
            questions=_set("언제 왜 누구"),
            **subject,
        ),
        "울다": Frame(
            "울",
            who=_set("동생 아기 친구 엄마 누나 형"),
            adverbs=_set("많이 혼자"),
            questions=_set("왜 누구"),
            **subject,
        ),
        "웃다": Frame("웃", who=own, adverbs=_set("많이 같이 혼자"), questions=_set("왜 누구"), **subject),
    }


def _states() -> dict[str, Frame]:
    family = (TEACHER | _set("아기")) - {"가족"}
    degree = _set("많이 조금")

    def state(
        stem: str, tag: str = "VA", objects: str = "", who: frozenset[str] = family, past: bool = False, **rest
    ) -> Frame:
        return Frame(
            stem,
            tag,
            "state",
            _objects(objects, "이"),
            who=who,
            role="이",
            adverbs=degree,
            questions=_set("왜"),
            instant=past,
            **rest,
        )

    def quality(
        stem: str,
        tag: str,
        objects: str,
        places: str = "",
        who: frozenset[str] = frozenset(),
        adverbs: str = "많이 조금",
        questions: str = "",
    ) -> Frame:
        return Frame(
            stem,
            tag,
            "quality",
            _objects(objects, "이"),
            _places(places, "이"),
            who,
            "이",
            _set(adverbs),
            _set(questions),
            needs=True,
        )

    return {
        "아프다": state("아프", objects="@body 여기"),
        "배고프다": state("배고프"),
        "배부르다": state("배부르"),
        "목마르다": state("목마르"),
        "졸리다": state("졸리"),
        "피곤하다": state("피곤하"),
        "어지럽다": state("어지럽", "VA-I", who=COMPANIONS),
        "덥다": state("덥", "VA-I", "집 학교 회사 여기", who=frozenset()),
        "춥다": state("춥", "VA-I", "집 학교 회사 여기", who=frozenset()),
        "심심하다": state("심심하"),
        "기쁘다": state("기쁘"),
        "슬프다": state("슬프"),
        "행복하다": state("행복하"),
        "무섭다": state("무섭", "VA-I", "사자 호랑이 곰 병원 영화", who=frozenset()),
        "외롭다": state("외롭", "VA-I"),
        "속상하다": state("속상하"),
        "부끄럽다": state("부끄럽", "VA-I"),
        "걱정되다": state("걱정되", "VV", "숙제 돈"),
        "신나다": state("신나", "VV", past=True),
        "놀라다": state("놀라", "VV", past=True),
        "화나다": state("화나", "VV", past=True),
        "뜨겁다": quality("뜨겁", "VA-I", "물 차 커피 국 밥 국수 이거"),
        "맛있다": quality("맛있", "VA", "@food @fruit 우유 주스 커피 차 이거 점심 저녁", adverbs=""),
        "재미있다": quality(
            "재미있",
            "VA",
            "책 영화 게임 축구 야구 농구 수영 퍼즐 공부 텔레비전 여행 이거",
            "놀이공원 동물원 학교",
            adverbs="",
        ),
        "시끄럽다": quality("시끄럽", "VA-I", "음악 노래 텔레비전 라디오 북", "여기 식당"),
        "예쁘다": quality(
            "예쁘",
            "VA",
            "꽃 옷 치마 모자 그림 달 별 고양이 강아지 나비 새 인형 이거",
            who=_set("누나 이모 아기 동생 엄마"),
            adverbs="",
        ),
        "크다": quality("크", "VA", "옷 바지 신발 모자 장갑 코트 코끼리 곰 이거"),
        "작다": quality("작", "VA", "옷 바지 신발 모자 장갑 코트 운동화 이거"),
        "좋다": quality(
            "좋",
            "VA",
            "@food @fruit @drink @toy @animal -생일 음악 노래 영화 책 꽃 이거",
            "집 학교 공원 바다 산 여기",
            TEACHER,
            "",
        ),
        "싫다": quality(
            "싫", "VA", "@food @fruit 약 공부 숙제 비 바람 우유 이거 버스 운동 게임", "병원 학교 여기", adverbs=""
        ),
        "있다": quality(
            "있",
            "VA",
            "@clothes 돈 카드 열쇠 휴대폰 약 물 우유 빵 과자 사과 숙제 숟가락 컵 휴지",
            who=TEACHER | _set("아기"),
            adverbs="더 많이 조금",
            questions="",
        ),
        "없다": quality(
            "없",
            "VA",
            "@clothes 돈 카드 열쇠 휴대폰 약 물 우유 휴지 비누 수건 칫솔 숟가락 젓가락 컵 이불 의자 종이 연필",
            who=TEACHER,
            adverbs="",
        ),
        "끝": quality("끝나", "VV", "숙제 공부 게임 영화 운동 수영 여행 축구 야구", adverbs=""),
        "사랑하다": Frame("사랑하", "VV", "love", who=COMPANIONS | _set("아기"), role="을", adverbs=_set("많이")),
        "모르다": Frame("모르", "VV", "unknown", _objects("이거 숙제", "을")),
        "원하다": Frame(
            "원하",
            "VV",
            "wish",
            _objects("@food @fruit @drink @clothes 이거 장난감 인형 책 꽃 휴대폰", "을"),
            adverbs=_set("더"),
        ),
    }


@lru_cache(maxsize=1)
def frames() -> dict[str, Frame]:
    """Every predicate with its slots; 신다, 치다, 날리다 and 여행 have no card and complete a noun only."""
    table = _acts() | _others() | _states()
    return {name: replace(frame, tag=_CONJUGATION.get(frame.stem, frame.tag)) for name, frame in table.items()}


@lru_cache(maxsize=1)
def defaults() -> dict[str, str]:
    """The predicate that a noun without one is completed with."""
    order = "치다 날리다 신다 부르다 찍다 듣다 보다 읽다 그리다 하다 놀다 타다 가다 마시다 먹다 여행가다"
    found: dict[str, str] = {}
    for predicate in order.split():
        frame = frames()[predicate]
        for card in (*(() if predicate == "가다" else frame.objects), *(frame.places if predicate == "가다" else ())):
            entry = lookup(card)
            if entry and entry.pos in ("noun", "place") and not (predicate == "그리다" and card != "그림"):
                found[card] = predicate
    return found | {"노래": "부르다", "꽃": "보다", "나무": "보다", "침대": "눕다", "전화": "전화하다", "만화": "보다"}


# What makes one do what: state -> (predicates that follow, their cards or none). 배고프다 + 밥: 배고파서 밥을 먹고 싶어요.
CAUSES: dict[str, frozenset[str]] = {
    "배고프다": _set("먹다"),
    "목마르다": _set("마시다"),
    "피곤하다": _set("자다 쉬다 눕다"),
    "졸리다": _set("자다 눕다"),
    "심심하다": _set("놀다 보다"),
    "어지럽다": _set("눕다 쉬다 앉다"),
}
# Two deeds in a row, by their connective.
LINKS: dict[tuple[str, str], str] = {
    ("씻다", "먹다"): "고",
    ("씻다", "자다"): "고",
    ("앉다", "쉬다"): "어서",
    ("앉다", "먹다"): "어서",
    ("눕다", "쉬다"): "어서",
    ("앉다", "기다리다"): "어서",
    ("사다", "먹다"): "어서",
    ("만들다", "먹다"): "어서",
    ("가다", "놀다"): "어서",
    ("가다", "쉬다"): "어서",
    ("가다", "자다"): "어서",
    ("만나다", "놀다"): "어서",
    ("일어나다", "씻다"): "어서",
    ("일어나다", "먹다"): "어서",
}
