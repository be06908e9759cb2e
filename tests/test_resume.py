"""A run that was interrupted equals one that was not, bit for bit: weights, optimizer and loss log."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from run_process import arguments, run, start

from train.models import checkpoint

UPDATES = 12  # of 5 an epoch: 9 batches in windows of 2, the last one partial
SPEEDS = ("time", "samples_per_second", "tokens_per_second", "memory_gib", "data_wait")


def settings(save_steps: int = 2, workers: int = 0) -> list[str]:
    return ["--set", f"max_steps={UPDATES}", f"save_steps={save_steps}", "eval_steps=5", f"num_workers={workers}"]


def final(workspace: Path) -> dict[str, Any]:
    return checkpoint.load(workspace / f"train/checkpoints/checkpoint_step_{UPDATES}.pt")


def loss_log(workspace: Path) -> list[dict[str, float]]:
    """Every line, in order, without what a clock or the machine's load decides."""
    lines = map(json.loads, (workspace / "train/logs/log.jsonl").read_text().splitlines())
    return [{key: value for key, value in line.items() if key not in SPEEDS} for line in lines]


def same_tensors(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_tensors(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same_tensors, one, other))
    return one == other


def assert_same_run(workspace: Path, undisturbed: tuple[dict[str, Any], list[dict[str, float]]]) -> None:
    state, log = undisturbed
    own = final(workspace)
    for part in ("model", "optimizer", "progress", "random"):
        assert same_tensors(own[part], state[part]), part
    assert loss_log(workspace) == log
    best = checkpoint.load(workspace / "train/checkpoints/best_model.pt")
    assert best["metrics"] == {k: v for k, v in log[-1].items() if k == "val_loss"} | {"step": UPDATES}


class At:
    """Just before forward pass number `forward` of training, sends a signal: to this process, to its group, or to its
    workers. What workers there are is written into `pids`."""

    def __init__(
        self, forward: int, number: int = signal.SIGKILL, whom: str = "process", pids: Path | None = None
    ) -> None:
        self.forward, self.number, self.whom, self.pids = forward, number, whom, pids

    def __call__(self) -> None:
        from train.data import workers
        from train.loop.update import Updater

        os.setpgid(0, 0)
        workers.PATIENCE = 3
        inputs, seen = Updater.inputs, []

        def counted(updater: Any, batch: Any) -> Any:
            seen.extend([1] * updater.wrapped.training)
            if updater.wrapped.training and len(seen) == self.forward:
                self.send()
            return inputs(updater, batch)

        Updater.inputs = counted

    def send(self) -> None:
        import multiprocessing

        children = [child.pid for child in multiprocessing.active_children()]
        if self.pids:
            self.pids.write_text(json.dumps(children))
        if self.whom == "group":
            os.killpg(os.getpgrp(), self.number)
        for pid in children if self.whom == "workers" else [os.getpid()] if self.whom == "process" else []:
            os.kill(pid, self.number)


def gone(pid: int) -> bool:
    """Whether a process has ended, within ten seconds."""
    until = time.time() + 10
    while time.time() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


class InSave:
    """Kills this process while it saves a step's checkpoint: before the new name stands, or just after."""

    def __init__(self, step: int, after: bool) -> None:
        self.name, self.after = f"checkpoint_step_{step}.pt", after

    def __call__(self) -> None:
        replace = os.replace

        def killed(source: Any, target: Any) -> None:
            if Path(target).name == self.name and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
            if Path(target).name == self.name:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = killed


@pytest.fixture(scope="module")
def undisturbed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[dict[str, Any], list[dict]]]:
    """An untouched workspace to copy, and what a run there gives that nobody disturbs; of Phi unless asked."""
    import conftest

    folder = tmp_path_factory.mktemp("undisturbed")
    workspace = conftest.workspace.__wrapped__(folder)
    if (kind := getattr(request, "param", "phi3_vision")) != "phi3_vision":
        own = {key: conftest.tiny_settings(kind)[key] for key in ("model_type", "backbone", "card_tokens")}
        plain = json.loads((workspace / "tiny.json").read_text(encoding="utf-8"))
        (workspace / "tiny.json").write_text(json.dumps(plain | own), encoding="utf-8")
    untouched = folder / "untouched"
    shutil.copytree(workspace, untouched)
    code, errors = run(arguments(workspace, *settings()), folder / "errors.txt")
    assert code == 0, errors
    assert [line["step"] for line in loss_log(workspace) if "loss" in line] == list(range(1, UPDATES + 1))
    return untouched, (final(workspace), loss_log(workspace))


MOMENTS = {
    "before the first save": At(1),
    "mid-accumulation": At(4),  # the second micro-batch of update 2
    "mid-epoch": At(14),  # the first of update 8
    "at the epoch's end, before its save": InSave(5, after=False),
    "at the epoch's end, after its save": InSave(5, after=True),
    "just after the epoch's end": At(10),
}


_WITH_WORKERS = ("mid-accumulation", "at the epoch's end, after its save")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("undisturbed", "moment", "workers"),
    [
        *(("phi3_vision", moment, 0) for moment in MOMENTS),
        *(("phi3_vision", moment, 2) for moment in _WITH_WORKERS),
        ("qwen3_vl", "mid-epoch", 0),
    ],
    indirect=["undisturbed"],
)
def test_killed_and_resumed_is_undisturbed(undisturbed: Any, tmp_path: Path, moment: str, workers: int) -> None:
    untouched, expected = undisturbed
    workspace, errors = tmp_path / "run", tmp_path / "errors.txt"
    shutil.copytree(untouched, workspace)
    line = arguments(workspace, *settings(5 if "save" in moment else 2, workers))
    code, said = run(line, errors, MOMENTS[moment])
    assert code == -signal.SIGKILL, said
    assert not (workspace / f"train/checkpoints/checkpoint_step_{UPDATES}.pt").exists()
    code, said = run([*line, "--resume", "auto"], errors)
    assert code == 0, said
    assert_same_run(workspace, expected)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["process", "group"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_and_resumed_is_undisturbed(
    undisturbed: Any, tmp_path: Path, number: int, workers: int, whom: str
) -> None:
    """SIGTERM and Ctrl-C in mid-accumulation: the step is finished and saved, nothing is run again, nobody stays."""
    untouched, expected = undisturbed
    workspace, errors, pids = tmp_path / "run", tmp_path / "errors.txt", tmp_path / "pids"
    shutil.copytree(untouched, workspace)
    line = arguments(workspace, *settings(100, workers))
    code, said = run(line, errors, At(13, number, whom, pids))  # the first micro-batch of update 7
    assert code == 128 + number and "checkpoint_step_7.pt" in said and "--resume" in said, said
    assert "Traceback" not in said and loss_log(workspace)[-1]["step"] == 7
    children = json.loads(pids.read_text())
    assert len(children) == workers and all(map(gone, children))
    if (workers > 0) == (whom == "group"):  # half of them are enough
        code, said = run([*line, "--resume", "auto"], errors)
        assert code == 0, said
        assert_same_run(workspace, expected)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_workers_that_die_or_say_nothing_are_done_without(undisturbed: Any, tmp_path: Path, number: int) -> None:
    untouched, expected = undisturbed
    workspace, errors, pids = tmp_path / "run", tmp_path / "errors.txt", tmp_path / "pids"
    shutil.copytree(untouched, workspace)
    code, said = run(arguments(workspace, *settings(2, 2)), errors, At(3, number, "workers", pids))
    assert code == 0 and "num_workers 2: " in said and "Traceback" not in said, said
    assert_same_run(workspace, expected)
    assert all(map(gone, json.loads(pids.read_text())))


@pytest.mark.slow
def test_thirty_kills_at_random_moments(undisturbed: Any, tmp_path: Path) -> None:
    """A run is killed and resumed until it ends, and another begun, until thirty kills: every end is the same."""
    untouched, expected = undisturbed
    draw, kills, ends = random.Random(6), 0, 0
    workspace, errors = tmp_path / "0", tmp_path / "errors.txt"
    shutil.copytree(untouched, workspace)
    while kills < 30:
        line = arguments(workspace, *settings(1, 2 * (kills % 2)), "--resume", "auto")
        log = workspace / "train/logs/log.jsonl"
        process = start(line, errors)
        # From the first moment of the process to some updates after its start, whatever the machine's load.
        wait, began = draw.random(), log.stat().st_size if log.exists() else 0
        until = time.time() + 60
        if wait > 0.25:
            while process.is_alive() and time.time() < until and not (log.exists() and log.stat().st_size > began):
                time.sleep(0.002)
        time.sleep(wait * 0.4)
        process.kill()
        process.join()
        kills += process.exitcode != 0
        assert process.exitcode in (0, -signal.SIGKILL), errors.read_text()
        if process.exitcode == 0 or kills == 30:
            if process.exitcode:
                code, said = run(line, errors)
                assert code == 0, said
            assert_same_run(workspace, expected)
            ends += 1
            workspace = tmp_path / str(ends)
            shutil.copytree(untouched, workspace)
    assert ends


def test_a_forgotten_place_in_the_data_is_noticed(undisturbed: Any, tmp_path: Path) -> None:
    """Negative control: with the position in the data not restored, the same comparison fails."""
    untouched, expected = undisturbed
    workspace, errors = tmp_path / "run", tmp_path / "errors.txt"
    shutil.copytree(untouched, workspace)
    line = arguments(workspace, *settings())
    run(line, errors, At(5))
    path = checkpoint.step_checkpoints(workspace / "train/checkpoints")[0]
    state = checkpoint.load(path)
    assert state["progress"]["step"] == 2 and state["progress"]["done"] == 4
    state["progress"]["done"] = 0
    checkpoint.save(path, state)
    code, said = run([*line, "--resume", "auto"], errors)
    assert code == 0, said
    with pytest.raises(AssertionError):
        assert_same_run(workspace, expected)
    lost, kept = final(workspace)["model"], expected[0]["model"]
    assert not all(torch.equal(lost[name], kept[name]) for name in kept)


@pytest.mark.parametrize(("here", "restored"), [(0, 0), (1, 1), (2, 0)])
def test_a_run_goes_on_with_fewer_gpus(monkeypatch: pytest.MonkeyPatch, here: int, restored: int) -> None:
    """Checkpoints hold the states of as many GPUs as the process once saw."""
    from train.loop import processes

    own = processes.random_states(None)[0]
    assert own["cuda"] == []
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: here)
    monkeypatch.setattr(torch.cuda, "set_rng_state", seen.append)
    states = [torch.full((16,), gpu, dtype=torch.uint8) for gpu in range(2)]
    processes.restore_random([{**own, "cuda": states}], 0)
    assert len(seen) == 1 and torch.equal(seen[0], states[restored])
