import json
import random
from collections import Counter
from pathlib import Path

import pytest

from dataset.prepare.korean import covers, is_negative, is_question, speech_level
from dataset.prepare.lexicon import load_lexicon
from dataset.prepare.records import Context, Persona
from dataset.prepare.register import levels
from dataset.prepare.teachers.grammar import HELD_OUT_PARTNERS, interpret, next_cards, particle, sample_context

ROOT = Path(__file__).parents[1]
PERSONAS = [Persona.parse(row) for row in json.loads((ROOT / "dataset/persona.json").read_text(encoding="utf-8"))]
POOL = [card.keyword for card in load_lexicon()]
QUESTIONS = {"뭐", "어디", "누구", "왜", "언제"}
NEGATIVE = {"안", "못", "싫다", "없다", "모르다", "아니요", "하지 마세요", "그게 아니에요"}
FORMULAS = {
    "네",
    "아니요",
    "안녕",
    "고마워요",
    "미안해요",
    "축하해요",
    "잘 자요",
    "주세요",
    "도와주세요",
    "하지 마세요",
}


def draw(count: int, seed: int) -> list[tuple[list[str], Persona, Context, list[str]]]:
    rng = random.Random(seed)
    rows = []
    for index in range(count):
        cards = [rng.choice(POOL)]
        size = rng.randint(1, 4)
        while len(cards) < size and (more := next_cards(cards, POOL)):
            cards.append(rng.choice(more))
        persona = PERSONAS[index % len(PERSONAS)]
        context = sample_context(persona, cards, rng)
        rows.append((cards, persona, context, interpret(cards, persona, context)))
    return rows


@pytest.fixture(scope="module")
def rows() -> list[tuple[list[str], Persona, Context, list[str]]]:
    return draw(1500, 3)


def test_three_distinct_sentences_that_cover_every_card(rows) -> None:
    missed = [(cards, s) for cards, _, _, said in rows for s in said for card in cards if not covers(s, card)]
    assert all(len(set(said)) == 3 for *_, said in rows)
    assert len(missed) <= 0.005 * 3 * len(rows), missed[:10]


def test_one_level_for_all_three(rows) -> None:
    off = [
        sentence
        for cards, persona, context, said in rows
        if len(cards) > 1 and not set(cards) & FORMULAS
        for sentence in said
        if speech_level(sentence) != levels(context.interaction_partner, persona.age, persona.speech_level)[0]
    ]
    assert len(off) <= 0.005 * 3 * len(rows), off[:10]


def test_negation_stands_only_where_a_card_negates(rows) -> None:
    wrong = [(cards, s) for cards, *_, said in rows for s in said if is_negative(s) != bool(set(cards) & NEGATIVE)]
    assert len(wrong) <= 5, wrong


def test_questions_follow_the_question_card(rows) -> None:
    for cards, _, _, said in rows:
        asked = sum(map(is_question, said))
        assert asked >= 2 if set(cards) & QUESTIONS else asked <= 1, (cards, said)


def test_references_are_no_template_mill(rows) -> None:
    said = [sentence for *_, sentences in rows for sentence in sentences]
    assert len(set(said)) >= 0.8 * len(said)
    assert Counter(said).most_common(1)[0][1] <= 0.02 * len(said)


def test_disability_and_gender_choose_nothing(rows) -> None:
    for cards, persona, context, said in rows[:200]:
        other = persona.model_copy(update={"disability_type": "청각장애", "gender": "여성"})
        assert interpret(cards, other, context) == said


def test_the_partner_does_choose() -> None:
    persona = Persona(age="성인")
    friend = interpret(["물"], persona, Context(interaction_partner="친구"))
    boss = interpret(["물"], persona, Context(interaction_partner="팀장님"))
    assert {speech_level(s) for s in friend} == {"반말"}
    assert {speech_level(s) for s in boss} == {"합쇼체"}


def test_deterministic_and_order_free() -> None:
    persona, context = Persona(age="아동"), Context(interaction_partner="엄마")
    assert interpret(["물", "마시다"], persona, context) == interpret(["마시다", "물"], persona, context)


def test_phase_chooses_the_tense() -> None:
    persona = Persona(age="아동", utterance_length="보통")

    def first(activity: str) -> str:
        return interpret(["밥"], persona, Context(interaction_partner="친구", current_activity=activity))[0]

    assert first("밥을 먹고 난 뒤") == "밥을 먹었어."
    assert first("밥을 먹는 중") == "밥을 먹는 중이야."
    assert "싶" in first("밥을 먹으려는 중")


def test_single_core_cards_have_reviewed_triples() -> None:
    persona, context = Persona(age="아동"), Context(interaction_partner="담임 선생님")
    assert interpret(["더"], persona, context) == ["더 주세요.", "더 할래요.", "한 번 더요."]
    assert "감사합니다." in interpret(["고마워요"], persona, context)


def test_me_is_lowly_and_you_is_never_dangsin() -> None:
    adult = Persona(age="성인")
    formal = interpret(["나", "물"], adult, Context(interaction_partner="팀장님"))
    plain = interpret(["나", "물"], adult, Context(interaction_partner="친구"))
    assert all(s.startswith(("저", "제")) for s in formal)
    assert all(s.startswith(("나", "내")) for s in plain)
    said = interpret(["너", "물"], adult, Context(interaction_partner="팀장님"))
    assert not any("당신" in s or "너" in s for s in said)
    assert "팀장님" in said[0]


def test_a_person_card_that_listens_is_called() -> None:
    child = Persona(age="아동")
    assert interpret(["엄마", "물"], child, Context(interaction_partner="엄마"))[0].startswith("엄마,")
    assert interpret(["엄마", "물"], child, Context(interaction_partner="반 친구"))[0].startswith("엄마랑")


@pytest.mark.parametrize(
    "cards", [["드론"], ["드론", "먹다"], ["왜", "안", "뭐", "언제"], ["물", "의자", "자다", "소방관"]]
)
def test_unknown_combinations_still_say_every_card(cards: list[str]) -> None:
    said = interpret(cards, Persona(), Context())
    assert len(set(said)) == 3
    assert all(card in sentence or covers(sentence, card) for card in cards for sentence in said)


def test_next_cards_keeps_to_the_table() -> None:
    assert next_cards([], POOL) == POOL
    more = next_cards(["물"], POOL)
    assert {"마시다", "더", "주세요"} <= set(more)
    assert not {"산", "입다", "물"} & set(more)


def test_contexts_are_short_balanced_and_never_held_out() -> None:
    rng = random.Random(1)
    found = [sample_context(p, ["물", "마시다"], rng) for p in PERSONAS for _ in range(60)]
    assert not {c.interaction_partner for c in found} & set(HELD_OUT_PARTNERS)
    assert all(len(value.split()) <= 6 for c in found for value in c.public().values())
    counts = Counter(
        levels(c.interaction_partner, p.age, p.speech_level)[0]
        for p, c in zip((p for p in PERSONAS for _ in range(60)), found, strict=True)
    )
    shares = {level: n / len(found) for level, n in counts.items()}
    assert shares["해요체"] < 0.55 and shares["반말"] > 0.3 and shares["합쇼체"] > 0.1


@pytest.mark.parametrize(
    ("word", "josa", "expected"),
    [
        ("물", "로", "물로"),
        ("책", "로", "책으로"),
        ("누나", "이랑", "누나랑"),
        ("나", "이", "내가"),
        ("밥", "을", "밥을"),
    ],
)
def test_particle(word: str, josa: str, expected: str) -> None:
    assert particle(word, josa) == expected
