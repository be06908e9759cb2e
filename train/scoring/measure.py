"""Scores of three candidates a row against references, cards, persona and context, each with a 95 % interval.

`text_metrics` and `aac_metrics` say what each number means. BLEU and chrF run 0–100, the rest 0–1. Nothing is averaged
over unlike things: a high BLEU does not repair a wrong polarity.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from aac.io import UserError
from aac.records import Sample
from train.scoring import text_metrics
from train.scoring.aac_metrics import Habits
from train.scoring.registry import METRICS, Material
from train.scoring.row import Prediction, person_key, row_key
from train.scoring.similarity import Similarity, choose
from train.scoring.table import RESAMPLES, Table

log = logging.getLogger("aac")
HABIT_ROWS = 4000  # that lengths, vocabulary and idf are learned from: more change the third digit, and cost seconds


class Scorer:
    """Scores what is said of the same rows again and again; everything is fitted or loaded once.

    Args:
        samples: the rows.
        learned: training rows, from which is read what is usual.
        voice: see `Material`.
        model: of the similarity; with `explicit` somebody asked for this very one (see `similarity.choose`).
    """

    def __init__(
        self, samples: Sequence[Sample], learned: Sequence[Sample], voice: str, model: str, explicit: bool = False
    ) -> None:
        self.samples, self.voice = samples, voice
        if len(learned) > HABIT_ROWS:
            log.info("What is usual is read from %d of the %d training rows", HABIT_ROWS, len(learned))
            learned = random.Random(0).sample(learned, HABIT_ROWS)
        if not learned:
            log.warning(
                "no training rows, so complexity, vocabulary, persona_consistency and the nearest neighbour are left "
                "out, and the lexical similarity learns from the scored rows"
            )
        texts = [text for sample in learned or samples for text in sample.output]
        self.similarity = choose(model, explicit, texts)
        self.habits = Habits(learned) if learned else None

    def predictions(self, threes: Sequence[Sequence[str]]) -> list[Prediction]:
        """Three sentences a row as predictions."""
        return [Prediction(sample, list(three)) for sample, three in zip(self.samples, threes, strict=True)]

    def table(self, predictions: Sequence[Prediction]) -> Table:
        """The counts of what is said of the rows."""
        return measure(predictions, self.habits, self.voice, self.similarity)


def measure(
    predictions: Sequence[Prediction],
    habits: Habits | None = None,
    voice: str = "first",
    similarity: Similarity | None = None,
) -> Table:
    """Every metric's counts, a row a prediction.

    Args:
        predictions: in any order; the order changes nothing.
        habits, voice, similarity: what metrics may consult, see `Material`.

    Raises:
        UserError: there is nothing to score.
    """
    if not predictions:
        raise UserError("no rows to score: the predictions are empty")
    material = Material(predictions, habits, voice, similarity)
    counts = {}
    for metric in METRICS.values():
        if (made := material.counts(metric)) is not None:
            counts[material.key(metric)] = made
    samples = [p.sample for p in predictions]
    return Table([row_key(s) for s in samples], [person_key(s) for s in samples], counts)


def summary(
    table: Table,
    predictions: Sequence[Prediction],
    seed: int = 0,
    bootstrap: int = RESAMPLES,
    similarity: Similarity | None = None,
) -> dict[str, Any]:
    """The scores of a table of all these predictions.

    Args:
        table, predictions: in one order.
        seed: of the bootstrap.
        bootstrap: resamples of the personas for `intervals`; 0 leaves them out, and so does a single persona.
        similarity: as for `measure`.

    Returns:
        Flat numbers; `intervals`: key to [low, high]; `multi`: the same numbers for the rows with two to four cards;
        `signatures`. A key whose question arises in no row (`interest` without topics) is absent.
    """
    result: dict[str, Any] = table.values()
    several = np.array([len(p.sample.cards) > 1 for p in predictions])
    result["multi"] = table.values(several) if several.any() else {}
    intervals = table.intervals(bootstrap, seed)
    if intervals:
        result["intervals"] = {key: span for key, span in intervals.items() if key in result}
    result["signatures"] = text_metrics.signatures(len(predictions[0].sample.output))
    if similarity:
        result["signatures"][f"semantic_similarity[{similarity.name}]"] = similarity.signature
    return result
