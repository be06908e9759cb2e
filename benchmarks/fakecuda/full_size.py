"""The model of the published geometry (4.15B) at work on the fake card: updates of the training loop, answers."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks import gpu
from benchmarks.common import PUBLISHED
from train.data.run_data import Window
from train.interpreter.answering import interpret_parsed
from train.interpreter.requests import Request
from train.loop import estimate, optimization, processes
from train.loop.progress import Progress
from train.loop.update import Updater
from train.models.batch import collate


class Work:
    """A model with random weights and pictures that it has read; to be made inside `fake_cuda()`.

    Args:
        cards: of each row and request, all different.
        rows: of a micro-batch, or requests.
        settings: the backbone's geometry.
        changes: settings of the run; the rest is TRAIN_CONFIG's.
    """

    def __init__(self, rows: int = 4, cards: int = 4, settings: dict[str, Any] = PUBLISHED, **changes: Any) -> None:
        changes = {"gradient_checkpointing": True, "batch_size": rows, **changes}
        half = torch.bfloat16 if changes.get("use_bf16") else torch.float16
        self.model = gpu.build(settings, "cuda", half, **changes)
        self.config = self.model.config
        staged = gpu.stage(self.model, self.config["num_crops"], rows * cards)
        # The loop reads them from a file: they cross to the device in each micro-batch.
        staged.features.features = [feature.cpu() for feature in staged.features.features]
        self.features = staged.features
        self.rows = gpu.sample_rows(staged, rows, cards)

    def updater(self) -> Updater:
        """As the training loop has it in the midst of a run: AdamW's moments are there."""
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(True)  # the precision of another one before
        accelerator = processes.start(self.config)
        optimizer = optimization.make_optimizer(self.model, self.config)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return Updater(
            accelerator, self.model, optimizer, SimpleNamespace(features=self.features), Progress(), self.config
        )

    def window(self, micro_batches: int = 1) -> Window:
        """The rows, as often as there are micro-batches."""
        unknown = torch.full((len(self.features.features),), -1)
        drop = [number == 0 for number in range(len(self.rows))]
        batch = collate(self.rows, self.model.encoder, unknown, drop)
        return Window([batch] * micro_batches, micro_batches, 1, sum(row.length for row in self.rows))

    def estimated(self) -> int:
        """Bytes that `train/loop/estimate.py` says an update takes."""
        longest = max(row.length for row in self.rows)
        return estimate.run_bytes(self.model, self.config, longest, half=True)

    def answer(self, tokens: int = 4) -> list[Any]:
        """The rows' cards as requests, decoded together, so many tokens each, the confidence read."""
        self.model.config = {**self.config, "max_new_tokens": tokens}
        return interpret_parsed(self.model, self._requests(), gated=False)

    def _requests(self) -> Sequence[Request]:
        device = self.model.device
        return [Request(*self.features.batch(row.cards, device), row.persona, row.context, None) for row in self.rows]
