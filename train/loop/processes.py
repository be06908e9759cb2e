"""The processes of a run, through Accelerate: one, or several that `accelerate launch` starts (DDP; FSDP version 2)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelerate import Accelerator


def precision(config: dict[str, Any]) -> str:
    """What matrix products are computed in: `bf16`, `fp16` (CUDA alone), or `no` for fp32.

    A processor without bf16 of its own would emulate it, several times slower than fp32: it computes in fp32.
    """
    import torch

    on_gpu = config["device"].startswith("cuda")
    if config["use_bf16"]:
        own = torch.cpu.get_capabilities()
        return "bf16" if on_gpu or own.get("avx512_bf16") or own.get("amx_bf16") or own.get("bf16") else "no"
    return "fp16" if config["use_fp16"] and on_gpu else "no"


def start(config: dict[str, Any]) -> Accelerator:
    """This process's device, precision and loss scaler, and its place among the others."""
    import torch
    from accelerate import Accelerator, DistributedDataParallelKwargs

    if ":" in config["device"]:
        torch.cuda.set_device(config["device"])
    # A batch may hold no row for the style classifier; buffers are the same everywhere.
    parallel = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
    on_gpu = config["device"].startswith("cuda")
    return Accelerator(mixed_precision=precision(config), cpu=not on_gpu, kwargs_handlers=[parallel])


def summed(accelerator: Accelerator, values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers or scalar tensors, each added up over the processes: every process must call this."""
    import torch

    row = torch.stack([torch.as_tensor(value, device=accelerator.device).double() for value in values.values()])
    row = accelerator.reduce(row, "sum") if accelerator.num_processes > 1 else row
    return dict(zip(values, row.tolist(), strict=True))


def is_sharded(accelerator: Accelerator) -> bool:
    return str(accelerator.distributed_type.value) == "FSDP"


def random_states(accelerator: Accelerator) -> list[dict[str, Any]]:
    """Every random generator's state, of each process, as plain data and tensors."""
    import numpy
    import torch
    from accelerate.utils import gather_object

    kind, keys, *rest = numpy.random.get_state()
    own = {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "python": list(random.getstate()[1]),
        "numpy": [str(kind), [int(key) for key in keys], int(rest[0]), int(rest[1]), float(rest[2])],
    }
    return gather_object([own])


def restore_random(states: list[dict[str, Any]], rank: int) -> None:
    """Give this process back its generators."""
    import numpy
    import torch

    own = states[rank]
    torch.set_rng_state(own["torch"])
    if torch.cuda.is_available() and own["cuda"]:
        torch.cuda.set_rng_state_all(own["cuda"])
    random.setstate((3, tuple(own["python"]), None))
    kind, keys, *rest = own["numpy"]
    numpy.random.set_state((kind, numpy.array(keys, dtype=numpy.uint32), *rest))
