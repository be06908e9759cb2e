"""What a run is measured by while it trains."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch

from train.loop.processes import summed
from train.models import loss

if TYPE_CHECKING:
    from train.data.run_data import RunData
    from train.loop.update import Updater


def losses(updater: Updater, data: RunData) -> dict[str, float]:
    """Each term of the loss on the validation rows, `val_` before its name, over all processes: pictures only, nothing
    dropped. A term that no validation row has anything for (style, unless it is dropped) is left out."""
    size = -(-data.config["batch_size"] // data.collator.micro_batches)
    processes, rank = updater.accelerator.num_processes, updater.accelerator.process_index
    rows, totals, per = data.val_set, Counter[str](), {}
    updater.wrapped.eval()
    with torch.no_grad():
        for first in range(rank * size, len(rows) + rank * size, size * processes):
            # Processes step together: one without rows of its own goes through the first ones, uncounted.
            counted = first < len(rows)
            begin = first if counted else 0
            batch = data.collator.batch([rows[i] for i in range(begin, min(begin + size, len(rows)))])
            terms = updater.wrapped(*updater.inputs(batch))
            per = {f"val_{name}": term.per for name, term in terms.items()}
            found = {f"val_{name}": float(term.total) for name, term in terms.items()} | loss.counts(batch)
            totals.update({key: counted * value for key, value in found.items()})
    sums = summed(updater.accelerator, totals)
    return {name: sums[name] / sums[count] for name, count in per.items() if sums[count]}
