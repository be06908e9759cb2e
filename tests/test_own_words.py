"""Words of a team's own: their class tells what one does with them, what stands beside them, and what is never said."""

import random
from collections import Counter

import numpy as np
import pytest

from aac.gate import check, negations
from aac.lexicon import lookup
from aac.records import Context, Persona
from dataset.prepare.sampling import Deck
from dataset.prepare.teachers import grammar
from dataset.prepare.teachers.company import beside
from dataset.prepare.teachers.own_words import OPEN


def words_of(*lines: str) -> list[str]:
    return [word for line in lines for word in line.split()]


# As a board has them: beside the lexicon's words, many that no table of the grammar names.
OWN = words_of(
    "시리얼 소시지 김치찌개 만두 라면 소금 망고 오렌지주스 수프 거실",
    "편의점 놀이방 트럭 헬리콥터 구급차 셔츠 장화 장갑 목걸이 기린 펭귄",
    "어깨 두통 기침 소변 소파 냉장고 샴푸 진통제 유튜브 동요 태블릿",
    "수학 시험 그림책 크레용 바이올린 테니스 그네 크리스마스 레고 무지개",
    "소나기 고모 월요일 빨간색 왼쪽 배(과일) 배우다 가져오다 넘어지다",
    "토하다 가렵다 무겁다 차갑다 때리다 알다 코딩하다 드론 뽀로로",
)
SHIPPED = words_of(
    "나 엄마 친구 물 밥 집 학교 병원 먹다 가다 보다 좋다 싫다 주세요",
    "도와주세요 안 못 아니요 네 왜 어디 지금 오늘 더 약 아프다 크다",
)


@pytest.mark.parametrize(
    ("cards", "first"),
    [
        ("시리얼", "시리얼을 먹고 싶어요."),
        ("오렌지주스", "오렌지주스를 마시고 싶어요."),
        ("놀이방", "놀이방에 가고 싶어요."),
        ("셔츠", "셔츠를 입고 싶어요."),
        ("장화", "장화를 신고 싶어요."),
        ("바이올린", "바이올린을 연주하고 싶어요."),
        ("테니스", "테니스를 치고 싶어요."),
        ("레고", "레고를 가지고 놀고 싶어요."),
        ("기린", "기린을 보고 싶어요."),
        ("헬리콥터", "헬리콥터를 타고 싶어요."),
        ("구급차", "구급차 불러 주세요."),
        ("소금", "소금 주세요."),
        ("두통", "두통이 있어요."),
        ("기침", "기침이 나요."),
        ("소변", "소변이 마려워요."),
        ("배(과일)", "배를 먹고 싶어요."),
        ("두통 약", "두통 때문에 약을 먹을 거예요."),
        ("두통 나", "저는 두통이 있어요."),
        ("두통 도와주세요", "두통 때문에 도와주세요."),
        ("시리얼 싫다", "시리얼이 싫어요."),
        ("시리얼 안 먹다", "시리얼을 안 먹을래요."),
        ("고모 오다", "고모가 오고 있어요."),
        ("월요일 놀이방", "월요일에 놀이방에 가고 싶어요."),
        ("수학 배우다", "수학을 배우고 싶어요."),
        ("크레용 가져오다", "크레용을 가져오고 싶어요."),
        ("집 자다 가져가다", "집에서 자고 가져가고 싶어요."),
    ],
)
def test_what_one_does_with_a_word_comes_from_its_class(cards: str, first: str) -> None:
    words = cards.split()
    said = grammar.interpret(words, Persona(), Context())
    assert said[0] == first and len(set(said)) == 3
    assert not [why for why in check(said, words, Context()) if why]


def test_nothing_is_invented_for_a_noun_of_which_nothing_is_known() -> None:
    said = [s for word in ("드론", "뽀로로") for s in grammar.interpret([word], Persona(), Context())]
    assert not any(form in sentence for form in ("먹", "마시", "싶어", "가지고") for sentence in said)
    assert len({sentence.split(maxsplit=1)[-1] for sentence in said}) > 3  # not always the same


@pytest.mark.parametrize(
    "cards",
    ["두통 주세요", "두통 원하다", "토하다 주세요", "때리다 원하다", "시리얼 아니요 네", "수학 보다",
     "크레용 마시다", "드론 마시다"],
)  # fmt: skip
def test_what_nobody_means_is_not_dealt(cards: str) -> None:
    *hand, word = cards.split()
    assert not grammar.fits(hand, word)
    assert grammar.fits(["시리얼"], "먹다") and grammar.fits(["두통"], "약")


def test_what_may_stand_beside_a_word() -> None:
    assert beside("물") is None and beside("배우다") is None
    assert beside("드론") == OPEN
    assert {"먹다", "주세요", "싫다"} <= beside("시리얼") and "마시다" not in beside("시리얼")
    assert beside("시리얼") is beside("만두")


@pytest.fixture(scope="module")
def board():
    words = [*OWN, *SHIPPED]
    thirds = {number: words[number::3] for number in range(3)}
    deck = Deck(dict(zip(words, words, strict=True)), thirds, np.eye(3), grammar.fits, grammar.joins,
                grammar.themes(), grammar.beside, grammar.like)  # fmt: skip
    rows = []
    for number in range(400):
        draw = random.Random(number)
        cards = deck.deal(draw.choices((1, 2, 3, 4), (0.38, 0.32, 0.2, 0.1))[0], [], draw)
        persona = Persona(age=draw.choice(("아동", "성인", "노인")))
        context = grammar.sample_context(persona, cards, draw)
        rows.append((cards, context, grammar.interpret(cards, persona, context)))
    return rows


def test_a_boards_words_combine(board) -> None:
    together = [cards for cards, *_ in board if len(cards) > 1]
    assert len(together) >= 0.55 * len(board)
    met = {card for cards in together for card in cards}
    assert sum(word in met for word in OWN) >= 0.8 * len(OWN), set(OWN) - met


def test_what_is_written_of_a_board_passes_the_gate(board) -> None:
    stopped = [
        (cards, sentence, why)
        for cards, context, said in board
        for sentence, why in zip(said, check(said, cards, context), strict=True)
        if why
    ]
    assert len(stopped) <= 0.005 * 3 * len(board), stopped[:10]


def test_a_refusal_stays_one(board) -> None:
    refusing = {"안", "못", "싫다", "아니요"}
    turned = [(cards, s) for cards, _, said in board for s in said if refusing & set(cards) and not negations(s)]
    assert not turned


def test_rows_are_not_all_of_one_kind(board) -> None:
    ends = Counter(sentence.split()[-1] for cards, _, said in board for sentence in said if not all(map(lookup, cards)))
    assert ends.most_common(1)[0][1] <= 0.15 * sum(ends.values())
