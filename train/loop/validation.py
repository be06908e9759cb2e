"""What a run is measured by while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from train.config.train_config import at_root
from train.loop.processes import summed

if TYPE_CHECKING:
    from train.data.run_data import RunData
    from train.loop.update import Updater
    from train.train import Trainer


def validation_loss(updater: Updater, data: RunData) -> float:
    """Language loss per answer token on the validation rows, over all processes: pictures only, nothing dropped."""
    size = -(-data.config["batch_size"] // data.collator.parts)
    processes, rank = updater.accelerator.num_processes, updater.accelerator.process_index
    rows, loss, tokens = data.val_set, 0.0, 0
    updater.wrapped.eval()
    with torch.no_grad():
        for first in range(rank * size, len(rows) + rank * size, size * processes):
            # Processes step together: one without rows of its own goes through the first ones, uncounted.
            counts = first < len(rows)
            place = first if counts else 0
            some = [rows[i] for i in range(place, min(place + size, len(rows)))]
            sums = updater.forward(data.collator.batch(some))
            loss += counts * float(sums["language"])
            tokens += counts * int(sums["tokens"])
    loss, tokens = summed(updater.accelerator, [loss, tokens])
    return loss / tokens


def generation_scores(trainer: Trainer) -> dict[str, float]:
    """Scores of sentences generated for `generation_samples` validation rows, `val_` before each name; the main
    process generates while the others wait. With `log_samples` the loggers get a picture of some."""
    from train.loop import generation_samples

    if not trainer.is_main:
        return {}
    config, data = trainer.config, trainer.data
    rows = generation_samples.drawn(data.splits["val"], config["generation_samples"], config["seed"])
    scores, items = generation_samples.evaluate_samples(
        trainer.model, rows, data.features, data.index, config["style_labels"]
    )
    if config["log_samples"]:
        folder, images = at_root(config["log_dir"], trainer.root), at_root(config["images_folder"], trainer.root)
        if picture := generation_samples.draw_samples(folder / f"samples_{trainer.step}.png", items, images):
            generation_samples.log_picture(trainer.run_log, trainer.step, picture)
    return scores
