"""Attention of rows `[prompt | answer 1 | answer 2 | answer 3]` that pays for a mask only where one is needed.

The positions that every row of a batch spends on its prompt (`prefix` of them) are plainly causal: no mask, the fastest
kernel there is. Only the positions after them, a few dozen of a thousand, carry a mask. transformers' own layers call
it under the name `SHARED_PREFIX`. Shapes: B rows, H heads, Q queries, K keys, d width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

SHARED_PREFIX = "shared_prefix"


def row_mask(segments: Tensor, prefix: int = 0) -> Tensor:
    """Who sees whom: (B, 1, L - prefix, L), True where position j is visible from position `prefix` + i.

    `segments` (B, L): 0 prompt, 1.. answers, -1 padding. Visible are the past of the prompt and of one's own answer;
    padding sees itself alone, so that no row of scores is empty.
    """
    length = segments.shape[1]
    query, key = segments[:, prefix:, None], segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()[prefix:]
    own = torch.eye(length, dtype=torch.bool, device=segments.device)[prefix:]
    return ((causal & (key >= 0) & ((key == 0) | (key == query))) | own)[:, None]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """`scaled_dot_product_attention`, (B, H, Q, d).

    On a CPU in fp32 whatever the precision around it: the half-precision kernel's backward takes twice as long there
    (`benchmarks/attention.py`).
    """
    dtype = query.dtype
    if query.device.type != "cpu" or dtype == torch.float32:
        return functional.scaled_dot_product_attention(query, key, value, mask, dropout, causal, scale=scale)
    with torch.autocast("cpu", enabled=False):
        single = (part.float() for part in (query, key, value))
        return functional.scaled_dot_product_attention(*single, mask, dropout, causal, scale=scale).to(dtype)


def shared_prefix_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    prefix: int = 0,
    **_: Any,
) -> tuple[Tensor, None]:
    """For transformers' attention layers: (B, Q, H, d).

    Args:
        attention_mask: (B, 1, Q - prefix, K) of the queries after the first `prefix`, which are causal; None: all are.
    """
    causal = getattr(module, "is_causal", True)  # a vision tower sees every way
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if attention_mask is None:
        read = attend(query, key, value, causal=causal and query.shape[2] > 1, scale=scaling, dropout=dropout)
        return read.transpose(1, 2).contiguous(), None
    first, rest = query.split([prefix, query.shape[2] - prefix], dim=2)
    read = attend(rest, key, value, attention_mask, scale=scaling, dropout=dropout)
    if prefix:
        before = attend(first, key[:, :, :prefix], value[:, :, :prefix], causal=True, scale=scaling, dropout=dropout)
        read = torch.cat([before, read], dim=2)
    return read.transpose(1, 2).contiguous(), None


AttentionInterface.register(SHARED_PREFIX, shared_prefix_attention)
AttentionMaskInterface.register(SHARED_PREFIX, sdpa_mask)
