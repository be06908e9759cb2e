"""What an app may ask, and what is refused by name: one error, at once, whatever comes."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import pictures

from aac.io import UserError
from aac.records import Context, Persona

WORDS = ["물", "공"]


def in_bytes(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_may_be_paths_bytes_files_or_arrays(model: Any, tmp_path: Path) -> None:
    first, second = pictures(2)
    wanted = model.generate_interpretation([first, second], return_details=True)
    second.save(tmp_path / "공.png")
    with open(tmp_path / "공.png", "rb") as file:
        ways = [
            [in_bytes(first), tmp_path / "공.png"],
            (first, str(tmp_path / "공.png")),
            iter([np.asarray(first), file]),
            np.stack([first, second]),
        ]
        for images in ways:
            assert model.generate_interpretation(images, return_details=True) == wanted


REFUSED: dict[str, tuple[dict[str, Any] | Callable[[], dict[str, Any]], str]] = {
    "no images": ({"images": None}, "images: a list of 1 to 4 pictures is needed"),
    "a lone picture": (lambda: {"images": pictures(1)[0]}, r"put it in a list"),
    "a lone path": ({"images": "물.png"}, "put it in a list"),
    "a lone array": ({"images": np.zeros((4, 9, 3))}, "put it in a list"),
    "a number": ({"images": 4}, "images: a list of 1 to 4 pictures is needed"),
    "None for a picture": (lambda: {"images": [*pictures(1), None]}, "picture 2"),
    "an address": ({"images": ["https://example.org/a.png"] * 2}, "picture 1.*not fetched"),
    "endless pictures": (lambda: {"images": iter(lambda: pictures(1)[0], None)}, "1 to 4 cards"),
    "None for a word": ({"keywords": [None, "공"]}, "keywords: word 1"),
    "an empty word": ({"keywords": ["물", " "]}, "keywords: word 2"),
    "a word of signs": ({"keywords": ["물", "!?"]}, "keywords: word 2"),
    "a lone word": ({"keywords": "물공"}, "keywords: a list"),
    "words as a dict": ({"keywords": {"물": 1, "공": 2}}, "keywords: a list"),
    "a word with mark-up": ({"keywords": ["물", "<b>공"]}, "keywords: word 2.*'<'"),
    "half a surrogate pair": ({"keywords": ["물", "\ud800"]}, "keywords: word 2.*damaged"),
    "a long word": ({"keywords": ["물", "가" * 3000]}, "keywords: word 2.*3000.*60"),
    "a long context": ({"context_info": "가" * 60_000}, "context_info.*2000 characters"),
    "a long place": ({"context_info": {"place": "가" * 60_000}}, "place.*2000 characters"),
    "long characteristics": ({"persona_info": {"communication_characteristics": "가" * 60_000}}, "2000 characters"),
    "many topics": ({"persona_info": {"interesting_topics": ["공"] * 10_000}}, "at most 100"),
    "many clusters": ({"persona_info": {"preferred_category_types": list(range(10_000))}}, "at most 100"),
    "an unknown key": ({"persona": {"age": 3}}, "no argument 'persona'.*persona_info"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_asked_is_refused_by_name(model: Any, name: str) -> None:
    changes, message = REFUSED[name]
    request = {"images": pictures(2), **(changes() if callable(changes) else changes)}
    with pytest.raises(UserError, match=message) as caught:
        model.generate_interpretations([request])
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)
    good = {"images": pictures(2)}
    with pytest.raises(UserError, match=f"request 2: .*{message}"):
        model.generate_interpretations([good, {**good, **(changes() if callable(changes) else changes)}])


@pytest.mark.parametrize("temperature", ["0.7", float("nan"), float("inf"), -0.1, None, True, [1]])
def test_a_temperature_that_is_no_number_from_0_on(model: Any, temperature: Any) -> None:
    with pytest.raises(UserError, match="temperature"):
        model.generate_interpretation(pictures(1), temperature=temperature)


@pytest.mark.parametrize("requests", [[], None, {"images": []}, [None], "ab", [[1]], [{}]])
def test_no_requests_are_refused(model: Any, requests: Any) -> None:
    with pytest.raises(UserError, match=r"requests|images"):
        model.generate_interpretations(requests)


def test_many_requests_are_decoded_in_bounded_groups(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their cards, each gets its own answer back, and memory does not grow with their number."""
    from train.interpreter import answering

    requests = [{"images": pictures(6)[n : n + 1 + n % 2], "keywords": WORDS[: 1 + n % 2]} for n in range(5)]
    wanted = [model.generate_interpretation(**request) for request in requests]
    sizes: list[int] = []
    inner = answering.Prefilled

    def counted(model: Any, batch: Any, *more: Any) -> Any:
        sizes.append(len(batch.input_ids))
        return inner(model, batch, *more)

    monkeypatch.setattr(answering, "Prefilled", counted)
    monkeypatch.setattr("train.interpreter.batches.BATCH", 2)
    assert model.generate_interpretations(requests) == wanted
    assert sizes == [2, 2, 1]


# ---------------------------------------------------------------------- longer than trained


def limits(model: Any, monkeypatch: pytest.MonkeyPatch, **lengths: int) -> None:
    monkeypatch.setattr(model, "longest", {**model.longest, **lengths})


def test_a_context_longer_than_trained_is_left_out_and_the_answer_says_so(
    model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    long = {"place": "집", "current_activity": "오늘은 아침부터 비가 와서 우산을 쓰고 걸어갔다 왔다. " * 4}
    limits(model, monkeypatch, context=12)
    request = {"images": pictures(1), "keywords": ["물"], "return_details": True}
    short = model.generate_interpretation(**request, context_info={"place": "집"})
    with caplog.at_level(logging.WARNING):
        found = model.generate_interpretation(**request, context_info=long)
    assert [c["text"] for c in found] == [c["text"] for c in short]  # what fits stays
    assert all("context_too_long" in c["reasons"] for c in found)
    assert not any("context_too_long" in c["reasons"] for c in short)
    assert "context_info: current_activity" in caplog.text and "left out" in caplog.text
    assert "우산" not in caplog.text  # logs hold no sentences
    # Negative control: trained on as much, it is read.
    limits(model, monkeypatch, context=1000)
    read = model.generate_interpretation(**request, context_info=long)
    assert not any("context_too_long" in c["reasons"] for c in read)


def test_a_persona_longer_than_trained_is_left_out_and_the_answer_says_so(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits(model, monkeypatch, persona=12)
    request = {"images": pictures(1), "return_details": True}
    short = model.generate_interpretation(**request, persona_info={"age": 9})
    long = {"age": 9, "disability_type": "우산을 쓰고 걸어가는 " * 9}
    found = model.generate_interpretation(**request, persona_info=long)
    assert [c["text"] for c in found] == [c["text"] for c in short]
    assert all("persona_too_long" in c["reasons"] for c in found)


def test_trained_lengths_travel_with_the_checkpoint(model: Any, tmp_path: Path) -> None:
    from train.config.train_config import TRAIN_CONFIG
    from train.models.aac_multimodal_model import AACMultimodalModel

    state = model.state()
    known = AACMultimodalModel.from_state({**state, "longest": {"persona": 7, "context": 5}}, TRAIN_CONFIG, "new.pt")
    assert known.longest == {"persona": 7, "context": 5}
    assert known.state()["longest"] == known.longest
    # One from before: as long as the longest of the data that such models were trained on.
    del state["longest"]
    older = AACMultimodalModel.from_state(state, TRAIN_CONFIG, "old.pt")
    assert all(20 < length < 400 for length in older.longest.values())
    for bad in ({"persona": 7}, {"persona": 7, "context": "5"}, [7, 5], {"persona": 7, "context": -1}):
        with pytest.raises(UserError, match=r"bad\.pt.*longest"):
            AACMultimodalModel.from_state({**model.state(), "longest": bad}, TRAIN_CONFIG, "bad.pt")


def test_training_records_the_longest_lines(workspace: Path) -> None:
    from test_accumulation import trainer_in

    model = trainer_in(workspace).model
    encoder = model.encoder
    rows = trainer_in(workspace).data.splits["train"]
    assert model.longest == {
        "persona": max(encoder.line_lengths(row.persona, Context())["persona"] for row in rows),
        "context": max(encoder.line_lengths(Persona(), row.context)["context"] for row in rows),
    }
    assert model.longest["context"] > 5
