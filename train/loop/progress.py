"""How far a run has come, and how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.data.run_data import Window


@dataclass
class Progress:
    """Counts that a checkpoint keeps (under `progress`, by these names)."""

    step: int = 0  # updates
    epoch: int = 0
    done: int = 0  # batches of this epoch that were learned from, over all processes
    best: float = float("inf")  # of `best_metric`
    stale: int = 0  # evaluations since
    skipped: int = 0  # updates that the loss scaler skipped
    skipped_in_a_row: int = 0  # up to now

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Progress:
        return cls(**{f.name: stored[f.name] for f in fields(cls)})

    def stored(self) -> dict[str, Any]:
        return asdict(self)

    def advance(self, window: Window) -> None:
        """An update more, that learned from this window."""
        if window.epoch != self.epoch:
            self.epoch, self.done = window.epoch, 0
        self.step, self.done = self.step + 1, self.done + window.batches


@dataclass
class Pace:
    """Seconds of a run's updates, evaluations and saves left out."""

    first: int  # updates that were done when it began
    began: float = field(default_factory=time.perf_counter)
    worked: float = 0.0
    waited: float = 0.0  # of them, for data

    def speeds(self, samples: float, positions: float, seconds: float, waited: float) -> dict[str, float]:
        """What the log tells of an update that took `seconds`; `data_wait` is a share since the run began."""
        self.worked, self.waited = self.worked + seconds, self.waited + waited
        return {
            "samples_per_second": samples / seconds,
            "tokens_per_second": positions / seconds,
            "data_wait": self.waited / self.worked,
        }

    def left(self, step: int, total: int) -> float:
        """Seconds to the end, evaluations and saves counted as they came so far."""
        return (time.perf_counter() - self.began) / (step - self.first) * (total - step)
