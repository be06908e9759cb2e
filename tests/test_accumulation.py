"""An accumulation window is one big batch: over micro-batches, over processes, and where memory runs short."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from run_process import arguments, run, start

from train.config.train_config import load_config
from train.data.dataset import BucketedBatches
from train.data.run_data import Window
from train.loop import processes
from train.loop.run_folder import Start
from train.loop.signals import StopSignal
from train.loop.trainer import Trainer
from train.models import checkpoint
from train.train import main, set_up


def trainer_in(workspace: Path, **changes: Any) -> Trainer:
    """A real trainer on the small data set, gates away from zero so that every part gets gradients."""
    overrides = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    config = load_config(workspace / "tiny.json", overrides)
    trainer = set_up(config, workspace, processes.start(config), Start(), StopSignal())
    for block in trainer.model.context.blocks.values():
        torch.nn.init.constant_(block.gate, 0.7)
    torch.nn.init.normal_(trainer.model.context.nothing)  # at zero its norm magnifies rounding 300 times
    return trainer


def window_of(trainer: Trainer, rows: int, size: int) -> Window:
    """The first `rows` training rows in micro-batches of `size`."""
    items = [trainer.data.train_set[i] for i in range(rows)]
    batches = [trainer.data.collator(items[i : i + size])[0][0] for i in range(0, rows, size)]
    return Window(batches, len(batches), len(batches), 0)


def gradients(trainer: Trainer, window: Window) -> dict[str, torch.Tensor]:
    trainer.updater.optimizer.zero_grad()
    trainer.updater.gradients(window)
    return {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("rows", [8, 5])
def test_accumulated_gradients_are_one_big_batch(workspace: Path, rows: int) -> None:
    """1x8, 2x4, 8x1, and a partial last window: within 1e-6."""
    trainer = trainer_in(workspace, style_dropout=0.5)
    whole = gradients(trainer, window_of(trainer, rows, 8))
    heads = ("styles.classifier.weight", "context.nothing", "persona.fields.0.weight", "context.cluster.weight")
    assert all(whole[name].abs().max() > 1e-5 for name in heads)
    for size in (1, 2, 4):
        split = gradients(trainer, window_of(trainer, rows, size))
        assert split.keys() == whole.keys()
        assert max(float((split[name] - whole[name]).abs().max()) for name in whole) < 1e-6
    # Negative control: the mean of the micro-batches' means is another gradient, since answers differ in length.
    windows = [Window([batch], 1, 1, 0) for batch in window_of(trainer, rows, 1).micro_batches]
    each = [gradients(trainer, window) for window in windows]
    name = "backbone.model.embed_tokens.weight"
    mean = sum(one[name] for one in each) / len(each)
    assert float((mean - whole[name]).abs().max()) > 1e-4


def test_processes_are_dealt_every_row_once() -> None:
    lengths = [5 + i % 7 for i in range(50)]
    for count, accumulation in ((1, 3), (2, 3), (3, 2), (4, 1)):
        samplers = [BucketedBatches(lengths, 4, 1, accumulation, rank, count) for rank in range(count)]
        windows = [sampler.windows() for sampler in samplers]
        dealt = [row for w in windows for mine, counted, _ in w for batch in mine[:counted] for row in batch]
        assert sorted(dealt) == list(range(50))
        for together in zip(*windows, strict=True):
            assert len({len(mine) for mine, _, _ in together}) == 1  # all step as often
            assert sum(counted for _, counted, _ in together) == together[0][2]
    # One process with twice the accumulation reads the same rows for the same update.
    one, two = BucketedBatches(lengths, 4, 1, 4), [BucketedBatches(lengths, 4, 1, 2, rank, 2) for rank in (0, 1)]
    for number, (mine, _, _) in enumerate(one.windows()):
        halves = [sampler.windows()[number] for sampler in two]
        rows = sorted(row for part, counted, _ in halves for batch in part[:counted] for row in batch)
        assert rows == sorted(row for batch in mine for row in batch)


def free_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


class Rank:
    """What `accelerate launch` tells a process."""

    def __init__(self, rank: int, port: str) -> None:
        self.values = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_PORT": port}

    def __call__(self) -> None:
        os.environ.update({**self.values, "MASTER_ADDR": "127.0.0.1", "LOCAL_WORLD_SIZE": "2"})
        os.environ.update({"ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"})


def numbers(workspace: Path, *keys: str) -> list[list[float]]:
    lines = map(json.loads, (workspace / "train/logs/log.jsonl").read_text().splitlines())
    return [[line[key] for key in ("step", *keys)] for line in lines if keys[0] in line]


def two_processes(workspace: Path, folder: Path, *more: str) -> list[int]:
    port = free_port()
    ranks = [start(arguments(workspace, *more), folder / f"rank{r}.txt", Rank(r, port)) for r in (0, 1)]
    for process in ranks:
        process.join(180)
    return [process.exitcode for process in ranks]


@pytest.mark.slow
def test_two_processes_equal_one(workspace: Path, tmp_path: Path) -> None:
    """Two gloo processes against one with the same rows an update; then interrupted, and gone on with as one."""
    import shutil

    twin, third = tmp_path / "twin", tmp_path / "third"
    shutil.copytree(workspace, twin)
    shutil.copytree(workspace, third)
    code, errors = run(arguments(workspace, "--set", "gradient_accumulation_steps=4"), tmp_path / "one.txt")
    assert code == 0, errors
    codes = two_processes(twin, tmp_path, "--set", "gradient_accumulation_steps=2")
    assert codes == [0, 0], (tmp_path / "rank0.txt").read_text() + (tmp_path / "rank1.txt").read_text()
    one, other = (checkpoint.load(w / "train/checkpoints/checkpoint_step_9.pt") for w in (workspace, twin))
    assert len(other["random"]) == 2 and other["progress"]["processes"] == 2
    for name, tensor in one["model"].items():
        torch.testing.assert_close(other["model"][name], tensor, atol=2e-6, rtol=1e-4)
    for mine, theirs in zip(
        numbers(workspace, "loss", "style_loss", "style_accuracy", "grad_norm"),
        numbers(twin, "loss", "style_loss", "style_accuracy", "grad_norm"),
        strict=True,
    ):
        assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6)
    losses = numbers(workspace, "val_loss"), numbers(twin, "val_loss")
    assert [v for row in losses[0] for v in row] == pytest.approx([v for row in losses[1] for v in row], rel=1e-5)
    assert "update 1/9" in (tmp_path / "rank0.txt").read_text()
    assert "update" not in (tmp_path / "rank1.txt").read_text()  # one process speaks

    # Three processes' worth of windows do not fit; as one process with twice the accumulation the run goes on.
    shutil.copytree(twin / "train/checkpoints", third / "train/checkpoints")
    (third / "train/checkpoints/checkpoint_step_9.pt").unlink()
    code, errors = run(arguments(third, "--resume", "auto", "--set", "gradient_accumulation_steps=3"), tmp_path / "x")
    assert code == 2 and "gradient_accumulation_steps 3" in errors
    code, errors = run(arguments(third, "--resume", "auto", "--set", "gradient_accumulation_steps=4"), tmp_path / "x")
    assert code == 0 and "number of processes" in errors, errors
    third_model = checkpoint.load(third / "train/checkpoints/checkpoint_step_9.pt")["model"]
    for name, tensor in one["model"].items():
        torch.testing.assert_close(third_model[name], tensor, atol=2e-6, rtol=1e-4)


def test_out_of_memory_halves_the_batch_and_keeps_the_result(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Batches of more than one row do not fit from update 3 on: the loss log is that of a run where they do."""
    import shutil

    from train.models.aac_multimodal_model import AACMultimodalModel

    twin = tmp_path / "twin"
    shutil.copytree(workspace, twin)
    assert main(arguments(workspace)) == 0
    forward, calls = AACMultimodalModel.forward, []

    def short(self: Any, batch: Any, *rest: Any) -> Any:
        calls.append(len(batch.records))
        if self.training and len(calls) > 5 and len(batch.records) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(self, batch, *rest)

    monkeypatch.setattr(AACMultimodalModel, "forward", short)
    capsys.readouterr()
    assert main(arguments(twin, "--set", "auto_batch_size=true")) == 0
    assert numbers(twin, "loss", "grad_norm") == [
        pytest.approx(row, rel=1e-5) for row in numbers(workspace, "loss", "grad_norm")
    ]
    assert "gradient_accumulation_steps 8" in capsys.readouterr().err and max(calls[-20:]) == 1
    saved = checkpoint.load(twin / "train/checkpoints/checkpoint_step_9.pt")
    assert saved["progress"]["parts"] == 4 and saved["config"]["batch_size"] == 4

    calls.clear()
    assert main(arguments(twin, "--overwrite", "--set", "auto_batch_size=false")) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    for words in ("'batch_size': 2", "'gradient_accumulation_steps': 4", "max_split_size_mb", "update 3"):
        assert words in told, told
    assert (twin / "train/checkpoints/checkpoint_step_0.pt").exists()

    # The remedy works: the interrupted run goes on in half batches.
    monkeypatch.setattr(AACMultimodalModel, "forward", forward)
    again = ["--resume", "auto", "--set", "batch_size=2", "gradient_accumulation_steps=4"]
    assert main(arguments(twin, *again)) == 0
    assert numbers(twin, "loss", "grad_norm") == [
        pytest.approx(row, rel=1e-5) for row in numbers(workspace, "loss", "grad_norm")
    ]


def straddling(workspace: Path) -> Trainer:
    """A trainer of a backbone with two sets of rotary factors, whose first row has answers on both sides."""
    from train.config.train_config import TRAIN_CONFIG

    settings = json.loads((workspace / "tiny.json").read_text(encoding="utf-8"))
    rope = {"type": "longrope", "short_factor": [1.0] * 8, "long_factor": [20.0] * 8}
    path = workspace / "dataset/processed/dataset_completed.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    for row in rows:
        row["output"][1] = f"{row['output'][1]} {row['output'][2]} 물 주세요."
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    first = trainer_in(workspace).data.train_set[0]
    lengths = [len(first.prompt) + len(answer) for answer in first.answers]
    switch = (min(lengths) + max(lengths)) // 2
    assert min(lengths) <= switch < max(lengths) < TRAIN_CONFIG["max_length"]
    backbone = {**settings["backbone"], "original_max_position_embeddings": switch, "rope_scaling": rope}
    return trainer_in(workspace, backbone=backbone, style_dropout=0.5)


def test_a_row_on_both_sides_of_the_rotary_switch_learns_as_separate_rows(workspace: Path) -> None:
    """A long answer must not give its shorter siblings the long factors."""
    from dataclasses import replace

    from train.models.batch import collate

    trainer = straddling(workspace)
    collator, rows = trainer.data.collator, [trainer.data.train_set[i] for i in range(3)]
    apart = [replace(r, answers=[a], styles=[s]) for r in rows for a, s in zip(r.answers, r.styles, strict=True)]

    def plain(some: list[Any]) -> Window:
        drops = collator._drops(some)
        return Window([collate(some, collator.encoder, collator.clusters, drops)], 1, 1, 0)

    wanted = gradients(trainer, plain(apart))
    window = window_of(trainer, 3, 3)
    found = gradients(trainer, window)
    assert max(float((found[name] - wanted[name]).abs().max()) for name in wanted) <= 1e-5
    # Negative control: left in one row, the answers' gradients are others.
    shared = gradients(trainer, plain(rows))
    assert max(float((shared[name] - wanted[name]).abs().max()) for name in wanted) > 1e-4

    # A record in several rows is one record, with three answers.
    (batch,) = window.real
    assert batch.records == [row.record for row in rows]
    assert len(batch.input_ids) > 3 and len(batch.style_labels) == 9
    assert window.counts()["samples"] == 3 and window.counts()["styled"] % 3 == 0
    positions = collator(rows)[1]
    assert positions == int((batch.segments >= 0).sum()) > sum(row.length for row in rows)
    assert trainer.data.lengths[0] > rows[0].length  # what it costs, for batches of like rows and --dry-run
