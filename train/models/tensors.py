"""What a dataclass of tensors can do as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


def moved(tensors: Sequence[Tensor], device: torch.device | str) -> list[Tensor]:
    """Tensors of one dtype, to the device in one crossing."""
    joined = torch.cat([tensor.flatten() for tensor in tensors]).to(device)
    parts = joined.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


class Tensors:
    """Of dataclasses: fields that are tensors of one dtype, or hold some, move together, and are pickled by value.

    By value, because PyTorch would hand tensors from one process to another through /dev/shm, which containers keep
    small: where it is full, the process that sends stops without a word.
    """

    def to(self, device: torch.device | str) -> Self:
        """On the device; what is no tensor as it is."""
        return self._with(iter(moved(list(self._held()), device)))

    def _held(self) -> Iterator[Tensor]:
        for value in vars(self).values():
            if isinstance(value, Tensors):
                yield from value._held()
            elif isinstance(value, Tensor):
                yield value

    def _with(self, tensors: Iterator[Tensor]) -> Self:
        held = {name: value for name, value in vars(self).items() if isinstance(value, Tensor | Tensors)}
        new = {n: next(tensors) if isinstance(value, Tensor) else value._with(tensors) for n, value in held.items()}
        return replace(self, **new)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, torch.from_numpy(value) if isinstance(value, np.ndarray) else value)
