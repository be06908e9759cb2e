"""The processes of a run, through Accelerate: one, or several that `accelerate launch` starts (DDP; FSDP version 2)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelerate import Accelerator

    from train.loop.update import Updater


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


def summed(accelerator: Accelerator, values: Sequence[Any]) -> list[float]:
    """Numbers or scalar tensors, each added up over the processes."""
    import torch

    row = torch.stack([torch.as_tensor(value, device=accelerator.device).double() for value in values])
    return (accelerator.reduce(row, "sum") if accelerator.num_processes > 1 else row).tolist()


def is_sharded(accelerator: Accelerator) -> bool:
    return str(accelerator.distributed_type.value) == "FSDP"


def whole_state(updater: Updater) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model's checkpoint state and the optimizer's. Sharded ones are gathered: every process must call this."""
    state = updater.model.state()
    if not is_sharded(updater.accelerator):
        return state, updater.optimizer.state_dict()
    from torch.distributed.checkpoint import state_dict as gather

    options = gather.StateDictOptions(full_state_dict=True, cpu_offload=True)
    moments: dict[str, Any] = {}
    if updater.optimizer.state:  # asked before its first step, PyTorch would take one, and count it
        moments = gather.get_optimizer_state_dict(updater.wrapped, updater.optimizer.optimizer, options=options)
    tensors = gather.get_model_state_dict(updater.wrapped, options=options)
    if updater.accelerator.is_main_process:  # the others get none
        state["model"] = {name: tensors[name] for name in state["model"]}
    return state, moments


def load_optimizer(updater: Updater, stored: dict[str, Any]) -> None:
    """The reverse of `whole_state` for the optimizer; the model's tensors were loaded before it was sharded."""
    if not is_sharded(updater.accelerator):
        updater.optimizer.load_state_dict(stored)
        return
    if not stored:  # of update 0
        return
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    options = StateDictOptions(full_state_dict=True)
    set_optimizer_state_dict(updater.wrapped, updater.optimizer.optimizer, stored, options=options)


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
