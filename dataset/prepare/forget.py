"""`--forget PERSONA_ID`: a person leaves the persona file, the data, the journals, the corrections and the logs.

The sums of the journal's ledger stay, without the person. Files that hold sentences and cannot be cut (pages, pictures
of them) are deleted whole: they can be made again. What cannot be removed is said: weights remember.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aac.feedback import Feedback
from aac.io import UserError, read_json, read_text, write_atomic, write_json
from dataset.prepare.journal import forget_person
from dataset.prepare.options import Options
from dataset.prepare.pipeline import keep_in_step

log = logging.getLogger("aac")
SHIPPED_PERSONAS = Path(__file__).resolve().parents[1] / "persona.json"


@dataclass
class _Traces:
    """By what a person is found: their id, and their rows' content keys and numbers."""

    person: int
    keys: set[str] = field(default_factory=set)
    rows: set[int] = field(default_factory=set)

    def of(self, entry: Any) -> bool:
        """Whether a record of a data file is the person's: a row, or a persona."""
        if not isinstance(entry, dict):
            return False
        own = entry.get("persona_id") == self.person or entry.get("key") in self.keys
        return own or ("persona" in entry and "input" not in entry and entry.get("id") == self.person)


def forget(person: int, options: Options) -> int:
    """Remove a person; returns the exit code. Done again after an interruption, it finishes.

    Raises:
        UserError: nothing here knows such a person.
    """
    traces = _Traces(person)
    for path in _data_files(options):
        for entry in _entries(path):
            if traces.of(entry) and entry.get("key"):
                traces.keys.add(entry["key"])
                traces.rows.add(entry.get("id", 0))
    changed: dict[Path, str] = {}
    _count(changed, options.journal, forget_person(options.journal, person), "answers")
    feedback = Feedback(options.feedback)
    if feedback.delete(person):
        changed[feedback.path(person)] = "deleted"
    for path in _logs(options):
        if path.suffix == ".jsonl":
            _count(changed, path, _cut_lines(path, traces), "lines")
        elif path.suffix == ".csv":
            _count(changed, path, _cut_table(path, traces), "lines")
        elif traces.rows:
            path.unlink()
            changed[path] = "deleted (it may show the person's sentences)"
    with keep_in_step(options):
        _count(changed, options.corrections, _cut_lines(options.corrections, traces), "corrections")
        for path in _data_files(options):
            _count(changed, path, _cut_entries(path, traces), "records")
    if not changed:
        raise UserError(
            f"--forget {person}: nobody has this id in {options.personas}, {options.output} or the journals"
        )
    for folder in {options.output, options.home, options.personas.parent}:
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()
            changed[leftover] = "deleted (left by a run that was killed)"
    for path, what in changed.items():
        log.info("%s: %s", path, what)
    log.info("Persona %d is removed.", person)
    weights = sorted((options.home.parent / "train/checkpoints").glob("*.pt"))
    found = ", ".join(path.name for path in weights) or "none in train/checkpoints"
    log.info("Weights trained with this person still know them (%s): delete them and train again.", found)
    log.info("Copies elsewhere (backups, wandb, the remote teacher's provider) are yours to ask for.")
    return 0


def _data_files(options: Options) -> Iterator[Path]:
    """The persona file last: while it stands, an interrupted run knows that it is not done."""
    yield from sorted(options.output.glob("*.json"))
    yield from (options.home.parent / "train/feedback").glob("*.json")  # rows of `train.py --feedback`
    borrowed = options.personas == SHIPPED_PERSONAS and options.personas.parent != options.home
    if options.personas.exists() and not borrowed:  # the project's own synthetic people are nobody
        yield options.personas


def _logs(options: Options) -> list[Path]:
    """Files of `train/logs` that may hold sentences; numbers and curves hold none."""
    files = sorted(path for path in (options.home.parent / "train/logs").rglob("*") if path.is_file())
    kinds = (".jsonl", ".csv", ".html", ".png")
    told = [path for path in files if path.suffix in kinds and path.name not in ("curves.png", "log.jsonl")]
    # TensorBoard gets pictures of sentences where `log_samples` is set; its numbers stand in log.jsonl, too.
    return told + [path for path in files if "tfevents" in path.name and b"\x89PNG" in path.read_bytes()]


def _entries(path: Path) -> list[Any]:
    content = read_json(path)
    return content if isinstance(content, list) else []


def _cut_entries(path: Path, traces: _Traces) -> int:
    entries = _entries(path)
    kept = [entry for entry in entries if not traces.of(entry)]
    if len(kept) < len(entries):
        write_json(path, kept, 1 if path.read_bytes()[:2] == b"[\n" else None)
    return len(entries) - len(kept)


def _cut_lines(path: Path, traces: _Traces) -> int:
    """Lines of JSON that name the person, or one of their rows by key, or by number where they have no key."""
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)  # of bytes: U+2028 inside a string ends no line
    kept = [line for line in lines if not _names(line, traces)]
    if len(kept) < len(lines):
        write_atomic(path, b"".join(kept))
    return len(lines) - len(kept)


def _cut_table(path: Path, traces: _Traces) -> int:
    """Lines of a rating sheet (CSV) whose column `row` names one of the person's rows."""
    try:
        header, *lines = list(csv.reader(io.StringIO(read_text(path), newline=""))) or [[]]
    except csv.Error as error:
        raise UserError(f"{path}: not CSV ({error}); delete the file if it may hold the person's sentences") from None
    if "row" not in header:
        return 0
    place, names = header.index("row"), {str(number) for number in traces.rows}
    kept = [line for line in lines if "".join(line[place : place + 1]).partition("-")[0] not in names]
    if len(kept) < len(lines):
        text = io.StringIO()
        csv.writer(text).writerows([header, *kept])
        write_atomic(path, text.getvalue().encode("utf-8-sig"))
    return len(lines) - len(kept)


def _names(line: bytes, traces: _Traces) -> bool:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):  # torn, or mistyped by hand
        return any(key.encode() in line for key in traces.keys)
    if not isinstance(entry, dict):
        return False
    if traces.person in (entry.get("persona_id"), entry.get("person")) or entry.get("key") in traces.keys:
        return True
    return "key" not in entry and "persona_id" not in entry and entry.get("id") in traces.rows


def _count(changed: dict[Path, str], path: Path, count: int, what: str) -> None:
    if count:
        changed[path] = f"{count} {what} removed"
