"""Stage one of a backbone from scratch: the tower learns the cards' names, whatever the precision."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from conftest import WORDS, fresh_model, pictures
from torch.nn import functional

from train.models.vision_pretraining import pretrain_tower

HALF = partial(torch.autocast, "cpu", torch.bfloat16)


@pytest.mark.parametrize(
    ("kind", "autocast"), [("phi3_vision", nullcontext), ("phi3_vision", HALF), ("qwen3_vl", HALF)]
)
def test_pictures_come_to_read_like_their_words(kind: str, autocast: Any) -> None:
    model, shown = fresh_model(model_type=kind), pictures()
    names = WORDS[: len(shown)]
    assert pretrain_tower(model, shown, names, 150, 1, autocast) == 1.0
    core = model.backbone.model
    vision, width = core.vision, core.embed_tokens.embedding_dim
    pixels, sizes = model.processor.images(shown)
    features = vision.encode(torch.stack([views[0] for views in pixels]))
    read = torch.stack(vision.project(list(features[:, None]), sizes.tolist())).mean(1)[:, :width]
    words = torch.stack([core.embed_tokens.weight[list(model.encoder.text(name))].mean(0) for name in names])
    likeness = functional.normalize(read, dim=-1) @ functional.normalize(words, dim=-1).T
    assert (likeness.argmax(-1) == torch.arange(len(names))).all()
    assert not any(p.requires_grad for p in vision.tower.parameters())


def test_one_context_for_all_steps_would_learn_nothing() -> None:
    """Negative control: autocast keeps the weights that it cast first."""
    model, shown = fresh_model(), pictures()
    with HALF():
        assert pretrain_tower(model, shown, WORDS[: len(shown)], 150, 1) < 1.0
