"""FSDP over two gloo processes. Accelerate shards over GPUs alone: here processes on a CPU pass for some."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from run_process import arguments, run, start
from test_accumulation import Rank, free_port, numbers

from aac.io import UserError
from train.config.train_config import validate
from train.loop import processes
from train.models import checkpoint


class ShardedRank(Rank):
    """What `accelerate launch --use_fsdp --fsdp_version 2` tells a process; it notes in `report` what it holds."""

    def __init__(self, rank: int, port: str, report: Path) -> None:
        super().__init__(rank, port)
        # The launcher's own default of ram-efficient loading, which would crash.
        told = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}
        self.values |= told
        self.report = report

    def __call__(self) -> None:
        super().__call__()
        from train.loop.trainer import Trainer

        count_as_gpus()
        ended = Trainer._ended

        def note(trainer: Trainer) -> int:
            self.report.write_text(json.dumps(held_by(trainer)), encoding="utf-8")
            return ended(trainer)

        Trainer._ended = note


def count_as_gpus() -> None:
    """Accelerate takes its way for several GPUs, on CPU processes."""
    from accelerate.state import DistributedType, PartialState

    begin = PartialState.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU

    PartialState.__init__ = init


def held_by(trainer: Any) -> dict[str, Any]:
    """FSDP's units, and bytes of weights and moments in this process."""
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    def size(tensor: torch.Tensor) -> int:
        tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        return tensor.numel() * tensor.element_size()

    units = [name for name, module in trainer.updater.wrapped.named_modules() if isinstance(module, FSDPModule)]
    moments = [v for state in trainer.updater.optimizer.state.values() for v in state.values() if v.ndim]
    weights = trainer.updater.wrapped.parameters()
    return {"units": units, "weights": sum(map(size, weights)), "moments": sum(map(size, moments))}


def sharded(workspace: Path, folder: Path, *more: str) -> list[dict[str, Any]]:
    """Both processes to their end; what each held."""
    port, reports = free_port(), [folder / f"held{rank}.json" for rank in (0, 1)]
    told = [folder / f"rank{rank}.txt" for rank in (0, 1)]
    ranks = [start(arguments(workspace, *more), told[r], ShardedRank(r, port, reports[r])) for r in (0, 1)]
    for process in ranks:
        process.join(180)
    assert [process.exitcode for process in ranks] == [0, 0], told[0].read_text() + told[1].read_text()
    return [json.loads(report.read_text()) for report in reports]


@pytest.mark.slow
def test_a_sharded_run_is_the_run_of_one_process(workspace: Path, tmp_path: Path) -> None:
    """Trained, interrupted, gone on with sharded and as one process: the same losses; each holds half."""
    twin, third = tmp_path / "twin", tmp_path / "third"
    shutil.copytree(workspace, twin)
    code, errors = run(arguments(workspace, "--set", "gradient_accumulation_steps=4"), tmp_path / "one.txt")
    assert code == 0, errors
    first, second = sharded(twin, tmp_path, "--set", "gradient_accumulation_steps=2")
    names = ("loss", "style_loss", "grad_norm")
    wanted = numbers(workspace, *names)
    assert numbers(twin, *names) == [pytest.approx(row, abs=1e-4) for row in wanted]

    layers = {f"backbone.model.layers.{layer}" for layer in range(4)}
    tower = {f"backbone.model.vision_embed_tokens.img_processor.vision_model.encoder.layers.{n}" for n in range(2)}
    assert {"", *layers, *tower} == set(first["units"]) == set(second["units"])
    whole = checkpoint.load(twin / "train/checkpoints/checkpoint_step_9.pt")
    weights = sum(value.numel() * value.element_size() for value in whole["model"].values())
    moments = sum(v.numel() * 4 for s in whole["optimizer"]["state"].values() for v in s.values() if v.ndim)
    for held in (first, second):  # a few rows of padding more
        assert held["weights"] < 0.55 * weights and held["moments"] < 0.55 * moments

    shutil.copytree(twin, third)
    for folder in (twin, third):
        for step in (8, 9):
            (folder / f"train/checkpoints/checkpoint_step_{step}.pt").unlink()
    sharded(twin, tmp_path, "--resume", "auto", "--set", "gradient_accumulation_steps=2")
    again = ["--resume", "auto", "--set", "gradient_accumulation_steps=4"]
    code, errors = run(arguments(third, *again), tmp_path / "third.txt")
    assert code == 0, errors
    for folder in (twin, third):
        assert numbers(folder, *names) == [pytest.approx(row, abs=1e-4) for row in wanted]


def test_gradients_are_added_up_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSDP_VERSION", "2")
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "true")
    policy = processes._sharding("bf16").mixed_precision_policy
    assert (policy.param_dtype, policy.reduce_dtype) == (torch.bfloat16, torch.float32)
    assert os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] == "False"  # transformers reads it


@pytest.mark.parametrize(
    ("version", "changes", "words"),
    [
        ("1", {}, "--fsdp_version 2"),
        ("2", {}, "several GPUs"),
    ],
)
def test_what_sharding_cannot_do_is_refused(
    version: str, changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", version)
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "false")
    with pytest.raises(UserError, match=words):
        processes.start(validate({"device": "cpu", **changes}))
