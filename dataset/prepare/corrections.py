"""Hand corrections: sentences that a person put right overlay what the teacher wrote, however often step 8 runs.

`dataset/corrections.jsonl`, a line a row: `{"key": "...", "output": [three sentences], "context": {...}}`. The key is
the row's own in `dataset_completed.json`; `context` is optional and may name some of its four fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aac.fields import no_field, text_problem
from aac.io import UserError, read_lines
from aac.persona import CONTEXT
from aac.records import nfc
from aac.rules import FAILED_MARKS, INTERPRETATIONS, sentence_problems


@dataclass(frozen=True)
class Correction:
    """What a person wrote for one row."""

    output: list[str]
    context: dict[str, str]


def read_corrections(path: Path) -> dict[str, Correction]:
    """By key; of two lines with one key the later holds. No such file: none.

    Raises:
        UserError: a line is not of the form; the message names it.
    """
    if not path.exists():
        return {}
    found: dict[str, Correction] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: line {number}: not JSON: {error}") from None
        key, correction = _checked(entry, f"{path}: line {number}")
        found[key] = correction
    return found


def overlay(rows: Sequence[dict[str, Any]], corrections: dict[str, Correction]) -> int:
    """Put the corrections into the rows that have their keys; returns how many."""
    count = 0
    for row in rows:
        if correction := corrections.get(row.get("key", "")):
            row["output"] = list(correction.output)
            row["input"]["context"] = {**row["input"]["context"], **correction.context}
            count += 1
    return count


def _checked(entry: Any, where: str) -> tuple[str, Correction]:
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str) or not entry["key"]:
        raise UserError(f"{where}: field 'key' must be the key of a row in dataset_completed.json")
    output, context = entry.get("output"), entry.get("context") or {}
    good = isinstance(output, list) and len(output) == INTERPRETATIONS and all(isinstance(s, str) for s in output)
    sentences = [nfc(text) for text in output] if good else []
    if len(set(sentences) - {"", *FAILED_MARKS}) != INTERPRETATIONS:
        raise UserError(f"{where}: field 'output' must hold {INTERPRETATIONS} different sentences, not {output!r}")
    for field, sentence, _ in sentence_problems(sentences):  # training would refuse the whole file for it
        raise UserError(f"{where}: field '{field}' must be a Korean sentence, not {sentence!r}")
    if not isinstance(context, dict) or not all(map(_is_text, context.values())):
        raise UserError(f"{where}: field 'context' must hold texts, not {context!r}")
    if unknown := set(context) - set(CONTEXT):
        raise UserError(f"{where}: field 'context': {no_field(min(unknown), CONTEXT)}")
    return entry["key"], Correction(sentences, {name: nfc(text) for name, text in context.items()})


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not text_problem(value) and value not in FAILED_MARKS
