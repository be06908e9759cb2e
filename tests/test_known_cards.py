"""Which card a picture shows, by the pictures that a model was trained with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aac.io import UserError
from aac.records import Context, Persona
from benchmarks.known_cards import STORED, noise, photo, shapes, white
from dataset.prepare.teachers.reviewed import reviewed
from tests.conftest import pictures
from train.interpret import words_of
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


@pytest.fixture
def reader(model):
    """The model with a table of its six pictures, two of which are core cards."""
    model.cards = KnownCards.of(pictures(), ["도와주세요", "하지 마세요", "물", "주세요", "가다", "싫다"])
    yield model
    model.cards = None


def test_a_lone_core_card_is_answered_by_its_reviewed_wording(reader) -> None:
    for keywords in (None, ["하지 마세요"]):
        three = reader.generate_interpretation(pictures()[1:2], {"age": 30}, keywords=keywords, return_details=True)
        assert [c["text"] for c in three] == reviewed(["하지 마세요"], Persona.parse({"age": 30}), Context())
        assert {(c["source"], c["passed"], c["checked"]) for c in three} == {("reviewed", True, True)}
        like = pytest.approx(1, abs=1e-3)
        assert three[0]["cards"] == [{"word": "하지 마세요", "known": True, "similarity": like}]
    told = reader.generate_interpretation(pictures()[1:2], keywords=["물"], return_details=True)
    assert told[0]["source"] != "reviewed"  # an app's word stands above the picture's


def test_a_confident_reading_serves_the_gate_as_keywords_do(reader) -> None:
    """The untrained model says nothing of the cards: with their words known the grammar stands in."""
    three = reader.generate_interpretation([pictures()[2], pictures()[3]], {"age": 30}, return_details=True)
    assert all("물" in c["text"] and c["source"] == "grammar" and c["checked"] for c in three)
    reader.cards = None
    three = reader.generate_interpretation([pictures()[2], pictures()[3]], {"age": 30}, return_details=True)
    assert not any(c["checked"] or c["cards"] or c["source"] == "grammar" for c in three)


def test_of_a_strange_picture_nothing_is_said_but_that(reader) -> None:
    strange = noise(np.random.default_rng(3))
    three = reader.generate_interpretation([pictures()[2], strange], return_details=True)
    assert {c["source"] for c in three} == {"unknown card"} and not any(c["passed"] or c["checked"] for c in three)
    assert three[0]["text"] == "모르는 카드예요."
    assert [card["known"] for card in three[0]["cards"]] == [True, False]


def test_of_a_strange_picture_whose_word_is_told_the_grammar_speaks_marked(reader) -> None:
    """The model has nothing to say of a picture that it never saw; an app's label is read as a team's is."""
    strange = noise(np.random.default_rng(3))
    told = reader.generate_interpretation([pictures()[2], strange], keywords=["물", "마셔요"], return_details=True)
    assert {c["source"] for c in told} == {"grammar"} and all(c["checked"] and not c["passed"] for c in told)
    assert all(c["reasons"] == ["unknown_card"] and "물" in c["text"] and "마" in c["text"] for c in told)
    assert [card["known"] for card in told[0]["cards"]] == [True, False]
    known = reader.generate_interpretation([pictures()[2]], keywords=["물"], return_details=True)
    assert not any("unknown_card" in c["reasons"] for c in known)  # negative control


def test_strange_pictures_are_refused_by_name_where_the_app_wants_that(reader) -> None:
    strange = noise(np.random.default_rng(3))
    reader.config = {**reader.config, "unknown_cards": "refuse"}
    try:
        with pytest.raises(UserError, match=r"picture 2 \(likest: .+, 0\.\d\d\).*none of the cards"):
            reader.generate_interpretation([pictures()[2], strange])
        assert len(reader.generate_interpretation([pictures()[2], strange], keywords=["물", "가다"])) == 3
        assert len(reader.generate_interpretation([pictures()[2]])) == 3
    finally:
        reader.config = {**reader.config, "unknown_cards": "answer"}


def test_a_card_is_called_by_what_one_hears_of_its_word() -> None:
    cards = KnownCards.of(PICTURES[:1], ["배(과일)"])
    (reading,) = cards.read(PICTURES[:1])
    assert (reading.word, reading.public()["word"]) == ("배(과일)", "배")


def test_interpret_takes_words_from_file_names() -> None:
    assert words_of(["dataset/images/113_도와주세요.png", "물/2_물.png"]) == ["도와주세요", "물"]
    assert words_of(["113_도와주세요.png", "IMG_2462.png"]) is None
