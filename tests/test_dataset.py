"""Samples to rows: what training is told of a person and a situation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from conftest import SENTENCES, WORDS
from torch.utils._python_dispatch import TorchDispatchMode

from aac.records import Context, Persona, Sample
from train.data.dataset import AACDataset
from train.data.features import CardFeatures
from train.models.batch import Row, collate

PERSONA = Persona.parse({"age": 30, "gender": "female", "speech_level": "해요체", "utterance_length": "짧게"})
CONTEXT = Context.parse({"time": "오후", "place": "집", "interaction_partner": "친구", "current_activity": "쉬는 중"})


def rows_of(model: Any, share: float, count: int = 400) -> list[Row]:
    one = {"persona_id": 1, "persona": PERSONA, "context": CONTEXT, "cards": [f"1_{WORDS[0]}.png"]}
    samples = [Sample(id=n, output=SENTENCES[:3], split="train", **one) for n in range(count)]
    drops = {"persona": share, "context": share, "keyword": 0.5}
    data = AACDataset(samples, model.encoder, {f"1_{WORDS[0]}.png": 0}, [1], drops)
    return [data[n] for n in range(count)]


def told(record: Persona | Context) -> int:
    return sum(bool(getattr(record, name)) for name in ("time", "place", "interaction_partner", "current_activity"))


def test_people_and_situations_are_known_wholly_in_part_or_not_at_all(model: Any) -> None:
    fields = [told(row.context) for row in rows_of(model, 1.0)]
    unknown, whole = fields.count(0) / len(fields), fields.count(4) / len(fields)
    assert 0.45 < unknown < 0.62 and whole < 0.08  # half of them nothing; of the others each field by a coin
    assert {1, 2, 3} <= set(fields)
    personas = [row.persona for row in rows_of(model, 1.0)]
    assert any(p.age and not p.speech_level for p in personas) and any(p.speech_level and not p.age for p in personas)


def test_without_a_share_all_is_told_and_draws_repeat(model: Any) -> None:
    assert all(row.persona == PERSONA and row.context == CONTEXT for row in rows_of(model, 0.0, 50))
    assert rows_of(model, 0.4, 50) == rows_of(model, 0.4, 50)


def test_what_the_row_does_not_know_stands_nowhere_in_its_prompt(model: Any) -> None:
    for row in rows_of(model, 1.0, 60):
        text = model.encoder.tokenizer.decode([i for i in row.prompt if i >= 0])
        assert ("해요체" in text) == bool(row.persona.speech_level)
        assert ("친구" in text) == bool(row.context.interaction_partner)


def test_a_batch_and_its_cards_cross_to_the_device_at_once(model: Any, cards: list[Path], tmp_path: Path) -> None:
    """Each crossing makes the processor wait; what arrives is what was sent."""
    crossings = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if func is torch.ops.aten._to_copy.default and result.is_meta:
                crossings.append(func)
            return result

    features = CardFeatures(model, cards, tmp_path / "features")
    batch = collate(rows_of(model, 0.5, 5), model.encoder, torch.zeros(1, dtype=torch.long))
    with Watched():
        there = batch.to("meta")
        sent, sizes = features.batch([3, 0, 1], "meta")
    assert len(crossings) == 2 and sizes == [features.image_sizes[i] for i in (3, 0, 1)]
    assert [tuple(tensor.shape) for tensor in sent] == [tuple(features[i].shape) for i in (3, 0, 1)]
    for name, value in vars(there.conditions).items():
        assert value.is_meta and value.shape == getattr(batch.conditions, name).shape
    assert there.segments.is_meta and there.images == batch.images
    here = batch.to("cpu")
    assert all(torch.equal(one, other) for one, other in zip(here._held(), batch._held(), strict=True))
    assert all(map(torch.equal, features.batch([3, 0, 1], "cpu")[0], [features[i] for i in (3, 0, 1)]))
