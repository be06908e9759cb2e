"""Scores of three candidates a row against references, cards, persona and context, each with a 95 % interval.

`score` is the one entry; `text_metrics` and `aac_metrics` say what each number means. BLEU and chrF run 0–100, the
rest 0–1. Nothing is averaged over unlike things: a high BLEU does not repair a wrong polarity.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aac.gate import comparable
from aac.io import UserError
from aac.korean import analyse, covers, speech_level
from aac.records import INTERPRETATIONS, Sample, nfc
from train.scoring import aac_metrics, text_metrics
from train.scoring.similarity import Similarity
from train.scoring.table import RESAMPLES, Table, column


@dataclass
class Prediction:
    """A row and what a model says of it, best first."""

    sample: Sample
    candidates: list[str]

    @property
    def three(self) -> list[str]:
        """Exactly three texts; an empty one, or one without a letter, is an empty string."""
        texts = [nfc(text) if comparable(text).strip("?") else "" for text in self.candidates[:INTERPRETATIONS]]
        return texts + [""] * (INTERPRETATIONS - len(texts))


def score(
    predictions: Sequence[Prediction],
    seed: int = 0,
    bootstrap: int = RESAMPLES,
    fit_on: Sequence[Sample] | None = None,
    voice: str = "first",
    similarity: Similarity | None = None,
) -> dict[str, Any]:
    """All metrics of a set of predictions.

    Args:
        predictions: in any order; the order changes nothing.
        seed: of the bootstrap.
        bootstrap: resamples of the personas for `intervals`; 0 leaves them out, and so does a single persona.
        fit_on, voice, similarity: see `measure`.

    Returns:
        Flat numbers; `intervals`: key to [low, high]; `multi`: the same numbers for the rows with two to four cards;
        `signatures`. A key whose question arises in no row (`interest` without topics) is absent.

    Raises:
        UserError: there is nothing to score.
    """
    habits = aac_metrics.Habits(fit_on) if fit_on else None
    return summary(measure(predictions, habits, voice, similarity), predictions, seed, bootstrap, similarity)


def measure(
    predictions: Sequence[Prediction],
    habits: aac_metrics.Habits | None = None,
    voice: str = "first",
    similarity: Similarity | None = None,
) -> Table:
    """Every metric's counts, a row a prediction.

    Args:
        predictions: see `score`.
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
    """What `score` returns, of a table already measured."""
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


def row_key(sample: Sample) -> str:
    """The row's id with a digest of all that it holds: rows of other data are never taken for the same."""
    return f"{sample.id}-{hashlib.sha256(sample.model_dump_json().encode()).hexdigest()[:8]}"


def person_key(sample: Sample) -> str:
    """Whose row it is: the persona's id, or, without one, a digest of its fields (never the fields themselves)."""
    if sample.persona_id is not None:
        return str(sample.persona_id)
    return hashlib.sha256(sample.persona.model_dump_json().encode()).hexdigest()[:12]


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


# Josa that differ by the sound before them only: a skeleton is the same with either.
_ALLOMORPHS = {"를": "을", "가": "이", "는": "은", "와": "과", "로": "으로", "랑": "이랑", "나": "이나", "야": "아"}


def references_report(samples: Sequence[Sample]) -> dict[str, Any]:
    """How varied and how regular a data set's references are.

    Returns:
        `rows`; `distinct_share` of the references; `largest_skeleton` and its `largest_skeleton_share`: a skeleton is
        the morphemes of a reference with every content word of the cards as □ and the sound variants of josa merged;
        `levels`: share of each speech level; `card_coverage`: mean over all references.

    Raises:
        UserError: there are no rows.
    """
    if not samples:
        raise UserError("no rows to report on")
    texts = [(text, sample.keywords) for sample in samples for text in sample.output]
    skeletons = Counter(_skeleton(text, keywords) for text, keywords in texts)
    skeleton, often = min(skeletons.most_common(), key=lambda pair: (-pair[1], pair[0]))
    levels = Counter(speech_level(text) for text, _ in texts)
    return {
        "rows": len(samples),
        "distinct_share": len({comparable(text) for text, _ in texts}) / len(texts),
        "largest_skeleton": skeleton,
        "largest_skeleton_share": often / len(texts),
        "levels": {level: number / len(texts) for level, number in sorted(levels.items())},
        "card_coverage": float(np.mean([aac_metrics.coverage(text, keywords) for text, keywords in texts])),
    }


_CONTENT_TAGS = frozenset({"NNG", "NNP", "NP", "NR", "VV", "VA", "MAG", "MM", "IC", "XR", "SL", "SN"})


def _skeleton(text: str, keywords: Sequence[str]) -> str:
    parts = []
    for form, tag in analyse(text):
        word = f"{form}다" if tag in ("VV", "VA") else form
        card = tag in _CONTENT_TAGS and any(covers(word, keyword) for keyword in keywords)
        parts.append("□" if card else _ALLOMORPHS.get(form, form) if tag.startswith("J") else form)
    return " ".join(parts)
