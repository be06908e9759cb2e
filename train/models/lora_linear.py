"""LoRA's two products beside a frozen one, in fewer passes over memory than PEFT's own.

PEFT casts each input to fp32, only for autocast to cast it back, and scales and adds in passes of their own. Here the
input keeps its precision, and scale and sum are part of the second product. In fp32 the numbers are PEFT's but for
rounding; under autocast they are rounded once less.
"""

from __future__ import annotations

from typing import Any

from peft.tuners import lora
from torch import Tensor
from torch.nn import functional


class LoraLinear(lora.Linear):
    """PEFT's layer of one adapter, under its parameter names."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(..., inputs) to (..., outputs), in the precision of the frozen product."""
        flat = x.flatten(0, -2)
        result = self.base_layer(flat)
        if not (self.disable_adapters or self.merged):
            (name,) = self.active_adapters
            down, up = (part[name].weight.to(result.dtype) for part in (self.lora_A, self.lora_B))
            inner = functional.linear(self.lora_dropout[name](flat.to(result.dtype)), down)
            # In place: nobody else reads the frozen product.
            result.addmm_(inner, up.t(), alpha=self.scaling[name])
        return result.unflatten(0, x.shape[:-1])
