"""What the benchmarks measure: a model over a data set, a workspace's own or a small one drawn on the spot."""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aac.io import write_json
from aac.records import Persona, Sample, load_samples, nfc
from benchmarks.common import ROOT

if TYPE_CHECKING:
    from torch import Tensor

    from train.models.batch import Batch, Row

CARDS, PLACES, PARTNERS = 24, ("학교", "집", "병원", "공원"), ("선생님", "엄마", "친구", "간호사")


def data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workspace", metavar="DIR", default=ROOT, type=Path, help="whose dataset/ is read")
    parser.add_argument("--samples", metavar="N", type=int, default=2000, help="training rows used (default: 2000)")


def load_data(workspace: Path, count: int, scratch: Path) -> tuple[list[Sample], list[Path], str]:
    """`count` training rows, their card files, and where they come from.

    Of the workspace's dataset/processed; where there is none, drawn into `scratch`.
    """
    from train.data.dataset import find_images

    root = workspace if (workspace / "dataset/processed/dataset_completed.json").exists() else draw_data(scratch, count)
    samples, _ = load_samples(root / "dataset/processed/dataset_completed.json")
    training = [sample for sample in samples if sample.split == "train"][:count]
    origin = "the workspace's data" if root == workspace else "drawn data"
    return training, find_images(training, root / "dataset/images"), f"{len(training)} rows of {origin}"


def draw_data(root: Path, count: int) -> Path:
    """A workspace of plain drawings and made-up sentences, as long as real ones: for time, not for sense."""
    from PIL import Image, ImageDraw

    images = root / "dataset/images"
    images.mkdir(parents=True, exist_ok=True)
    words = [f"낱말{chr(0xAC00 + 37 * n)}" for n in range(CARDS)]
    names = [f"{n}_{word}.png" for n, word in enumerate(words, start=1)]
    for number, name in enumerate(names):
        image = Image.new("RGB", (224, 224), "white")
        shape = ImageDraw.Draw(image)
        (shape.ellipse if number % 2 else shape.rectangle)(
            (20 + 3 * number, 40, 120 + 3 * number, 180), fill=(9 * number, 200 - 7 * number, 120)
        )
        image.save(images / name)
    draw = random.Random(0)
    rows = []
    for number in range(1, count * 3 // 2 + 40):
        cards = draw.sample(names, draw.randint(1, 4))
        said = " ".join(card.split("_")[1][:-4] for card in cards)
        place, partner = draw.choice(PLACES), draw.choice(PARTNERS)
        context = {"time": "오후", "place": place, "interaction_partner": partner, "current_activity": "쉬는 중"}
        persona = Persona.parse({"age": draw.choice(["아동", "성인"]), "gender": "여성"}).public()
        output = [f"{said} 하고 싶어요.", f"{partner}, {said} 어때요?", f"지금 {place}에서 {said} 주세요."]
        source = {"persona": persona, "context": context, "AAC_card_combination": cards}
        rows.append({"id": number, "persona_id": 1 + number % 9, "input": source, "output": output})
    write_json(root / "dataset/processed/dataset_completed.json", rows, None)
    groups = {str(k): names[k::6] for k in range(6)}
    write_json(root / "dataset/processed/clustering_results.json", {"n_clusters": 6, "clustered_files": groups})
    return root


class Stage:
    """A model, its pictures (`views`, as the processor gives them) and what is cached of them (`features`)."""

    def __init__(self, model: Any, features: Any, views: Tensor) -> None:
        self.model, self.config, self.features, self.views = model, model.config, features, views
        self.clusters = model.image_clusters([features[i] for i in range(len(views))]).cpu()

    def collate(self, rows: Sequence[Row]) -> Batch:
        from train.models.batch import collate

        return collate(rows, self.model.encoder, self.clusters)

    def cached(self, batch: Batch) -> tuple[list[Tensor], list[tuple[int, int]]]:
        return self.features.batch(batch.images, self.config["device"])

    def encoded(self, pictures: Sequence[int]) -> tuple[list[Tensor], list[tuple[int, int]]]:
        """The tower run on these pictures now, frozen."""
        import torch

        from train.models import backbones

        sizes = [self.features.image_sizes[picture] for picture in pictures]
        with torch.no_grad():
            pixels = self.views[list(pictures)].to(self.config["device"])
            return backbones.encode_cards(self.model.backbone, pixels, sizes), sizes

    def every_card_apart(self, batch: Batch) -> Batch:
        """The batch as if no two rows shared a picture: `images` names one for each place where it stands."""
        cards = batch.cards.clone()
        there = cards >= 0
        pictures = [batch.images[card] for card in cards[there].tolist()]
        cards[there] = cards.new_tensor(range(len(pictures)))
        return replace(batch, cards=cards, images=pictures)


class Subject(Stage):
    """A model built from `config` over rows of data; `data` are its rows."""

    def __init__(self, config: dict[str, Any], samples: Sequence[Sample], cards: Sequence[Path], folder: Path) -> None:
        import torch

        from aac.pictures import open_picture
        from train.data.dataset import AACDataset
        from train.data.features import CardFeatures
        from train.data.loading import scratch_tokenizer
        from train.models.aac_multimodal_model import AACMultimodalModel

        tokenizer = scratch_tokenizer(config, samples) if config["backbone"] else None
        torch.manual_seed(0)
        model = AACMultimodalModel.build(config, tokenizer)
        model.to(config["device"])
        features = CardFeatures(model, cards, folder)
        model.centroids = features.pooled[: min(8, len(cards))].to(config["device"])
        views, _ = model.processor.images([open_picture(card) for card in cards])
        super().__init__(model, features, views)
        index = {nfc(card.name): index for index, card in enumerate(cards)}
        counts = [model.processor.num_tokens(size) for size in features.image_sizes]
        drops = {name: config[f"{name}_dropout"] for name in ("persona", "context", "keyword")}
        self.data = AACDataset(samples, model.encoder, index, counts, drops, max_length=config["max_length"])


@contextmanager
def plain_layers(backbone: Any) -> Iterator[None]:
    """transformers' own decoder layers with SDPA, instead of ours over the same weights."""
    from transformers.models.phi3.modeling_phi3 import Phi3DecoderLayer

    layers, ours = backbone.model.layers, backbone.config._attn_implementation
    kind = type(layers[0])
    backbone.set_attn_implementation("sdpa")
    for layer in layers:
        layer.__class__ = Phi3DecoderLayer
    try:
        yield
    finally:
        backbone.set_attn_implementation(ours)
        for layer in layers:
            layer.__class__ = kind


def row_batches(subject: Subject, size: int, bucketing: bool) -> Iterator[list[Row]]:
    """Rows of the sampler's batches, epoch after epoch."""
    from train.data.dataset import BucketedBatches

    count = len(subject.data)
    lengths = [subject.data[i].length for i in range(count)] if bucketing else [0] * count
    batches = BucketedBatches(lengths, size, accumulation=1, seed=1)
    for epoch in itertools.count():
        batches.epoch = epoch
        for indices in batches:
            yield [subject.data[i] for i in indices]


def apart(row: Row) -> list[Row]:
    """A row with three answers as three rows."""
    pairs = zip(row.answers, row.styles, strict=True)
    return [replace(row, answers=[answer], styles=[style]) for answer, style in pairs]
