"""Metrics against hand computation and sacrebleu; every planted flaw falls in the component made for it."""

import random

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from aac.io import UserError
from aac.korean import tokens
from aac.records import Context, Persona, Sample
from train.scoring import aac_metrics, registry, text_metrics
from train.scoring.functions import function_of
from train.scoring.table import Table
from train.utils.metrics import Habits, LemmaTfidf, Prediction, measure, summary

FOODS = ["물", "우유", "밥", "빵", "사과", "과자", "포도", "국"]
PLACES = ["집", "학교", "병원", "가게", "공원", "식당"]
# (partner, age, how a request and a wish end)
SPEAKERS = [
    ("친구", "아동", ("줘.", "먹고 싶어.")),
    ("선생님", "청소년", ("주세요.", "먹고 싶어요.")),
    ("팀장님", "노인", ("주십시오.", "먹고 싶습니다.")),
]


def make_sample(number: int) -> Sample:
    """One of 48: two cards (a food with 먹다 or 주세요), three speakers, a context of its own."""
    food = FOODS[number % len(FOODS)]
    partner, age, (gives, wants) = SPEAKERS[number % 3]
    cards = [f"1_{food}.png", "2_먹다.png" if number % 2 else "2_주세요.png"]
    ending = wants if number % 2 else gives
    references = [f"{food} {ending}", f"{food} 좀 {ending}", f"{food}도 {ending}"]
    persona = Persona(id=number % 6, age=age, utterance_length="보통", interesting_topics=["기차", "그림"])
    context = Context(
        time=f"오후 {number % 5 + 1}시",
        place=PLACES[number % len(PLACES)],
        interaction_partner=partner,
        current_activity=f"{food} 앞에서 쉬는 중",
    )
    return Sample(id=number, persona=persona, persona_id=persona.id, context=context, cards=cards, output=references)


def remade(sample: Sample, **changes) -> Sample:
    return Sample(**{**dict(sample), "keywords": [], **changes})


SAMPLES = [make_sample(number) for number in range(48)]


def score(predictions, seed=0, bootstrap=1000, learned=None, similarity=None, voice="first"):
    """The scores of predictions; habits are those of `learned`."""
    table = measure(predictions, Habits(learned) if learned else None, voice, similarity)
    return summary(table, predictions, seed, bootstrap, similarity)


def judged(change=lambda text, sample: text, samples=SAMPLES, **options):
    """Scores of the references after a change, without intervals."""
    predictions = [Prediction(s, [change(text, s) for text in s.output]) for s in samples]
    return score(predictions, bootstrap=0, learned=SAMPLES, **options)


@pytest.fixture(scope="module")
def good():
    return judged()


def negate(text: str, _: Sample) -> str:
    """A wish denied in its own speech level: 먹고 싶어요 -> 먹고 싶지 않아요."""
    for wish, refusal in (("싶어요", "싶지 않아요"), ("싶어", "싶지 않아"), ("싶습니다", "싶지 않습니다")):
        if wish in text:
            return text.replace(wish, refusal)
    raise AssertionError(text)


def test_bleu_and_chrf_match_sacrebleu():
    rng = random.Random(4)
    predictions = [Prediction(s, [rng.choice(rng.choice(SAMPLES).output)] * 3) for s in SAMPLES]
    result = score(predictions, bootstrap=0)
    said = [p.candidates[0] for p in predictions]
    references = [[p.sample.output[k] for p in predictions] for k in range(3)]
    spaced = [[" ".join(tokens(text)) for text in texts] for texts in [said, *references]]
    bleu = BLEU(tokenize="none", force=True).corpus_score(spaced[0], spaced[1:]).score
    assert 0 < bleu < 90
    assert result["bleu4"] == pytest.approx(bleu)
    for key, tokenizer in (("bleu4_syllable", "char"), ("bleu4_whitespace", "none")):
        expected = BLEU(tokenize=tokenizer, force=True).corpus_score(said, references).score
        assert result[key] == pytest.approx(expected) and result[key] != pytest.approx(bleu)
        assert f"tok:{tokenizer}|" in result["signatures"][key]
    assert result["chrf"] == pytest.approx(CHRF().corpus_score(said, references).score)


def test_bleu_by_hand():
    sample = remade(SAMPLES[1], output=["물을 마시고 싶어요."] * 3)
    # 빵 을 마시 고 싶 어요 against 물 을 마시 고 싶 어요: 5/6 of the 1-grams, 4/5, 3/4, 2/3, equal length.
    expected = 100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
    assert score([Prediction(sample, ["빵을 마시고 싶어요."])], bootstrap=0)["bleu4"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("said", "reference", "morphemes", "syllables", "words"),
    [
        # The figures that were measured for the definition, with the same tools.
        ("나 학교 가고 싶어요", "나는 학교에 가고 싶어요", 40, 48, 32),
        ("물을 마시고 싶어요", "우유를 마시고 싶어요", 51, 60, 55),
        ("물을마시고싶어요", "물을 마시고 싶어요", 100, 100, 0),  # spacing only: what white space punishes
    ],
)
def test_three_bleus_of_one_pair(said, reference, morphemes, syllables, words):
    scorers = [BLEU(tokenize="none", force=True, effective_order=True) for _ in range(3)]
    cuts = [lambda text: " ".join(tokens(text)), lambda text: " ".join(text.replace(" ", "")), lambda text: text]
    got = [s.sentence_score(cut(said), [cut(reference)]).score for s, cut in zip(scorers, cuts, strict=True)]
    assert [round(value) for value in got] == [morphemes, syllables, words]
    assert tuple(text_metrics.BLEUS) == ("bleu4", "bleu4_syllable", "bleu4_whitespace")
    for cut, (own, *_) in zip(cuts, text_metrics.BLEUS.values(), strict=True):
        assert own(said) == cut(said)


def test_rouge_reads_korean():
    text = "나는 학교에 가고 싶어요."
    sample = remade(SAMPLES[1], output=[text] * 3)
    result = score([Prediction(sample, [text])], bootstrap=0)
    assert [result[f"rouge{kind}"] for kind in "12L"] == [1, 1, 1]
    assert RougeScorer(["rouge1"]).score(text, text)["rouge1"].fmeasure == 0  # the package's own tokenizer
    # 2 of the candidate's 3 morphemes are among the reference's 4 (물 을 주 세요).
    shorter = score([Prediction(remade(sample, output=["물을 주세요."] * 3), ["물 줘."])], bootstrap=0)
    assert tokens("물 줘.") == ["물", "주", "어"]
    assert shorter["rouge1"] == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert shorter["rouge1_recall"] == pytest.approx(2 / 4)


def test_set_score_pairs_one_to_one():
    sample = remade(SAMPLES[1], output=["물 줘.", "학교에 가요?", "기분이 좋습니다."])

    def scored(three):
        return score([Prediction(sample, three)], bootstrap=0)

    assert scored(sample.output[::-1])["set_score"] == 1
    assert scored(sample.output[:1] * 3)["set_score"] == pytest.approx(1 / 3)
    assert scored(sample.output[:1] * 3)["rougeL_best_of_3"] == 1
    assert scored(sample.output[:1])["set_score"] == pytest.approx(1 / 3)


def test_diversity():
    sample = SAMPLES[1]
    same = score([Prediction(sample, ["물 줘.", "물  줘!", "물 있어?"])], bootstrap=0)
    assert same["distinct3"] == 0
    assert score([Prediction(sample, ["물 줘.", "물 줘?", "물 있어?"])], bootstrap=0)["distinct3"] == 1
    assert score([Prediction(sample, ["물 줘.", "물 있어?"])], bootstrap=0)["distinct3"] == 0
    assert score([Prediction(sample, ["물 줘."] * 3)], bootstrap=0)["self_bleu"] == pytest.approx(100)


def test_references_score_high(good):
    assert good["bleu4"] == pytest.approx(100)
    assert good["set_score"] == good["register_accuracy"] == good["register_macro"] == good["distinct3"] == 1
    for key in ("card_coverage", "card_coverage_worst", "polarity", "addition", "illocution", "register", "voice"):
        assert good[key] >= 0.99, key
    assert good["complexity"] > 0.95
    assert good["vocabulary"] == 1
    assert good["persona_consistency"] > 0.95
    assert good["context_relevance"] > 0.8
    assert good["multi"]["bleu4"] == pytest.approx(good["bleu4"])


def moved_by_the_references() -> set[str]:
    """The metrics that tell rows from the same rows with other references."""
    others = [remade(s, output=["저기 앉아.", "같이 갈까요?", "늦었습니다."]) for s in SAMPLES]
    said = {s.id: SAMPLES[s.id * 7 % 48].output for s in SAMPLES}
    habits, similar = Habits(SAMPLES), LemmaTfidf([])
    first, second = (
        measure([Prediction(s, said[s.id]) for s in rows], habits, similarity=similar) for rows in (SAMPLES, others)
    )
    return {key for key in first.counts if not np.array_equal(first.counts[key], second.counts[key])}


def test_what_a_metric_is_compared_with_is_declared(monkeypatch):
    """One that reads the references and does not say so would stand in the references' own line, as perfect."""
    moved = moved_by_the_references()
    assert {key.partition("[")[0] for key in moved} == {
        key for key, metric in registry.METRICS.items() if metric.counts and metric.against != "nothing"
    }
    forgot = registry.Metric("echo", "메아리", registry.with_references(text_metrics.best_of_three))
    monkeypatch.setitem(registry.METRICS, "echo", forgot)
    assert moved_by_the_references() == moved | {"echo"}


def test_constant_output_is_chance(good):
    constant = judged(lambda text, sample: "도와주세요.")
    assert constant["register_macro"] == pytest.approx(1 / 3)
    assert constant["context_relevance"] == pytest.approx(0.5)
    assert constant["card_coverage"] < 0.6
    assert constant["bleu4"] < 15


def test_foreign_answers_lose(good):
    draw = random.Random(1)
    others = {s.id: o for s, o in zip(SAMPLES, draw.sample([s.output for s in SAMPLES], 48), strict=True)}
    swapped = score([Prediction(s, others[s.id]) for s in SAMPLES], bootstrap=0)
    for key in ("bleu4", "rougeL", "card_coverage", "register_accuracy", "register", "context_relevance"):
        assert swapped[key] < 0.8 * good[key], key


def test_foreign_partners_lose_register_only(good):
    partners = [s.context.interaction_partner for s in SAMPLES]
    moved = [
        remade(s, context={**s.context.public(), "interaction_partner": partners[i - 1]}) for i, s in enumerate(SAMPLES)
    ]
    shuffled = judged(samples=moved)
    assert shuffled["register"] < 0.7 * good["register"]
    assert shuffled["card_coverage"] == good["card_coverage"]
    assert shuffled["voice"] == good["voice"]


def test_negation_costs_polarity_only():
    wishes = [sample for sample in SAMPLES if sample.id % 2]
    good, denied = judged(samples=wishes), judged(negate, samples=wishes)
    assert good["polarity"] == 1
    assert denied["polarity"] == 0
    for key in ("card_coverage", "addition", "voice", "register", "illocution"):
        assert denied[key] >= good[key], key


def test_view_from_outside_costs_voice(good):
    outside = judged(lambda text, sample: f"소통이는 {text}")
    assert outside["voice"] == 0
    assert outside["polarity"] == good["polarity"]
    assert judged(lambda text, sample: f"소통이는 {text}", voice="third")["voice"] == 1
    assert judged(lambda text, sample: f"이 카드의 의미는 {text}")["voice"] == 0


def test_injected_topics_cost_addition_and_interest(good):
    injected = judged(lambda text, sample: f"기차 그림 놀이공원에서 {text}")
    assert injected["addition"] < 0.6 * good["addition"]
    assert injected["interest"] == 0
    assert injected["vocabulary"] < good["vocabulary"]
    assert injected["card_coverage"] == good["card_coverage"]
    assert "interest" not in good


def test_chosen_topics_are_interest():
    sample = SAMPLES[1]
    liked = remade(sample, persona={**sample.persona.public(), "interesting_topics": ["우유"]})
    assert score([Prediction(liked, ["우유 먹고 싶어."] * 3)], bootstrap=0)["interest"] == 1
    assert score([Prediction(liked, ["먹고 싶어."] * 3)], bootstrap=0)["interest"] == 0


def test_pasted_context_is_not_relevance(good):
    pasted = judged(lambda text, sample: f"{' '.join(sample.context.public().values())} {text}")
    assert pasted["context_relevance"] < 0.2 < good["context_relevance"]
    assert pasted["complexity"] < 0.7


def test_context_relevance_needs_six_contexts():
    assert "context_relevance" not in judged(samples=SAMPLES[:5])
    assert "context_relevance" not in judged(samples=SAMPLES[:5] * 4)  # rows are no contexts
    assert judged(samples=SAMPLES[:6])["context_relevance"] > 0.5


def test_few_contexts_make_no_certainty():
    """All six contexts told: as persons drawn again would have it 1 for certain, as six contexts can say it not."""
    few = [Prediction(s, s.output) for s in SAMPLES[:6]]  # each says its food, which stands in its context alone
    result = score(few)
    low, high = result["intervals"]["context_relevance"]
    assert result["context_relevance"] == high == 1 and low < 0.62
    # Wilson of six in six.
    assert [low, high] == pytest.approx(proportion(result["context_relevance"], 6), abs=1e-3)
    alone = [Prediction(remade(p.sample, persona_id=1), p.candidates) for p in few]
    assert score(alone)["intervals"].keys() == {"context_relevance"}
    # Negative control: where there are many contexts, resamples of the persons say it alone.
    many = [Prediction(s, s.output) for s in SAMPLES]
    table = measure(many)
    bare = Table(table.ids, table.people, {"context_relevance": table.counts["context_relevance"][:, :2]})
    assert table.intervals()["context_relevance"] == bare.intervals()["context_relevance"]


def proportion(share, number, z=1.96):
    """The two shares that lie z of their own standard errors from the one that was seen."""
    inside = [p for p in np.linspace(0, 1, 100_001) if abs(share - p) <= z * np.sqrt(p * (1 - p) / number)]
    return [inside[0], inside[-1]]


def row_of(*words: str, partner: str = "활동지원사", **persona: str) -> Sample:
    cards = [f"{n}_{word}.png" for n, word in enumerate(words, start=1)]
    return remade(SAMPLES[0], cards=cards, context=Context(interaction_partner=partner), persona=Persona(**persona))


@pytest.mark.parametrize(
    ("sentence", "words", "share"),
    [
        ("학교에 가요.", ("학교", "가다"), 1),
        ("산책을 가요.", ("산책", "가다"), 1),
        ("밤에 이를 가요.", ("밤", "가다"), 0.5),
        ("칼을 갈고 싶어요.", ("가다",), 0),
        ("하지 마세요.", ("하지 마세요",), 1),
        ("신발 벗지 마세요.", ("신발", "벗다", "하지 마세요"), 1),
        ("머리 만지지 마세요.", ("머리", "하지 마세요"), 1),
        ("지 마세요.", ("하지 마세요",), 0),
        ("머리 뛰지 마세요.", ("머리", "하지 마세요"), 0.5),
        ("이가 아파요.", ("이", "아프다"), 1),
        ("이모가 아파요.", ("이", "아프다"), 0.5),
        ("엄마 말이에요.", ("엄마", "말"), 0.5),
        ("물고기 주세요.", ("물", "주세요"), 0.5),
        ("버스로 가요.", ("버스", "타다"), 1),
    ],
)
def test_coverage_knows_senses(sentence, words, share):
    assert aac_metrics.coverage(sentence, row_of(*words)) == pytest.approx(share)


def test_the_worst_of_three_is_what_counts():
    said = Prediction(row_of("물", "주세요"), ["물 주세요.", "주세요.", "물 좀 주실래요?"])
    result = score([said], bootstrap=0)
    assert (result["card_coverage"], result["card_coverage_worst"]) == (1, 0.5)


def test_the_first_word_added_costs_too():
    """What completes a card costs nothing, nor does a word of the situation; the first invention does."""
    drink = row_of("물", "주세요")
    for sentence, extra in (("물 주세요.", 0), ("마실 물 좀 주세요.", 0), ("물이랑 주스 주세요.", 1)):
        assert aac_metrics.addition(sentence, drink) == pytest.approx(1 - extra / 3), sentence
    assert aac_metrics.addition("삼촌이랑 춤추고 물 주세요.", drink) == pytest.approx(1 / 3)
    assert aac_metrics.addition("화장실에 가고 싶어요.", row_of("화장실")) == 1
    assert aac_metrics.addition("화장실을 청소하고 싶어요.", row_of("화장실")) == pytest.approx(0.5)


def test_forms_times_and_titles():
    call = row_of("어디", "엄마")
    assert [aac_metrics.title(t, call) for t in ("엄마, 어디 있어요?", "선생님, 엄마 어디 있어요?")] == [0, 1]
    assert aac_metrics.title("엄마, 어디 있어?", row_of("어디", "엄마", partner="엄마")) == 1
    assert np.isnan(aac_metrics.title("엄마, 어디 있어?", row_of("어디", partner="")))
    ahead = row_of("내일", "병원", "가다")
    told = ("내일 병원에 갔어요.", "내일 병원에 가요.", "내일 병원에 갔으면 좋겠어요.")
    assert [aac_metrics.tense(text, ahead) for text in told] == [0, 1, 1]
    assert np.isnan(aac_metrics.tense("병원에 갔어요.", row_of("병원", "가다")))
    shapes = ("약을 먹어요.", "약를 먹어요.", "약이 아파요.", "먹 싫어요.")
    assert [aac_metrics.grammatical(text, row_of("약", "먹다")) for text in shapes] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("sentence", "does"),
    [
        ("물 주세요.", "request"), ("물 줘.", "request"), ("먹지 마세요.", "request"), ("물 좀 줄래?", "question"),
        ("물 마시고 싶어요.", "wish"), ("물을 주시면 좋겠어요.", "wish"), ("도움이 필요해요.", "wish"),
        ("물 마실래요.", "plan"), ("물 마실 거예요.", "plan"), ("마시려고 해.", "plan"), ("같이 가자.", "proposal"),
        ("싫어요.", "refusal"), ("안 먹어요.", "refusal"), ("안 먹을래요.", "refusal"),
        ("먹고 싶지 않아요.", "refusal"), ("못 먹겠어요.", "refusal"), ("아파요.", "statement"),
        ("잘 모르겠어.", "statement"),
    ],
)  # fmt: skip
def test_what_a_sentence_does(sentence, does):
    assert function_of(sentence) == does


def test_three_functions_beside_three_sentences():
    drink = row_of("물", "마시다")
    varied, alike = (
        ["물 마실래요.", "물 마셔도 돼요?", "물 마시고 싶어요."],
        ["물 마실래요.", "물을 마실게요.", "물 마셔도 돼요?"],
    )
    assert [aac_metrics.functions(three, drink) for three in (varied, alike)] == [1, 0]
    assert text_metrics.distinct(alike) == 1
    assert np.isnan(aac_metrics.functions(alike, row_of("물")))
    assert np.isnan(aac_metrics.functions(alike, row_of("언제", "마시다")))
    assert np.isnan(aac_metrics.functions(alike, row_of("안", "마시다")))  # three refusals


@pytest.mark.parametrize("candidates", [[], ["", " ", "..."], ["?", "!", ""]])
def test_empty_output_is_zero(candidates):
    result = score([Prediction(s, candidates) for s in SAMPLES], bootstrap=0, learned=SAMPLES)
    numbers = {key: value for key, value in result.items() if isinstance(value, float)}
    assert len(numbers) > 20
    assert {key for key, value in numbers.items() if value} == set()


def test_questions_follow_question_cards():
    asking = remade(SAMPLES[0], cards=["1_물.png", "2_어디.png"])
    telling = SAMPLES[0]

    def illocution(sample, marks):
        return score([Prediction(sample, [f"물 어디 있어{mark}" for mark in marks])], bootstrap=0)["illocution"]

    assert [illocution(asking, marks) for marks in ("???", "??.", "?..", "...")] == [1, 1, 0.5, 0]
    assert [illocution(telling, marks) for marks in ("...", "?..", "??.", "???")] == [1, 1, 0.5, 0]


@pytest.mark.parametrize(
    ("partner", "age", "level", "expected"),
    [
        ("친구", "아동", "", {"반말": 1, "해요체": 0, "합쇼체": 0}),
        ("친구", "성인", "", {"반말": 1, "해요체": 1, "합쇼체": 0}),
        ("담임 선생님", "아동", "", {"반말": 0, "해요체": 1, "합쇼체": 0}),
        ("담임 선생님", "성인", "", {"반말": 0, "해요체": 1, "합쇼체": 1}),
        ("팀장님", "성인", "", {"반말": 0, "해요체": 1, "합쇼체": 1}),
        ("", "", "", {"반말": 0, "해요체": 1, "합쇼체": 0}),
        ("치과 의사", "아동", "합쇼체", {"반말": 0, "해요체": 0, "합쇼체": 1}),
        ("친구", "아동", "합쇼체", {"반말": 1, "해요체": 0, "합쇼체": 0}),  # not to intimates
        ("친구", "아동", "늘 합쇼체", {"반말": 0, "해요체": 0, "합쇼체": 1}),
    ],
)
def test_register_obeys_the_table(partner, age, level, expected):
    said = {"반말": "물 마셔.", "해요체": "물 마셔요.", "합쇼체": "물 마십니다."}
    persona, context = Persona(age=age, speech_level=level), Context(interaction_partner=partner)
    sample = remade(SAMPLES[0], persona=persona, context=context)
    got = {name: score([Prediction(sample, [text] * 3)], bootstrap=0)["register"] for name, text in said.items()}
    assert got == expected
    assert score([Prediction(sample, ["물"] * 3)], bootstrap=0)["register"] == 0.5


def test_formulas_and_requests_keep_their_form():
    child = remade(SAMPLES[0], persona=Persona(age="아동"), context=Context(interaction_partner="의사 선생님"))
    assert score([Prediction(child, ["감사합니다."] * 3)], bootstrap=0)["register"] == 1
    formal = remade(child, persona=Persona(age="노인", speech_level="합쇼체"))
    assert score([Prediction(formal, ["물 주세요."] * 3)], bootstrap=0)["register"] == 1
    assert score([Prediction(formal, ["물 마셔요."] * 3)], bootstrap=0)["register"] == 0


def test_register_accuracy_compares_levels_as_a_set():
    sample = remade(SAMPLES[0], output=["물 주세요.", "물 마시고 싶습니다.", "물을 마십니다."])
    assert score([Prediction(sample, sample.output[::-1])], bootstrap=0)["register_accuracy"] == 1
    assert score([Prediction(sample, ["물 주세요."] * 3)], bootstrap=0)["register_accuracy"] == pytest.approx(1 / 3)


def test_row_order_changes_nothing(good):
    mixed = random.Random(2).sample(SAMPLES, len(SAMPLES))
    draw = {s.id: random.Random(s.id).choice(SAMPLES).output for s in SAMPLES}
    first, second = (score([Prediction(s, draw[s.id]) for s in rows], bootstrap=50) for rows in (SAMPLES, mixed))
    assert first["intervals"].keys() == second["intervals"].keys()
    for key, span in first["intervals"].items():
        assert first[key] == pytest.approx(second[key]), key
        assert span == pytest.approx(second["intervals"][key]), key


def test_intervals_hold_the_value_and_repeat():
    predictions = [Prediction(s, SAMPLES[s.id * 7 % 48].output) for s in SAMPLES]
    result, again, other = (score(predictions, seed=seed) for seed in (1, 1, 2))
    assert result["intervals"] == again["intervals"] != other["intervals"]
    assert {"bleu4", "chrf", "rougeL", "register_macro", "polarity"} <= result["intervals"].keys()
    for key, (low, high) in result["intervals"].items():
        assert low <= result[key] <= high, key
    low, high = result["intervals"]["bleu4"]
    assert low < high


def test_intervals_draw_people_not_rows():
    """Six people of whom one is all right, the others all wrong: eight rows each add no certainty."""
    rows = [Prediction(s, s.output if s.persona_id == 0 else ["음."] * 3) for s in SAMPLES]
    low, high = score(rows)["intervals"]["rougeL"]
    drawn = np.random.default_rng(9).binomial(6, 1 / 6, 20000) / 6
    assert [low, high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=1 / 6 + 1e-9)
    assert high - low >= 0.4
    alone = [row for row in rows if row.sample.persona_id == 0]
    assert score(alone)["intervals"].keys() == {"context_relevance"}  # which counts contexts


def test_nothing_to_score_is_a_message():
    with pytest.raises(UserError, match="no rows"):
        score([])


def test_keys_that_need_training_rows_are_absent_without_them():
    result = score([Prediction(s, s.output) for s in SAMPLES], bootstrap=0)
    assert not {"complexity", "vocabulary", "persona_consistency", "intervals"} & result.keys()
    assert result["signatures"]["bleu4"].startswith("BLEU4|lvl:corpus|cand:top1|nrefs:3|")
