"""Which attention kernel PyTorch takes on CUDA from compute capability 8.0 on (`sdp_utils.cpp`), for fake tensors.

A CPU build would choose as for a CPU. The order is flash, memory-efficient, math; cuDNN's is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.fakecuda.meter import Meter
from benchmarks.fakecuda.values import place

aten = torch.ops.aten
_HALF = (torch.float16, torch.bfloat16)


def chosen(meter: Meter, plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`scaled_dot_product_attention` that notes in `meter.attention` what it takes; on the CPU it is `plain`.

    Raises:
        RuntimeError: queries, keys, values and mask differ in device or precision.
    """

    def attend(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        given = [query, key, value, *([] if attn_mask is None else [attn_mask])]
        if len({tensor.device for tensor in given}) > 1:
            raise RuntimeError(f"attention: devices differ: {[str(tensor.device) for tensor in given]}")
        if query.device.type != "cuda":
            return plain(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
        query, key, value, attn_mask = _autocast(query, key, value, attn_mask)
        if len({tensor.dtype for tensor in (query, key, value)}) > 1:
            raise RuntimeError(f"attention: precisions differ: {query.dtype}, {key.dtype}, {value.dtype}")
        kind = _kind(query, key, attn_mask, is_causal)
        empty = "" if query.shape[2] else ", no queries"
        meter.attention[f"{kind} at {place()}: {_shape(query)} on {_shape(key)}{empty}"] += 1
        if kind == "flash":
            return _flash(query, key, value, dropout_p, is_causal, scale)
        if kind == "efficient":
            return _efficient(query, key, value, attn_mask, dropout_p, is_causal, scale)
        return plain(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)

    return attend


def _autocast(*tensors: Tensor | None) -> tuple[Any, ...]:
    if not torch.is_autocast_enabled("cuda"):
        return tensors
    dtype = torch.get_autocast_dtype("cuda")
    return tuple(t if t is None or t.dtype == torch.bool else t.to(dtype) for t in tensors)


def _kind(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool) -> str:
    half, width = query.dtype in _HALF, query.shape[-1]
    if not query.shape[2] or not key.shape[2]:
        return "math"
    if half and mask is None and width <= 256 and not (causal and query.shape[2] != key.shape[2]):
        return "flash"
    return "math" if width % (8 if half else 4) else "efficient"


def _flash(query: Tensor, key: Tensor, value: Tensor, dropout: float, causal: bool, scale: float | None) -> Tensor:
    width = query.shape[-1]
    scale = scale or width**-0.5
    query, key, value = (functional.pad(part, (0, -width % 8)) if width % 8 else part for part in (query, key, value))
    read = aten._scaled_dot_product_flash_attention(query, key, value, dropout, causal, False, scale=scale)[0]
    return read[..., :width]


def _efficient(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float,
    causal: bool,
    scale: float | None,
) -> Tensor:
    """A mask becomes a bias of the queries' precision, its lines begin at multiples of 8 numbers."""
    trains = torch.is_grad_enabled() and any(part.requires_grad for part in (query, key, value))
    if mask is not None:
        if mask.dtype == torch.bool:
            zero, never = (torch.full((), fill, dtype=query.dtype, device=query.device) for fill in (0.0, -math.inf))
            mask = torch.where(mask, zero, never)
        keys = mask.shape[-1]
        if any(stride % 8 for stride in mask.stride()[:-1]):
            mask = functional.pad(mask, (0, -keys % 8))[..., :keys]
        mask = mask.expand(*query.shape[:3], keys)
    return aten._scaled_dot_product_efficient_attention(query, key, value, mask, trains, dropout, causal, scale=scale)[
        0
    ]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
