"""The backbones there are: `model_type` names one. Another is a module in `train/models` and an entry here.

Names and numbers alone, so that a config is checked without loading a library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """What is known of a backbone before it is loaded."""

    model: str  # where its class is, a `train.models.backbones.Backbone`
    parameters: Mapping[str, int]  # of each size that `model_size` may name
    settings: Mapping[str, Any] = field(default_factory=dict)  # its defaults where they are not TRAIN_CONFIG's
    fixed: Mapping[str, str] = field(default_factory=dict)  # settings that stay at its default, and what to do instead


BACKBONES: dict[str, Entry] = {
    # The seed's label names the decoder; with its tower the model holds 4.15B.
    "phi3_vision": Entry("train.models.phi3_vision.Phi3VisionForCausalLM", {"3.8B": 4_146_621_440}),
    "qwen3_vl": Entry(
        "train.models.qwen3_vl.Qwen3VLBackbone",
        {"2B": 2_127_532_032},
        {
            "model_path": "Qwen/Qwen3-VL-2B-Instruct",
            "model_size": "2B",
            "card_tokens": 64,
            "lora_target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            "use_fp16": False,
            "use_bf16": True,
        },
        {
            "use_fp16": "fp16 is too narrow for it (it answers '!' alone); use_bf16 instead, or neither for fp32",
            "num_crops": "it cuts no pictures; card_tokens says how many positions a card takes",
        },
    ),
}
