"""The command itself, in a process of its own: train, stop, resume, refuse."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from train.utils import checkpoint

ROOT = Path(__file__).resolve().parents[1]


def command(workspace: Path, *more: str) -> list[str]:
    tiny = str(workspace / "tiny.json")
    return [sys.executable, str(ROOT / "train/train.py"), "--workspace", str(workspace), "--config", tiny, *more]


def run(*line: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd or ROOT, timeout=300)


def weights(workspace: Path, step: int) -> dict[str, torch.Tensor]:
    return checkpoint.load(workspace / f"train/checkpoints/checkpoint_step_{step}.pt")["model"]


def logged(workspace: Path) -> dict[int, float]:
    lines = (workspace / "train/logs/log.jsonl").read_text().splitlines()
    return {record["step"]: record["loss"] for record in map(json.loads, lines) if "loss" in record}


@pytest.mark.slow
def test_trains_resumes_and_interprets(workspace: Path, tmp_path: Path) -> None:
    """Nine updates at once equal four and then five, bit for bit; then the model interprets."""
    import shutil

    twin = tmp_path / "twin"
    shutil.copytree(workspace, twin)
    whole = run(*command(workspace), cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    for name in ("best_model.pt", "checkpoint_step_9.pt"):
        assert (workspace / "train/checkpoints" / name).exists()
    assert (workspace / "train/logs/curves.png").exists()

    assert run(*command(twin)).returncode == 0
    for path in checkpoint.step_checkpoints(twin / "train/checkpoints")[:2]:
        path.unlink()  # as if it had been killed after update 4, mid-epoch
    resumed = run(*command(twin, "--resume", "auto"))
    assert resumed.returncode == 0, resumed.stderr
    one, other = weights(workspace, 9), weights(twin, 9)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert logged(workspace) == logged(twin)

    # Negative control: with the position in the data forgotten, the same comparison fails.
    state = checkpoint.load(twin / "train/checkpoints/checkpoint_step_4.pt")
    state["progress"]["done"] = 0
    lost = twin / "lost.pt"
    checkpoint.save(lost, state)
    assert run(*command(twin, "--resume", str(lost))).returncode == 0
    other = weights(twin, 9)
    assert not all(torch.equal(one[name], other[name]) for name in one)

    again = run(*command(workspace))
    assert again.returncode == 2 and "--resume" in again.stderr

    card = str(workspace / "dataset/images/1_물.png")
    best = str(workspace / "train/checkpoints/best_model.pt")
    line = [sys.executable, str(ROOT / "train/interpret.py"), "--cards", card, "--checkpoint", best]
    said = run(*line, "--persona", '{"age": 30}', "--context", "집에서 쉬는 중", "--keywords", "물", "--json")
    assert said.returncode == 0, said.stderr
    three = json.loads(said.stdout)
    assert len({candidate["text"] for candidate in three}) == 3


@pytest.mark.slow
def test_sigterm_saves_and_exits_143(workspace: Path) -> None:
    process = subprocess.Popen(command(workspace, "--set", "max_steps=100000"), stderr=subprocess.PIPE, text=True)
    log = workspace / "train/logs/log.jsonl"
    until = time.time() + 120
    while time.time() < until and not (log.exists() and log.stat().st_size):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "--resume" in errors and checkpoint.step_checkpoints(workspace / "train/checkpoints")


def test_help_is_quick_and_complete() -> None:
    started = time.perf_counter()
    done = run(sys.executable, str(ROOT / "train/train.py"), "--help")
    assert done.returncode == 0 and "--config" in done.stdout and "--wandb" in done.stdout
    assert "torch" not in run(sys.executable, "-X", "importtime", str(ROOT / "train/train.py"), "--help").stderr
    assert time.perf_counter() - started < 60  # a hang, not a benchmark


@pytest.mark.skipif(torch.cuda.is_available(), reason="this message is for machines without a GPU")
def test_default_run_without_gpu_says_what_works() -> None:
    done = run(sys.executable, str(ROOT / "train/train.py"))
    assert done.returncode == 2 and "--config train/config/tiny.json" in done.stderr and "CUDA" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "learning_rat=1"], ["learning_rat", "learning_rate"]),
        (["--set", "batch_size=many"], ["batch_size", "int"]),
        (["--set", "voice=second"], ["voice", "first, third"]),
        (["--set", "images_folder=nowhere"], ["images_folder"]),
        (["--set", "processed_data=no.json"], ["no.json", "data_prepare.py"]),
        (["--set", "max_length=20"], ["record", "max_length"]),
        (["--resume", "none.pt"], ["none.pt"]),
    ],
)
def test_mistakes_exit_2_with_one_clear_line(
    workspace: Path, more: list[str], words: list[str], capsys: object
) -> None:
    from train.train import main

    code = main(["--workspace", str(workspace), "--config", str(workspace / "tiny.json"), *more])
    error = capsys.readouterr().err.strip().splitlines()[-1]  # type: ignore[attr-defined]
    assert code == 2 and error.startswith("error: ") and all(word in error for word in words), error
