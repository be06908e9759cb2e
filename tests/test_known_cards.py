"""Which card a picture shows, by the pictures that a model was trained with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aac.io import UserError
from benchmarks.known_cards import STORED, noise, photo, shapes, white
from train.models.aac_multimodal_model import AACMultimodalModel
from train.models.known_cards import KnownCards

DRAW = np.random.default_rng(1)
PICTURES = [shapes(DRAW) for _ in range(40)]
WORDS = [f"낱말{number}" for number in range(40)]


@pytest.fixture(scope="module")
def cards() -> KnownCards:
    return KnownCards.of(PICTURES, WORDS)


@pytest.mark.parametrize("stored", STORED)
def test_a_card_is_known_again_however_it_was_stored(cards: KnownCards, stored: str) -> None:
    read = cards.read([STORED[stored](picture) for picture in PICTURES])
    assert np.mean([r.known and r.word == word for r, word in zip(read, WORDS, strict=True)]) >= 0.9


@pytest.mark.parametrize("kind", [noise, photo, shapes, white])
def test_another_picture_is_unknown(cards: KnownCards, kind) -> None:
    strange = np.random.default_rng(2)
    read = cards.read([kind(strange) for _ in range(60)])
    assert np.mean([r.known for r in read]) <= 0.02
    assert all(r.public()["word"] == "" for r in read if not r.known)


def test_a_card_beside_its_likest_neighbour_keeps_its_word() -> None:
    """Two faces that differ by a mouth are two cards."""
    smile, frown = Image.new("RGB", (224, 224), "white"), Image.new("RGB", (224, 224), "white")
    from PIL import ImageDraw

    for face, (start, end) in ((smile, (20, 160)), (frown, (200, 340))):
        pen = ImageDraw.Draw(face)
        pen.ellipse((20, 20, 204, 204), fill="gold", outline="black", width=6)
        pen.arc((70, 80, 154, 164), start, end, fill="black", width=8)
    cards = KnownCards.of([smile, frown], ["기쁘다", "슬프다"])
    assert [r.word for r in cards.read([STORED["JPEG, quality 60"](smile), STORED["120 px"](frown)])] == [
        "기쁘다",
        "슬프다",
    ]


def test_the_table_travels_in_the_checkpoint(model, cards: KnownCards, tmp_path: Path) -> None:
    model.cards = cards
    try:
        model.save_model(tmp_path / "with.pt")
    finally:
        model.cards = None
    loaded = AACMultimodalModel.load_model(tmp_path / "with.pt", {"device": "cpu"})
    assert loaded.cards.words == WORDS
    assert [r.word for r in loaded.cards.read(PICTURES[:3])] == WORDS[:3]
    model.save_model(tmp_path / "without.pt")  # as checkpoints were before
    assert AACMultimodalModel.load_model(tmp_path / "without.pt", {"device": "cpu"}).cards is None


def test_a_malformed_table_is_refused(model, cards: KnownCards, tmp_path: Path) -> None:
    for bad in ({}, {"words": WORDS}, [1], {**cards.state(), "words": WORDS[:3]}, {**cards.state(), "words": [1] * 40}):
        model.save_model(tmp_path / "bad.pt", cards=bad)
        with pytest.raises(UserError, match=r"bad\.pt: its table of known cards is malformed"):
            AACMultimodalModel.load_model(tmp_path / "bad.pt", {"device": "cpu"})
