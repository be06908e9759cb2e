"""Two evaluations side by side: what each metric differs by on the rows that both scored, paired, by persona."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aac.io import UserError, read_json
from train.scoring.registry import find
from train.scoring.table import Table

log = logging.getLogger("aac")
ROWS_FILE = "rows.jsonl"


def write_rows(folder: Path, table: Table) -> str:
    """The row counts beside metrics.json; returns their digest, by which metrics.json knows them."""
    table.write(folder / ROWS_FILE)
    return _digest(folder / ROWS_FILE)


def compare(one: Path, other: Path) -> dict[str, Any]:
    """`rows` that both scored, and `differences`: for each metric `first`, `second`, `gap` and its 95 % interval.

    Args:
        one, other: two metrics.json, each with its rows.jsonl beside it.

    Raises:
        UserError: a file is missing, the rows are another evaluation's, or the two scored other data.
    """
    first, second = _table(one), _table(other)
    common = set(first.ids) & set(second.ids)
    if not common:
        raise UserError(f"{one} and {other} share no row: they were scored on other data")
    for path, table in ((one, first), (other, second)):
        if len(table.ids) > len(common):
            log.warning("%s: %d rows are not in the other file and left out", path, len(table.ids) - len(common))
    gaps = first.only(common).minus(second.only(common))
    return {"rows": len(common), "differences": {key: gap.public() for key, gap in gaps.items()}}


def show(result: dict[str, Any], names: Sequence[str]) -> None:
    """The differences as a table in the terminal."""
    print(f"A {names[0]}\nB {names[1]}\n{result['rows']} rows, paired; * the 95 % interval excludes 0")
    show_differences(result["differences"])


def show_differences(differences: dict[str, dict[str, float | None]]) -> None:
    """A line a metric: A, B, their difference and its interval."""
    print(f"{'':34}{'A':>9}{'B':>9}{'A - B':>9}")
    for key, gap in differences.items():
        name = key if find(key).better == "high" else f"{key} (lower is better)"
        low, high = gap["low"], gap["high"]
        span = "" if low is None or high is None else f"   [{low:+.3f}, {high:+.3f}]{' *' * (low > 0 or high < 0)}"
        print(f"{name:34}{gap['first']:>9.3f}{gap['second']:>9.3f}{gap['gap']:>+9.3f}{span}")


def _table(path: Path) -> Table:
    scores, beside = read_json(path, "evaluate.py writes it"), path.with_name(ROWS_FILE)
    table = Table.read(beside)
    if not isinstance(scores, dict) or scores.get("rows_digest") != _digest(beside):
        raise UserError(f"{beside}: not the rows of {path}; keep the two files of one evaluation together")
    return table


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
