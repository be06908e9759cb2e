"""Attention of rows `[prompt | answer 1 | answer 2 | answer 3]` that pays for a mask only where one is needed.

The positions that every row of a batch spends on its prompt (`prefix` of them) are plainly causal: no mask, the fastest
kernel there is. Only the positions after them, a few dozen of a thousand, carry a mask. transformers' own layers call
it under the name `SHARED_PREFIX`. Shapes: B rows, H heads, Q queries, K keys, d width of a head.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

SHARED_PREFIX = "shared_prefix"


class Lanes(NamedTuple):
    """Rows that read one cache: N candidates' rows over the keys of their B requests, at most G of a request.

    `rows` (B, G): the row in each lane of a request, any where a lane is empty. `places` (N,): each row's b * G + g.
    `full`: there are B * G rows, in this order.
    """

    rows: Tensor
    places: Tensor
    full: bool

    def together(self, states: Tensor) -> Tensor:
        """(N, H, T, d) to (B, H, T * G, d): position by position, a lane beside the other."""
        grouped = states.unflatten(0, self.rows.shape) if self.full else states[self.rows]
        return grouped.permute(0, 2, 3, 1, 4).flatten(2, 3)

    def apart(self, states: Tensor) -> Tensor:
        """The way back."""
        grouped = states.unflatten(2, (-1, self.rows.shape[1])).permute(0, 3, 1, 2, 4).flatten(0, 1)
        return grouped if self.full else grouped[self.places]


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


def as_scores(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask, True where a key may be seen, as a GPU's kernels take it: added to the scores, its lines aligned.

    Of a bool mask PyTorch would make it anew in every layer. On a CPU the mask as it is.
    """
    if mask.device.type == "cpu":
        return mask
    keys = mask.shape[-1]
    space = torch.zeros(*mask.shape[:-1], keys + -keys % 16, dtype=dtype, device=mask.device)
    return space[..., :keys].masked_fill_(~mask, -torch.inf)


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
    lanes: Lanes | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """For transformers' attention layers: (B, Q, H, d).

    Args:
        attention_mask: (B, 1, Q - prefix, K) of the queries after the first `prefix`, which are causal; None: all are.
        lanes: the queries are of rows that share keys; keys, values and mask are of their requests.
    """
    causal = getattr(module, "is_causal", True)  # a vision tower sees every way
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if attention_mask is None:
        read = attend(query, key, value, causal=causal and query.shape[2] > 1, scale=scaling, dropout=dropout)
    elif lanes is not None:
        read = lanes.apart(attend(lanes.together(query), key, value, attention_mask, scale=scaling))
    else:
        parts, (first, rest) = [], query.split([prefix, query.shape[2] - prefix], dim=2)
        if prefix:
            before = (first, key[:, :, :prefix], value[:, :, :prefix])
            parts.append(attend(*before, causal=True, scale=scaling, dropout=dropout))
        if rest.shape[2]:  # of prompts of one length there is none
            parts.append(attend(rest, key, value, attention_mask, scale=scaling, dropout=dropout))
        read = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    return read.transpose(1, 2).contiguous(), None


AttentionInterface.register(SHARED_PREFIX, shared_prefix_attention)
AttentionMaskInterface.register(SHARED_PREFIX, sdpa_mask)
