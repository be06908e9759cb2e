"""LoRA beside a frozen product: PEFT's numbers, in the precision around it, and part of the weights for answering."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import pictures
from published import tuned_model, tuning, write_published
from test_backbones import EVERYTHING, learn
from test_model import difference, request

from aac.io import UserError
from train.models.aac_multimodal_model import AACMultimodalModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("published"))


def as_peft(model: Any) -> Any:
    """The same model with PEFT's own layers."""
    from peft.tuners import lora

    from train.models.lora_linear import LoraLinear

    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, LoraLinear):
            module.__class__ = lora.Linear
    return plain


def test_loss_and_gradients_are_pefts(folder: Path) -> None:
    model = tuned_model(folder, lora_alpha=6, **EVERYTHING)
    plain = as_peft(model)
    cards = model.encode_images(pictures())
    loss, grads = learn(model, *cards)
    wanted, plain_grads = learn(plain, *cards)
    assert loss == pytest.approx(wanted, rel=1e-6) and difference(grads, plain_grads) < 1e-5
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
    assert learn(model, *cards)[0] != pytest.approx(wanted, rel=1e-4)  # it does count


def test_under_autocast_no_input_is_cast_to_full_precision(folder: Path) -> None:
    """Each cast would read and write every input once more; the loss is as near to that of fp32 as PEFT's."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Casts(TorchDispatchMode):
        wide = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            cast = func is torch.ops.aten._to_copy.default and args[0].dtype == torch.bfloat16
            wide = cast and result.dtype == torch.float32 and result.shape[-1:] == (48,)  # into `down_proj`
            self.wide += wide and result.numel() > 4 * 48  # and no gradient of LoRA's own
            return result

    model = tuned_model(folder)
    exact, found = learn(model, *model.encode_images(pictures()))[0], []
    for one in (model, as_peft(model)):
        with torch.autocast("cpu", torch.bfloat16), Casts() as casts:
            loss, _ = learn(one, *one.encode_images(pictures()))
        found.append((casts.wide, abs(loss - exact)))
    (ours, error), (pefts, its_error) = found
    assert ours == 0 and pefts >= 3
    assert error < 2 * its_error + 1e-3 * abs(exact)


def test_a_loaded_model_answers_from_merged_weights_and_saves_its_adapters(folder: Path, tmp_path: Path) -> None:
    model = tuned_model(folder, **EVERYTHING)
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    model.save_model(first)
    loaded = AACMultimodalModel.load_model(first, tuning(folder))
    layer = loaded.backbone.model.layers[0].self_attn.qkv_proj
    before = model.backbone.model.layers[0].self_attn.qkv_proj
    assert layer.merged and not torch.equal(layer.base_layer.weight, before.base_layer.weight)
    x = torch.randn(2, 3, 32)
    assert torch.allclose(layer(x), before(x), atol=1e-5)
    assert not any(getattr(m, "merged", False) for m in loaded.backbone.model.vision.tower.modules())
    loaded.save_model(second)
    held, again = (torch.load(path, weights_only=True)["model"] for path in (first, second))
    assert held.keys() == again.keys() and all(torch.equal(held[name], again[name]) for name in held)
    assert any("lora_B" in name for name in again)
    want = model.generate_interpretation(**request(1), return_details=True)
    for path in (first, second):
        said = AACMultimodalModel.load_model(path, tuning(folder)).generate_interpretation(
            **request(1), return_details=True
        )
        assert [c["text"] for c in said] == [c["text"] for c in want]


def test_a_model_to_train_further_keeps_its_adapters_apart(folder: Path, tmp_path: Path) -> None:
    tuned_model(folder).save_model(tmp_path / "m.pt")
    merged = AACMultimodalModel.load_model(tmp_path / "m.pt", tuning(folder))
    with pytest.raises(UserError, match=r"to_train=True.*--init-from"):
        merged.train()
    model = AACMultimodalModel.load_model(tmp_path / "m.pt", tuning(folder), to_train=True).train()
    _, grads = learn(model, *model.encode_images(pictures()))
    adapters = {name for name, _ in model.named_parameters() if "lora_" in name}
    assert adapters and all(grads[name].abs().sum() > 0 for name in adapters)
