"""Decoder layers, computed where their output is read.

Weights and numbers are transformers' own. Two things differ. `skip`: of the last layer, a prompt's positions are read
as keys and values only, so their attention and MLP are left out. And queries and keys are rotated without copies of
their halves, which cost a filled tensor each in the backward pass. Shapes: B rows, L positions, D width, H heads, d
width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.phi3.modeling_phi3 import Phi3DecoderLayer, eager_attention_forward
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextDecoderLayer


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021): states (B, H, L, d), cos and sin (B or 1, 1, L, d).

    The partner of dimension i is i + d / 2, so one cyclic shift brings every dimension its partner.
    """
    half = states.shape[-1] // 2
    signed = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)
    return torch.addcmul(states * cos, states.roll(half, -1), signed)


class ReadWhereNeeded:
    """`forward` for a decoder layer of transformers that says how it makes `heads`."""

    def heads(self, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normed hidden states (B, L, D) to queries, keys and values, (B, H, L, d) each, not rotated."""
        raise NotImplementedError

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        past_key_values: Cache | None = None,
        skip: int = 0,
        **kwargs: Any,
    ) -> Tensor:
        """(B, L, D) to (B, L - skip, D): positions after the first `skip`, which give keys and values only.

        attention_mask: what the attention back end takes, for all queries that are left.
        """
        attention = self.self_attn
        query, key, value = self.heads(self.input_layernorm(hidden_states))
        cos, sin = (table[:, None] for table in position_embeddings)
        key = rotate(key, cos, sin)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, attention.layer_idx)
        if skip:
            query, cos, sin = query[:, :, skip:], cos[:, :, skip:], sin[:, :, skip:]
            hidden_states = hidden_states[:, skip:]
        if not query.shape[2]:
            return hidden_states
        read, _ = ALL_ATTENTION_FUNCTIONS.get_interface(attention.config._attn_implementation, eager_attention_forward)(
            attention,
            rotate(query, cos, sin),
            key,
            value,
            attention_mask,
            dropout=attention.attention_dropout if self.training else 0.0,
            scaling=attention.scaling,
            sliding_window=None,
            **kwargs,
        )
        hidden_states = hidden_states + self.resid_attn_dropout(attention.o_proj(read.flatten(2)))
        return hidden_states + self.resid_mlp_dropout(self.mlp(self.post_attention_layernorm(hidden_states)))


class Phi3Layer(ReadWhereNeeded, Phi3DecoderLayer):
    """Of Phi-3, whose queries, keys and values are one product."""

    def heads(self, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        attention = self.self_attn
        kinds = (attention.config.num_attention_heads, *[attention.num_key_value_heads] * 2)
        widths = [heads * attention.head_dim for heads in kinds]
        projected = attention.qkv_proj(normed).split(widths, dim=-1)
        return tuple(part.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2) for part in projected)


class Qwen3VLLayer(ReadWhereNeeded, Qwen3VLTextDecoderLayer):
    """Of Qwen3-VL, whose queries and keys are normed head by head."""

    resid_attn_dropout = resid_mlp_dropout = staticmethod(lambda states: states)  # it has none

    def heads(self, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        attention = self.self_attn
        shape = (-1, attention.head_dim)
        query = attention.q_norm(attention.q_proj(normed).unflatten(-1, shape))
        key = attention.k_norm(attention.k_proj(normed).unflatten(-1, shape))
        value = attention.v_proj(normed).unflatten(-1, shape)
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
