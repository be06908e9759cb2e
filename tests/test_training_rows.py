"""Every card is learned: training rows for each card, in the data, in `--append`, and in what is said of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import data_prepare
from aac.io import read_json
from aac.records import LEAST_TRAINED, Sample, load_samples, seldom_trained, split_of
from aac.rules import row_problems
from dataset.prepare.training_rows import secure
from tests.workshop import ROOT, draw_card, prepare

PERSON = read_json(ROOT / "dataset/persona.json")[0]["persona"]


def lone_rows(cards: int, each: int) -> list[dict[str, Any]]:
    """Rows of one person's, of one card each: a card lies wholly in one split."""
    files = [f"{n % cards}_카드{n % cards}.png" for n in range(cards * each)]
    return [{"persona_id": 1, "input": {"AAC_card_combination": [file]}} for file in files]


def trained(rows: list[dict[str, Any]]) -> Counter[str]:
    from aac.records import Persona

    person = Persona.read(PERSON)
    found: Counter[str] = Counter()
    for row in rows:
        cards = row["input"]["AAC_card_combination"]
        if row.get("split") == "train" or split_of(cards, person) == "train":
            found.update(cards)
    return found


def test_a_card_that_lies_outside_training_is_pinned_to_it() -> None:
    rows = lone_rows(cards=40, each=6)
    before = trained(rows)
    assert 4 <= 40 - len(before) <= 16  # negative control: a fifth of the cards has no training row
    pinned = secure(rows, {1: PERSON}, left=0)
    assert pinned == 6 * (40 - len(before)) == sum("split" in row for row in rows)
    after = trained(rows)
    assert len(after) == 40 and min(after.values()) >= LEAST_TRAINED
    assert all(after[card] == count for card, count in before.items())  # what is trained on stays as it was


def test_validation_keeps_a_row() -> None:
    rows = lone_rows(cards=40, each=6)
    secure(rows, {1: PERSON})
    from aac.records import Persona

    free = [row for row in rows if "split" not in row]
    assert any(split_of(row["input"]["AAC_card_combination"], Persona.read(PERSON)) == "val" for row in free)


def alone_at_home(home: Path) -> list[Sample]:
    """One person, and cards that no table joins: each stands alone only."""
    people = read_json(ROOT / "dataset/persona.json")[:1]
    (home / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    for number, word in enumerate(("뿌뿌", "꾸꾸", "루루", "무무", "부부", "수수"), start=50):
        draw_card(home / f"dataset/images/{number}_{word}.png", number)
    assert prepare(home, "--samples-per-persona", "240") == 0
    return load_samples(home / "dataset/processed/dataset_completed.json")[0]


def test_every_card_of_one_persons_set_has_training_rows_and_appending_moves_none(home: Path) -> None:
    samples = alone_at_home(home)
    counts = Counter(card for sample in samples if sample.split == "train" for card in sample.cards)
    assert set(counts) == {path.name for path in (home / "dataset/images").iterdir()}
    assert min(counts.values()) >= LEAST_TRAINED
    assert any(sample.split == "val" for sample in samples)
    splits = {sample.id: sample.split for sample in samples}
    for number, word in enumerate(("두두", "그그", "히히", "비비", "누누"), start=70):
        draw_card(home / f"dataset/images/{number}_{word}.png", number)
    assert data_prepare.main(["--workspace", str(home), "--append"]) == 0
    samples, _ = load_samples(home / "dataset/processed/dataset_completed.json")
    assert {sample.id: sample.split for sample in samples if sample.id in splits} == splits
    counts = Counter(card for sample in samples if sample.split == "train" for card in sample.cards)
    assert all(counts[f"{number}_{word}.png"] >= LEAST_TRAINED
               for number, word in enumerate(("두두", "그그", "히히", "비비", "누누"), start=70))  # fmt: skip


def test_a_card_without_training_rows_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(home, "--samples-per-persona", "2") == 0
    capsys.readouterr()
    data_prepare.main(["--workspace", str(home), "--check"])
    shown = capsys.readouterr().out
    assert f"cards stand in fewer than {LEAST_TRAINED} training rows" in shown and "--samples-per-persona" in shown
    assert "not every card will be learned" in shown or "training would refuse" in shown
    assert seldom_trained([("1_물.png", "물")], {"1_물.png": LEAST_TRAINED}) == ""  # negative control
    assert "물 0" in seldom_trained([("1_물.png", "물")], {})


def test_a_pin_stands_in_a_row_of_one_card_alone(home: Path) -> None:
    assert prepare(home) == 0
    rows = read_json(home / "dataset/processed/dataset_completed.json")
    lone = next(row for row in rows if len(row["input"]["AAC_card_combination"]) == 1)
    pair = next(row for row in rows if len(row["input"]["AAC_card_combination"]) > 1)
    assert row_problems({**lone, "split": "train"}, 1) == ("complete", [])
    for row in ({**pair, "split": "train"}, {**lone, "split": "test"}):
        status, problems = row_problems(row, 1)
        assert status == "defective" and problems[0].field == "split"
