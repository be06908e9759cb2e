"""How many numbers a decoder holds at work. `config`: a backbone's (`backbones.Backbone`)."""

from __future__ import annotations

from typing import Any


def cache_values(config: Any) -> int:
    """Keys and values of a position, in all layers."""
    decoder = config.get_text_config()
    width = getattr(decoder, "head_dim", None) or decoder.hidden_size // decoder.num_attention_heads
    return 2 * decoder.num_hidden_layers * decoder.num_key_value_heads * width


def layer_values(config: Any) -> int:
    """What a layer of width h and inner width f makes of a position: two norms' inputs and outputs, queries, keys,
    values, attention's result (9 h); gate, up, their activation and product (4 f). Fused attention stores no scores."""
    return 9 * config.hidden_size + 4 * config.intermediate_size
