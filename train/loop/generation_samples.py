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
    from train.scoring.row import Prediction

log = logging.getLogger("aac")
SHOWN = 4  # rows on the picture of samples


def drawn(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """The rows that every evaluation of a run looks at: the same ones, in a fixed order."""
    indices = random.Random(f"{seed}|generation").sample(range(len(samples)), min(count, len(samples)))
    return [samples[index] for index in indices]


def evaluate(model: Network, data: RunData, config: dict[str, Any]) -> tuple[dict[str, float], list[Prediction]]:
    """`evaluate_samples` of a run's own validation rows."""
    samples = drawn(data.splits["val"], config["generation_samples"], config["seed"])
    return evaluate_samples(model, samples, data.features, data.index, config["style_labels"])


def evaluate_samples(
    model: Network,
    samples: Sequence[Sample],
    features: CardFeatures,
    card_index: Mapping[str, int],
    style_labels: bool = True,
) -> tuple[dict[str, float], list[Prediction]]:
    """Interpret rows from their pictures alone, and score what comes out.

    Args:
        model: left in the mode (training or not) in which it was.
        samples: rows, from `drawn`.
        features, card_index: the run's card features, and each card's index in them.
        style_labels: False where the data's answers have no style order: no `val_style_accuracy` then.

    Returns:
        `val_<key>` for each metric that is shown in brief or that only the model can tell; and what was said.
    """
    from train.interpreter.requests import EncodedCard
    from train.scoring.generation import answers, requests_of
    from train.scoring.registry import Shown, find
    from train.utils import metrics

    indices = {card: card_index[card] for sample in samples for card in sample.cards}
    cards = {
        card: EncodedCard(features[index].to(model.device), features.image_sizes[index], None)
        for card, index in indices.items()
    }
    was_training = model.training
    model.eval()
    try:
        requests = requests_of(samples, cards, voice=model.config["voice"])
        said = answers(model, samples, requests, "samples", style_labels)
    finally:
        model.train(was_training)
    scores = metrics.measure(said.predictions, voice=model.config["voice"]).joined(said.counts).values()
    found = {f"val_{key}": scores[key] for key in scores if key in said.counts or find(key).shown >= Shown.BRIEF}
    return found, said.predictions


def draw_samples(path: Path, predictions: Sequence[Prediction], images: Path) -> Path | None:
    """The first rows as one picture, cards beside sentences; None, and why in the log, without a Korean font.

    Only where `log_samples` allows: the picture holds sentences and persona ids.
    """
    from train.pages import demo_picture

    try:
        demo_picture.draw_png(path, predictions[:SHOWN], images)
    except UserError as error:
        log.warning("no picture of samples: %s", error)
        return None
    return path


def log_picture(run_log: RunLog, step: int, predictions: Sequence[Prediction], images: Path) -> None:
    """The picture into the log's folder, to TensorBoard and, where it is used, to Weights & Biases."""
    import numpy as np
    from PIL import Image

    path = draw_samples(run_log.folder / f"samples_{step}.png", predictions, images)
    if path is None:
        return
    with Image.open(path) as picture:
        run_log.board.add_image("samples", np.asarray(picture.convert("RGB")), step, dataformats="HWC")
    if run_log.wandb:
        import wandb

        run_log.wandb.log({"samples": wandb.Image(str(path))}, step=step)
