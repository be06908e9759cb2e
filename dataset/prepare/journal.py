"""The journal of a paid teacher: JSON lines, only ever appended, on the disk before anything relies on them.

One line an event. A `sent` line stands before its request leaves; `answer` (with what it cost) or `failed` follows. A
process that dies in between leaves a `sent` alone: that request is lost, and perhaps paid. Answers are found by the
content of what was asked, so that nothing that was answered is asked again. Prompts, pictures, personas and keys are
never written here; `person` is the persona's id, by which `--forget` finds a person's lines.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aac.io import hold, json_bytes, write_atomic

log = logging.getLogger("aac")
SUMS = ("sent", "answered", "prompt_tokens", "completion_tokens", "unmetered")


@dataclass
class Ledger:
    """What was asked and paid: sent = answered + failed + lost. Tokens are those that the answers report."""

    sent: int = 0
    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unmetered: int = 0  # answers whose server did not say what they cost

    @property
    def lost(self) -> int:
        """Sent, and neither answered nor failed: the process died. Perhaps paid."""
        return self.sent - self.answered - self.failed.total()

    def add(self, line: dict[str, Any]) -> None:
        """Count one line of the journal."""
        match line["event"]:
            case "sent":
                self.sent += 1
            case "failed":
                self.failed[line["reason"]] += 1
            case "answer":
                self.answered += 1
                self.prompt_tokens += line["prompt_tokens"] or 0
                self.completion_tokens += line["completion_tokens"] or 0
                self.unmetered += line["prompt_tokens"] is None
            case "forgotten":  # the sums of a person's lines
                self.failed.update(line["failed"])
                for name in SUMS:
                    setattr(self, name, getattr(self, name) + line[name])

    def __sub__(self, earlier: Ledger) -> Ledger:
        numbers = {name: getattr(self, name) - getattr(earlier, name) for name in SUMS}
        return Ledger(failed=self.failed - earlier.failed, **numbers)

    def __str__(self) -> str:
        failed = f" ({', '.join(f'{n} {why}' for why, n in self.failed.most_common())})" if self.failed else ""
        unknown = f"; {self.unmetered} answers told no cost" if self.unmetered else ""
        return (
            f"{self.sent} requests sent = {self.answered} answered + {self.failed.total()} failed{failed} "
            f"+ {self.lost} lost (sent, and stopped before an answer came: perhaps paid); "
            f"{self.prompt_tokens} prompt + {self.completion_tokens} completion tokens{unknown}"
        )


class Journal:
    """The answers so far and the ledger; `write=True` also appends, for one process at a time.

    Raises:
        UserError: another process writes to it.
    """

    def __init__(self, path: Path, write: bool = False) -> None:
        self.path = path
        self.ledger = Ledger()
        self.models: set[str] = set()  # that have answered
        self._answers: dict[str, str] = {}
        self._costs: dict[str, list[tuple[int, int]]] = {}
        self._file = _opened(path) if write else None
        damaged = 0
        for line in read_events(path):
            if line is None:
                damaged += 1
            else:
                self._take(line)
        if damaged:
            log.warning("%s: %d damaged lines; what they answered will be asked again", path, damaged)
        if self._file is not None and not _ends_whole(path):
            os.write(self._file, b"\n")  # what a crash left of a line stays a line of its own

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def answer_to(self, key: str) -> str | None:
        """What the teacher answered to a prompt, as it came; None: it never did."""
        return self._answers.get(key)

    def mean_cost(self, model: str) -> tuple[float, float, int]:
        """Prompt and completion tokens an answer of this model took on average, and over how many answers."""
        costs = self._costs.get(model, [])
        prompt, completion = (sum(column) for column in zip(*costs, strict=True)) if costs else (0, 0)
        return prompt / max(len(costs), 1), completion / max(len(costs), 1), len(costs)

    def sent(self, key: str, person: int | None) -> None:
        """A request is about to leave. It outlives the process, though not the machine."""
        self._append({"event": "sent", "key": key, "person": person}, sync=False)

    def failed(self, key: str, person: int | None, reason: str) -> None:
        """No answer came."""
        self._append({"event": "failed", "key": key, "person": person, "reason": reason}, sync=False)

    def answered(self, key: str, person: int | None, model: str, content: str, tokens: tuple[Any, Any]) -> None:
        """An answer came: on the disk when this returns. `tokens`: of prompt and completion, as the server says."""
        line = {"event": "answer", "key": key, "person": person, "model": model, "content": content}
        self._append({**line, **_metered(*tokens)}, sync=True)

    def _append(self, line: dict[str, Any], sync: bool) -> None:
        assert self._file is not None, "opened for reading"
        os.write(self._file, json_bytes(line))
        if sync:
            os.fsync(self._file)
        self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        self.ledger.add(line)
        if line["event"] == "answer":
            self._answers[line["key"]] = line["content"]
            self.models.add(line["model"])
            if line["prompt_tokens"] is not None:
                self._costs.setdefault(line["model"], []).append((line["prompt_tokens"], line["completion_tokens"]))


def read_events(path: Path) -> Iterator[dict[str, Any] | None]:
    """The events of a journal; None for a line that is none: a crash cut it, or a disk damaged it."""
    if path.exists():
        with path.open("rb") as file:
            yield from (_event(raw) for raw in file if raw.strip())


def _event(raw: bytes) -> dict[str, Any] | None:
    """A line of the journal; None where a later run could not rely on it."""
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    match line:
        case {"event": "sent", "key": str()} | {"event": "failed", "key": str(), "reason": str()}:
            return line
        case {"event": "answer", "key": str(), "model": str(), "content": str()}:  # paid, whatever its numbers are
            return line | _metered(line.get("prompt_tokens"), line.get("completion_tokens"))
        case {"event": "forgotten", "failed": dict(failed)}:
            sums = [line.get(name) for name in SUMS]
            return line if all(isinstance(number, int) for number in (*sums, *failed.values())) else None
    return None


def _metered(*tokens: Any) -> dict[str, int | None]:
    """Tokens of prompt and completion as servers write them (10, 10.0, "10"); both None where one is no count."""
    try:
        counts = [float(count) for count in tokens]
    except (TypeError, ValueError, OverflowError):
        counts = []
    good = counts and all(0 <= count < 1e9 for count in counts)
    return dict(zip(("prompt_tokens", "completion_tokens"), map(round, counts) if good else (None, None), strict=True))


def forget_person(path: Path, person: int) -> int:
    """Take a person's lines out of a journal, and damaged ones, which may be theirs; their sums stay, so that the
    ledger still adds up.

    Returns:
        How many answers were removed.
    """
    if not path.exists():
        return 0
    handle = _opened(path)
    try:
        lines, sums = list(read_events(path)), Ledger()
        kept = [line for line in lines if line and line.get("person") != person]
        for line in lines:
            if line and line.get("person") == person:
                sums.add(line)
        if len(kept) < len(lines):
            kept.append({"event": "forgotten", **vars(sums)})
            write_atomic(path, b"".join(map(json_bytes, kept)))
    finally:
        os.close(handle)
    return sums.answered


def _opened(path: Path) -> int:
    """The journal to append to, for one process and its user alone.

    Raises:
        UserError: another process writes to it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        hold(handle, path)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1))
        return file.read() in (b"", b"\n")
