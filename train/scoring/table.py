"""Counts of metrics, a row each: scores, 95 % intervals, paired differences and the report all add them up.

Intervals are percentile bootstraps over personas: rows of one person are alike, so persons are drawn, not rows. For a
difference the same persons are drawn for both sides. What a metric is, `registry.py` declares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aac.io import UserError, read_lines, write_atomic
from train.scoring.registry import find, mean

RESAMPLES = 1000


class Difference(NamedTuple):
    """A metric of two systems on the same rows: `gap` = `first` - `second`; `low`, `high` bound it (NaN: unknown)."""

    first: float
    second: float
    gap: float
    low: float
    high: float

    def widened(self, first: tuple[float, float], second: tuple[float, float]) -> Difference:
        """With an interval that holds what the two sides' own bounds allow (Newcombe 1998)."""
        below = float(np.hypot(self.first - first[0], second[1] - self.second))
        above = float(np.hypot(first[1] - self.first, self.second - second[0]))
        low, high = np.fmin(self.low, self.gap - below), np.fmax(self.high, self.gap + above)
        return self._replace(low=float(low), high=float(high))

    def public(self) -> dict[str, float | None]:
        """For JSON, which knows no NaN."""
        return {name: None if np.isnan(value) else value for name, value in self._asdict().items()}


@dataclass(frozen=True)
class Table:
    """`counts[key]`: [rows, m], in the order of `ids` (see `row_key`), whose speakers are `people`.

    Raises:
        LookupError: a key is no declared metric.
    """

    ids: list[str]
    people: list[str]
    counts: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        for key in self.counts:
            find(key)

    def joined(self, more: Mapping[str, np.ndarray]) -> Table:
        """With further counts of the same rows."""
        return Table(self.ids, self.people, {**self.counts, **more})

    def values(self, rows: np.ndarray | None = None) -> dict[str, float]:
        """Each metric over the rows chosen (bool [rows]; None: all); those whose question never arises are absent."""
        chosen = np.ones(len(self.ids), dtype=bool) if rows is None else rows
        found = {key: float(find(key).value(counts[chosen].sum(axis=0))) for key, counts in self.counts.items()}
        return {key: value for key, value in found.items() if not np.isnan(value)}

    def row(self, place: int) -> dict[str, float]:
        """The means of one row."""
        return {
            key: float(counts[place, 0] / counts[place, 1])
            for key, counts in self.counts.items()
            if find(key).value is mean and counts[place, 1]
        }

    def intervals(self, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, list[float]]:
        """[low, high] of each metric. Where all rows are one person's there are none, but for those that need no
        resamples; without resamples there are none at all."""
        spans = {}
        for key, drawn in self._drawn(list(self.counts), resamples, seed).items():
            if not np.isnan(drawn).all():
                spans[key] = _span(drawn)
        for key, counts in self.counts.items() if resamples else ():
            if bounds := find(key).least(counts.sum(axis=0)):
                edges = [*spans.get(key, bounds), *bounds]
                spans[key] = [min(edges), max(edges)]
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
            bounds = [find(key).least(table.counts[key].sum(axis=0)) for table in (self, other)]
            if bounds[0] and bounds[1]:
                found[key] = found[key].widened(bounds[0], bounds[1])
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
            found[key] = find(key).value(drawn @ sums)
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
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            raise UserError(f"{path}: not the row counts that evaluate.py writes; run the evaluation again") from None


def beside(whole: Table, table: Table) -> dict[str, Any]:
    """A table's numbers, and by how much `whole` exceeds them, paired, with intervals: an entry of metrics.json."""
    gaps = whole.minus(table)
    spans = {key: [gap.low, gap.high] for key, gap in gaps.items() if gap.low == gap.low}
    return table.values() | {"gaps": {key: gap.gap for key, gap in gaps.items()}, "gap_intervals": spans}


def _span(values: np.ndarray) -> list[float]:
    return [float(edge) for edge in np.nanpercentile(values, [2.5, 97.5])]


def _plain(value: Any) -> int | float:
    number = round(float(value), 6)
    return int(number) if number.is_integer() else number
