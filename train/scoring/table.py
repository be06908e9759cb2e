"""Counts of every metric, a row each: scores, 95 % intervals, paired differences and the report all add them up.

Intervals are percentile bootstraps over personas: rows of one person are alike, so persons are drawn, not rows. For a
difference the same persons are drawn for both sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aac.io import UserError, read_lines, write_atomic
from train.scoring import text_metrics

RESAMPLES = 1000


def _quotient(counts: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return counts[..., 0] / counts[..., 1]


def _macro_recall(counts: np.ndarray) -> np.ndarray:
    """Mean recall over the levels that occur: a constant level earns 1 / levels."""
    wanted, met = np.split(counts, 2, axis=-1)
    occurring = wanted > 0
    with np.errstate(invalid="ignore"):
        return (met / np.maximum(wanted, 1) * occurring).sum(axis=-1) / occurring.sum(axis=-1)


# What summed counts [..., m] of a metric say; every other metric is a mean of rows, kept as (sum, rows that count).
_VALUES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    **dict.fromkeys(text_metrics.BLEUS, text_metrics.bleu),
    "chrf": text_metrics.chrf,
    "register_macro": _macro_recall,
}


class Difference(NamedTuple):
    """A metric of two systems on the same rows: `gap` = `first` - `second`; `low`, `high` bound it (NaN: unknown)."""

    first: float
    second: float
    gap: float
    low: float
    high: float

    def public(self) -> dict[str, float | None]:
        """For JSON, which knows no NaN."""
        return {name: None if np.isnan(value) else value for name, value in self._asdict().items()}


@dataclass(frozen=True)
class Table:
    """`counts[key]`: [rows, m], in the order of `ids` (see `row_key`), whose speakers are `people`."""

    ids: list[str]
    people: list[str]
    counts: dict[str, np.ndarray]

    def values(self, rows: np.ndarray | None = None) -> dict[str, float]:
        """Each metric over the rows chosen (bool [rows]; None: all); those whose question never arises are absent."""
        chosen = np.ones(len(self.ids), dtype=bool) if rows is None else rows
        found = {key: float(_value(key, counts[chosen].sum(axis=0))) for key, counts in self.counts.items()}
        return {key: value for key, value in found.items() if not np.isnan(value)}

    def row(self, place: int) -> dict[str, float]:
        """The means of one row."""
        return {
            key: float(counts[place, 0] / counts[place, 1])
            for key, counts in self.counts.items()
            if key not in _VALUES and counts[place, 1]
        }

    def intervals(self, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, list[float]]:
        """[low, high] of each metric; empty where all rows are one person's."""
        spans = {}
        for key, drawn in self._drawn(list(self.counts), resamples, seed).items():
            if not np.isnan(drawn).all():
                spans[key] = _span(drawn)
        return spans

    def minus(self, other: Table, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Difference]:
        """Paired differences of the metrics that both tables have.

        Raises:
            UserError: the tables do not hold the same rows of the same people.
        """
        if (self.ids, self.people) != (other.ids, other.people):
            raise UserError("a paired difference needs the same rows of the same people on both sides")
        own, its = self.values(), other.values()
        keys = [key for key in own if key in its]
        first, second = self._drawn(keys, resamples, seed), other._drawn(keys, resamples, seed)
        found = {}
        for key in keys:
            gaps = first[key] - second[key] if first else np.array([np.nan])
            low, high = _span(gaps) if not np.isnan(gaps).all() else (float("nan"), float("nan"))
            found[key] = Difference(own[key], its[key], own[key] - its[key], low, high)
        return found

    def _drawn(self, keys: list[str], resamples: int, seed: int) -> dict[str, np.ndarray]:
        """Each metric in every resample of the people."""
        names = sorted(set(self.people))
        if len(names) < 2 or not resamples:
            return {}
        place = {name: number for number, name in enumerate(names)}
        groups = np.array([place[name] for name in self.people])
        equal = np.full(len(names), 1 / len(names))
        drawn = np.random.default_rng(seed).multinomial(len(names), equal, size=resamples)
        found = {}
        for key in keys:
            sums = np.zeros((len(names), self.counts[key].shape[1]))
            np.add.at(sums, groups, self.counts[key])
            found[key] = _value(key, drawn @ sums)
        return found

    def only(self, ids: set[str]) -> Table:
        """The rows with these ids, in a fixed order."""
        places = sorted((i for i, name in enumerate(self.ids) if name in ids), key=lambda i: self.ids[i])
        counts = {key: values[places] for key, values in self.counts.items()}
        return Table([self.ids[i] for i in places], [self.people[i] for i in places], counts)

    def write(self, path: Path) -> None:
        """One JSON line a row, so that two runs can be compared later."""
        lines = []
        for place, (name, person) in enumerate(zip(self.ids, self.people, strict=True)):
            counts = {key: [_plain(value) for value in values[place]] for key, values in self.counts.items()}
            number = int(name.partition("-")[0])  # by which --forget finds a person's rows
            lines.append(json.dumps({"id": number, "row": name, "person": person, "counts": counts}) + "\n")
        write_atomic(path, "".join(lines).encode())

    @classmethod
    def read(cls, path: Path) -> Table:
        """What `write` wrote.

        Raises:
            UserError: the file is absent or is not such a file.
        """
        lines = read_lines(path, "evaluate.py writes it beside metrics.json")
        try:
            rows = [json.loads(line) for line in lines if line]
            keys = list(rows[0]["counts"])
            counts = {key: np.array([row["counts"][key] for row in rows], dtype=float) for key in keys}
            return cls([row["row"] for row in rows], [row["person"] for row in rows], counts)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError):
            raise UserError(f"{path}: not the row counts that evaluate.py writes; run the evaluation again") from None


def beside(whole: Table, table: Table) -> dict[str, Any]:
    """A table's numbers, and by how much `whole` exceeds them, paired, with intervals: an entry of metrics.json."""
    gaps = whole.minus(table)
    spans = {key: [gap.low, gap.high] for key, gap in gaps.items() if gap.low == gap.low}
    return table.values() | {"gaps": {key: gap.gap for key, gap in gaps.items()}, "gap_intervals": spans}


def _value(key: str, counts: np.ndarray) -> np.ndarray:
    return _VALUES.get(key, _quotient)(counts)


def _span(values: np.ndarray) -> list[float]:
    return [float(edge) for edge in np.nanpercentile(values, [2.5, 97.5])]


def _plain(value: Any) -> int | float:
    number = round(float(value), 6)
    return int(number) if number.is_integer() else number


def column(values: list[float] | np.ndarray) -> np.ndarray:
    """A mean's values [rows], NaN where the question does not arise, as counts [rows, 2]."""
    numbers = np.asarray(values, dtype=float)
    known = ~np.isnan(numbers)
    return np.stack([np.where(known, numbers, 0.0), known.astype(float)], axis=1)
