"""A small generative evaluation while a model trains: a few validation rows, interpreted and scored.

Greedy decoding draws no random number, so a run with it and one without train the same model.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from aac.records import Sample

if TYPE_CHECKING:
    from train.data.features import CardFeatures
    from train.data.run_data import RunData
    from train.loop.runlog import RunLog
    from train.models.network import Network

log = logging.getLogger("aac")
SHOWN = 4  # rows on the picture of samples


def drawn(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """The rows that every evaluation of a run looks at: the same ones, in a fixed order."""
    places = random.Random(f"{seed}|generation").sample(range(len(samples)), min(count, len(samples)))
    return [samples[place] for place in places]


def evaluate(model: Network, data: RunData, config: dict[str, Any]) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """`evaluate_samples` of a run's own validation rows."""
    samples = drawn(data.splits["val"], config["generation_samples"], config["seed"])
    return evaluate_samples(model, samples, data.features, data.index, config["style_labels"])


def evaluate_samples(
    model: Network,
    samples: Sequence[Sample],
    features: CardFeatures,
    card_index: Mapping[str, int],
    style_labels: bool = True,
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Interpret rows from their pictures alone, and score what comes out.

    Args:
        model: left in the mode (training or not) in which it was.
        samples: rows, from `drawn`.
        features, card_index: the run's card features, and each card's place in them.
        style_labels: False where the data's answers have no style order: no `val_style_accuracy` then.

    Returns:
        `val_<key>` for each metric that is shown in brief or that only the model can tell; and the rows as items of a
        page (`demo_page.draw_png`), without `cards`, which only the caller's folder knows.
    """
    from train.scoring.generation import answers, requests_of
    from train.scoring.registry import Shown, find
    from train.utils import metrics

    places = {card: card_index[card] for sample in samples for card in sample.cards}
    cards = {card: (features[place].to(model.device), features.sizes[place]) for card, place in places.items()}
    was_training = model.training
    model.eval()
    try:
        requests = requests_of(samples, cards)
        said = answers(model, requests, "samples", samples if style_labels else ())
    finally:
        model.train(was_training)
    predictions = [metrics.Prediction(sample, three) for sample, three in zip(samples, said.threes, strict=True)]
    scores = metrics.measure(predictions, voice=model.config["voice"]).joined(said.counts).values()
    found = {f"val_{key}": scores[key] for key in scores if key in said.counts or find(key).shown >= Shown.BRIEF}
    return found, [_item(*row) for row in zip(samples, said.threes, said.notes, strict=True)]


def _item(sample: Sample, three: list[str], notes: list[str]) -> dict[str, Any]:
    return {
        "files": sample.cards,
        "keywords": sample.keywords,
        "persona_id": sample.persona_id,
        "persona": sample.persona.age,
        "context": ", ".join(part for part in sample.context.public().values() if part),
        "candidates": three,
        "references": sample.output,
        "notes": notes,
    }


def draw_samples(path: Path, items: Sequence[dict[str, Any]], images: Path) -> Path | None:
    """The first rows as one picture, cards beside sentences; None, and why in the log, without a Korean font.

    Only where `log_samples` allows: the picture holds sentences and persona ids.
    """
    from train.pages import demo_page

    shown = [{**item, "cards": [images / name for name in item["files"]]} for item in items[:SHOWN]]
    try:
        demo_page.draw_png(path, shown)
    except UserError as error:
        log.warning("no picture of samples: %s", error)
        return None
    return path


def log_picture(run_log: RunLog, step: int, items: Sequence[dict[str, Any]], images: Path) -> None:
    """The picture into the log's folder, to TensorBoard and, where it is used, to Weights & Biases."""
    import numpy as np
    from PIL import Image

    path = draw_samples(run_log.folder / f"samples_{step}.png", items, images)
    if path is None:
        return
    with Image.open(path) as picture:
        run_log.board.add_image("samples", np.asarray(picture.convert("RGB")), step, dataformats="HWC")
    if run_log.wandb:
        import wandb

        run_log.wandb.log({"samples": wandb.Image(str(path))}, step=step)
