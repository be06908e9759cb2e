"""One optimizer step: gradients of an accumulation window as of one big batch, and what may go wrong on the way."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from train.loop.estimate import out_of_memory
from train.loop.processes import summed

if TYPE_CHECKING:
    from accelerate import Accelerator

    from train.data.features import CardFeatures
    from train.data.run_data import Window
    from train.models.batch import Batch
    from train.models.network import Network

log = logging.getLogger("aac")


class Updater:
    """Steps the optimizer. `skipped`: updates that the loss scaler skipped; `skipped_in_a_row`: up to now.

    Args:
        batch_of: one record's id to a batch of it alone, to find which of a failed window's records fails.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: Network,
        optimizer: torch.optim.Optimizer,
        features: CardFeatures,
        config: dict[str, Any],
        batch_of: Callable[[int], Batch],
    ) -> None:
        self.accelerator, self.features, self.config, self.batch_of = accelerator, features, config, batch_of
        self.model = model
        self.wrapped, self.optimizer = accelerator.prepare(model, optimizer)
        self.number = self.skipped = self.skipped_in_a_row = 0

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Summed losses and counts, see `Network.forward`."""
        device = self.accelerator.device
        with self.accelerator.autocast():
            return self.wrapped(batch.to(device), *self.features.batch(batch.pictures, device))

    def step(self, window: Window, number: int) -> dict[str, float]:
        """Update `number`. Returns `loss`, `style_loss`, `style_accuracy`, `grad_norm`, `rows`, `positions`.

        Raises:
            FloatingPointError: a loss or gradient that is no finite number (records are named), or more overflows of
                fp16 in a row than `max_skipped_steps`. Nothing is updated then.
        """
        self.number = number
        record = self.gradients(window)
        scaler = self.accelerator.scaler
        scale = scaler.get_scale() if scaler else 1.0
        if scaler:
            scaler.unscale_(self.optimizer.optimizer)
        record["grad_norm"] = self._clip()
        if not scaler and not math.isfinite(record["grad_norm"]):
            self._fail(f"the gradient's norm is {record['grad_norm']}", window.real)
        try:
            self.optimizer.step()
        except torch.OutOfMemoryError as error:  # half of the weights may have moved: no smaller batch helps
            raise MemoryError(out_of_memory(self.config, f"in AdamW's step of update {number}", 1, error)) from None
        if scaler:
            # Accelerate's own flag does not see it: a fused AdamW skips inside its step.
            self._count_skips(window, overflowed=scaler.get_scale() < scale)
        self.optimizer.zero_grad(set_to_none=True)
        return record

    def gradients(self, window: Window) -> dict[str, float]:
        """Accumulate the window's gradients: each loss is divided by the answer tokens of the whole window, over all
        micro-batches and processes, so that the sum is the gradient of one batch of all rows."""
        tokens, told, rows, positions = summed(self.accelerator, window.counts())
        told = max(1.0, told)
        self.wrapped.train()
        seen = []
        for number, batch in enumerate(window.batches):
            # Processes average their gradients, but each adds its share to one sum.
            share = self.accelerator.num_processes if number < window.counted else 0
            last = number == len(window.batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                sums = self.forward(batch)
                loss = sums["language"] / tokens + self.config["style_loss_weight"] * sums["style"] / told
                self.accelerator.backward(loss * share)
            if share:
                seen.append(torch.stack([sums["language"], sums["style"], sums["style_correct"], loss]).detach())
        totals = torch.stack(seen).double() if seen else torch.zeros(1, 4)
        bad = ~totals[:, 3].isfinite()
        language, style, correct, failed = summed(self.accelerator, [*totals[:, :3].sum(0), bad.sum()])
        if failed:
            culprits = [batch for batch, is_bad in zip(window.real, bad.tolist(), strict=False) if is_bad]
            self._fail(f"the loss is {'no finite number' if not culprits else totals[bad][0, 3].item()}", culprits)
        return {
            "loss": language / tokens,
            "style_loss": style / told,
            "style_accuracy": correct / told,
            "rows": rows,
            "positions": positions,
        }

    def _clip(self) -> float:
        """Clip the gradients, already unscaled; returns their norm before."""
        norm = torch.nn.utils.clip_grad_norm_(self.wrapped.parameters(), self.config["max_grad_norm"])
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def _count_skips(self, window: Window, overflowed: bool) -> None:
        """An fp16 overflow: the scaler has skipped the update and halved its scale. Too many in a row end the run."""
        if not overflowed:
            self.skipped_in_a_row = 0
            return
        self.skipped, self.skipped_in_a_row = self.skipped + 1, self.skipped_in_a_row + 1
        log.warning(
            "update %d: gradients overflowed in fp16; skipped (%d in a row, %d in all), loss scale now %g",
            *(self.number, self.skipped_in_a_row, self.skipped, self.accelerator.scaler.get_scale()),
        )
        if self.skipped_in_a_row > self.config["max_skipped_steps"]:
            self._fail(f"{self.skipped_in_a_row} updates in a row overflowed in fp16 (use_bf16 does not)", window.real)

    def _fail(self, what: str, batches: Sequence[Batch]) -> None:
        """Raise, naming the records that fail alone, or else all of the batches."""
        records = [record for batch in batches for record in batch.records]
        alone = [record for record in records if self._fails_alone(record)]
        raise FloatingPointError(
            f"update {self.number}: {what}, and nothing was updated; records {alone or records}"
            f"{' (each fails alone)' if alone else ''}. Mend or remove them, or lower the learning rates, then go on "
            "with --resume auto"
        )

    def _fails_alone(self, record: int) -> bool:
        if self.accelerator.num_processes > 1:  # the others would wait
            return False
        self.optimizer.zero_grad(set_to_none=True)
        sums = self.forward(self.batch_of(record))
        (sums["language"] + sums["style"]).backward()
        gradients = [p.grad for p in self.wrapped.parameters() if p.grad is not None]
        self.optimizer.zero_grad(set_to_none=True)
        return not all(bool(value.isfinite().all()) for value in (sums["language"], sums["style"], *gradients))
