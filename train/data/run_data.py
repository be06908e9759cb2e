"""A run's data: rows, cards and clusters read once, then accumulation windows, epoch by epoch."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aac.records import Sample, nfc, read_clusters
from train.config.train_config import at_root
from train.data import loading
from train.data.dataset import AACDataset, BucketedBatches, Collator, find_cards
from train.data.features import CardFeatures
from train.data.workers import Loader
from train.models import loss
from train.models.batch import Batch
from train.models.conditioning import nearest_cluster
from train.models.known_cards import KnownCards
from train.models.limits import longest_lines

if TYPE_CHECKING:
    from train.models.network import Network

log = logging.getLogger("aac")


@dataclass
class Window:
    """What one update learns from: this process's micro-batches, of which the first `counted` count."""

    micro_batches: list[Batch]
    counted: int
    batches: int  # of the window, over all processes
    positions: int  # that its rows fill here, padding not counted
    epoch: int = 0

    @property
    def real(self) -> list[Batch]:
        return self.micro_batches[: self.counted]

    def counts(self) -> dict[str, int]:
        """What the loss is divided by (`loss.counts`), and `positions`, of what counts."""
        each = [loss.counts(batch) for batch in self.micro_batches]
        return {key: sum(c[key] for c in each[: self.counted]) for key in each[0]} | {"positions": self.positions}


class RunData:
    """Reads what the config names. `identity`: digests of the training rows and the clusters, for checkpoints.

    Raises:
        UserError: a file or a card is missing or malformed; the message names it.
    """

    def __init__(self, config: dict[str, Any], root: Path) -> None:
        self.config, self.root, self.path = config, root, at_root(config["processed_data"], root)
        self.clusters = read_clusters(at_root(config["clustering_results"], root))
        read = loading.load_splits(self.path, self.clusters.count)
        self.splits = read.splits
        records = {card: record for card, (record, _) in read.cards.items()}
        self.images = find_cards(records, at_root(config["images_folder"], root))
        self.names = [read.cards[nfc(image.name)][1] for image in self.images]
        self.index = {nfc(image.name): index for index, image in enumerate(self.images)}
        self.identity = {"rows": read.digest, "clusters": loading.digest_of_clusters(self.clusters)}

    def encode_cards(self, model: Network, new_clusters: bool) -> None:
        """The cards' features under the model's tower; the model's table of known cards and, with `new_clusters`, its
        centroids follow from them."""
        folder = self.config["feature_cache_dir"] or self.path.parent / "features"
        self.features = CardFeatures(model, self.images, at_root(folder, self.root))
        model.cards = KnownCards(self.names, self.features.thumbnails)
        if new_clusters:
            centroids = loading.cluster_centroids(self.features.pooled, self.images, self.clusters)
            model.centroids = centroids.to(model.device)

    def prepare(self, model: Network, rank: int, processes: int, micro_batches: int) -> None:
        """Rows and batches for this process; every row's length is checked now, not a week later.

        Raises:
            UserError: a row is longer than `max_length`; the record is named.
        """
        config = self.config
        counts = [model.processor.num_tokens(size) for size in self.features.image_sizes]
        clusters = nearest_cluster(self.features.pooled, model.centroids.cpu())
        common = {"max_length": config["max_length"], "style_labels": config["style_labels"], "seed": config["seed"]}

        def rows_of(samples: Sequence[Sample], drops: dict[str, float] | None = None) -> AACDataset:
            return AACDataset(samples, model.encoder, self.index, counts, drops, **common)

        drops = {name: config[f"{name}_dropout"] for name in ("persona", "context", "keyword")}
        model.longest = longest_lines(model.encoder, self.splits["train"])
        self.train_set = rows_of(self.splits["train"], drops)
        self.val_set = rows_of(self.splits["val"][: config["eval_samples"]])
        longest_form = rows_of(self.splits["train"], {"keyword": 0.0})
        switch = model.backbone.config.original_max_position_embeddings
        self.collator = Collator(
            model.encoder, clusters, switch, config["seed"], config["style_dropout"], micro_batches=micro_batches
        )
        self.loader = Loader(self.train_set, self.collator, config["num_workers"])
        count = self.collator.positions
        self.lengths = array("i", (count(longest_form[i]) for i in range(len(longest_form))))
        longest = max(max(self.lengths), *(count(self.val_set[i]) for i in range(len(self.val_set))))
        log.info("Rows: %d tokens on average, %d at most", sum(self.lengths) / len(self.lengths), longest)
        accumulation = config["gradient_accumulation_steps"]
        self.batches = BucketedBatches(
            self.lengths, config["batch_size"], config["seed"], accumulation, rank, processes
        )

    @property
    def updates_per_epoch(self) -> int:
        return -(-len(self.batches) // self.batches.per_update)

    def windows(self, epoch: int, done: int) -> Iterator[Window]:
        """The windows of a run from here on, epoch after epoch: first those after `done` batches of `epoch`."""
        while True:
            self.train_set.epoch = self.batches.epoch = self.collator.epoch = epoch
            self.batches.start = done
            dealt = self.batches.windows()
            read = self.loader([batch for mine, _, _ in dealt for batch in mine])
            for mine, counted, size in dealt:
                yield _window([next(read) for _ in mine], counted, size, epoch)
            epoch, done = epoch + 1, 0

    def longest_window(self) -> Window:
        """A batch of the longest rows, twice: what needs the most memory, beside gradients that are there already."""
        longest = nlargest(self.config["batch_size"], range(len(self.lengths)), key=self.lengths.__getitem__)
        rows = [self.train_set[i] for i in longest]
        return _window([self.collator(rows)] * 2, 2, 2, 0)

    def alone(self, record: int) -> Batch:
        """A training record as a batch of its own."""
        index = next(i for i, sample in enumerate(self.train_set.samples) if sample.id == record)
        batches, _ = self.collator([self.train_set[index]])
        return batches[0]


def _window(read: list[tuple[list[Batch], int]], counted: int, batches: int, epoch: int) -> Window:
    micro_batches = [micro_batch for one, _ in read for micro_batch in one]
    real = read[:counted]
    positions = sum(length for _, length in real)
    return Window(micro_batches, sum(len(one) for one, _ in real), batches, positions, epoch)
