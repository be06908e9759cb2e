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


BACKBONES: dict[str, Entry] = {
    # The seed's label names the decoder; with its tower the model holds 4.15B.
    "phi3_vision": Entry("train.models.phi3_vision.Phi3VisionForCausalLM", {"3.8B": 4_146_621_440}),
}
