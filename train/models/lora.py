"""LoRA on a backbone, through PEFT: added, merged, set aside; and QLoRA's four-bit base."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aac.io import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn


def four_bits(dtype: torch.dtype, skipped: Sequence[str]) -> Any:
    """QLoRA's quantisation (Dettmers et al. 2023) of the decoder; the modules named `skipped` stay as they are.

    Raises:
        UserError: bitsandbytes is not installed.
    """
    try:
        import bitsandbytes  # noqa: F401  transformers' own message does not name the setting
    except ImportError:
        raise UserError(
            "load_in_4bit needs bitsandbytes, which is not installed: pip install bitsandbytes, or set it to false"
        ) from None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(skipped),
    )


def add_lora(model: nn.Module, config: dict[str, Any]) -> None:
    """LoRA (Hu et al. 2021) through PEFT, in place: on the decoder's `lora_target_modules`, and where the config says
    so on the vision tower (`lora_vision`) and the projector (`lora_projector`).

    Raises:
        UserError: a target that matches no module of the decoder; lists those that exist (PEFT alone is silent).
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners import lora
    from torch import nn

    from train.models.lora_linear import LoraLinear

    decoder = model.lora_parts["decoder"]
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    inside = sorted({name.rsplit(".", 1)[-1] for name in linear if re.match(decoder, name)})
    if unknown := [target for target in config["lora_target_modules"] if target not in inside]:
        raise UserError(f"lora_target_modules: {', '.join(unknown)} not in the decoder; it has {', '.join(inside)}")
    # A pattern, not bare names: the same name in the vision tower must not match.
    patterns = [rf"{decoder}({'|'.join(config['lora_target_modules'])})"]
    patterns += [model.lora_parts[part] for part in ("vision", "projector") if config[f"lora_{part}"]]
    settings = LoraConfig(
        r=config["lora_r"],
        lora_alpha=config["lora_alpha"],
        lora_dropout=config["lora_dropout"],
        target_modules="|".join(f"(?:{pattern})" for pattern in patterns),
    )
    inject_adapter_in_model(settings, model)
    for module in model.modules():
        if type(module) is lora.Linear:
            module.__class__ = LoraLinear  # the same parameters


def fold_lora(model: nn.Module) -> bool:
    """Add the decoder's and the projector's LoRA to the weights they stand beside, in place; from then on these alone
    are multiplied. The adapters stay in the model's state. The tower's stay apart, since a card's cluster is read
    without them; so do those over 4 bits. Returns whether there were any.

    Not to be trained further: the weights as they were are gone, and an adapter has no gradient.
    """
    tower = set(model.model.vision.tower.modules())
    layers = [layer for _, layer in _layers(model) if layer not in tower and layer.weight.is_floating_point()]
    for layer in layers:
        layer.merged_adapters += _add(layer)
    return bool(layers)


def merge_lora(model: nn.Module) -> int:
    """Add every LoRA to the weight it stands beside and take it away, in place; returns how many there were."""
    found = _layers(model)
    for name, layer in found:
        _add(layer)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.get_base_layer())
    return len(found)


def _layers(model: nn.Module) -> list[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]


def _add(layer: Any) -> list[str]:
    """LoRA's product to the frozen weight, rounded once, to the weight's own precision; the names of the adapters."""
    import torch

    base, names = layer.get_base_layer(), list(layer.active_adapters)
    with torch.no_grad():
        for name in names:
            base.weight.copy_(base.weight.float() + layer.get_delta_weight(name).float())
    return names


@contextmanager
def without_lora(module: nn.Module) -> Iterator[bool]:
    """The module as published; yields whether it has any LoRA."""
    layers = [layer for _, layer in _layers(module)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield bool(layers)
    finally:
        for layer in layers:
            layer.enable_adapters(True)
