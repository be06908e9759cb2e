"""The training command in real processes that start at once: a warm server forks them, so that a test can kill many."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WARM = ("train.train", "train.models.aac_multimodal_model", "accelerate", "torch.utils.tensorboard")
_WARM += ("matplotlib.pyplot", "transformers.models.phi3.modeling_phi3", "tqdm", "train.loop.update")
_WARM += ("train.data.run_data", "torch.distributed", "numpy")


def _context() -> Any:
    tests = Path(__file__).resolve().parent
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tests.parent), str(tests)])
    for folder in (tests, tests.parent):  # `train.train` puts the root where pytest has put this folder
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_WARM))
    return context


def arguments(workspace: Path, *more: str) -> list[str]:
    return ["--workspace", str(workspace), "--config", str(workspace / "tiny.json"), *more]


def start(argv: list[str], errors: Path, plant: Callable[[], None] | None = None) -> Any:
    """`train.py argv` as a process; its stderr goes to `errors`. `plant` (of a test module) runs in it first."""
    process = _context().Process(target=_main, args=(argv, errors, plant))
    process.start()
    return process


def run(argv: list[str], errors: Path, plant: Callable[[], None] | None = None) -> tuple[int, str]:
    """To its end: the exit code and what it wrote to stderr."""
    process = start(argv, errors, plant)
    process.join(180)
    return process.exitcode, errors.read_text(encoding="utf-8")


def _main(argv: list[str], errors: Path, plant: Callable[[], None] | None) -> None:
    sys.stderr.flush()
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    import torch

    torch.set_num_threads(1)
    from train.train import main

    if plant:
        plant()
    sys.exit(main(argv))
