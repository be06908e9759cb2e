"""The command itself: what it says, saves and refuses. Interruptions are in test_resume.py."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from run_process import arguments, run, start

from train.loop import processes, update
from train.models import checkpoint
from train.models.aac_multimodal_model import AACMultimodalModel
from train.train import main

ROOT = Path(__file__).resolve().parents[1]


def command(*line: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, timeout=300, env=env)


def script(*more: str) -> list[str]:
    return [sys.executable, str(ROOT / "train/train.py"), *more]


def logged(workspace: Path) -> list[dict[str, float]]:
    return list(map(json.loads, (workspace / "train/logs/log.jsonl").read_text().splitlines()))


def steps(workspace: Path) -> list[int]:
    return [int(path.stem.rsplit("_", 1)[1]) for path in checkpoint.step_checkpoints(workspace / "train/checkpoints")]


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, but the lock."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


Last = Callable[[], str]


@pytest.fixture
def last(capsys: pytest.CaptureFixture[str]) -> Last:
    """The last line on stderr."""
    return lambda: capsys.readouterr().err.strip().splitlines()[-1]


# ---------------------------------------------------------------------- the whole way


@pytest.mark.slow
def test_trains_and_interprets(workspace: Path, tmp_path: Path) -> None:
    """The two scripts as a user runs them, from another folder."""
    line = script("--workspace", str(workspace), "--config", str(workspace / "tiny.json"))
    done = command(*line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert steps(workspace) == [9, 8, 4]  # rotated: 0 is gone
    assert (workspace / "train/checkpoints/best_model.pt").exists() and (workspace / "train/logs/curves.png").exists()
    config = checkpoint.load(workspace / "train/checkpoints/checkpoint_step_9.pt")["config"]
    assert config["max_steps"] == 9 and config["weight_decay"] == 0.01  # the resolved config, defaults and all
    assert '"weight_decay": 0.01' in done.stderr and "9/9" in done.stderr
    card = str(workspace / "dataset/images/1_물.png")
    best = str(workspace / "train/checkpoints/best_model.pt")
    line = [sys.executable, str(ROOT / "train/interpret.py"), "--cards", card, "--checkpoint", best]
    said = command(*line, "--persona", '{"age": 30}', "--context", "집에서 쉬는 중", "--keywords", "물", "--json")
    assert said.returncode == 0, said.stderr
    assert len({candidate["text"] for candidate in json.loads(said.stdout)}) == 3


def test_help_is_quick_and_complete() -> None:
    started = time.perf_counter()
    done = command(*script("--help"))
    assert done.returncode == 0
    for option in ("--config", "--set", "--wandb", "--resume", "--init-from", "--overwrite", "--dry-run"):
        assert option in done.stdout
    imported = command(sys.executable, "-X", "importtime", str(ROOT / "train/train.py"), "--help").stderr
    assert not any(f" {name}\n" in imported for name in ("torch", "numpy", "accelerate", "wandb"))
    assert time.perf_counter() - started < 60  # a hang, not a benchmark


def test_the_readme_names_files_that_exist() -> None:
    """Its tables went stale once, when the rooms moved."""
    said = (ROOT / "train/README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:py|json))`", said))
    there = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.suffix in (".py", ".json")}
    assert len(named) > 30
    assert not [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in there)]
    assert {path.name for path in (ROOT / "train/loop").glob("[a-z]*.py")} <= named


@pytest.mark.skipif(torch.cuda.is_available(), reason="this message is for machines without a GPU")
def test_default_run_without_gpu_says_what_works(last: Last, tmp_path: Path) -> None:
    assert main(["--workspace", str(tmp_path)]) == 2
    said = last()
    assert "--config train/config/tiny.json" in said and "CUDA" in said
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_the_run_needs_and_saves_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert main(arguments(workspace, "--dry-run")) == 0
    said = capsys.readouterr().out
    for words in ("GiB", "9 updates of 8 rows", "batch_size 2, gradient_accumulation_steps 4", "loss"):
        assert words in said, said
    for words in ("of which", "backbone: ", "at learning rate 0.001", "conditioning modules: "):
        assert words in caplog.text
    assert not (workspace / "train").exists()


def test_a_dry_run_estimates_before_it_measures(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two updates of two batches, gradients of the first beside the second's; where memory ends, the remedy."""
    from train.models.aac_multimodal_model import AACMultimodalModel

    forward, calls = AACMultimodalModel.forward, []

    def short(self: Any, *given: Any) -> Any:
        said = capsys.readouterr().out
        calls.append(said)
        if len(calls) == fails:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(self, *given)

    monkeypatch.setattr(AACMultimodalModel, "forward", short)
    fails = 0
    assert main(arguments(workspace, "--dry-run")) == 0 and len(calls) == 4
    assert "Memory, estimated" in calls[0] and "batch_size 2" in calls[0] and not any(calls[1:])
    assert "second update" in capsys.readouterr().out
    calls.clear()
    fails = 2
    assert main(arguments(workspace, "--dry-run")) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "in the dry run" in told and "'batch_size': 2" in told and "--resume" not in told


# ---------------------------------------------------------------------- logs


def test_loggers_hold_the_numbers_and_no_sentence(workspace: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert main(arguments(workspace)) == 0
    folder = workspace / "train/logs"
    board = EventAccumulator(str(folder)).Reload()
    records = logged(workspace)
    for key in ("loss", "style_loss", "learning_rate", "head_learning_rate", "grad_norm", "val_loss"):
        told = [(record["step"], record[key]) for record in records if key in record]
        assert [(e.step, e.value) for e in board.Scalars(key)] == [(s, pytest.approx(v, rel=1e-6)) for s, v in told]
        assert len(told) == (3 if key == "val_loss" else 9)
    assert all(0 < event.value < 1 for event in board.Scalars("data_wait"))
    for key in ("samples_per_second", "tokens_per_second", "memory_gib"):
        assert all(event.value > 0 for event in board.Scalars(key))
    shown = board.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"max_steps": 9' in shown
    everything = b"".join(files(folder).values())
    for sentence in ("주세요", "있어요", "쉬는 중", "친구"):
        assert sentence.encode() not in everything and json.dumps(sentence)[1:-1].encode() not in everything


def test_a_resumed_log_has_no_line_twice(workspace: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert main(arguments(workspace)) == 0
    before = [{k: v for k, v in r.items() if k in ("step", "loss", "val_loss")} for r in logged(workspace)]
    folder = workspace / "train/checkpoints"
    for step in (8, 9):
        (folder / f"checkpoint_step_{step}.pt").unlink()
    with open(workspace / "train/logs/log.jsonl", "a") as file:
        file.write('{"step": 10, "lo')  # cut short by a kill
    assert main(arguments(workspace, "--resume", "auto")) == 0
    assert [{k: v for k, v in r.items() if k in ("step", "loss", "val_loss")} for r in logged(workspace)] == before
    board = EventAccumulator(str(workspace / "train/logs")).Reload()
    assert [event.step for event in board.Scalars("loss")] == list(range(1, 10))
    # A fresh run keeps the old log apart.
    assert main(arguments(workspace, "--overwrite", "--set", "max_steps=2")) == 0
    assert [record["step"] for record in logged(workspace) if "loss" in record] == [1, 2]
    assert (workspace / "train/logs/earlier/1/log.jsonl").exists()


@pytest.mark.slow
def test_wandb_offline_writes_a_run(workspace: Path, tmp_path: Path) -> None:
    line = script(*arguments(workspace, "--wandb", "--set", "max_steps=2"))
    done = command(*line, WANDB_MODE="offline", WANDB_SILENT="true")
    assert done.returncode == 0, done.stderr
    (found,) = (workspace / "train/logs/wandb").glob("offline-run-*/*.wandb")
    held = found.read_bytes()
    assert b"grad_norm" in held and b"head_learning_rate" in held and "주세요".encode() not in held


def test_wandb_without_a_login_is_said_before_training(
    workspace: Path, last: Last, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    assert main(arguments(workspace, "--wandb")) == 2
    said = last()
    assert "wandb login" in said and "WANDB_MODE=offline" in said
    assert not (workspace / "train").exists()


def test_wandb_disabled_is_honoured(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import wandb

    monkeypatch.setenv("WANDB_DISABLED", "true")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for name in ("login", "init"):
        monkeypatch.setattr(wandb, name, lambda **_: pytest.fail("W&B was asked"))
    assert main(arguments(workspace, "--wandb", "--set", "max_steps=2")) == 0
    assert "WANDB_DISABLED is set" in caplog.text


# ---------------------------------------------------------------------- machines that lack something


def test_in_another_thread_signals_stay_with_the_application(workspace: Path) -> None:
    before, codes = signal.getsignal(signal.SIGTERM), []
    line = arguments(workspace, "--set", "max_steps=2", "num_workers=1")
    thread = threading.Thread(target=lambda: codes.append(main(line)))
    thread.start()
    thread.join()
    assert codes == [0] and steps(workspace)[0] == 2 and signal.getsignal(signal.SIGTERM) is before


def test_what_only_unix_has_is_not_needed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No locks, no fork, no pread, no resource: as on Windows. The numbers are the same."""
    import multiprocessing

    assert main(arguments(workspace, "--set", "max_steps=2", "num_workers=2")) == 0
    wanted = story(workspace)
    for module in ("fcntl", "resource"):
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("pread", "sysconf", "setpgid", "register_at_fork"):
        monkeypatch.delattr(os, name)
    for name in ("pthread_sigmask", "SIGCHLD"):
        monkeypatch.delattr(signal, name)
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert main(arguments(workspace, "--overwrite", "--set", "max_steps=2", "num_workers=2")) == 0
    assert story(workspace) == wanted and logged(workspace)[0]["memory_gib"] > 0
    assert "cannot fork" in caplog.text and "checkpoints: no locks here" in caplog.text


def test_a_mount_without_locks_is_named(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def none(*_: Any) -> None:
        raise OSError(37, "No locks available")

    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, none)
    assert main(arguments(workspace, "--set", "max_steps=2")) == 0
    assert f"{workspace / 'train/checkpoints'}: no locks here" in caplog.text


def test_data_that_can_only_be_read(
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    last: Last,
) -> None:
    """Cards are cached where the config says, or in the user's own folder; never an error while one is to be had."""
    (workspace / "dataset/processed/features").touch()  # nothing can be made there, not even by root
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    line = arguments(workspace, "--overwrite", "--set", "max_steps=2")
    assert main(line) == 0
    assert len(list((tmp_path / "own/aac-interpreter/features").glob("*.npz"))) == 1
    assert "feature_cache_dir" in caplog.text
    assert main([*line, "feature_cache_dir=kept"]) == 0
    assert len(list((workspace / "kept").glob("*.npz"))) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(workspace / "tiny.json"))
    assert main(line) == 2 and "set feature_cache_dir" in last()


def test_a_cache_in_a_folder_that_can_only_be_read_is_used(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from train.data import features

    assert main(arguments(workspace, "--set", "max_steps=2")) == 0
    wanted = story(workspace)
    monkeypatch.setattr(features, "_writable", lambda _: False)
    monkeypatch.setattr(features, "_compute", lambda *_: pytest.fail("the cards were encoded again"))
    caplog.clear()
    assert main(arguments(workspace, "--overwrite", "--set", "max_steps=2")) == 0
    assert story(workspace) == wanted and "cannot be written" not in caplog.text


@pytest.mark.parametrize("flags", [[], ["-P"]])
def test_the_path_of_an_application_stays(tmp_path: Path, flags: list[str]) -> None:
    """Run with -P or imported, the command finds its packages and loses nobody else's."""
    done = command(sys.executable, *flags, str(ROOT / "train/train.py"), "--help", cwd=tmp_path)
    assert done.returncode == 0 and "--resume" in done.stdout
    code = "import sys; first = sys.path[0]; import train.train; assert sys.path[0] == first; print(train.__file__)"
    done = command(sys.executable, *flags, "-c", code, cwd=ROOT, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.stdout.strip() == str(ROOT / "train/__init__.py"), done.stderr


# ---------------------------------------------------------------------- numbers that are none


def poison(
    monkeypatch: pytest.MonkeyPatch, from_update: int, spoil: Callable[[torch.Tensor, Any], torch.Tensor]
) -> list:
    """From an update on, one record's loss is spoilt. Returns the list that will hold its id."""
    from train.loop.update import Updater

    forward, gradients, chosen = AACMultimodalModel.forward, Updater.gradients, []

    def counted(self: Any, window: Any) -> Any:
        if self.progress.step + 1 >= from_update and not chosen:
            chosen.append(window.real[-1].records[-1])
        return gradients(self, window)

    def spoilt(self: Any, batch: Any, *rest: Any) -> Any:
        terms = forward(self, batch, *rest)
        if self.training and chosen and chosen[0] in batch.records:
            terms["loss"] = terms["loss"]._replace(total=spoil(terms["loss"].total, self))
        return terms

    monkeypatch.setattr(Updater, "gradients", counted)
    monkeypatch.setattr(AACMultimodalModel, "forward", spoilt)
    return chosen


def infinite_gradient(loss: torch.Tensor, model: Any) -> torch.Tensor:
    """The loss as it was, but its gradient is no number."""
    return loss + torch.sqrt(0 * model.backbone.model.norm.weight.sum())


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_loss_or_gradient_that_is_no_number_stops_before_the_update(
    workspace: Path, last: Last, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """At update 7: exit 1, the step and the very record named, checkpoint 6 intact, and good to go on from."""
    spoil = infinite_gradient if kind == "gradient" else lambda loss, _: loss * float("nan")
    chosen = poison(monkeypatch, 7, spoil)
    line = arguments(workspace, "--set", "save_steps=3", "max_steps=12")
    assert main(line) == 1
    said = last()
    assert "update 7" in said and f"records [{chosen[0]}] (each fails alone)" in said and kind in said, said
    assert steps(workspace) == [6, 3, 0] and logged(workspace)[-1]["step"] == 6
    state = checkpoint.load(workspace / "train/checkpoints/checkpoint_step_6.pt")
    assert all(tensor.isfinite().all() for tensor in state["model"].values())
    monkeypatch.undo()
    assert main([*line, "--resume", "auto"]) == 0 and steps(workspace)[0] == 12


def with_scaler(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    """The loop of fp16: Accelerate has no loss scaler on a CPU, so PyTorch's own is put in."""
    begin = processes.start

    def started(config: dict[str, Any]) -> Any:
        accelerator = begin(config)
        accelerator.scaler = torch.amp.GradScaler("cpu", **settings)
        return accelerator

    monkeypatch.setattr(processes, "start", started)


def overflow(monkeypatch: pytest.MonkeyPatch, updates: set[int]) -> None:
    """Gradients of these updates overflow."""
    from train.loop.update import Updater

    gradients = Updater.gradients

    def planted(self: Any, window: Any) -> Any:
        record = gradients(self, window)
        if self.progress.step + 1 in updates:
            self.model.backbone.model.norm.weight.grad[0] = float("inf")
        return record

    monkeypatch.setattr(Updater, "gradients", planted)


KEYS = ("step", "loss", "style_loss", "learning_rate", "grad_norm", "val_loss")


def story(workspace: Path) -> list[dict[str, float]]:
    return [{key: record[key] for key in KEYS if key in record} for record in logged(workspace)]


def test_the_loss_scaler_changes_nothing_without_overflow(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scales are powers of two, so gradients unscaled before clipping are the same to the last bit."""
    twin = tmp_path / "twin"
    shutil.copytree(workspace, twin)
    assert main(arguments(workspace)) == 0
    with_scaler(monkeypatch, init_scale=1024.0, growth_interval=3)
    assert main(arguments(twin)) == 0
    assert story(twin) == story(workspace)
    state = checkpoint.load(twin / "train/checkpoints/checkpoint_step_9.pt")
    assert state["scaler"]["scale"] == 8 * 1024.0  # grown three times
    first = checkpoint.load(workspace / "train/checkpoints/checkpoint_step_9.pt")
    assert all(torch.equal(state["model"][name], tensor) for name, tensor in first["model"].items())


def test_overflows_are_skipped_counted_and_bounded(
    workspace: Path, last: Last, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_scaler(monkeypatch, init_scale=1024.0)
    overflow(monkeypatch, {3, 4, 6})
    monkeypatch.setattr(update, "EARLY", 5)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    line = arguments(workspace, "--set", "save_steps=1", "max_checkpoints=20", "max_skipped_steps=2")
    assert main(line) == 0
    told = "update 4: gradients overflowed in fp16; skipped (2 in a row, 2 in all), loss scale now 256"
    assert told in caplog.text
    better = "(this device has bf16, which published weights do not overflow: --set use_fp16=false use_bf16=true)"
    assert f"2 of the first 5 updates overflowed in fp16 and were skipped {better}" in caplog.text
    assert logged(workspace)[-2]["skipped_updates"] == 3

    def weights(step: int) -> dict[str, torch.Tensor]:
        return checkpoint.load(workspace / f"train/checkpoints/checkpoint_step_{step}.pt")["model"]

    for step in range(1, 10):
        moved = any(
            not torch.equal(a, b) for a, b in zip(weights(step - 1).values(), weights(step).values(), strict=True)
        )
        assert moved == (step not in (3, 4, 6))

    # Resumed in the middle of a row of skips: the scale and the count go on.
    before = story(workspace)
    for step in range(5, 10):
        (workspace / f"train/checkpoints/checkpoint_step_{step}.pt").unlink()
    assert main([*line, "--resume", "auto"]) == 0
    assert story(workspace) == before

    overflow(monkeypatch, {7, 8})  # with 6 three in a row
    assert main([*line, "--overwrite", "--set", "max_steps=12"]) == 1
    error = last()
    assert error.startswith(f"error: update 8: 3 updates in a row overflowed in fp16 {better}") and "records [" in error
    assert "fails alone" not in error  # the records are sound; the scale was not
    assert steps(workspace)[0] == 7


def test_a_nan_loss_under_the_scaler_is_no_overflow(
    workspace: Path, last: Last, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_scaler(monkeypatch, init_scale=1024.0)
    chosen = poison(monkeypatch, 7, lambda loss, _: loss * float("nan"))
    assert main(arguments(workspace, "--set", "save_steps=2")) == 1
    said = last()
    assert "update 7: the loss is nan" in said and f"records [{chosen[0]}]" in said and steps(workspace)[0] == 6


def test_early_stopping(workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from train.loop import validation

    values = iter([3.0, 2.0, 2.5, 2.0, 9.0])
    monkeypatch.setattr(validation, "losses", lambda *_: {"val_loss": next(values)})
    line = arguments(workspace, "--set", "eval_steps=1", "early_stopping_patience=2", "max_steps=100")
    assert main(line) == 0
    assert "stopping early" in caplog.text and steps(workspace)[0] == 4
    assert f"Done. Best val_loss 2.0000: {workspace / 'train/checkpoints/best_model.pt'}" in caplog.text
    best = checkpoint.load(workspace / "train/checkpoints/best_model.pt")
    assert best["metrics"] == {"val_loss": 2.0, "step": 2}
    assert main([*line, "--resume", "auto"]) == 0 and steps(workspace)[0] == 4  # it stays stopped
    assert next(values) == 9.0


def test_a_best_model_that_is_gone_is_not_reported(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor waited for: the next evaluation of a resumed run writes it anew."""
    best = workspace / "train/checkpoints/best_model.pt"
    assert main(arguments(workspace, "--set", "max_steps=4")) == 0
    best.unlink()
    caplog.clear()
    assert main(arguments(workspace, "--resume", "auto", "--set", "max_steps=4")) == 0
    assert f"{best} is gone; newest checkpoint: {best.with_name('checkpoint_step_4.pt')}" in caplog.text
    assert "Best val_loss" not in caplog.text
    assert main(arguments(workspace, "--resume", "auto", "--set", "max_steps=8")) == 0
    assert best.exists() and f"Done. Best val_loss {checkpoint.load(best)['metrics']['val_loss']:.4f}" in caplog.text


# ---------------------------------------------------------------------- one folder, one run


def test_a_second_run_needs_a_word(workspace: Path, tmp_path: Path, last: Last) -> None:
    folder = workspace / "train/checkpoints"
    assert main(arguments(workspace)) == 0
    before = files(workspace)
    assert main(arguments(workspace)) == 2 and "--resume auto" in last()
    # A mistake beside --overwrite removes nothing either.
    assert main(arguments(workspace, "--overwrite", "--set", "images_folder=nowhere")) == 2
    assert files(workspace) == before
    assert main(arguments(workspace, "--resume", str(folder / "best_model.pt"))) == 2 and "--init-from" in last()
    assert main(arguments(workspace, "--resume", "auto")) == 0  # finished already
    # From an earlier update: what lies past it is kept under another name.
    earlier = ["--resume", str(folder / "checkpoint_step_4.pt"), "--set", "save_steps=1", "max_checkpoints=2"]
    assert main(arguments(workspace, *earlier)) == 0
    assert steps(workspace) == [9, 8] and (folder / "checkpoint_step_8.pt.superseded").exists()


def test_two_runs_in_one_folder(workspace: Path, tmp_path: Path, last: Last) -> None:
    process = start(arguments(workspace, "--set", "max_steps=100000"), tmp_path / "errors.txt")
    log = workspace / "train/logs/log.jsonl"
    until = time.time() + 120
    while time.time() < until and not (log.exists() and log.stat().st_size):
        time.sleep(0.05)
    assert main(arguments(workspace, "--resume", "auto")) == 2 and "another run" in last()
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == 143, (tmp_path / "errors.txt").read_text()
    done = steps(workspace)[0]
    assert main(arguments(workspace, "--resume", "auto", "--set", f"max_steps={done + 1}")) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_training_ends_at_once(workspace: Path, tmp_path: Path, number: int) -> None:
    code, errors = run(arguments(workspace), tmp_path / "errors.txt", SignalInSetUp(number))
    assert code == 128 + number and "Traceback" not in errors and not steps(workspace)


class SignalInSetUp:
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self) -> None:
        from train.data import loading

        def interrupted(*_: Any) -> None:
            os.kill(os.getpid(), self.number)
            time.sleep(30)

        loading.load_splits = interrupted


def test_a_folder_that_cannot_be_written(workspace: Path, last: Last, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "train").mkdir()
    (workspace / "train/checkpoints").touch()  # a file stands where the folder should
    assert main(arguments(workspace)) == 2
    assert "checkpoint_dir" in last()


def test_a_full_disk_leaves_what_was_there(workspace: Path, last: Last, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, folder = os.fsync, workspace / "train/checkpoints"

    def full(handle: int) -> None:
        if list(folder.glob(".checkpoint_step_4.pt.*")):
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert main(arguments(workspace, "--set", "save_steps=1", "max_checkpoints=9", "eval_steps=50")) == 1
    said = last()
    assert "No space left on device" in said and "--resume auto" in said and "checkpoint_step_4.pt" in said
    monkeypatch.undo()
    for path in folder.glob("*.pt"):
        checkpoint.load(path)
    assert steps(workspace) == [3, 2, 1, 0] and not list(folder.glob(".*.tmp"))
    assert main(arguments(workspace, "--resume", "auto")) == 0


def change_rows(workspace: Path) -> None:
    path = workspace / "dataset/processed/dataset_completed.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(rows[1:], ensure_ascii=False), encoding="utf-8")


def change_clusters(workspace: Path) -> None:
    path = workspace / "dataset/processed/clustering_results.json"
    clusters = json.loads(path.read_text(encoding="utf-8"))
    files = clusters["clustered_files"]
    files["0"], files["1"] = files["0"][:-1], [*files["1"], files["0"][-1]]
    path.write_text(json.dumps(clusters, ensure_ascii=False), encoding="utf-8")


def test_other_data_another_base_or_other_settings_are_refused(workspace: Path, tmp_path: Path, last: Last) -> None:
    assert main(arguments(workspace, "--set", "max_steps=4")) == 0
    resume = arguments(workspace, "--resume", "auto")
    assert main([*resume, "--set", "learning_rate=0.5"]) == 2
    said = last()
    assert "learning_rate 0.001 -> 0.5" in said and "--init-from" in said
    for spoil, words in ((change_clusters, "other clusters"), (change_rows, "other rows")):
        twin = tmp_path / spoil.__name__
        shutil.copytree(workspace, twin)
        spoil(twin)
        assert main(arguments(twin, "--resume", "auto")) == 2
        assert words in last()
    path = workspace / "train/checkpoints/checkpoint_step_4.pt"
    state = checkpoint.load(path)
    state["base"] = {"id": "another/model", "digest": "1" * 64}
    checkpoint.save(path, state)
    assert main(resume) == 2 and "another/model" in last()


def test_a_warm_start_on_new_data(workspace: Path, tmp_path: Path, last: Last) -> None:
    """Weights and tokenizer of the old run, rows and clusters of the new, a fresh optimizer and log."""
    assert main(arguments(workspace)) == 0
    best = workspace / "train/checkpoints/best_model.pt"
    new = tmp_path / "새 자료"
    shutil.copytree(workspace / "dataset", new / "dataset")
    shutil.copy(workspace / "tiny.json", new)
    change_rows(new)
    change_clusters(new)
    assert main(arguments(new, "--init-from", str(best), "--set", "max_steps=3", "learning_rate=0.0005")) == 0
    old, state = checkpoint.load(best), checkpoint.load(new / "train/checkpoints/checkpoint_step_0.pt")
    assert all(torch.equal(state["model"][name], old["model"][name]) for name in old["model"] if name != "centroids")
    assert not torch.equal(state["model"]["centroids"], old["model"]["centroids"])
    assert state["tokenizer"] == old["tokenizer"] and state["config"]["learning_rate"] == 0.0005
    assert not state["optimizer"]["state"] and logged(new)[0]["loss"] < logged(workspace)[0]["loss"]
    (tmp_path / "bad.pt").write_bytes(best.read_bytes()[:5000])
    assert main(arguments(new, "--init-from", str(tmp_path / "bad.pt"), "--overwrite")) == 2 and "bad.pt" in last()


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "learning_rat=1"], ["learning_rat", "learning_rate"]),
        (["--set", "batch_size=many"], ["batch_size", "int"]),
        (["--set", "voice=second"], ["voice", "first, third"]),
        (["--set", "images_folder=nowhere"], ["images_folder"]),
        (["--set", "processed_data=no.json"], ["no.json", "data_prepare.py"]),
        (["--set", "clustering_results=no.json"], ["no.json", "--steps 3"]),
        (["--set", "max_length=20"], ["record", "max_length", "nothing is cut inside a picture"]),
        (["--set", "max_steps=5", "warmup_ratio=0.99"], ["warm-up of 5", "run of 5"]),
        (["--resume", "none.pt"], ["none.pt"]),
        (["--init-from", "none.pt"], ["none.pt"]),
    ],
)
def test_mistakes_exit_2_with_one_clear_line(workspace: Path, more: list[str], words: list[str], last: Last) -> None:
    code = main(arguments(workspace, *more))
    error = last()
    assert code == 2 and error.startswith("error: ") and all(word in error for word in words), error
    assert not list(workspace.rglob("*.pt"))


def test_a_validation_row_that_is_too_long_is_named_at_the_start(workspace: Path, last: Last) -> None:
    """Not at the first evaluation, a week later."""
    from aac.records import load_samples

    path = workspace / "dataset/processed/dataset_completed.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    chosen = next(sample.id for sample in load_samples(path)[0] if sample.split == "val")
    next(row for row in rows if row["id"] == chosen)["output"][1] = "물 " * 300
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert main(arguments(workspace, "--set", "max_length=120")) == 2
    assert f"record {chosen}:" in last() and not steps(workspace)
