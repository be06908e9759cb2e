"""How much a transformer holds at work. `config`: a backbone's (`backbones.Backbone`)."""

from __future__ import annotations

from typing import Any


def cache_values(config: Any) -> int:
    """Keys and values of a position, in all layers."""
    decoder = config.get_text_config()
    width = getattr(decoder, "head_dim", None) or decoder.hidden_size // decoder.num_attention_heads
    return 2 * decoder.num_hidden_layers * decoder.num_key_value_heads * width


def kept_bytes(width: int, inner: int, size: int, dropped: bool) -> int:
    """What a layer keeps of a position for its backward pass, in numbers of `size` bytes.

    Two residual inputs, queries, keys and values before and after the rotation, attention's result and its copy (9
    widths); gate, up and the activation (3 inner widths). Fused attention stores no scores. And each product's input,
    as LoRA reads it: `dropped`, with a byte that says what was dropped.
    """
    return size * (9 * width + 3 * inner) + (size + dropped) * (3 * width + inner)


def tower_layers(tower: Any) -> int:
    """Of a vision tower's configuration."""
    return getattr(tower, "num_hidden_layers", None) or tower.depth
