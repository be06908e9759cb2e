"""On the offline teacher's own sentences: every attack falls in the component made for it, and in no other.

`python benchmarks/metric_attacks.py` prints the whole table on a data set.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aac.io import read_json
from aac.lexicon import load_lexicon
from aac.records import Persona, Sample
from benchmarks.metric_attacks import ATTACKS, table
from dataset.prepare.teachers.grammar import interpret, sample_context
from tests.workshop import next_cards
from train.scoring.registry import METRICS, find

PERSONAS = Path(__file__).parent.parent / "dataset/persona.json"


def drawn(count: int, seed: int) -> list[Sample]:
    """Rows as step 8 makes them; every third person has chosen a card of their topics."""
    rng = random.Random(seed)
    pool = [card.keyword for card in load_lexicon()]
    personas = [Persona.parse(one) for one in read_json(PERSONAS)]
    samples = []
    for number in range(count):
        persona = rng.choice(personas)
        words = [rng.choice([t for t in persona.interesting_topics if t in pool] or pool)] if number % 3 == 0 else []
        for _ in range(rng.randint(1, 3)):
            if following := [word for word in next_cards(words, pool) if word not in words]:
                words.append(rng.choice(following))
        context = sample_context(persona, words, rng)
        cards = [f"1_{word}.png" for word in words]
        samples.append(
            Sample(
                id=number,
                persona=persona,
                persona_id=persona.id,
                context=context,
                cards=cards,
                output=interpret(words, persona, context),
            )
        )
    return samples


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[str, float]]:
    return table(drawn(160, seed=5), drawn(400, seed=6))


# What each attack must cost, and what it must leave (to 0.1): metric to the highest score that it may have.
FALLS = {
    "personas exchanged": ({"register": 0.93}, ("card_coverage_worst", "polarity", "addition", "voice", "illocution")),
    "contexts exchanged": (
        {"register": 0.8, "context_relevance": 0.6},
        ("card_coverage_worst", "polarity", "voice", "illocution", "complexity"),
    ),
    "outputs exchanged": (
        {
            "card_coverage_worst": 0.1,
            "addition": 0.7,
            "register_accuracy": 0.6,
            "context_relevance": 0.6,
            "set_score": 0.3,
        },
        (),
    ),
    "always 도와주세요": (
        {
            "card_coverage_worst": 0.1,
            "register_macro": 0.5,
            "context_relevance": 0.55,
            "distinct3": 0,
            "set_score": 0.2,
            "addition": 0.8,
        },
        ("voice",),
    ),
    "bare cards": (
        {"register": 0.6, "register_accuracy": 0.3, "distinct3": 0, "grammatical": 0.8},
        ("card_coverage_worst", "polarity"),
    ),
    "one reference thrice": ({"distinct3": 0, "set_score": 0.9}, ("card_coverage_worst", "polarity", "register")),
    "negated": ({"polarity": 0.1}, ("card_coverage_worst", "addition", "voice", "register", "register_accuracy")),
    "stranger called": ({"title": 0.2}, ("card_coverage_worst", "polarity", "voice", "tense")),
    "to come told as over": ({"tense": 0.1}, ("card_coverage_worst", "polarity", "voice", "title")),
    "third person": ({"voice": 0, "persona_consistency": 0.8}, ("card_coverage_worst", "polarity", "register")),
    "context pasted": (
        {"context_relevance": 0.5, "complexity": 0.7},
        ("card_coverage_worst", "polarity", "register", "voice"),
    ),
    "topics injected": (
        {"addition": 0.2, "interest": 0.5, "complexity": 0.9},  # who chose a card of a topic keeps it
        ("card_coverage_worst", "polarity", "register", "voice"),
    ),
}


def test_references_score_high(scores) -> None:
    own = scores["references"]
    for key in (
        "card_coverage_worst",
        "polarity",
        "addition",
        "illocution",
        "register",
        "voice",
        "vocabulary",
        "grammatical",
        "tense",
    ):
        assert own[key] >= 0.97, (key, own[key])
    for key in ("register_accuracy", "register_macro", "distinct3", "set_score", "semantic_similarity[lemma-tfidf]"):
        assert own[key] == pytest.approx(1), key
    assert own["complexity"] >= 0.95 and own["interest"] >= 0.95 and own["persona_consistency"] >= 0.95
    assert own["context_relevance"] >= 0.7


@pytest.mark.parametrize("attack", FALLS)
def test_attacks_fall_where_they_should(scores, attack: str) -> None:
    own, spoiled = scores["references"], scores[attack]
    costs, leaves = FALLS[attack]
    for key, ceiling in costs.items():
        assert spoiled[key] <= ceiling, (key, spoiled[key])
    for key in leaves:
        assert spoiled[key] == pytest.approx(own[key], abs=0.1), (key, spoiled[key])


def test_empty_output_earns_nothing(scores) -> None:
    assert {key for key, value in scores["empty"].items() if value} == set()
    assert scores["empty"].keys() == scores["references"].keys()


def test_every_attack_is_held_to_something() -> None:
    assert set(FALLS) | {"references", "empty"} == set(ATTACKS)


def unmoved(scores: dict[str, dict[str, float]]) -> list[str]:
    """The metrics that no attack costs a tenth of their scale."""
    found = []
    for key, own in scores["references"].items():
        sign = 1 if find(key).better == "high" else -1
        lost = [sign * (own - spoiled[key]) for name, spoiled in scores.items() if name != "empty"]
        found += [key] if max(lost) <= 0.1 * find(key).scale else []
    return found


def test_every_metric_is_moved_by_some_attack(scores) -> None:
    """A metric that nothing spoils measures nothing: one that is declared anew has to fall, too, or needs an attack."""
    counted = {key for key, metric in METRICS.items() if metric.counts and key != "semantic_similarity"}
    assert counted <= scores["references"].keys()
    assert unmoved(scores) == []
    assert all(0 <= value <= find(key).scale + 1e-9 for values in scores.values() for key, value in values.items())
    stuck = {name: {**values, "voice": 1.0} for name, values in scores.items()}
    assert unmoved(stuck) == ["voice"]
