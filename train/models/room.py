"""Do a base's weights fit into this machine's memory? Asked before they are read."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from aac.io import UserError

if TYPE_CHECKING:
    import torch

log = logging.getLogger("aac")


def stored_numbers(folder: Path) -> int:
    """In the weights' files of a folder, by their headers."""
    from safetensors import safe_open

    count = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            count += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return count


def check_room(folder: Path, dtype: torch.dtype) -> None:
    """Say what a folder's weights will take.

    Raises:
        UserError: more than is free; says what would do.
    """
    import psutil

    count, free = stored_numbers(folder), psutil.virtual_memory().available
    need, name = count * dtype.itemsize, str(dtype).removeprefix("torch.")
    log.info("%s: %.2fB numbers, %.1f GB in %s; %.1f GB are free", folder, count / 1e9, need / 1e9, name, free / 1e9)
    if need > free:
        half = f"set quantize to 'int8' (loads in {count * 2 / 1e9:.1f} GB), " if dtype.itemsize > 2 else ""
        raise UserError(
            f"{folder}: its weights take {need / 1e9:.1f} GB in {name}, and this machine has {free / 1e9:.1f} GB of "
            f"memory free; {half}close other programs, or choose a smaller model (model_type qwen3_vl has 2.1B)"
        )
