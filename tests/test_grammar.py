import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from aac.gate import check, negations
from aac.korean import covers, is_question, speech_level
from aac.lexicon import load_lexicon, lookup
from aac.records import Context, Persona
from aac.register import levels
from dataset.prepare.teachers.endings import conjugate, copula, particle
from dataset.prepare.teachers.frames import NO_OBJECT, frames
from dataset.prepare.teachers.grammar import HELD_OUT_PARTNERS, interpret, sample_context
from tests.workshop import next_cards

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
    assert len(missed) <= 0.001 * 3 * len(rows), missed[:10]


def off_level(rows) -> list[str]:
    return [
        sentence
        for cards, persona, context, said in rows
        if not set(cards) & FORMULAS
        for sentence in said
        if speech_level(sentence) != levels(context.interaction_partner, persona.age, persona.speech_level)[0]
    ]


def test_one_level_for_all_three(rows) -> None:
    assert off_level(rows) == []


def test_a_wrong_level_is_caught() -> None:
    row = (["물"], Persona(age="성인"), Context(interaction_partner="팀장님"), ["물 마실래."])
    assert off_level([row]) == ["물 마실래."]


def wrong_josa(cards: list[str], sentence: str) -> list[str]:
    """Cards whose particle does not fit their last sound."""
    after = {
        True: "(?:를|가|는|랑|로)",
        False: "(?:을|이랑|은|으로)",
    }  # 이 is too many things to be judged by its letter
    found = []
    for card in cards:
        closed = (ord(card[-1]) - 0xAC00) % 28
        wrong = after[closed > 0] if closed != 8 else "(?:를|가|랑|으로)"
        if not card.endswith("다") and re.search(rf"(?:^|\s){card}{wrong}(?=[\s.?,])", sentence):
            found.append(card)
    return found


def test_josa_fits_the_last_sound(rows) -> None:
    nouns = [([c for c in cards if lookup(c).pos in ("noun", "place")], said) for cards, *_, said in rows]
    assert not [(cards, s) for cards, said in nouns for s in said if wrong_josa(cards, s)]


@pytest.mark.parametrize("broken", ["물를 마시고 싶어요.", "사과을 먹을래.", "책로 주세요.", "지하철으로 갈래."])
def test_a_wrong_josa_is_caught(broken: str) -> None:
    assert wrong_josa(["물", "사과", "책", "지하철"], broken)


def test_negation_stands_only_where_a_card_negates(rows) -> None:
    wrong = [(cards, s) for cards, *_, said in rows for s in said if bool(negations(s)) != bool(set(cards) & NEGATIVE)]
    assert not wrong


def test_questions_follow_the_question_card(rows) -> None:
    for cards, _, _, said in rows:
        asked = sum(map(is_question, said))
        assert asked >= 2 if set(cards) & QUESTIONS else asked <= 1, (cards, said)


def test_references_are_no_template_mill(rows) -> None:
    said = [sentence for *_, sentences in rows for sentence in sentences]
    assert len(set(said)) >= 0.85 * len(said)
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


def test_deterministic_and_order_free_where_order_tells_nothing() -> None:
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
    ("cards", "first"),
    [
        (["드론"], "드론이에요."),
        (["드론", "주세요"], "드론 주세요."),
        (["마라탕", "먹다"], "마라탕을 먹고 싶어요."),
        (["롯데월드", "가다"], "롯데월드에 가고 싶어요."),
        (["민수", "만나다"], "민수를 만나고 싶어요."),
        (["떡볶이", "맵다"], "떡볶이가 매워요."),
        (["수학", "배우다"], "수학을 배우고 싶어요."),
        (["손을 씻다", "싫다"], "손을 씻기 싫어요."),
        (["나", "못", "배우다"], "저는 못 배우겠어요."),
    ],
)
def test_words_of_ones_own_are_said_in_a_sentence(cards: list[str], first: str) -> None:
    said = interpret(cards, Persona(), Context())
    assert said[0] == first
    assert len(set(said)) == 3
    assert all(covers(sentence, card) for card in cards for sentence in said)


@pytest.mark.parametrize("cards", [["별", "이"], ["목", "별"], ["발", "새"]])
def test_cards_that_nothing_joins_are_what_one_wants_to_talk_about(cards: list[str]) -> None:
    said = interpret(cards, Persona(), Context())
    assert len(set(said)) == 3 and all("이야기" in sentence for sentence in said)
    assert all(card in sentence for card in cards for sentence in said)


def test_nothing_chosen_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        interpret([], Persona(), Context())


def test_the_table_names_cards_only() -> None:
    for name, frame in frames().items():
        cards = {*frame.objects, *frame.places, *frame.who, *frame.adverbs, *frame.questions}
        assert cards <= set(POOL), (name, cards - set(POOL))
        for place, (_, allowed) in frame.places.items():
            assert allowed is None or allowed <= {*frame.objects, NO_OBJECT}, (name, place)


@pytest.mark.parametrize(
    ("chosen", "implausible"),
    [
        (["축구", "하다"], "할머니"),
        (["은행"], "밤"),
        (["기차", "가다"], "화장실"),
        (["약"], "더"),
        (["야구"], "혼자"),
        (["의사", "놀다"], "장난감"),
        (["국"], "사탕"),
    ],
)
def test_possible_is_not_plausible(chosen: list[str], implausible: str) -> None:
    assert implausible not in next_cards(chosen, POOL)


def test_a_called_professional_is_the_listener_where_nobody_else_is() -> None:
    said = interpret(["간호사", "물"], Persona(age="아동"), Context())
    assert all(s.startswith("간호사님, ") and speech_level(s) == "해요체" for s in said)
    said = interpret(["간호사", "물"], Persona(age="아동"), Context(interaction_partner="친구"))
    assert not any("간호사님," in s for s in said) and {speech_level(s) for s in said} == {"반말"}


# What no native speaker says, whatever the cards: pattern, and a sentence that shows it.
UNSAID = {
    r"봐 ?[보봤봐본볼봅]": "산에서 나무를 봐 봤습니다.",
    r"누구 (?!거|것|건|있)[가-힣]+[을를]": "병원에서 누구 지하철을 기다려?",
    r"[는은인운픈쁜] (것입|것이에|것이야|것을|것은)": "왜 문을 닫는 것입니까?",
    r"거든요?\.$": "엄마, 팔이 아프거든.",
    r"(?:이랑|랑) 휠체어를 타고": "엄마랑 휠체어를 타고 공원에 갈래.",
    r"^(?:[가-힣]+, )?(?:뭐|뭘|무엇을) [가-힣]+에서 ": "뭘 캠핑장에서 요리하는지 알려 줘.",
    r"(?:이랑|랑) 왜 ": "할머니랑 왜 도서관에 가요?",
    r"지금 .*[^줬셨렸]으면 좋겠": "지금 호랑이를 봤으면 좋겠어요.",
    r"조금 (?:기쁘|기뻐|기쁜|행복)": "형이 조금 행복해요?",
    r"저는 (?:오늘 |지금 )?(?:회사|학교|집)가? ?이? ?(?:춥|추|덥|더)": "저는 오늘 회사가 더워서 그래요.",
    r"어디 여행": "어디 여행을 가?",
    r"다고 생각합니다": "북이 많이 시끄럽다고 생각합니다.",
    r"바다에서 산책": "바다에서 산책을 해도 될까?",
    r"나무를 더 [보봐봤볼]": "나무를 더 볼 수 있습니까?",
    r"(?:병원|집|학교)에서 (?:지하철|기차)을? ?를? 기다": "병원에서 지하철을 기다렸으면 좋겠어.",
    r"오늘 [가-힣]+[이가] (?:울|웃)어요\?": "오늘 동생이 울어요?",
    r"(?:주말|내일)에? .*씻": "주말에 접시랑 컵을 씻고 싶습니다.",
}


def unsaid(sentence: str) -> list[str]:
    return [pattern for pattern in UNSAID if re.search(pattern, sentence)]


def test_what_nobody_says_is_not_said(rows) -> None:
    assert not [(cards, s, found) for cards, *_, said in rows for s in said if (found := unsaid(s))]


@pytest.mark.parametrize(("pattern", "sentence"), UNSAID.items())
def test_what_nobody_says_is_caught(pattern: str, sentence: str) -> None:
    assert pattern in unsaid(sentence)


def test_one_hopes_for_what_others_share_and_plans_what_is_to_come(rows) -> None:
    """-았으면 좋겠다 for one's own easy act, and -(으)ㄹ까 하다 without a time to come, are not said."""
    for cards, _, _, said in rows:
        others = [c for c in cards if lookup(c).pos == "person" and c != "나"] or {"같이", "만나다", "너"} & set(cards)
        for sentence in said:
            assert others or not re.search(r"[^줬셨렸]으면 좋겠", sentence), (cards, sentence)
            assert {"내일", "나중에", "주말"} & set(cards) or not re.search(r"까 (해|합)", sentence), (cards, sentence)


@pytest.mark.parametrize(
    ("cards", "partner", "first"),
    [
        (["친구", "기쁘다"], "선생님", "친구가 기쁜가 봐요."),
        (["삼촌", "외롭다"], "선생님", "삼촌이 외로우신가 봐요."),
        (["삼촌", "외롭다"], "친구", "삼촌이 외로운가 봐."),
        (["엄마", "왜", "기쁘다"], "친구", "엄마가 왜 기뻐해?"),
        (["할머니", "왜", "도서관"], "친구", "할머니가 왜 도서관에 가셔?"),
        (["캠핑장", "요리하다", "뭐"], "친구", "캠핑장에서 뭘 요리해?"),
        (["누구", "병원", "기다리다"], "친구", "병원에서 누구를 기다려?"),
    ],
)
def test_order_and_respect(cards: list[str], partner: str, first: str) -> None:
    assert (
        interpret(cards, Persona(age="성인", utterance_length="보통"), Context(interaction_partner=partner))[0] == first
    )


@pytest.mark.parametrize(
    ("chosen", "stranger"),
    [
        (["휠체어", "공원"], "엄마"),
        (["병원", "기다리다"], "지하철"),
        (["나무", "보다"], "더"),
        (["씻다", "컵"], "주말"),
        (["회사", "덥다"], "나"),
        (["바다"], "산책"),
    ],
)
def test_what_never_meets(chosen: list[str], stranger: str) -> None:
    assert stranger not in next_cards(chosen, POOL)


@pytest.mark.parametrize(
    ("stem", "tag", "name", "expected"),
    [
        ("있", "VA", "trail", "있는데요."),
        ("걱정되", "VV", "seem", "걱정되는 것 같아요."),
        ("춥", "VA-I", "trail", "추운데요."),
        ("마시", "VV", "plain", "마셔요."),
        ("자", "VV", "now", "자고 있어요."),
    ],
)
def test_conjugate(stem: str, tag: str, name: str, expected: str) -> None:
    assert conjugate(stem, tag, name, "해요체") == expected


def test_conjugate_honours() -> None:
    assert conjugate("오", "VV", "now", "해요체", honorific=True) == "오고 계세요."
    assert conjugate("아프", "VA", "seem", "반말", honorific=True) == "아프신 것 같아."


def test_copula() -> None:
    assert [copula("사과", "해요체"), copula("물", "반말"), copula("집", "합쇼체", "?")] == [
        "사과예요.",
        "물이야.",
        "집입니까?",
    ]


def test_next_cards_keeps_to_the_table() -> None:
    assert next_cards([], POOL) == POOL
    more = next_cards(["물"], POOL)
    assert {"마시다", "더", "주세요"} <= set(more)
    assert not {"은행", "입다", "물"} & set(more)


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


@pytest.mark.parametrize("thing", ["물", "사과", "옷"])
def test_no_is_never_turned_into_a_wish(thing: str) -> None:
    said = interpret(["아니요", thing, "원하다"], Persona(), Context())
    assert not [why for why in check(said, ["아니요", thing, "원하다"], Context()) if why], said
