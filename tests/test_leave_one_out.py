"""The references against each other: by hand, beside candidates at equal reference counts, under the writer's name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sacrebleu.metrics import BLEU

from aac.io import write_json
from aac.korean import tokens
from aac.records import Sample
from tests.test_metrics import SAMPLES
from train.scoring.leave_one_out import agreement, writers
from train.utils.metrics import Prediction, measure

ROWS = SAMPLES[:24]


def lines(change=lambda three: three, written_by=None, rows=ROWS) -> dict:
    said = [Prediction(sample, change(list(sample.output))) for sample in rows]
    references = [Prediction(sample, list(sample.output)) for sample in rows]
    return agreement(said, measure(said), measure(references), written_by or ["grammar"] * len(rows))


def test_bleu_of_each_reference_against_the_others() -> None:
    """Corpus BLEU over three times the rows, each reference once the candidate, the other two its references."""
    spaced = [[" ".join(tokens(text)) for text in sample.output] for sample in ROWS]
    texts = [three[k] for three in spaced for k in range(3)]
    others = [
        [three[k - 2] for three in spaced for k in range(3)],
        [three[k - 1] for three in spaced for k in range(3)],
    ]
    expected = BLEU(tokenize="none", force=True).corpus_score(texts, others).score
    found = lines()["references"]
    assert 10 < expected < 95
    assert found["bleu4"] == pytest.approx(expected)
    assert found["rows"] == len(ROWS)
    low, high = found["intervals"]["bleu4"]
    assert low <= expected <= high


def test_rouge_by_hand() -> None:
    sample = Sample(**{**dict(ROWS[0]), "output": ["물 줘.", "물 좀 줘.", "밥 먹어."]})
    assert [tokens(text) for text in sample.output] == [
        ["물", "주", "어"],
        ["물", "좀", "주", "어"],
        ["밥", "먹", "어"],
    ]
    # The first two share 3 of 3 and 4 (F1 6/7), the third shares its ending alone: 2/6 with the first.
    found = lines(rows=[sample])["references"]
    assert found["rouge1"] == pytest.approx((6 / 7 + 6 / 7 + 1 / 3) / 3)
    assert found["intervals"] == {}  # one person


def test_an_imitator_agrees_exactly_as_much_in_any_order() -> None:
    for change in (lambda three: three, lambda three: three[::-1], lambda three: [three[1], three[2], three[0]]):
        found = lines(change)
        assert found["candidates"]["bleu4"] == found["references"]["bleu4"]
        assert all(gap == pytest.approx(0) for gap in found["references"]["gaps"].values())


def test_what_differs_from_the_references_agrees_less() -> None:
    found = lines(lambda three: ["도와주세요.", "같이 놀래?", "집에 가요."])
    for key in ("bleu4", "chrf", "rouge1", "rougeL", "card_coverage"):
        assert found["candidates"][key] < 0.6 * found["references"][key], key
        assert found["references"]["gap_intervals"][key][1] < 0, key
    # One reference three times agrees more than people do, which is why distinct3 stands beside it.
    copied = lines(lambda three: three[:1] * 3)
    assert copied["candidates"]["rougeL"] > copied["references"]["rougeL"]
    assert (copied["candidates"]["distinct3"], copied["references"]["distinct3"]) == (0, 1)
    assert lines(lambda three: [])["candidates"]["rougeL"] == 0


def test_nothing_is_compared_with_itself() -> None:
    found = lines()["references"]
    assert not {"set_score", "register_accuracy", "bleu4_syllable", "rougeL_best_of_3", "rouge1_recall"} & found.keys()
    assert {"card_coverage", "polarity", "register", "voice"} <= found.keys()


def test_rows_that_people_wrote_stand_apart() -> None:
    by = ["person" if number % 4 == 0 else "grammar" for number in range(len(ROWS))]
    found = lines(written_by=by)
    assert found["written_by"] == {"grammar": 18, "person": 6}
    alone = lines(rows=ROWS[::4], written_by=["person"] * 6)
    assert found["person"]["references"]["bleu4"] == pytest.approx(alone["references"]["bleu4"])
    assert found["person"]["references"]["rows"] == 6
    assert "person" not in alone and "person" not in lines()


def test_who_wrote_a_row(tmp_path: Path) -> None:
    """Only a record of these very bytes names a teacher; only a correction that stands in the row names a person."""
    data, corrections = tmp_path / "rows.json", tmp_path / "corrections.jsonl"
    data.write_text("[]", encoding="utf-8")
    rows = [sample.model_copy(update={"key": f"k{sample.id}"}) for sample in ROWS[:3]]
    assert writers(rows, data, corrections) == ["unknown"] * 3
    step = {"outputs": {"rows.json": hashlib.sha256(b"[]").hexdigest()}, "settings": {"teacher": "grammar"}}
    write_json(tmp_path / ".state.json", {"8": step})
    texts = {"k0": rows[0].output, "k1": ["다른 말.", "또 다른 말.", "먼 말."]}
    told = "".join(json.dumps({"key": key, "output": output}) + "\n" for key, output in texts.items())
    corrections.write_text(told, encoding="utf-8")
    assert writers(rows, data, corrections) == ["person", "grammar", "grammar"]
    data.write_text("[ ]", encoding="utf-8")  # edited since
    assert writers(rows, data, corrections) == ["person", "unknown", "unknown"]
