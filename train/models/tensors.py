"""What a dataclass of tensors can do as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


class Tensors:
    """Of dataclasses: fields that are tensors, or hold some, move together, and are pickled by value.

    By value, because PyTorch would hand tensors from one process to another through /dev/shm, which containers keep
    small: where it is full, the process that sends stops without a word.
    """

    def to(self, device: torch.device | str) -> Self:
        """On the device; what is no tensor as it is."""
        held = {name: value for name, value in vars(self).items() if isinstance(value, Tensor | Tensors)}
        return replace(self, **{name: value.to(device) for name, value in held.items()})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, torch.from_numpy(value) if isinstance(value, np.ndarray) else value)
