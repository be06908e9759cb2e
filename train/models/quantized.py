"""A decoder's weights in 8 or 4 bits, for interpreting on a CPU: PyTorch's own kernels, no package beside it.

Only weights are rounded, each row (8 bits) or group of a row (4 bits) by a scale of its own; tower, projector,
embeddings and head stay as they are. The kernels compute in bf16, also where the processor has no instructions for it.
Shapes: M positions, K in, N out.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUP = 32  # of a row's weights that share a scale, in 4 bits
# Positions from which on a plain product with whole weights is faster than the kernel, which is for a step's few rows.
_MANY = 32


def _bf16(values: Tensor) -> Tensor:
    """Rounded as the kernels will read them, so that the codes make up for it."""
    return values.bfloat16().float()


class Int8Linear(nn.Module):
    """`nn.Linear` with weights of 8 bits."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = _bf16((weight.abs().amax(dim=1) / 127).clamp(min=1e-12))
        codes = (weight / scale[:, None]).round().clamp(-127, 127)
        self.register_buffer("weight", codes.to(torch.int8))
        self.register_buffer("scale", scale.bfloat16())

    def forward(self, states: Tensor) -> Tensor:
        rows = states.flatten(0, -2)
        if len(rows) >= _MANY:
            return functional.linear(states, self.weight.to(states.dtype)) * self.scale.to(states.dtype)
        read = torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self.scale.bfloat16())
        return read.to(states.dtype).view(*states.shape[:-1], -1)


class Int4Linear(nn.Module):
    """`nn.Linear` with weights of 4 bits, groups of them at a scale and a middle of their own."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        grouped = linear.weight.detach().float().unflatten(1, (-1, GROUP))
        low, high = grouped.amin(-1), grouped.amax(-1)
        scale = _bf16(((high - low) / 15).clamp(min=1e-12))
        middle = _bf16(low + 8 * scale)
        codes = ((grouped - middle[..., None]) / scale[..., None] + 8).round().clamp(0, 15).flatten(1)
        self.register_buffer("weight", torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.int(), 1))
        self.register_buffer("scale", torch.stack([scale, middle], dim=-1).transpose(0, 1).contiguous().bfloat16())

    def forward(self, states: Tensor) -> Tensor:
        rows = states.flatten(0, -2).bfloat16()
        read = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.weight, GROUP, self.scale.bfloat16())
        return read.to(states.dtype).view(*states.shape[:-1], -1)


KINDS: dict[str, Any] = {"int8": Int8Linear, "int4": Int4Linear}


def quantize(model: nn.Module, kind: str) -> int:
    """Round the decoder's linear layers in place, one after another, so that little is held twice; returns how many.

    model: a `backbones.Backbone` whose LoRA is part of the weights. A layer whose rows are no whole number of groups
        stays.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    inside = [name for name in linear if re.match(model.lora_parts["decoder"], name) and "lora_" not in name]
    inside = [name for name in inside if model.get_submodule(name).in_features % GROUP == 0]
    for name in inside:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, KINDS[kind](model.get_submodule(name)))
    return len(inside)
