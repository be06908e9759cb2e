"""A file of predictions: what anybody's system, or ours, says of rows."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from aac.io import UserError, json_bytes, read_lines, write_atomic
from aac.records import INTERPRETATIONS, Sample

log = logging.getLogger("aac")
_HALF = re.compile("[\ud800-\udfff]")


def read_predictions(path: Path, samples: Sequence[Sample], known: set[int] | None = None) -> list[list[str]]:
    """The candidates of a JSON-lines file, `{"id": 17, "interpretations": ["…", "…", "…"]}` a line, in samples' order.

    Args:
        path: the file.
        samples: the rows to score; each needs a line.
        known: ids of rows that may stand in the file without being scored (another split); they are counted.

    Raises:
        UserError: not such a file, an id twice, an id that no row has, a row without a line or not three sentences.
    """
    found: dict[int, list[str]] = {}
    for number, line in enumerate(read_lines(path, "give a JSON-lines file of predictions"), start=1):
        if not line.strip():
            continue
        row_id, texts = _prediction(line, f"{path}: line {number}")
        if row_id in found:
            raise UserError(f"{path}: line {number}: id {row_id} stands there twice; keep one line a record")
        found[row_id] = texts
    wanted = [sample.id for sample in samples]
    strange = sorted(found.keys() - set(wanted) - (known or set()))
    if strange:
        raise UserError(f"{path}: id {strange[0]} is no row of the data ({len(strange)} such ids); see --data")
    if missing := [row_id for row_id in wanted if row_id not in found]:
        raise UserError(
            f"{path}: no line for id {missing[0]} ({len(missing)} of {len(wanted)} rows are missing); "
            "predict them, or choose the rows with --split"
        )
    if spare := len(found) - len(wanted):
        log.info("%s: %d lines of rows that are not scored here are left out", path, spare)
    if empty := sum(not text.strip() for row_id in wanted for text in found[row_id]):
        log.warning("%s: %d empty sentences of %d earn nothing", path, empty, INTERPRETATIONS * len(wanted))
    said = [found[row_id] for row_id in wanted]
    if halves := sum(_HALF.search(text) is not None for three in said for text in three):
        log.warning("%s: %d sentences hold half a surrogate pair, which is no letter (a cut emoji?)", path, halves)
    return [[_HALF.sub("\ufffd", text) for text in three] for three in said]


def _prediction(line: str, where: str) -> tuple[int, list[str]]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{where}: not JSON ({error}); write {{"id": 17, "interpretations": ["…"]}}') from None
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise UserError(f'{where}: one object a line, not a {kind}; write {{"id": 17, "interpretations": ["…"]}}')
    row_id = record.get("id")
    if not isinstance(row_id, int) or isinstance(row_id, bool):
        raise UserError(f"{where}: field 'id' must be the record's number, not {row_id!r}")
    texts = record.get("interpretations")
    if not isinstance(texts, list) or len(texts) != INTERPRETATIONS or not all(isinstance(text, str) for text in texts):
        raise UserError(
            f"{where}: id {row_id}: field 'interpretations' must list {INTERPRETATIONS} sentences, not {texts!r}; "
            'a system that says fewer leaves the others empty: ""'
        )
    return row_id, texts


def write_predictions(path: Path, samples: Sequence[Sample], threes: Sequence[Sequence[str]]) -> None:
    """What `read_predictions` reads; a sentence that is not there is empty."""
    whole = ([*three, *[""] * (INTERPRETATIONS - len(three))] for three in threes)
    lines = zip(samples, whole, strict=True)
    write_atomic(path, b"".join(json_bytes({"id": sample.id, "interpretations": three}) for sample, three in lines))
