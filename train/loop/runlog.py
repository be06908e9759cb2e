"""What a run says: JSON lines, TensorBoard, Weights & Biases, curves. Numbers only; sentences stay on this machine."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from pathlib import Path
from typing import Any

from aac.io import UserError, read_lines, write_atomic

log = logging.getLogger("aac")


def check_wandb() -> bool:
    """Before anything is loaded: whether `--wandb` is to log anywhere. WANDB_DISABLED says no, as to other trainers.

    Raises:
        UserError: `--wandb` without a login (or with a key that is refused) and not offline.
    """
    if os.environ.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes", "on"):
        log.info("WANDB_DISABLED is set: nothing goes to Weights & Biases")
        return False
    if os.environ.get("WANDB_MODE", "").lower() in ("offline", "disabled", "dryrun"):
        return True
    import wandb

    try:
        problem = "" if wandb.login(prompt=False) else "not logged in to Weights & Biases"
    except wandb.errors.Error as error:
        problem = str(error).splitlines()[0]
    if problem:
        raise UserError(
            f"--wandb: {problem}; run `wandb login`, set WANDB_API_KEY, or log without an account: WANDB_MODE=offline"
        )
    return True


class RunLog:
    """Writes each record to `log.jsonl`, to TensorBoard's event files, and to Weights & Biases where asked.

    Args:
        after: the update a resumed run goes on from: what was logged after it is taken back, since it comes again.
            None: a fresh run; an earlier run's log moves to `earlier/N/`.
    """

    def __init__(self, folder: Path, config: dict[str, Any], use_wandb: bool = False, after: int | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path = folder, folder / "log.jsonl"
        if after is None:
            _set_aside(folder)
        else:
            _forget(self.path, after)
        self.file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115  closed by close()
        self.board = SummaryWriter(str(folder), purge_step=None if after is None else after + 1)
        shown = json.dumps(config, ensure_ascii=False, indent=1)
        self.board.add_text("config", f"```\n{shown}\n```", 0 if after is None else after)
        self.wandb = _start_wandb(folder, config, after) if use_wandb else None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, step: int, record: dict[str, float]) -> None:
        """One record of numbers at an update; what is no finite number (the norm of an overflow) is left out."""
        record = {key: value for key, value in record.items() if math.isfinite(value)}
        self.file.write(json.dumps({"step": step, "time": round(time.time(), 2), **record}) + "\n")
        self.file.flush()
        for key, value in record.items():
            self.board.add_scalar(key, value, step)
        if self.wandb:
            self.wandb.log(record, step=step)

    def close(self) -> None:
        """Flush everything and draw `curves.png`."""
        self.file.close()
        self.board.close()
        draw_curves(self.path, self.folder / "curves.png")
        if self.wandb:
            self.wandb.finish()


def _set_aside(folder: Path) -> None:
    old = [path for path in (folder / "log.jsonl", folder / "curves.png", folder / "wandb_id.txt") if path.exists()]
    old += folder.glob("events.out.tfevents.*")
    if old:
        number = 1
        while (target := folder / "earlier" / str(number)).exists():
            number += 1
        target.mkdir(parents=True)
        for path in old:
            path.rename(target / path.name)
        log.info("%s: an earlier run's log moved to %s", folder, target)


def _forget(path: Path, after: int) -> None:
    """Drop the lines of updates past `after`, and a last one that a kill cut short."""
    kept = []
    for line in read_lines(path) if path.exists() else []:
        try:
            if json.loads(line)["step"] <= after:
                kept.append(line + "\n")
        except (json.JSONDecodeError, KeyError):
            continue
    write_atomic(path, "".join(kept).encode())


def _start_wandb(folder: Path, config: dict[str, Any], after: int | None) -> Any:
    """A run of numbers: no console, no code, no sentences leave the machine. A resumed run goes on under its id."""
    import wandb

    name = folder / "wandb_id.txt"
    known = name.read_text(encoding="utf-8").strip() if after is not None and name.exists() else None
    settings = wandb.Settings(console="off", save_code=False, disable_git=True, silent=True)
    try:
        run = wandb.init(
            project="aac-interpreter", dir=str(folder), config=config, id=known, resume="allow", settings=settings
        )
    except wandb.errors.Error as error:
        raise UserError(f"--wandb: {error}; or log without an account: WANDB_MODE=offline") from None
    write_atomic(name, f"{run.id}\n".encode())
    return run


def _is_loss(key: str) -> bool:
    return key.endswith("loss")


def line(step: int, total: int, record: dict[str, float], left: str) -> str:
    """An update as a line of the console."""
    rates = [f"{record[key]:.1e}" for key in ("learning_rate", "head_learning_rate") if key in record]
    parts = [
        f"update {step}/{total}",
        *(f"{key.removesuffix('_loss')} {value:.4f}" for key, value in record.items() if _is_loss(key)),
        f"rates {' '.join(rates)}",
        f"norm {record['grad_norm']:.3g}",
        f"{record['samples_per_second']:.1f} samples/s",
        f"{record['tokens_per_second']:,.0f} tokens/s",
        f"{100 * record['data_wait']:.1f} % waiting for data",
        f"{record['memory_gib']:.1f} GiB",
        f"{left} left",
    ]
    return "  ".join(parts)


def draw_curves(source: Path, target: Path) -> None:
    """A JSON-lines log as a PNG: losses on the left; where sentences were generated, their scores on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    records = [json.loads(line) for line in read_lines(source) if line]
    keys = sorted({key for record in records for key in record})
    panels = [("loss", [key for key in keys if _is_loss(key)], "log")]
    if scores := [key for key in keys if key.startswith("val_") and not _is_loss(key)]:
        panels.append(("score", scores, "linear"))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(7 * len(panels), 4), squeeze=False)
    for plot, (label, keys, scale) in zip(axes[0], panels, strict=True):
        for key in keys:
            points = [(record["step"], record[key]) for record in records if key in record]
            if points:
                plot.plot(*zip(*points, strict=True), label=key)
        plot.set(xlabel="update", ylabel=label, yscale=scale)
        if plot.get_legend_handles_labels()[0]:
            plot.legend()
    figure.tight_layout()
    figure.savefig(target, dpi=120)
    pyplot.close(figure)
