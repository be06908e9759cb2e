"""What a run reads before it starts: samples by split, a tokenizer from their texts, clusters of their cards."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset.prepare.records import Clusters, Sample, Split, by_split, load_samples, nfc

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("aac")


def load_splits(path: Path, clusters: int) -> dict[Split, list[Sample]]:
    """Samples by split; rows that the teacher failed are counted and left out.

    Raises:
        UserError: the file is missing or malformed, or leaves a split without rows.
    """
    samples, skipped = load_samples(path, clusters)
    splits = by_split(samples, path)
    log.info(
        "%s: %d train, %d val, %d test rows%s",
        path,
        *(len(rows) for rows in splits.values()),
        "".join(f", {count} {reason} left out" for reason, count in skipped.items()),
    )
    return splits


def scratch_tokenizer(config: dict[str, Any], samples: list[Sample]) -> Any:
    """A tokenizer for a backbone from scratch, learned from the training split's own texts, each distinct one once."""
    from train.models.prompt import context_text, persona_text, request_text, train_tokenizer

    texts: dict[str, None] = {request_text(config["voice"]): None}
    for sample in samples:
        persona = sample.persona
        lines = [persona_text(persona), persona.communication_characteristics, *persona.interesting_topics]
        texts.update(dict.fromkeys([*lines, context_text(sample.context), *sample.keywords, *sample.output]))
    return train_tokenizer(list(texts), config["vocab_size"])


def cluster_centroids(pooled: Tensor, pictures: list[Path], clusters: Clusters) -> Tensor:
    """(K, C) means of the pictures' pooled features (N, C) by cluster of step 3, so that any picture finds its own."""
    place = {nfc(picture.name): i for i, picture in enumerate(pictures)}
    centroids = pooled.mean(0).repeat(clusters.count, 1)
    for cluster, files in clusters.files.items():
        members = [place[nfc(name)] for name in files if nfc(name) in place]
        if members:
            centroids[cluster] = pooled[members].mean(0)
    return centroids


def digest_of_clusters(clusters: Clusters) -> str:
    members = {str(cluster): sorted(map(nfc, files)) for cluster, files in clusters.files.items()}
    return _digest([clusters.count, sorted(members.items())])


def digest_of_rows(samples: list[Sample]) -> str:
    """Names the training rows in their order: a position in the data means nothing over other rows."""
    return _digest([[s.id, s.cards, s.output, s.persona.public(), s.context.public()] for s in samples])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
