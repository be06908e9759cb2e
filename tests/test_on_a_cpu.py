"""Loading on a CPU: in which precision, whether it fits, and in 8 or 4 bits."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from published import tuned_model, tuning, write_published
from test_model import request

from aac.io import UserError
from train.models import aac_multimodal_model as face
from train.models.aac_multimodal_model import AACMultimodalModel
from train.models.room import stored_numbers


@pytest.fixture(scope="module", params=["phi3_vision", "qwen3_vl"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base, and a checkpoint of a model tuned over it."""
    folder = write_published(tmp_path_factory.mktemp(request.param), model_type=request.param)
    tuned_model(folder).save_model(folder / "best_model.pt")
    return folder, folder / "best_model.pt"


@pytest.mark.parametrize(
    ("has_it", "asked", "wanted"),
    [
        (True, {}, torch.bfloat16),
        (False, {}, torch.float32),
        (True, {"use_fp16": False, "use_bf16": False}, torch.float32),
    ],
)
def test_weights_are_held_in_what_the_processor_computes_in(
    trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, has_it: bool, asked: dict[str, bool], wanted: Any
) -> None:
    monkeypatch.setattr(face, "computes_in_bf16", lambda _: has_it)
    folder, best = trained
    kind = tuning(folder)["model_type"]
    half = {"use_bf16": True} if kind == "qwen3_vl" else {"use_fp16": True}
    model = AACMultimodalModel.load_model(best, tuning(folder, **{**half, **asked}))
    assert model.backbone.model.embed_tokens.weight.dtype == wanted
    assert {p.dtype for p in model.conditioning_parameters()} == {torch.float32}
    assert len(set(model.generate_interpretation(**request(1)))) == 3


def test_what_it_takes_is_said_and_refused_where_it_is_not_there(
    trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import psutil

    folder, best = trained
    caplog.set_level(logging.INFO)
    AACMultimodalModel.load_model(best, tuning(folder))
    assert "in float32" in caplog.text and "are free" in caplog.text
    need = 4 * stored_numbers(folder)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=need - 1))
    with pytest.raises(UserError, match=r"set quantize to 'int8' .*model_type qwen3_vl"):
        AACMultimodalModel.load_model(best, tuning(folder))
    AACMultimodalModel.load_model(best, tuning(folder, quantize="int8"))  # as stored it fits


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_tuned_model_interprets_in_few_bits_and_is_not_saved(
    trained: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    """LoRA is part of what is rounded: without it the numbers would be others."""
    folder, best = trained
    plain = AACMultimodalModel.load_model(best, tuning(folder))
    model = AACMultimodalModel.load_model(best, tuning(folder, quantize=kind))
    layer = next(name for name, _ in plain.backbone.named_modules() if name.endswith("o_proj"))
    states = torch.randn(2, 5, 64 if plain.config["model_type"] == "qwen3_vl" else 32)
    with torch.no_grad():
        got, want = (m.backbone.get_submodule(layer)(states.to(torch.float32)).float() for m in (model, plain))
    assert (got - want).norm() / want.norm() < 0.15
    assert len(set(model.generate_interpretation(**request(1)))) == 3
    with pytest.raises(UserError, match="rounded"):
        model.save_model(tmp_path / "again.pt")
