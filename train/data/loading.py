"""What a run reads before it starts: samples by split, a tokenizer from their texts, clusters of their cards."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aac.records import Clusters, Sample, Split, by_split, nfc, seldom_trained, stream_samples
from aac.rules import spoken
from train.data.sample_file import SampleFile

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("aac")


class Loaded(NamedTuple):
    """A data file: its samples by split, its cards (file name to the first record with it, and the word there), and
    a digest that names the training rows in their order: a position in the data means nothing over other rows."""

    splits: dict[Split, SampleFile]
    cards: dict[str, tuple[int, str]]
    digest: str


def load_splits(path: Path, clusters: int) -> Loaded:
    """Read and check the file once, in memory that does not grow with it; what is left out is counted in the log.

    Raises:
        UserError: the file is missing or malformed, or leaves a split without rows.
    """
    cards: dict[str, tuple[int, str]] = {}
    skipped: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    digest = _RowDigest()

    def noted() -> Iterator[Sample]:
        for sample in stream_samples(path, clusters, skipped):
            for card, word in zip(sample.cards, sample.keywords, strict=True):
                cards.setdefault(card, (sample.id, word))
            if sample.split == "train":
                digest.add(sample)
                trained.update(sample.cards)
            yield sample

    splits = by_split(noted(), path, SampleFile)
    log.info(
        "%s: %d train, %d val, %d test rows%s",
        path,
        *(len(rows) for rows in splits.values()),
        "".join(f", {count} {reason} left out" for reason, count in skipped.items() if count),
    )
    if seldom := seldom_trained(((card, word) for card, (_, word) in cards.items()), trained):
        log.warning("%s: %s", path, seldom)
    return Loaded(splits, cards, digest.hex())


def scratch_tokenizer(config: dict[str, Any], samples: Iterable[Sample]) -> Any:
    """A tokenizer for a backbone from scratch, learned from the training split's own texts, each distinct one once."""
    from train.models.backbones import model_class
    from train.models.prompt import train_tokenizer
    from train.models.reading import today

    reading = today()
    texts: dict[str, None] = {reading.requests[config["voice"]]: None}
    for sample in samples:
        lines = [reading.persona_text(sample.persona), *reading.pieces(sample.persona, beside_line=True)]
        words = map(spoken, sample.keywords)
        texts.update(dict.fromkeys([*lines, reading.context_text(sample.context), *words, *sample.output]))
    return train_tokenizer(list(texts), config["vocab_size"], model_class(config["model_type"]).chat.control)


def cluster_centroids(pooled: Tensor, images: list[Path], clusters: Clusters) -> Tensor:
    """(K, C) means of the pictures' pooled features (N, C) by cluster of step 3, so that any picture finds its own."""
    index = {nfc(image.name): i for i, image in enumerate(images)}
    centroids = pooled.mean(0).repeat(clusters.count, 1)
    for cluster, files in clusters.files.items():
        members = [index[nfc(name)] for name in files if nfc(name) in index]
        if members:
            centroids[cluster] = pooled[members].mean(0)
    return centroids


def digest_of_clusters(clusters: Clusters) -> str:
    members = {str(cluster): sorted(map(nfc, files)) for cluster, files in clusters.files.items()}
    return hashlib.sha256(_json([clusters.count, sorted(members.items())])).hexdigest()


class _RowDigest:
    """The digest of the JSON list of all rows added, without the list."""

    def __init__(self) -> None:
        self.digest, self.lead = hashlib.sha256(), b"["

    def add(self, s: Sample) -> None:
        self.digest.update(self.lead + _json([s.id, s.cards, s.output, s.persona.public(), s.context.public()]))
        self.lead = b", "

    def hex(self) -> str:
        self.digest.update(b"]")
        return self.digest.hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
