"""One optimizer step: gradients of an accumulation window as of one big batch, and what may go wrong on the way."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from train.loop.estimate import out_of_memory
from train.loop.processes import is_sharded, summed, without_overflow
from train.loop.progress import Progress
from train.models import loss

if TYPE_CHECKING:
    from accelerate import Accelerator

    from train.data.run_data import RunData, Window
    from train.models.batch import Batch
    from train.models.network import Network

log = logging.getLogger("aac")
# Updates in which a loss scale that starts too high comes down; more overflows than a few are the weights' own.
EARLY = 50


class Updater:
    """The model, as `wrapped` for several processes, and its optimizer. `progress` numbers updates and counts skips."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: Network,
        optimizer: torch.optim.Optimizer,
        data: RunData,
        progress: Progress,
        config: dict[str, Any],
    ) -> None:
        self.accelerator, self.model, self.data = accelerator, model, data
        self.progress, self.config = progress, config
        self.wrapped, self.optimizer = accelerator.prepare(model, optimizer)

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """What `Network.forward` takes, on the device."""
        device = self.accelerator.device
        return batch.to(device), *self.data.features.batch(batch.images, device)

    def gradients(self, window: Window) -> dict[str, float]:
        """Accumulate the window's gradients: those of one batch of all its rows, over all processes.

        Returns the mean of each term of the loss, `samples` and `positions`.

        Raises:
            FloatingPointError: a loss that is no finite number; the records are named.
        """
        counts = summed(self.accelerator, window.counts())
        self.wrapped.train()
        seen = []
        for number, batch in enumerate(window.micro_batches):
            # Processes average their gradients, but each adds its share to one sum.
            share = self.accelerator.num_processes if number < window.counted else 0
            with self._synced(last=number == len(window.micro_batches) - 1):
                terms = self.wrapped(*self.inputs(batch))
                value = loss.weighted(terms, counts)
                self.accelerator.backward(value * share)
            if share:
                seen.append(torch.stack([value, *(term.total for term in terms.values())]).detach())
        # Read once, at the window's end: reading a number waits for the GPU.
        table = torch.stack(seen).double() if seen else torch.zeros(0, 1 + len(terms))
        bad = ~table[:, 0].isfinite()
        totals = summed(self.accelerator, dict(zip(("bad", *terms), (bad.sum(), *table[:, 1:].sum(0)), strict=True)))
        if totals["bad"]:
            culprits = [batch for batch, is_bad in zip(window.real, bad.tolist(), strict=False) if is_bad]
            value = table[bad][0, 0].item() if culprits else "no finite number"
            self._fail(f"the loss is {value}{self._better()}", culprits)
        means = {name: totals[name] / max(1.0, counts[term.per]) for name, term in terms.items()}
        return means | {key: counts[key] for key in ("samples", "positions")}

    def _synced(self, last: bool) -> AbstractContextManager[Any]:
        """Processes share their gradients at the window's end, sharded ones always: unshared, each would hold all."""
        return nullcontext() if last or is_sharded(self.accelerator) else self.accelerator.no_sync(self.wrapped)

    def step(self, window: Window) -> float:
        """Let the optimizer step by the gradients of `window`, clipped; returns their norm before.

        Raises:
            FloatingPointError: a norm that is no finite number (records are named), or more overflows of fp16 in a row
                than `max_skipped_steps`. Nothing is updated then.
            MemoryError: the optimizer's own memory does not fit.
        """
        scaler = self.accelerator.scaler
        scale = scaler.get_scale() if scaler else 1.0
        if scaler:
            scaler.unscale_(self.optimizer.optimizer)
        norm = self._clip()
        if not scaler and not math.isfinite(norm):
            self._fail(f"the gradient's norm is {norm}", window.real)
        try:
            self.optimizer.step()
        except torch.OutOfMemoryError as error:  # half of the weights may have moved: no smaller batch helps
            where = f"in AdamW's step of update {self.progress.step + 1}"
            raise MemoryError(out_of_memory(self.config, 1, error, where)) from None
        if scaler:
            # Accelerate's own flag does not see it: a fused AdamW skips inside its step.
            self._count_skips(window, overflowed=scaler.get_scale() < scale)
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _clip(self) -> float:
        """Clip the gradients, already unscaled; returns their norm before."""
        norm = torch.nn.utils.clip_grad_norm_(self.wrapped.parameters(), self.config["max_grad_norm"])
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def _count_skips(self, window: Window, overflowed: bool) -> None:
        """An fp16 overflow: the scaler has skipped the update and halved its scale. Too many in a row end the run."""
        progress = self.progress
        progress.skipped += overflowed
        progress.skipped_in_a_row = progress.skipped_in_a_row + 1 if overflowed else 0
        if progress.step + 1 == EARLY and progress.skipped:
            told = "%d of the first %d updates overflowed in fp16 and were skipped%s"
            log.warning(told, progress.skipped, EARLY, self._better())
        if not overflowed:
            return
        row = progress.skipped_in_a_row
        log.warning(
            "update %d: gradients overflowed in fp16; skipped (%d in a row, %d in all), loss scale now %g",
            *(progress.step + 1, row, progress.skipped, self.accelerator.scaler.get_scale()),
        )
        if row > self.config["max_skipped_steps"]:
            self._fail(f"{row} updates in a row overflowed in fp16{self._better()}", window.real)

    def _better(self) -> str:
        return without_overflow(self.config["device"]) if self.accelerator.scaler else ""

    def _fail(self, what: str, batches: Sequence[Batch]) -> None:
        """Raise, naming the records that fail alone, or else all of the batches."""
        records = [record for batch in batches for record in batch.records]
        alone = [record for record in records if self._fails_alone(record)]
        raise FloatingPointError(
            f"update {self.progress.step + 1}: {what}, and nothing was updated; records {alone or records}"
            f"{' (each fails alone)' if alone else ''}. Mend or remove them, or lower the learning rates, then go on "
            "with --resume auto"
        )

    def _fails_alone(self, record: int) -> bool:
        if self.accelerator.num_processes > 1:  # the others would wait
            return False
        batch = self.data.alone(record)
        self.optimizer.zero_grad(set_to_none=True)
        value = loss.weighted(self.wrapped(*self.inputs(batch)), loss.counts(batch))
        value.backward()
        gradients = [p.grad for p in self.wrapped.parameters() if p.grad is not None]
        self.optimizer.zero_grad(set_to_none=True)
        return not all(bool(tensor.isfinite().all()) for tensor in (value, *gradients))

    # ------------------------------------------------------------------ state

    def whole_state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The model's checkpoint state and the optimizer's. Sharded ones are gathered: every process must call this."""
        state = self.model.state()
        if not is_sharded(self.accelerator):
            return state, self.optimizer.state_dict()
        from torch.distributed.checkpoint import state_dict as gather

        options = gather.StateDictOptions(full_state_dict=True, cpu_offload=True)
        moments: dict[str, Any] = {}
        if self.optimizer.state:  # asked before its first step, PyTorch would take one, and count it
            moments = gather.get_optimizer_state_dict(self.wrapped, self.optimizer.optimizer, options=options)
        tensors = gather.get_model_state_dict(self.wrapped, options=options)
        if self.accelerator.is_main_process:  # the others get none
            state["model"] = {name: tensors[name] for name in state["model"]}
        return state, moments

    def load_optimizer(self, stored: dict[str, Any]) -> None:
        """The reverse of `whole_state` for the optimizer; the model's tensors were loaded before it was sharded."""
        if not is_sharded(self.accelerator):
            self.optimizer.load_state_dict(stored)
            return
        if not stored:  # of update 0
            return
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

        # Not strict: what never had a gradient (a layout's unused separators) has no moments.
        options = StateDictOptions(full_state_dict=True, strict=False)
        set_optimizer_state_dict(self.wrapped, self.optimizer.optimizer, stored, options=options)
