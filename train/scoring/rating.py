"""What people's filled rating sheets say of two systems: paired shares with intervals, and how far raters agree.

`rating_sheet.py` writes the sheet. The two files of predictions tell who said what.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from aac.gate import comparable
from aac.io import UserError
from aac.records import Sample
from train.scoring.comparison import show_differences
from train.scoring.registry import METRICS, column
from train.scoring.row import person_key, row_key
from train.scoring.table import Table

MEANINGS = {key: METRICS[key].name for key in ("same", "reversed", "added", "other")}
TICKS = {key: METRICS[key].name for key in ("wrong_register", "would_offer")}
COLUMNS = ("row", "number", "cards", "person", "situation", "sentence", "meaning", *TICKS)
_YES, _NO = ("1", "x", "y", "yes", "예", "o"), ("", "0", "n", "no", "아니요")
Judgement = dict[str, Any]  # `meaning`, and a bool for each of TICKS


def read_sheet(path: Path) -> dict[tuple[str, str], Judgement]:
    """The judgements of a filled sheet by (row, comparable sentence); lines without a meaning are not rated yet.

    Raises:
        UserError: not such a sheet, or an answer that is none of those offered.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; give a filled rating_sheet.csv") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; save the sheet as 'CSV UTF-8'") from None
    if not rows or not {"row", "sentence", "meaning", *TICKS} <= set(rows[0]):
        raise UserError(f"{path}: not a rating sheet; its columns are {', '.join(COLUMNS)}")
    codes = {name: code for code, name in MEANINGS.items()} | {code: code for code in MEANINGS}
    found: dict[tuple[str, str], Judgement] = {}
    for number, row in enumerate(rows, start=2):
        meaning = (row["meaning"] or "").strip()
        if not meaning:
            continue
        if meaning not in codes:
            raise UserError(f"{path}: line {number}: 'meaning' is {meaning!r}; write one of {', '.join(MEANINGS)}")
        judged: Judgement = {"meaning": codes[meaning]}
        for tick in TICKS:
            told = (row[tick] or "").strip().lower()
            if told not in _YES and told not in _NO:
                raise UserError(f"{path}: line {number}: {tick!r} is {told!r}; write 1 or leave it empty")
            judged[tick] = told in _YES
        found[row["row"].strip(), comparable(row["sentence"] or "")] = judged
    if not found:
        raise UserError(f"{path}: nothing is rated yet; fill in the column 'meaning'")
    return found


def sum_up(
    sheets: Sequence[Path], samples: Sequence[Sample], one: Sequence[Sequence[str]], other: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """What the raters say of both systems.

    Returns:
        `rows` and `sentences` rated, `left_out` (rows that no rater finished for both systems), `differences`: for each
        category the shares of A and B, the paired gap and its 95 % interval by persona; `agreement` between raters
        (absent with one): the share of equal answers, and Cohen's kappa.

    Raises:
        UserError: a sheet is damaged, or not of these predictions.
    """
    raters = [read_sheet(path) for path in sheets]
    said = {(str(s.id), comparable(text)) for s, a, b in zip(samples, one, other, strict=True) for text in (*a, *b)}
    for path, judged in zip(sheets, raters, strict=True):
        if strange := judged.keys() - said:
            row = min(strange)[0]
            raise UserError(
                f"{path}: row {row} holds a sentence that neither file of predictions has ({len(strange)} such lines); "
                "give the two files that the sheet was made of, with the same --data and --split"
            )
    kept = []
    for sample, a, b in zip(samples, one, other, strict=True):
        shares = [_row_shares(str(sample.id), three, raters) for three in (a, b)]
        if all(share is not None for share in shares):
            kept.append((sample, shares))
    if not kept:
        raise UserError("no row is rated for both systems yet; rate all sentences of a row")
    tables = [_table([(sample, shares[side]) for sample, shares in kept]) for side in (0, 1)]
    found: dict[str, Any] = {
        "raters": len(raters),
        "rows": len(kept),
        "left_out": len(samples) - len(kept),
        "sentences": len(set().union(*raters)),
        "differences": {key: gap.public() for key, gap in tables[0].minus(tables[1]).items()},
    }
    if len(raters) > 1:
        found["agreement"] = agreement(raters)
    return found


def _row_shares(row: str, three: Sequence[str], raters: Sequence[dict[Any, Judgement]]) -> dict[str, float] | None:
    """Shares of a system's three sentences in each category, mean over the raters who judged all of them."""
    keys = [(row, comparable(text)) for text in three if comparable(text).strip("?")]
    whole = [[judged[key] for key in keys] for judged in raters if all(key in judged for key in keys)]
    if not whole or not keys:
        return None
    given = [one for judgements in whole for one in judgements]
    shares = {meaning: np.mean([one["meaning"] == meaning for one in given]) for meaning in MEANINGS}
    return {
        key: float(value) for key, value in (shares | {t: np.mean([one[t] for one in given]) for t in TICKS}).items()
    }


def _table(rows: Sequence[tuple[Sample, dict[str, float]]]) -> Table:
    counts = {key: column([shares[key] for _, shares in rows]) for key in rows[0][1]}
    return Table([row_key(sample) for sample, _ in rows], [person_key(sample) for sample, _ in rows], counts)


def agreement(raters: Sequence[dict[tuple[str, str], Judgement]]) -> dict[str, Any]:
    """For each question: sentences judged by two raters, their share of equal answers, and agreement beyond chance.

    `kappa` (Cohen 1960) is over all pairs of raters; `alpha` (Krippendorff, as nltk computes it) over all raters at
    once, each judging what they did. None where chance alone would agree always.
    """
    from nltk.metrics.agreement import AnnotationTask

    found = {}
    for question in ("meaning", *TICKS):
        pairs = [
            (first[key][question], second[key][question])
            for first, second in combinations(raters, 2)
            for key in sorted(first.keys() & second.keys())
        ]
        if not pairs:
            continue
        equal = float(np.mean([a == b for a, b in pairs]))
        values = {value for pair in pairs for value in pair}
        chance = sum(np.mean([a == v for a, _ in pairs]) * np.mean([b == v for _, b in pairs]) for v in values)
        kappa = float((equal - chance) / (1 - chance)) if chance < 1 else None
        told = [
            (str(rater), key, judged[key][question])
            for rater, judged in enumerate(raters)
            for key in judged
            if sum(key in other for other in raters) > 1  # one judgement alone agrees with nobody
        ]
        alpha = float(AnnotationTask(told).alpha()) if len(values) > 1 else None
        found[question] = {"sentences": len(pairs), "equal": equal, "kappa": kappa, "alpha": alpha}
    return found


def show(result: dict[str, Any], names: Sequence[str]) -> None:
    """A short table in the terminal."""
    print(f"A {names[0]}\nB {names[1]}\n{result['rows']} rows by {result['raters']} raters, paired", end="")
    print(f"; {result['left_out']} rows not rated whole are left out" if result["left_out"] else "")
    show_differences(result["differences"])
    for question, told in result.get("agreement", {}).items():
        kappa, alpha = ("–" if told[key] is None else f"{told[key]:.2f}" for key in ("kappa", "alpha"))
        print(
            f"agreement on {question}: {told['equal']:.2f} of {told['sentences']} sentences, "
            f"kappa {kappa}, alpha {alpha}"
        )
