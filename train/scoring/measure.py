"""Scores of three candidates a row against references, cards, persona and context, each with a 95 % interval.

`text_metrics` and `aac_metrics` say what each number means. BLEU and chrF run 0–100, the rest 0–1. Nothing is averaged
over unlike things: a high BLEU does not repair a wrong polarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aac.io import UserError
from aac.records import Sample
from train.scoring import aac_metrics, text_metrics
from train.scoring.row import Prediction, person_key, row_key
from train.scoring.similarity import Similarity
from train.scoring.table import RESAMPLES, Table, column


def measure(
    predictions: Sequence[Prediction],
    habits: aac_metrics.Habits | None = None,
    voice: str = "first",
    similarity: Similarity | None = None,
) -> Table:
    """Every metric's counts, a row a prediction.

    Args:
        predictions: in any order; the order changes nothing.
        habits: what training rows look like; without it `complexity`, `vocabulary` and `persona_consistency` are
            absent.
        voice: `first`, or `third` for notes about the person.
        similarity: the backend of `semantic_similarity[...]`, absent without one.

    Raises:
        UserError: there is nothing to score.
    """
    if not predictions:
        raise UserError("no rows to score: the predictions are empty")
    rows = [_row(p.sample, p.three, voice) for p in predictions]
    if habits:
        for row, p in zip(rows, predictions, strict=True):
            row["complexity"] = float(np.mean([habits.complexity(text, p.sample) for text in p.three]))
            row["vocabulary"] = float(np.mean([habits.vocabulary(text, p.sample) for text in p.three]))
            parts = [row[key] for key in ("complexity", "voice", "interest", "vocabulary")]
            row["persona_consistency"] = float(np.mean([part for part in parts if not np.isnan(part)]))
    firsts = [p.three[0] for p in predictions]
    references = [p.sample.output for p in predictions]
    counts = {
        **{key: text_metrics.bleu_counts(firsts, references, key) for key in text_metrics.BLEUS},
        "chrf": text_metrics.chrf_counts(firsts, references),
        "register_macro": np.array([aac_metrics.level_recalls(p.three, p.sample.output) for p in predictions]),
    }
    counts |= {key: column([row[key] for row in rows]) for key in rows[0]}
    relevance = aac_metrics.context_relevance([p.sample for p in predictions], [p.three for p in predictions])
    if relevance is not None:
        counts["context_relevance"] = column(relevance)
    if similarity:
        counts[f"semantic_similarity[{similarity.name}]"] = column(similarity.scores(firsts, references))
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


def _row(sample: Sample, three: list[str], voice: str) -> dict[str, float]:
    """The metrics that are means over rows. Faithfulness is asked of all three candidates: a user may pick any."""
    words = sample.keywords
    covered = [aac_metrics.coverage(text, words) for text in three]
    kept = [aac_metrics.polarity(text, words) for text in three]
    added = [aac_metrics.addition(text, sample) for text in three]
    return {
        **text_metrics.rouge(three[0], sample.output),
        **text_metrics.set_scores(three, sample.output),
        **text_metrics.diversity(three),
        "card_coverage": covered[0],
        "card_coverage_all": float(np.mean(covered)),
        "polarity": float(np.mean(kept)),
        "polarity_worst": min(kept),
        "addition": float(np.mean(added)),
        "addition_worst": min(added),
        "illocution": aac_metrics.illocution(three, words),
        "register_accuracy": aac_metrics.register_accuracy(three, sample.output),
        "register": aac_metrics.register(three, sample),
        "voice": float(np.mean([aac_metrics.voice(text, sample, voice) for text in three])),
        "interest": aac_metrics.interest(three, sample),
    }
