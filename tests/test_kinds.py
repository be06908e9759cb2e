"""Whole kinds of requests: what a person says with these cards, and what must not be put in their mouth."""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import combinations

import pytest

from aac.gate import negations
from aac.korean import covers, speech_level
from aac.lexicon import load_lexicon
from aac.persona import Context, Persona
from aac.records import split_of
from dataset.prepare import sampling
from dataset.prepare.teachers.frames import chain, during
from dataset.prepare.teachers.grammar import interpret
from dataset.prepare.teachers.reviewed import reviewed
from dataset.prepare.themes import meant, themes

POOL = [card.keyword for card in load_lexicon()]
CORE = [card.keyword for card in load_lexicon() if card.category == "core"]
LISTED = re.compile("이야기(예요|야|입니다| 좀|를 하고)")
# A sentence that asks for something or agrees to it, without any refusal.
AGREES = re.compile("(고 싶|래요?[.?]|거예요|거야|주세요|줘|될까|돼요?[?]|려고)")


def say(cards: str, partner: str = "활동지원사", age: str = "성인", activity: str = "") -> list[str]:
    context = Context(interaction_partner=partner, place="집", current_activity=activity)
    return interpret(cards.split("+"), Persona(age=age), context)


def turned_round(sentence: str) -> bool:
    return AGREES.search(sentence) is not None and not negations(sentence) and "그만" not in sentence


@pytest.mark.parametrize(
    "cards",
    [
        "버스+타다+싫다", "신발+양말+벗다+하지 마세요", "옷+벗다+하지 마세요",
        "코트+벗다+싫다", "머리+씻다+싫다", "주사+싫다",
        "병원+싫다", "안+씻다", "못+걷다", "하지 마세요+씻다", "목욕+하지 마세요", "아니요+우유",
        "아니요+병원", "아니요+먹다", "싫다+컵+여기", "자다+싫다", "싫다+삼촌", "안+주세요",
        "하지 마세요+주세요+약", "아니요+더", "아니요+오다", "아니요+원하다", "손+하지 마세요",
    ],
)  # fmt: skip
def test_a_refusal_governs_what_the_others_say(cards: str) -> None:
    assert not [sentence for sentence in say(cards) if turned_round(sentence)]


@pytest.mark.parametrize("sentence", ["버스를 타고 싶어요.", "양말 벗어도 돼요?", "병원에 갈래요.", "약 주세요."])
def test_a_refusal_turned_round_is_caught(sentence: str) -> None:
    assert turned_round(sentence)


@pytest.mark.parametrize(
    ("cards", "first"),
    [
        ("배고프다+빵", "배고파서 빵을 먹고 싶어요."),
        ("목마르다+우유", "목말라서 우유를 마시고 싶어요."),
        ("아프다+약국", "아파서 약국에 가고 싶어요."),
        ("귀+아프다+약", "귀가 아파서 약을 먹을 거예요."),
        ("머리+무릎+아프다", "머리랑 무릎이 아파요."),
        ("춥다+코트", "추워요, 코트 주세요."),
        ("덥다+창문", "더워서 창문을 열고 싶어요."),
        ("숙제+속상하다", "숙제 때문에 속상해요."),
        ("도서관+도와주세요", "도서관에 가는 것 좀 도와주세요."),
        ("안경+도와주세요", "안경 좀 도와주세요."),
        ("어지럽다+도와주세요", "어지러워요, 도와주세요."),
        ("경찰관+도와주세요", "경찰관 좀 불러 주세요, 도와주세요."),
        ("못+걷다+도와주세요", "못 걷겠어요, 도와주세요."),
        ("비+우산", "비가 오니까 우산 주세요."),
        ("생일+케이크", "생일에 케이크를 먹고 싶어요."),
        ("버스+타다+바다+가다", "버스를 타고 바다에 가고 싶어요."),
        ("어디+아프다", "어디가 아파요?"),
        ("뭐+옷+입다", "무슨 옷을 입어요?"),
        ("누구+엄마+가다", "엄마랑 누가 가요?"),
        ("뭐+무섭다", "뭐가 무서워요?"),
        ("왜+못+자다", "왜 못 자요?"),
        ("왜+싫다", "왜 싫어요?"),
        ("모르다+어디", "어딘지 모르겠어요."),
        ("크다+모자+주세요", "큰 모자 주세요."),
        ("못+춤추다", "춤을 못 추겠어요."),
    ],
)
def test_the_commonest_messages_are_sentences(cards: str, first: str) -> None:
    assert say(cards)[0] == first


@pytest.mark.parametrize(
    ("cards", "first"),
    [
        ("병원+가다+무섭다", "병원에 가는 게 무서워요."),
        ("무섭다+자전거+타다", "자전거를 타는 게 무서워요."),
        ("아빠+가다+무섭다", "아빠랑 가는 게 무서워요."),
        ("숙제+하다+걱정되다", "숙제를 하는 게 걱정돼요."),
        ("병원+가다+무섭다+도와주세요", "병원에 가는 게 무서워요, 도와주세요."),
        ("왜+병원+가다+무섭다", "병원에 가는 게 왜 무서워요?"),
        ("학교+가다+속상하다", "학교에 가는 게 속상해요."),
        ("다리+아프다+걷다", "걸을 때 다리가 아파요."),
        ("이+밥+먹다+아프다", "밥을 먹을 때 이가 아파요."),
        ("학교+가다+아프다", "학교에 갈 때 아파요."),
        ("아프다+친구+먹다", "친구랑 먹을 때 아파요."),
        ("어지럽다+버스+타다", "버스를 탈 때 어지러워요."),
        ("주사+보다+속상하다", "주사를 보는 게 속상해요."),
        ("피곤하다+운동", "운동을 할 때 피곤해요."),
        ("친구+오다+기쁘다", "친구가 와서 기뻐요."),
        ("할머니+오다+행복하다", "할머니가 오셔서 행복해요."),
        ("동생+울다+속상하다", "동생이 울어서 속상해요."),
        ("친구+만나다+기쁘다", "친구를 만나서 기뻐요."),
        ("엄마+보다+슬프다", "엄마를 보고 싶어서 슬퍼요."),
    ],
)
def test_a_deed_that_one_shuns_or_feels_about_is_no_wish(cards: str, first: str) -> None:
    said = say(cards)
    assert said[0] == first
    assert not [s for s in said if re.search("고 싶(?!어서)|려고|(?<!도와주실)래요|도 (?:될|돼)|[와봐] 주", s)]


@pytest.mark.parametrize(
    ("cards", "first"),
    [
        ("아빠+무섭다+집+가다", "아빠가 무서워서 집에 가고 싶어요."),  # whom one flees stands first
        ("외롭다+친구+전화하다", "외로워서 친구한테 전화하고 싶어요."),
        ("약+먹다+아프다", "아파서 약을 먹을 거예요."),
        ("아프다+눕다", "아파서 눕고 싶어요."),
        ("아프다+집+가다", "아파서 집에 가고 싶어요."),
        ("화나다+집+가다", "화나서 집에 가고 싶어요."),
    ],
)
def test_what_a_state_leads_to_is_still_wished(cards: str, first: str) -> None:
    assert say(cards)[0] == first


@pytest.mark.parametrize(
    ("cards", "first"),
    [
        ("우유+싫다+물+주세요", "우유는 싫어요, 물 주세요."),
        ("버스+싫다+택시+타다", "버스는 싫어요, 택시를 타고 싶어요."),
        ("우유+하지 마세요+물+주세요", "우유 주지 마세요, 물 주세요."),
        ("이거+싫다+다른 것+주세요", "이건 싫어요, 다른 거 주세요."),
        ("아빠+싫다+엄마+보다", "아빠는 싫어요, 엄마를 보고 싶어요."),
        ("약+먹다+싫다+자다", "약을 먹기 싫어요, 자고 싶어요."),
        ("숙제+끝+놀다", "숙제가 끝났어요, 놀고 싶어요."),
        ("밥+먹다+끝+집+가다", "밥을 먹는 게 끝났어요, 집에 가고 싶어요."),
    ],
)
def test_a_card_that_parts_two_utterances_is_of_the_one_before(cards: str, first: str) -> None:
    assert say(cards)[0] == first


@pytest.mark.parametrize(
    "cards", ["버스+싫다+타다", "신발+싫다+벗다", "우유+싫다+물", "버스+싫다+친구+타다", "싫다+우유+마시다"]
)
def test_a_refusal_without_another_thing_to_ask_for_governs_all(cards: str) -> None:
    assert not [sentence for sentence in say(cards) if AGREES.search(sentence)]


@pytest.mark.parametrize(
    ("cards", "first"),
    [
        ("아기+울다+도와주세요", "아기가 울고 있어요, 도와주세요."),
        ("엄마+사랑하다+아빠", "엄마가 아빠를 사랑하세요."),
        ("아빠+사랑하다+엄마", "아빠가 엄마를 사랑하세요."),
        ("형+때리다+동생", "형이 동생을 때려요."),
        ("친구+안+오다", "친구가 안 와요."),
        ("손+씻다+비누", "비누로 손을 씻고 싶어요."),
        ("그림+그리다+색연필", "색연필로 그림을 그리고 싶어요."),
        ("꽃+카메라+찍다", "카메라로 꽃을 찍고 싶어요."),
        ("편지+연필+쓰다", "연필로 편지를 쓰고 싶어요."),
        ("숟가락+밥+먹다", "숟가락으로 밥을 먹고 싶어요."),
        ("뭐+하다+지금", "지금 뭐 해요?"),
        ("컵+주세요+물", "컵이랑 물 주세요."),
        ("물+컵+도와주세요", "물이랑 컵 좀 도와주세요."),
        ("기차+언제+오다", "기차가 언제 와요?"),
        ("버스+오다", "버스가 와요."),
        ("버스+안+오다", "버스가 안 와요."),
        ("버스+여기+오다", "버스가 여기 와요."),
        ("버스+오다+주세요", "버스를 타고 와 주세요."),  # who comes is the partner
        ("손+앉다", "손이에요, 앉고 싶어요."),
        ("눕다+머리+쉬다", "머리예요, 누워서 쉬고 싶어요."),
        ("무릎+약", "무릎 때문에 약을 먹을 거예요."),
        ("눈+못+보다", "눈 때문에 못 봐요."),
        ("그만+주세요+국", "국 그만 주세요."),
        ("먹다+약+씻다", "약을 먹고 씻고 싶어요."),
        ("씻다+먹다+약", "씻고 약을 먹을 거예요."),
        ("고양이+보다+나", "고양이가 저를 봐요."),
    ],
)
def test_each_card_has_the_part_that_it_plays(cards: str, first: str) -> None:
    assert say(cards)[0] == first


@pytest.mark.parametrize("thing", ["약", "이불", "창문", "의자", "물"])
@pytest.mark.parametrize("state", ["아프다", "춥다", "덥다", "졸리다", "배고프다"])
def test_no_thing_has_a_state_of_ones_own(thing: str, state: str) -> None:
    stem = {
        "아프다": "아[프파픈]",
        "춥다": "추[워운]|춥",
        "덥다": "더[워운]|덥",
        "졸리다": "졸[리려린]",
        "배고프다": "배고",
    }[state]
    assert not [s for s in say(f"{thing}+{state}") if re.search(f"{thing}[이가]? ({stem})", s)]


@pytest.mark.parametrize(
    ("cards", "partner", "first"),
    [
        ("아빠+무섭다", "선생님", "아빠가 무서워요."),
        ("무섭다+아빠", "선생님", "아빠가 무서워요."),
        ("아빠+무섭다", "아빠", "아빠, 무서워."),
        ("이모+싫다", "선생님", "이모가 싫어요."),
        ("삼촌+하지 마세요", "선생님", "삼촌이 하지 말았으면 좋겠어요."),
        ("아빠+하지 마세요", "아빠", "아빠, 하지 마."),
        ("삼촌+그만", "엄마", "삼촌이 그만했으면 좋겠어."),
        ("아빠+때리다", "선생님", "아빠가 때려요."),
        ("누나+때리다+나", "선생님", "누나가 저를 때려요."),
        ("미안해요+아빠", "선생님", "아빠한테 미안해요."),
        ("의사+아프다", "엄마", "아파서 의사 선생님을 만나고 싶어."),
    ],
)
def test_who_is_not_there_is_told_of_and_kept(cards: str, partner: str, first: str) -> None:
    assert say(cards, partner, "아동")[0] == first


@pytest.mark.parametrize(
    ("one", "other"),
    [("엄마+보다+나", "나+보다+엄마"), ("형+사랑하다+나", "나+사랑하다+형"), ("누나+부르다+나", "나+부르다+누나")],
)
def test_the_order_tells_who_does_it_to_whom(one: str, other: str) -> None:
    theirs, mine = say(one), say(other)
    assert "저를" in theirs[0] and "저를" not in mine[0] and mine[0].startswith("저는")


@pytest.mark.parametrize(
    ("partner", "age", "called"),
    [
        ("딸", "성인", "너"), ("남편", "성인", "여보"), ("오빠", "성인", "오빠"),
        ("여동생", "성인", "너"), ("할머니", "아동", "할머니"), ("간호사님", "성인", "간호사님"),
        ("부모님", "성인", "부모님"), ("조부모님", "아동", "조부모님"), ("직장 상사", "성인", "상사님"),
        ("팀장님", "성인", "팀장님"), ("치료사님", "성인", "선생님"), ("낯선 사람", "성인", "저기요"),
    ],
)  # fmt: skip
def test_the_partner_is_addressed_by_who_they_are(partner: str, age: str, called: str) -> None:
    assert all(called in sentence and covers(sentence, "너") for sentence in say("너+가다", partner, age))


def test_a_sibling_who_listens_is_spoken_to() -> None:
    assert all(sentence.startswith("동생아, ") for sentence in say("동생+놀다", "동생", "아동"))
    assert say("형+밥", "오빠")[0].startswith("오빠, ")


@pytest.mark.parametrize("time", ["내일", "주말", "나중에"])
def test_what_is_to_come_is_not_told_as_done(time: str) -> None:
    for cards in (f"{time}+공원+가다", f"{time}+빵+먹다", f"{time}+친구+영화+보다", f"{time}+의사"):
        for sentence in say(cards, activity="공원에 가고 난 뒤"):
            assert not re.search("(갔|봤|했|었)(어|다|습|는|지)", sentence), sentence


def test_every_card_alone_has_three_forms_of_the_partners_level() -> None:
    for word in POOL:
        for partner, age, level in (
            ("친구", "청소년", "반말"),
            ("선생님", "아동", "해요체"),
            ("팀장님", "성인", "합쇼체"),
        ):
            said = say(word, partner, age)
            assert len(set(said)) == 3 and all(covers(s, word) for s in said), (word, said)
            levels = {speech_level(s) for s in said} - {"조각"}
            assert levels <= {level, "해요체"} if level == "합쇼체" else levels <= {level, "합쇼체"}, (word, said)


def test_reviewed_wording_is_given_for_core_cards_and_emergencies_only() -> None:
    persona, context = Persona(age="아동"), Context(interaction_partner="엄마")
    assert reviewed(["하지 마세요"], persona, context) == ["하지 마.", "그거 하지 마.", "하지 말아 줘."]
    assert reviewed(["도와주세요", "불"], persona, context) == reviewed(["불", "도와주세요"], persona, context)
    assert reviewed(["사과"], persona, context) is None and reviewed(["나", "물"], persona, context) is None


def test_nearly_nothing_is_listed_and_no_card_is_lost() -> None:
    rng = random.Random(11)
    sets = [list(pair) for pair in combinations(CORE, 2)]
    sets += [rng.sample(POOL, size) for size in (2, 3) for _ in range(400)]
    listed: Counter[int] = Counter()
    lost = []
    for cards in sets:
        said = say("+".join(cards))
        listed[len(cards)] += bool(LISTED.search(said[0]))
        lost += [(cards, s) for s in said for card in cards if not covers(s, card)]
        assert len(set(said)) == 3, (cards, said)
    assert listed[2] <= 0.02 * 1346 and listed[3] <= 0.05 * 400, listed
    assert len(lost) <= 0.01 * 3 * len(sets), lost[:20]


def test_a_list_is_caught() -> None:
    assert LISTED.search(say("별+이")[0])


def test_completions_are_of_the_table() -> None:
    assert (chain("음악"), chain("모자"), chain("전화"), chain("컵")) == ("을 듣고", "을 쓰고", "하고", "을 가지고")
    assert (during("피아노"), during("축구"), during("침대")) == (" 칠 때", "할 때", "에 누울 때")


def test_a_card_alone_is_split_by_who_says_it() -> None:
    people = [Persona(age=age, communication_characteristics=str(n)) for age in ("아동", "성인") for n in range(60)]
    splits = [split_of(["물.png"], person) for person in people]
    assert {"train", "val", "test"} == set(splits) and 0.65 < splits.count("train") / len(splits) < 0.95
    moved = people[0].model_copy(update={"preferred_category_types": [1], "id": 9})
    assert split_of(["물.png"], moved) == splits[0]
    assert split_of(["물.png", "컵.png"], people[0]) == split_of(["컵.png", "물.png"], people[1])


def test_every_theme_can_be_dealt() -> None:
    for theme in themes():
        assert all(slot and slot <= set(POOL) for slot in theme.slots)
        rng = random.Random(2)
        assert any(meant(tuple(dict.fromkeys(rng.choice(sorted(slot)) for slot in theme.slots))) for _ in range(200)), (
            theme
        )
    assert meant(("배고프다", "밥")) and not meant(("색연필", "입다", "싫다"))


def test_each_card_is_dealt_alone_by_need() -> None:
    import numpy as np

    names = {f"{n}_{word}.png": word for n, word in enumerate(POOL)}
    clusters = {0: list(names)}
    deck = sampling.Deck(names, clusters, np.eye(1, dtype=np.float32), *sampling.plausible("grammar"), themes())
    for n in range(4 * len(POOL)):
        deck.deal(1, [], random.Random(n))
    assert deck.lone.min() >= 2 and deck.lone.max() <= 7
    hands = [deck.deal(2, [], random.Random(n)) for n in range(200)]
    core = sum(any(names[card] in CORE for card in hand) for hand in hands)
    assert core > 80  # by clusters and the table alone a fifth
