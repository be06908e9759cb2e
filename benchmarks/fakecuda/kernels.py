"""Kernels that a CUDA build of PyTorch has and a CPU build has not, where a composite of several would stand in."""

from __future__ import annotations

from typing import Any

import torch

_MISSING = ("silu_backward", "_fused_rms_norm", "_fused_rms_norm_backward")


def _never(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a fake card runs no kernel")


# By their names alone: fake tensors are asked for their shapes, and each counts as the one kernel that it is.
LIBRARY = torch.library.Library("aten", "IMPL")
for _name in _MISSING:
    LIBRARY.impl(_name, _never, "CUDA")
