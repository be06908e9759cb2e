"""What a run says: JSON lines, TensorBoard, Weights & Biases, curves. Numbers only; sentences stay on this machine."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from dataset.prepare.records import UserError

log = logging.getLogger("aac")


class RunLog:
    """Writes each record to `log.jsonl` and to the loggers asked for.

    Raises:
        UserError: `--wandb` without a login and not offline, before any training.
    """

    def __init__(self, folder: Path, config: dict[str, Any], use_wandb: bool = False) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = open(folder / "log.jsonl", "a", encoding="utf-8")  # noqa: SIM115  closed by close()
        self.board = SummaryWriter(str(folder))
        self.wandb = _start_wandb(folder, config) if use_wandb else None

    def write(self, step: int, record: dict[str, float]) -> None:
        """One record of numbers at an update."""
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
        draw_curves(self.folder / "log.jsonl", self.folder / "curves.png")
        if self.wandb:
            self.wandb.finish()


def _start_wandb(folder: Path, config: dict[str, Any]) -> Any:
    import os

    import wandb

    offline = os.environ.get("WANDB_MODE", "").lower() in ("offline", "disabled", "dryrun")
    if not offline and not wandb.api.api_key:
        raise UserError("--wandb: not logged in; run `wandb login`, set WANDB_API_KEY, or use WANDB_MODE=offline")
    return wandb.init(project="aac-interpreter", dir=str(folder), config=config)


def draw_curves(source: Path, target: Path) -> None:
    """Loss curves of a JSON-lines log as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    records = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for key in ("loss", "style_loss", "val_loss"):
        points = [(record["step"], record[key]) for record in records if key in record]
        if points:
            axes.plot(*zip(*points, strict=True), label=key)
    axes.set(xlabel="update", ylabel="loss", yscale="log")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.tight_layout()
    figure.savefig(target, dpi=120)
    pyplot.close(figure)
