"""A decoder in 8 or 4 bits says nearly the same, and nothing else of the model is rounded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import fresh_model
from test_model import request, rows

from train.models.batch import collate
from train.models.quantized import KINDS, quantize

ERRORS = {"int8": 0.02, "int4": 0.15}


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_layer_is_nearly_what_it_was(kind: str) -> None:
    """In the few rows of a step and in the many of a prompt alike; without scales it would be another one."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 48, bias=False)
    linear.weight[3] *= 20
    rounded, states = KINDS[kind](linear), torch.randn(2, 40, 64)
    wanted = linear(states)
    for few in (states[:1, :3], states):
        got, want = rounded(few), wanted[: few.shape[0], : few.shape[1]]
        assert (got - want).norm() / want.norm() < ERRORS[kind]
        quiet = [row for row in range(48) if row != 3]  # a loud row does not drown the others
        assert (got - want)[..., quiet].norm() / want[..., quiet].norm() < ERRORS[kind]
    rounded.scale.mul_(2)
    assert (rounded(states) - wanted).norm() / wanted.norm() > 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["phi3_vision", "qwen3_vl"])
@torch.no_grad()
def test_the_decoder_alone_is_rounded(name: str, kind: str) -> None:
    model = fresh_model(model_type=name)
    features, sizes = model.encode_images(request(2)["images"] * 2)
    batch = collate(rows(model), model.encoder, model.image_clusters(features))
    shown = [features[i] for i in batch.images], [sizes[i] for i in batch.images]

    def logits() -> torch.Tensor:
        return model.backbone.lm_head(model.hidden_states(batch, model.embed(batch, *shown)).last_hidden_state)

    before, layers = logits(), 4 * (4 if name == "phi3_vision" else 7)
    assert quantize(model.backbone, kind) == layers
    assert sum(isinstance(module, KINDS[kind]) for module in model.modules()) == layers
    assert not any(isinstance(module, KINDS[kind]) for module in model.backbone.model.vision.modules())
    error = float((logits() - before).norm() / before.norm())
    assert 0 < error < 2 * ERRORS[kind]
    said: list[Any] = model.generate_interpretation(**request(1))
    assert len(set(said)) == 3
