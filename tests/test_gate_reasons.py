"""The gate's reasons beyond form: planted candidates made of patterns and cards, and good ones as a control."""

import re

import pytest

from aac import gate
from aac.gate import check
from aac.korean import join, predicate_stem
from aac.records import Context, Persona

CONTEXT = Context.parse({"time": "오후", "place": "집", "interaction_partner": "활동지원사"})
DEEDS = [
    ("옷", "벗다"), ("신발", "벗다"), ("휠체어", "타다"), ("약", "먹다"), ("문", "열다"), ("불", "끄다"),
    ("사진", "찍다"),
    ("텔레비전", "켜다"), ("손", "씻다"), ("국", "먹다"), ("창문", "닫다"), ("버스", "타다"), ("바지", "입다"),
]  # fmt: skip
THINGS = ["주스", "빵", "사과", "우유", "달걀", "치킨", "콜라", "딸기", "김밥", "떡"]


def _said(deed, *ending):
    thing, verb = deed
    _, stem, tag = predicate_stem(verb)
    return join([(thing, "NNG"), ("을", "JKO"), (stem, tag), *ending])


WISHES = [
    [("고", "EC"), ("싶", "VX"), ("어요", "EF")],
    [("ᆯ래요", "EF")],
    [("어도", "EC"), ("되", "VV"), ("어요", "EF")],
    [("어", "EC"), ("주", "VX"), ("세요", "EF")],
    [("ᆯ", "ETM"), ("수", "NNB"), ("있", "VA"), ("어요", "EF")],
    [("으면", "EC"), ("좋", "VA"), ("겠", "EP"), ("어요", "EF")],
    [("ᆯ게요", "EF")],
    [("으려고", "EC"), ("하", "VX"), ("어요", "EF")],
]
REFUSED = {
    "싫다": [
        [("기", "ETN"), ("싫", "VA"), ("어요", "EF")],
        [("는", "ETM"), ("것", "NNB"), ("이", "JKS"), ("싫", "VA"), ("어요", "EF")],
    ],
    "하지 마세요": [
        [("지", "EC"), ("말", "VX"), ("세요", "EF")],
        [("지", "EC"), ("말", "VX"), ("어", "EC"), ("주", "VX"), ("세요", "EF")],
    ],
    "안": [
        [("고", "EC"), ("싶", "VX"), ("지", "EC"), ("않", "VX"), ("어요", "EF")],
        [("지", "EC"), ("않", "VX"), ("을래요", "EF")],
    ],
    "못": [
        [("지", "EC"), ("못하", "VX"), ("어요", "EF")],
        [("ᆯ", "ETM"), ("수", "NNB"), ("없", "VA"), ("어요", "EF")],
    ],
}


def _reason(sentence, cards, context=CONTEXT):
    return check([sentence], cards, context)[0]


def _twice():
    """(sentence, cards): a wish for what is refused, alone and beside an honest refusal."""
    for deed in DEEDS:
        for refusal, endings in REFUSED.items():
            for wish in WISHES:
                asked = _said(deed, *wish)
                honest = _said(deed, *endings[0])
                yield f"{asked}. {honest}.", [*deed, refusal]
                yield f"{honest}. {asked}?", [*deed, refusal]


def test_a_wish_for_what_is_refused_never_passes_whatever_else_is_said():
    passed = [(sentence, cards) for sentence, cards in _twice() if "polarity_flipped" not in _reason(sentence, cards)]
    assert not passed, passed[:9]


def test_an_honest_refusal_passes():
    cases = [
        (_said(deed, *ending) + ".", [*deed, refusal])
        for deed in DEEDS
        for refusal, endings in REFUSED.items()
        for ending in endings
    ]
    assert len(cases) >= 100
    stopped = [(sentence, cards, why) for sentence, cards in cases if (why := _reason(sentence, cards))]
    assert not stopped, stopped[:9]


@pytest.mark.parametrize(
    ("sentence", "cards"),
    [
        ("벗어도 돼요?", ["신발", "벗다", "하지 마세요"]),
        ("신발을 벗으면 안 돼요?", ["신발", "벗다", "하지 마세요"]),
        ("국을 마실 거예요, 싫어요.", ["국", "싫다"]),
        ("싫어하는 게 좋아요.", ["싫다"]),
        ("아니요, 우유 마실래요.", ["아니요", "우유"]),
        ("더 춤추고 싶어요.", ["그만", "춤추다"]),
        ("멈추지 마세요.", ["하지 마세요"]),
        ("운동을 그만하고 더 할래요.", ["운동", "그만"]),
        ("벗기 싫은데 벗을게요.", ["벗다", "싫다"]),
        ("벗기 싫어도 벗어야 해요.", ["벗다", "싫다"]),
        ("신발을 벗지 말고 옷을 벗으세요.", ["신발", "벗다", "하지 마세요"]),
        ("침대에 누워요, 싫어요.", ["침대", "눕다", "싫다"]),
        ("와요, 그만할래요.", ["오다", "그만"]),
        ("버스를 타고 싶어요, 택시는 싫어요.", ["버스", "싫다", "택시", "타다"]),
    ],
)
def test_other_ways_round_a_refusal(sentence, cards):
    assert "polarity_flipped" in _reason(sentence, cards)


@pytest.mark.parametrize(
    ("sentence", "cards"),
    [
        ("물 마시기 싫어요.", ["물", "싫다"]),
        ("물은 안 마실래요.", ["물", "싫다"]),
        ("그만 먹어도 될까요?", ["그만", "먹다"]),
        ("빵 그만 먹을래요.", ["그만", "빵"]),
        ("졸리니까 하지 말아 주세요.", ["졸리다", "하지 마세요"]),
        ("왜 안 자는지 알려 주세요.", ["왜", "안", "자다"]),
        ("못 자요, 도와주세요.", ["못", "자다", "도와주세요"]),
        ("우유는 싫어요, 물 주세요.", ["우유", "싫다", "물", "주세요"]),
        ("아니요, 빵은 괜찮아요.", ["아니요", "빵"]),
        ("그만하고 집에 가고 싶어요.", ["그만", "집", "가다"]),
        ("버스는 싫어요, 택시를 타고 싶어요.", ["버스", "싫다", "택시", "타다"]),
        ("누가 오는지 알려 주세요.", ["누구", "오다"]),
        ("누구 좀 불러 주세요.", ["누구", "부르다"]),
        ("어디가 아픈지 알려 주세요.", ["어디", "아프다"]),
        ("불이 켜져 있어요.", ["불", "켜다", "있다"]),
        ("저는 선생님이 건강하셨으면 좋겠어요.", ["나", "선생님", "건강하다"]),
        ("나중에 먹으면 안 돼요?", ["나중에", "먹다"]),
    ],
)
def test_what_refuses_in_part_passes(sentence, cards):
    assert _reason(sentence, cards) == []


def _planted():
    for deed in DEEDS:
        for other in ("춤추", "청소하", "요리하"):
            if "불" not in deed:
                yield (
                    "predicate_added",
                    join([(deed[0], "NNG"), ("을", "JKO"), (other, "VV"), ("기", "ETN")]) + " 싫어요.",
                    [deed[0], "싫다"],
                )
    for mine in THINGS:
        for other in THINGS[:4]:
            if mine != other:
                yield (
                    "content_added",
                    f"{other}랑 {mine} 주세요." if other[-1] in "스과유" else f"{other}이랑 {mine} 주세요.",
                    [mine, "주세요"],
                )
    for place in ("화장실", "병원", "공원", "학교", "은행", "약국", "식당", "시장", "바다", "도서관"):
        yield "content_added", f"{place}에서 춤추고 싶어요.", [place]
        yield "content_added", f"{place}에서 코끼리랑 놀래요.", [place]
        for word in ("내일", "나중에"):
            yield "tense_wrong", f"{word} {place}에 갔어요.", [word, place, "가다"]
            yield "tense_wrong", f"{word} {place}에 갔다 왔어요.", [word, place, "가다"]
        yield "tense_wrong", f"어제 {place}에 갈 거예요.", ["어제", place, "가다"]
        yield "ungrammatical", f"{place} 것 좀 도와주세요.", [place, "도와주세요"]
        yield (
            "ungrammatical",
            f"{place}을 도와주세요." if place not in ("학교", "바다") else f"{place}를 도와주세요.",
            [place, "도와주세요"],
        )
        yield "many_sentences", f"{place}에 가고 싶어요. {place}에 갈래요.", [place, "가다"]
        yield "many_sentences", f"{place}에 가요. 거기 가고 싶어요. 갈래요.", [place, "가다"]
        yield "many_sentences", f"{place}에 갈래요! {place}에 가도 돼요?", [place, "가다"]
    for thing in ("이불", "창문", "약", "컵", "의자", "양말"):
        for state, form in (("춥다", "추워요"), ("배고프다", "배고파요"), ("졸리다", "졸려요")):
            josa = "가" if thing == "의자" else "이"
            yield "ungrammatical", f"{thing}{josa} {form}.", [thing, state]
    for body in ("목", "손", "귀", "코", "머리"):
        yield "ungrammatical", f"{body} 수 없어요.", [body, "못"]
        yield "ungrammatical", f"어디서 {body} 어디 있어요?", [body, "어디"]
    for body in ("발", "목", "손", "팔"):
        yield "ungrammatical", f"{body}이 부탁드립니다.", [body]
    for deed in DEEDS[:8]:
        yield "ungrammatical", f"{deed[0]} 못 {deed[0]} 못 해요.", [deed[0], "못"]
    for stem, verb in (("벗", "벗다"), ("씻", "씻다"), ("먹", "먹다"), ("앉", "앉다")):
        yield "ungrammatical", f"{stem} 싫어요.", [verb, "싫다"]
    for body, josa in (("머리", "를"), ("전화", "를"), ("청소", "를"), ("요리", "를")):
        yield "ungrammatical", f"{body}{josa} {body}할래요.", [body]
    for noun, josa in (("감자", "랑"), ("달걀", "이랑"), ("빵", "이랑")):
        yield "ungrammatical", f"{noun}{josa} {noun}을 먹었어요.", [noun]
    yield "ungrammatical", "듣기를 들을기를 원합니다.", ["듣다", "원하다"]
    yield "ungrammatical", "숙제가 놀랐어요.", ["숙제", "놀라다"]
    yield "ungrammatical", "이게 닭 좀 봐 주실래요?", ["닭", "이거"]
    yield "ungrammatical", "저는 의사 선생님, 저는 입으려고 해요.", ["나", "의사", "입다"]
    for thing, did in (("영화", "볼 거야"), ("과자", "먹을래요"), ("주스", "마셨어요")):
        yield "ungrammatical", f"{thing}가 {did}.", [thing]
    for question, said in (("누구", "누구랑"), ("뭐", "뭐를"), ("언제", "언제"), ("어디", "어디서"), ("왜", "왜")):
        for verb, told in (
            ("오다", "오는 길이에요"),
            ("먹다", "먹고 싶어요"),
            ("가다", "갈래요"),
            ("놀다", "놀고 있어요"),
        ):
            yield "question_lost", f"{said} {told}.", [question, verb]
        yield "question_lost", f"{said} 보려고 해요.", [question, "보다"]
        yield "question_lost", f"{said} 마실 거예요.", [question, "마시다"]
    for person in ("삼촌", "선생님", "동생"):
        yield "ungrammatical", f"{person}이랑 만나는 싫은데요.", [person, "싫다"]
        yield "ungrammatical", f"{person}이랑 싫은데요.", [person, "싫다"]
    yield "ungrammatical", "저는 피곤하셨으면 좋겠습니다.", ["나", "피곤하다"]
    yield "ungrammatical", "엄마, 보다, 나, 이 말이에요.", ["엄마", "보다", "나"]
    for state, form in (("피곤하다", "피곤해서"), ("졸리다", "졸려서"), ("아프다", "아파서"), ("춥다", "추워서")):
        yield "ungrammatical", f"{form}이야.", [state]
        yield "ungrammatical", f"저는 {form} 그래.", ["나", state]
    for person in ("엄마", "아빠", "할머니", "할아버지", "누나"):
        for rest, card in (("어디 있어요?", "어디"), ("놀고 싶어요.", "놀다"), ("만나고 싶어요.", "만나다")):
            yield "title_wrong", f"{person}, {rest}", [person, card]
    for title in ("의사", "간호사", "선생님"):
        for verb, form in (
            ("만나다", "만나요"),
            ("오다", "와요"),
            ("가다", "가요"),
            ("앉다", "앉아요"),
            ("보다", "봐요"),
        ):
            yield "title_wrong", f"{title}야, {form}.", [title, verb]
    people = ("엄마", "아빠", "할머니", "이모", "누나", "친구")
    for first in people:
        for second in people:
            if first != second:
                yield "order_wrong", f"{second}가 {first}를 사랑해요.", [first, "사랑하다", second]


def test_every_planted_candidate_is_refused_with_its_reason():
    total, missed = {}, []
    for reason, sentence, cards in _planted():
        total[reason] = total.get(reason, 0) + 1
        if reason not in (why := _reason(sentence, cards)):
            missed.append((reason, sentence, cards, why))
    assert not missed, (len(missed), missed[:20])
    assert min(total.values()) >= 30, total


@pytest.mark.parametrize(
    ("sentence", "cards"),
    [
        ("화장실에 가고 싶어요.", ["화장실"]),
        ("화장실 가는 것 좀 도와주세요.", ["화장실", "도와주세요"]),
        ("문 여는 것 좀 도와주세요.", ["문", "열다", "도와주세요"]),
        ("추워서 이불이 필요해요.", ["춥다", "이불"]),
        ("머리가 아파서 약을 먹고 싶어요.", ["머리", "아프다", "약"]),
        ("공원이 추워요.", ["공원", "춥다"]),
        ("내일 병원에 갔으면 좋겠어요.", ["내일", "병원", "가다"]),
        ("나중에 먹을게요.", ["나중에", "먹다"]),
        ("어제 공원에 갔어요.", ["어제", "공원", "가다"]),
        ("엄마가 아빠를 사랑해요.", ["엄마", "사랑하다", "아빠"]),
        ("엄마가 보고 싶어요.", ["엄마", "보다"]),
        ("엄마, 고마워요.", ["엄마", "고마워요"]),
        ("배고파요. 밥 주세요.", ["배고프다", "밥"]),
        ("불이 났어요! 도와주세요!", ["불", "도와주세요"]),
        ("빨리 빨리 주세요.", ["빨리", "주세요"]),
        ("걸을 수 없어요.", ["못", "걷다"]),
        ("피곤해서 그래요.", ["피곤하다"]),
        ("야구할게요.", ["야구"]),
        ("그게 아니고 산책이에요.", ["그게 아니에요", "산책"]),
        ("버스로 시장에 가고 싶어요.", ["버스", "타다", "시장", "가다"]),
    ],
)
def test_good_sentences_pass(sentence, cards):
    assert _reason(sentence, cards) == []


def test_a_level_that_the_partner_may_not_be_spoken_to_with_is_refused() -> None:
    """A child's 반말 to a teacher, mixed levels, politeness between friends; only where who speaks is told."""
    polite, intimate = Context(interaction_partner="선생님"), Context(interaction_partner="친구")
    child = Persona(age="아동")
    for word, plain, level in (("물", "물 마실래.", "물 마실래요."), ("집", "집에 갈 거야.", "집에 갈 거예요.")):
        assert check([plain], [word], polite, child) == [["register_wrong"]]
        assert check([level], [word], polite, child) == [[]]
        assert check([plain], [word], intimate, child) == [[]]
        assert check([level], [word], intimate, child) == [["register_wrong"]]
        assert check([plain], [word], polite) == [[]], "nobody is known to speak"
        assert check([plain], None, polite, child) == [[]], "without the cards' words nothing better could stand there"
    assert check(["고맙습니다."], ["고마워요"], polite, child) == [[]]


def test_a_teacher_is_told_every_reason_in_words():
    from dataset.prepare.teachers.quality import _MEANING

    named = set(re.findall(r"`([a-z_]+)`", gate.__doc__)) - {"card_missing", "keywords"}
    assert {"question_lost", "harm_wished"} <= named | set(_MEANING)
    assert named - {"unfinished"} <= set(_MEANING), named - set(_MEANING)
