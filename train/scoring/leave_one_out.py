"""How far the references of a row agree with each other, and so how much agreement can be asked of a model.

Each reference is scored against the others of its row, and in its place the candidate that the set score pairs with
it: both against equally many references, since BLEU grows with their number. A model that says what the references say
gets exactly what they get; one far above them repeats itself, which `distinct3` tells. Where people wrote the
references this is the human line; where a teacher did, it is the teacher's own, and called so.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aac.io import read_json
from aac.records import Sample
from dataset.prepare.corrections import read_corrections
from train.scoring import text_metrics
from train.scoring.registry import METRICS, Material, find
from train.scoring.row import Prediction
from train.scoring.similarity import Similarity
from train.scoring.table import Table, beside

PERSON, UNKNOWN = "person", "unknown"


def writers(samples: Sequence[Sample], data: Path, corrections: Path) -> list[str]:
    """Who wrote each row's references: `person` (they stand so in the hand corrections), else the teacher of step 8
    where its record beside the data names it (`grammar`, `openai`), else `unknown`."""
    by_hand = {key: entry.output for key, entry in read_corrections(corrections).items()}
    teacher, record = UNKNOWN, data.with_name(".state.json")
    if record.is_file():
        step = read_json(record).get("8", {})
        with data.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if step.get("outputs", {}).get(data.name) == digest:
            teacher = step.get("settings", {}).get("teacher", UNKNOWN)
    return [PERSON if by_hand.get(sample.key) == sample.output else teacher for sample in samples]


def agreement(
    predictions: Sequence[Prediction],
    own: Table,
    references: Table,
    written_by: Sequence[str],
    similarity: Similarity | None = None,
) -> dict[str, Any]:
    """The references' line and the candidates' beside it.

    Args:
        predictions, own: the candidates and their table.
        references: the table of the references as if they were candidates.
        written_by: who wrote each row's references, see `writers`.
        similarity: as for the tables.

    Returns:
        `written_by`: rows of each writer; `references` and `candidates`: BLEU-4, chrF, ROUGE and the similarity left
        one out, and the components that need no reference, with intervals; the references' `gaps` are candidates -
        references, paired. Where people wrote some of the rows but not all, `person` holds the same for theirs.
    """
    mine = [text_metrics.in_place(p.three, p.sample.output) for p in predictions]
    theirs = [list(p.sample.output) for p in predictions]
    tables = [
        Table(table.ids, table.people, _alone(table) | _left_out(predictions, said, similarity))
        for table, said in ((own, mine), (references, theirs))
    ]
    counted = Counter(written_by)
    found: dict[str, Any] = {"written_by": dict(sorted(counted.items())), **_lines(*tables)}
    if PERSON in counted and len(counted) > 1:
        ids = {row for row, writer in zip(own.ids, written_by, strict=True) if writer == PERSON}
        found["person"] = _lines(*(table.only(ids) for table in tables))
    return found


def signature(references: int) -> str:
    """In the manner of `text_metrics.signatures`."""
    return f"leave_one_out|nrefs:{references - 1}|cand:in the place of the reference that the set score pairs it with"


def _alone(table: Table) -> dict[str, np.ndarray]:
    """What compares candidates with all references of their row would tell nothing of the references themselves."""
    return {key: counts for key, counts in table.counts.items() if find(key).against == "nothing"}


def _left_out(
    predictions: Sequence[Prediction], threes: Sequence[Sequence[str]], similarity: Similarity | None
) -> dict[str, np.ndarray]:
    """Counts of the text in each reference's place against the row's other references, summed over the places."""
    places = [
        Prediction(
            p.sample.model_copy(update={"output": [r for k, r in enumerate(p.sample.output) if k != place]}), [text]
        )
        for p, three in zip(predictions, threes, strict=True)
        for place, text in enumerate(three)
    ]
    firsts = np.cumsum([0, *(len(three) for three in threes[:-1])])
    material = Material(places, similarity=similarity)
    found = {}
    for metric in METRICS.values():
        if metric.against == "each" and (counts := material.counts(metric)) is not None:
            found[material.key(metric)] = np.add.reduceat(counts, firsts, axis=0)
    return found


def _lines(candidates: Table, references: Table) -> dict[str, Any]:
    return {
        "references": beside(candidates, references)
        | {"intervals": references.intervals(), "rows": len(references.ids)},
        "candidates": candidates.values() | {"intervals": candidates.intervals()},
    }
