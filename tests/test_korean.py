import pytest

from aac.gate import negations
from aac.korean import (
    card_lemmas,
    content_lemmas,
    covers,
    is_question,
    join,
    predicate_stem,
    speech_level,
    tokens,
)
from aac.lexicon import load_lexicon, lookup

CORE = (
    "나 너 이거 여기 주세요 더 다시 원하다 도와주세요 기다리다 네 아니요 좋다 싫다 그만 안 못 끝 "
    "있다 없다 모르다 아프다 가다 오다 "
    "먹다 마시다 보다 하다 놀다 지금 나중에 뭐 어디 누구 왜 안녕 고마워요"
)


def test_lexicon_has_the_core_words_and_unique_cards() -> None:
    lexicon = load_lexicon()
    assert len(lexicon) >= 250
    assert len({card.id for card in lexicon}) == len(lexicon)
    for word in [*CORE.split(), "하지 마세요", "다른 것", "그게 아니에요"]:
        assert lookup(word), word


@pytest.mark.parametrize(
    ("morphs", "expected"),
    [
        ([("음악", "NNG"), ("을", "JKO"), ("듣", "VV-I"), ("었", "EP"), ("어요", "EF")], "음악을 들었어요"),
        ([("닫", "VV-R"), ("으면", "EC"), ("되", "VV"), ("어요", "EF")], "닫으면 돼요"),
        ([("춥", "VA-I"), ("은데", "EC")], "추운데"),
        ([("먹", "VV"), ("지", "EC"), ("못하", "VX"), ("었", "EP"), ("어요", "EF")], "먹지 못했어요"),
        ([("사과", "NNG"), ("이", "VCP"), ("에요", "EF")], "사과예요"),
        ([("물", "NNG"), ("이", "VCP"), ("에요", "EF")], "물이에요"),
        ([("엄마", "NNG"), ("가", "JKS")], "엄마가"),
        ([("놀", "VV"), ("세요", "EF")], "노세요"),
        ([("마시", "VV"), ("어요", "EF")], "마셔요"),
        ([("열", "VV"), ("지", "EC"), ("말", "VX"), ("아", "EC"), ("주", "VX"), ("어", "EF")], "열지 말아 줘"),
    ],
)
def test_join_conjugates(morphs: list[tuple[str, str]], expected: str) -> None:
    assert join(morphs) == expected


@pytest.mark.parametrize(
    ("sentence", "level"),
    [
        ("물 마실래.", "반말"),
        ("나는 기타 칠게.", "반말"),
        ("같이 갈까?", "반말"),
        ("물 주세요.", "해요체"),
        ("고마워요, 엄마.", "해요체"),
        ("안녕하십니까?", "합쇼체"),
        ("집에 가고 싶습니다.", "합쇼체"),
        ("물 컵", "조각"),
        ("", "조각"),
    ],
)
def test_speech_level(sentence: str, level: str) -> None:
    assert speech_level(sentence) == level


@pytest.mark.parametrize(
    "sentence", ["안 먹을래요.", "가고 싶지 않아요.", "물이 없어요.", "약이 싫어요.", "하지 마세요."]
)
def test_negative(sentence: str) -> None:
    assert negations(sentence)


@pytest.mark.parametrize("sentence", ["그만 먹을래요.", "치마 주세요.", "왜 속상한지 말해 줘.", "물을 마셔요."])
def test_not_negative(sentence: str) -> None:
    assert not negations(sentence)


def test_question_needs_its_mark() -> None:
    assert is_question("먹었어요?") and not is_question("먹었어요.")


def test_tokens_keep_the_question_mark_and_drop_the_rest() -> None:
    assert "?" in tokens("물 마셔도 돼요?")
    assert "." not in tokens("물 마셔요.")


@pytest.mark.parametrize(
    ("sentence", "card"),
    [
        ("저는 물을 마셔요.", "나"),
        ("할머니가 드세요.", "먹다"),
        ("감사합니다.", "고마워요"),
        ("불을 켜 주세요.", "켜다"),
        ("엄마가 신났나 봐요.", "신나다"),
        ("청소 못 하겠어요.", "청소하다"),
        ("손을 깨끗이 씻었어요.", "손을 씻다"),
        ("조금 심심해요.", "심심하다"),
        ("왜 선물을 여세요?", "열다"),
        ("할머니한테 드렸으면 좋겠어.", "주세요"),
    ],
)
def test_covers_across_register_and_conjugation(sentence: str, card: str) -> None:
    assert covers(sentence, card)


@pytest.mark.parametrize(
    ("sentence", "card"),
    [("물을 마셔요.", "우유"), ("물을 마셔요.", "먹다"), ("집에 가요.", "오다"), ("여기 있어요.", "열다")],
)
def test_does_not_cover_another_card(sentence: str, card: str) -> None:
    assert not covers(sentence, card)


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [("손을 씻다", ("손을", "씻", "VV-R")), ("맵다", ("", "맵", "VA-I")), ("깨끗하다", ("", "깨끗하", "VA"))],
)
def test_predicate_stem(keyword: str, expected: tuple[str, str, str]) -> None:
    assert predicate_stem(keyword) == expected


def test_lemmas() -> None:
    assert card_lemmas("보다") == {"보다"}
    assert card_lemmas("손을 씻다") == {"손", "씻다"}
    assert content_lemmas("병원에 가고 싶어요.") == {"병원", "가다"}
