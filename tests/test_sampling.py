"""Step 7: how cards are dealt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aac.io import read_json
from dataset.prepare import sampling
from dataset.prepare.teachers.own_words import OPEN
from tests.workshop import draw_card, prepare


def deck(count: int = 30, fits: Any = lambda words, word: True) -> sampling.Deck:
    names = [f"{n}_단어{n}.png" for n in range(count)]
    clusters = {0: names[:10], 1: names[10:20], 2: names[20:]}
    return sampling.Deck({name: name for name in names}, clusters, np.eye(3, dtype=np.float32), fits)


def test_cards_are_dealt_evenly_and_what_is_liked_comes_first() -> None:
    import random

    dealt = deck()
    liked = 0
    for n in range(300):  # three persons in turn, each with a cluster of their own
        hand = dealt.deal(2, [n % 3], random.Random(n))
        liked += sum(card in dealt.clusters[n % 3] for card in hand)
    assert liked / 600 > 0.45  # a third by chance
    uses = dealt.uses.tolist()
    assert min(uses) > 0.8 * sum(uses) / len(uses)


def test_cards_that_do_not_go_together_are_never_dealt_together() -> None:
    import random

    def even(words: list[str], word: str) -> bool:
        return all((int(w.split("_")[0]) + int(word.split("_")[0])) % 2 == 0 for w in words)

    picky, free = deck(fits=even), deck()

    def mixed(source: sampling.Deck) -> int:
        hands = (source.deal(3, [], random.Random(n)) for n in range(50))
        return sum(len({int(card.split("_")[0]) % 2 for card in hand}) > 1 for hand in hands)

    assert mixed(picky) == 0 < mixed(free)


def test_drawing_at_once_is_drawing_one_by_one() -> None:
    import random

    at_once, one_by_one = random.Random("카드"), random.Random("카드")
    for count in (3, 64, 500, 1, 700):
        assert sampling.uniform(at_once, count).tolist() == [one_by_one.random() for _ in range(count)]
    assert at_once.getstate() == one_by_one.getstate()


def test_a_sentence_stands_alone_and_a_strange_word_with_few(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw_card(home / "dataset/images/70_뽀로로.png", 70)
    draw_card(home / "dataset/images/71_나는 말할 수 없다.png", 71)
    assert prepare(home, "--samples-per-persona", "60", steps=[*"1234567"]) == 0
    assert "1 of 18 cards have labels that the grammar joins with no other" in caplog.text
    rows = read_json(home / "dataset/processed/dataset_with_cards.json")
    hands = {
        word: [row["keywords"] for row in rows if word in row["keywords"]] for word in ("뽀로로", "나는 말할 수 없다")
    }
    assert all(hands.values()) and all(len(hand) == 1 for hand in hands["나는 말할 수 없다"])
    assert all(len(hand) == 1 or {*hand} - {"뽀로로"} <= OPEN for hand in hands["뽀로로"])
