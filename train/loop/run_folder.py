"""The folder of a run's checkpoints: one run at a time in it, and what a run begins with."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aac.io import UserError, hold
from train.models.checkpoint import load, step_checkpoints

log = logging.getLogger("aac")
BEST = "best_model.pt"


@dataclass
class Start:
    """What a run begins with: nothing, a checkpoint to go on from (`resume`), or weights for a warm start."""

    path: Path | None = None
    state: dict[str, Any] | None = None
    resume: bool = False


@contextmanager
def one_run_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The system frees it however the process ends. Where there are no locks a warning names
    the folder.

    Raises:
        UserError: another run holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / ".lock", "a")  # noqa: SIM115  closed below
    except OSError as error:
        raise UserError(
            f"checkpoint_dir {folder}: cannot be written ({error.strerror}); set checkpoint_dir to a folder that can"
        ) from None
    with file:
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=file.close)  # a worker that outlives the run must not hold it
        hold(file.fileno(), folder / ".lock")
        yield


def choose_start(folder: Path, resume: str | None, init_from: str | None, overwrite: bool) -> Start:
    """What the command line asks to begin with. A folder that holds checkpoints is never mixed with a second run.

    Raises:
        UserError: checkpoints of an earlier run and no word on them; no whole checkpoint where one is asked for.
    """
    existing = step_checkpoints(folder)
    if resume == "auto":
        for path in existing:
            try:
                return Start(path, load(path), resume=True)
            except UserError as error:
                log.warning("%s", error)
        if existing:
            raise UserError(f"{folder}: none of its {len(existing)} checkpoints is whole; start anew with --overwrite")
        if not (folder / BEST).exists():
            log.info("%s holds no checkpoint yet: starting from the beginning", folder)
            return Start()
        # Killed between its first evaluation and its first save, or a finished model moved here: which, nobody knows.
        raise UserError(
            f"{folder} holds {BEST} but no checkpoint to resume from; use --init-from {folder / BEST} with another "
            "checkpoint_dir, or --overwrite"
        )
    if resume:
        state = load(resume)
        if "progress" not in state:
            raise UserError(
                f"{resume} holds a model, but no run to go on with; use a checkpoint_step_N.pt or --init-from"
            )
        return Start(Path(resume), state, resume=True)
    if (existing or (folder / BEST).exists()) and not overwrite:
        raise UserError(
            f"{folder} holds checkpoints of an earlier run; use --resume auto, --overwrite, or another checkpoint_dir"
        )
    return Start(Path(init_from), load(init_from)) if init_from else Start()


def clear(folder: Path) -> None:
    """Remove an earlier run's checkpoints (`--overwrite`), once the new run is ready to start."""
    for path in [*step_checkpoints(folder), folder / BEST]:
        path.unlink(missing_ok=True)


def set_aside_after(folder: Path, step: int) -> None:
    """Checkpoints past the update that a run goes on from are of another future, or damaged: they are renamed, so that
    rotation does not take them for the newest."""
    for path in step_checkpoints(folder):
        if int(path.stem.rsplit("_", 1)[1]) > step:
            aside = path.replace(path.with_name(f"{path.name}.superseded"))
            log.warning("%s is past update %d, from which this run goes on: renamed to %s", path, step, aside.name)
