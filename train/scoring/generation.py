"""What a model says of rows: their cards encoded once, then candidates in batches, and what only the model can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aac.records import INTERPRETATIONS, Sample, nfc
from train.interpreter.candidates import Source
from train.scoring.registry import written_by
from train.scoring.row import Prediction

if TYPE_CHECKING:
    from torch import Tensor

    from train.interpreter.candidates import Candidate
    from train.interpreter.requests import EncodedCard, Request
    from train.models.network import Network

    Cards = Mapping[str, EncodedCard]  # by file name

BATCH = 32


@dataclass
class Answers:
    """What a system says of rows.

    Attributes:
        predictions: one a row.
        counts: metrics that only the model can tell, [rows, m] each.
    """

    predictions: list[Prediction]
    counts: dict[str, np.ndarray] = field(default_factory=dict)


def answers(
    model: Network, samples: Sequence[Sample], requests: Sequence[Request], what: str, styles: bool = False
) -> Answers:
    """The model's.

    Args:
        model: left as it was.
        samples, requests: rows, and what is asked of them (see `requests_of`).
        what: a word for the progress bar.
        styles: read the styles of the rows' reference answers, too.
    """
    from train.interpreter.answering import interpret_parsed

    rows = interpret_parsed(model, requests, confidence=False, what=what)
    counts = sources(rows)
    if styles:
        counts["style_accuracy"] = _styles_read(model, samples, requests)
    told = [
        Prediction(sample, [c.text for c in row], [c.source for c in row if c.source is not Source.MODEL])
        for sample, row in zip(samples, rows, strict=True)
    ]
    return Answers(told, counts)


def sources(rows: Sequence[Sequence[Candidate]]) -> dict[str, np.ndarray]:
    """Who wrote each row's candidates: counts [rows, (sentences, candidates)] for each source, and for all that are not
    the model."""

    def counted(written: Callable[[Source], bool]) -> np.ndarray:
        return np.array([(sum(written(c.source) for c in row), len(row)) for row in rows])

    found = {written_by(source): counted(lambda s, source=source: s is source) for source in Source}
    return found | {"not_from_model": counted(lambda s: not s.from_model)}


def encode_cards(model: Network, samples: Sequence[Sample], images: Path) -> Cards:
    """The samples' distinct cards, each encoded once.

    Raises:
        UserError: a card's picture is missing or unreadable.
    """
    from aac.pictures import open_picture
    from train.data.dataset import find_images
    from train.interpreter.requests import encode_pictures

    encoded: dict[str, EncodedCard] = {}
    paths = find_images(samples, images)
    for first in range(0, len(paths), BATCH):
        group = paths[first : first + BATCH]
        cards = encode_pictures(model, [open_picture(path) for path in group])
        encoded |= {nfc(path.name): card for path, card in zip(group, cards, strict=True)}
    return encoded


def requests_of(samples: Sequence[Sample], cards: Cards, keywords: bool = False, voice: str = "first") -> list[Request]:
    """Rows to requests; with `keywords` the cards' words stand beside their pictures. `voice`: the model's."""
    from train.interpreter.requests import Request

    return [
        Request(
            features=[cards[card].features for card in sample.cards],
            image_sizes=[cards[card].image_size for card in sample.cards],
            persona=sample.persona,
            context=sample.context,
            keywords=list(sample.keywords) if keywords else None,
            voice=voice,
            readings=[reading for card in sample.cards if (reading := cards[card].reading)],
        )
        for sample in samples
    ]


def _styles_read(model: Network, samples: Sequence[Sample], requests: Sequence[Request]) -> np.ndarray:
    """How many styles of the reference answers the classifier reads without being told any: [rows, (right, answers)].

    Chance is one in three.
    """
    import torch

    from train.interpreter.batches import in_batches
    from train.interpreter.decoding import Prefilled
    from train.interpreter.requests import prompt_batch

    @torch.inference_mode()
    def work(rows: list[int]) -> Tensor:
        texts = [text for row in rows for text in samples[row].output]
        session = Prefilled(model, *prompt_batch(model, [requests[row] for row in rows]))
        return session.style_confidence(texts).argmax(-1).view(-1, INTERPRETATIONS).cpu()

    counts = np.zeros((len(samples), 2))
    for rows, read in in_batches(model, requests, range(len(samples)), work):
        counts[rows, 0], counts[rows, 1] = (read == torch.arange(INTERPRETATIONS)).sum(1), INTERPRETATIONS
    return counts


def blank_card(model: Network) -> tuple[Tensor, tuple[int, int]]:
    """Features and size of a white picture: what a model sees where only the words of the cards are told."""
    from PIL import Image

    features, image_sizes = model.encode_images([Image.new("RGB", (224, 224), "white")])
    return features[0], image_sizes[0]
