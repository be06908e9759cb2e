"""The processes of a run, through Accelerate: one, or several that `accelerate launch` starts (DDP; FSDP version 2)."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from train.models.device import computes_in_bf16

if TYPE_CHECKING:
    from accelerate import Accelerator

    from train.models.network import Network

log = logging.getLogger("aac")


def precision(config: dict[str, Any]) -> str:
    """What matrix products are computed in: `bf16`, `fp16` (CUDA alone), or `no` for fp32.

    Bf16 is asked for where there is none: a processor computes in fp32, a GPU is refused (`check_hardware`).
    """
    on_gpu = config["device"].startswith("cuda")
    if config["use_bf16"]:
        return "bf16" if on_gpu or computes_in_bf16(config["device"]) else "no"
    return "fp16" if config["use_fp16"] and on_gpu else "no"


def without_overflow(device: str) -> str:
    """What to do about fp16's overflows, in brackets; empty where the device has nothing better."""
    if not computes_in_bf16(device):
        return ""
    return " (this device has bf16, which published weights do not overflow: --set use_fp16=false use_bf16=true)"


def start(config: dict[str, Any]) -> Accelerator:
    """This process's device, precision and loss scaler, and its place among the others.

    Raises:
        UserError: sharding is asked for where it cannot be had, or with what it cannot do.
    """
    import torch
    from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs

    if ":" in config["device"]:
        torch.cuda.set_device(config["device"])
    # A batch may hold no row for the style classifier; buffers are the same everywhere.
    parallel = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
    # The others wait while one encodes the cards, or generates: NCCL alone would give up after ten minutes.
    patient = InitProcessGroupKwargs(timeout=timedelta(hours=4))
    half, on_gpu = precision(config), config["device"].startswith("cuda")
    sharding = _sharding(half) if wants_sharding() else None
    accelerator = Accelerator(
        mixed_precision=half, cpu=not on_gpu, kwargs_handlers=[parallel, patient], fsdp_plugin=sharding
    )
    if sharding and not is_sharded(accelerator):
        raise UserError("--use_fsdp shards over several GPUs, and here is one process or no GPU; leave it out")
    if sharding and config["generation_samples"]:
        raise UserError(
            "generation_samples decodes in one process, and with --use_fsdp none holds the whole model; set it to 0 "
            "and score checkpoints with train/evaluate.py"
        )
    if accelerator.num_processes > 1:
        how = "the model sharded over all (FSDP)" if sharding else "each holds the model (DDP)"
        log.info("Processes: %d, %s", accelerator.num_processes, how)
    return accelerator


def wants_sharding() -> bool:
    """Whether `accelerate launch` was called with `--use_fsdp`."""
    return os.environ.get("ACCELERATE_USE_FSDP") == "true"


def _sharding(half: str) -> Any:
    """FSDP2 by the layers that the model declares, its gradients added up in fp32.

    Each process reads the weights itself: accelerate's way, where the others wait for the first one's with empty ones,
    knows no buffers, and cards are encoded before.
    """
    import torch
    from accelerate import FullyShardedDataParallelPlugin
    from torch.distributed.fsdp import MixedPrecisionPolicy

    if os.environ.get("FSDP_VERSION") != "2":
        raise UserError("--use_fsdp: only version 2 is known here; add --fsdp_version 2")
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(half)
    return FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        mixed_precision_policy=MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32),
        cpu_ram_efficient_loading=False,
    )


def place(accelerator: Accelerator, model: Network) -> None:
    """The model onto this process's device. One that will be sharded follows layer by layer when it is: until then only
    what encodes cards is there."""
    if is_sharded(accelerator):
        model.backbone.model.vision.to(accelerator.device)
        model.centroids = model.centroids.to(accelerator.device)
    else:
        model.to(accelerator.device)


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
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
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
        # Older checkpoints hold the states of all GPUs that the process saw; now there may be fewer.
        here = torch.cuda.current_device()
        torch.cuda.set_rng_state(own["cuda"][here if here < len(own["cuda"]) else 0])
    random.setstate((3, tuple(own["python"]), None))
    kind, keys, *rest = own["numpy"]
    numpy.random.set_state((kind, numpy.array(keys, dtype=numpy.uint32), *rest))
