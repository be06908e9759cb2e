"""The rows to score, what training saw of the data, and where things lie."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

from aac.io import UserError
from aac.records import load_samples
from train.config.train_config import at_root

log = logging.getLogger("aac")


class Rows:
    """Rows of a data set.

    Args:
        config: for the default places and for `voice`.
        root: the workspace.
        data, images: other places than the workspace's.
        split: whose rows are scored; `all` for every one.
        limit: so many of them at most, drawn with a fixed seed.

    Attributes:
        samples: the rows to score.
        learned: those of the training split.
        known: the ids of all.

    Raises:
        UserError: no row is left, or two rows share an id.
    """

    def __init__(
        self,
        config: dict[str, Any],
        root: Path,
        data: str | None = None,
        images: str | None = None,
        split: str = "test",
        limit: int | None = None,
    ) -> None:
        self.config, self.root = config, root
        self.data = Path(data) if data else at_root(config["processed_data"], root)
        self.images = Path(images) if images else at_root(config["images_folder"], root)
        every, skipped = load_samples(self.data)
        for reason, count in skipped.items():
            log.warning("%s: %d %s rows left out", self.data, count, reason)
        chosen = [sample for sample in every if split in ("all", sample.split)]
        if not chosen:
            raise UserError(f"{self.data}: no rows in split {split!r}; use --split all or make more data")
        if limit and limit < len(chosen):
            chosen = random.Random(0).sample(chosen, limit)
        self.known = {sample.id for sample in every}
        if len(self.known) < len(every):
            raise UserError(f"{self.data}: two rows share an id; number the rows")
        self.samples = chosen
        self.learned = [sample for sample in every if sample.split == "train"]
        log.info("%s: %d rows (%s)", self.data, len(chosen), split)
