"""What people did with the sentences they were offered: shown, chosen, edited, typed, none, undone. One file a person.

Nothing is written until the person (for a child, their guardian) said so: `keep` lets the journal exist, `use` lets it
offer earlier sentences, `train` lets it teach a model. The last consent stands in the file itself, so that deleting the
file leaves nothing behind. Lines are only ever appended, whole or not at all; no audio, no addresses.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aac.fields import shown, text_problem, years_of
from aac.io import UserError, hold, json_bytes
from aac.persona import CONTEXT, Context, Persona
from aac.register import partner_class
from aac.rules import MOST_CARDS

SWITCHES = ("keep", "use", "train")
OF_AGE = 14  # years from which Korean law lets a person consent alone
LONGEST = 300  # characters of a sentence
_FILE = re.compile(r"person_(\d{1,9})\.jsonl")
# What each event holds beside its name and the number of the request: key, kind.
_EVENTS: dict[str, dict[str, type]] = {
    "shown": {"cards": list, "context": dict, "offered": list},
    "chosen": {"place": int, "text": str},
    "edited": {"place": int, "text": str},
    "typed": {"text": str},
    "none": {},
    "undone": {},
}


@dataclass(frozen=True)
class Consent:
    """What a person allows; `guardian`: theirs said so."""

    keep: bool = False
    use: bool = False
    train: bool = False
    guardian: bool = False


NOTHING = Consent()


class Feedback:
    """The journals of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, person: int) -> Path:
        return self.folder / f"person_{person}.jsonl"

    def people(self) -> list[int]:
        """Whose journals are here."""
        names = (_FILE.fullmatch(path.name) for path in self.folder.glob("person_*.jsonl"))
        return sorted(int(match[1]) for match in names if match)

    def events(self, person: int) -> list[dict[str, Any]]:
        """All lines of a person's journal; those that a crash cut or a disk damaged are left out."""
        return self._events(person)

    def consent(self, person: int) -> Consent:
        """What the person said last."""
        return consent_of(self._events(person, b'"consent"'))

    def _events(self, person: int, holding: bytes = b"") -> list[dict[str, Any]]:
        """The events of the lines that hold some bytes."""
        try:
            lines = self.path(person).read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [event for line in lines if holding in line and (event := _event(line))]

    def agree(self, person: int, consent: Consent, persona: dict[str, Any]) -> None:
        """Write what a person allows. Not to keep anything deletes what was kept.

        Args:
            persona: the fields by which the model addresses the person; `age` says who must consent.

        Raises:
            UserError: a guardian is needed, or the age is not told.
            OSError: the disk is full, or cannot be written.
        """
        if not consent.keep:
            self.delete(person)
            return
        who = Persona.parse(persona).public()
        age = persona.get("age", "")
        if not who["age"]:
            raise UserError("age: needed before anything is kept, since a child's guardian has to consent")
        if needs_guardian(age) and not consent.guardian:
            raise UserError(f"guardian: under {OF_AGE} years a guardian has to consent")
        self.folder.mkdir(parents=True, exist_ok=True)
        _append(self.path(person), {"event": "consent", **asdict(consent), "persona": {**who, "age": age}}, new=True)

    def add(self, person: int, event: dict[str, Any]) -> bool:
        """Append an event; whether it was kept. Where the person did not say so, nothing is written.

        The situation's own words are kept to train with, the partner's class alone otherwise.

        Raises:
            UserError: it is none.
            OSError: the disk is full, or cannot be written: the journal is as it was.
        """
        line = _checked(event)
        consent = self.consent(person)
        if not consent.keep:
            return False
        if line["event"] == "shown":
            context = Context.parse(line.pop("context"))
            line["partner"] = partner_class(context.interaction_partner)
            line |= {"context": context.public()} if consent.train else {}
        try:
            _append(self.path(person), line, new=False)
        except FileNotFoundError:  # forgotten meanwhile
            return False
        return True

    def delete(self, person: int) -> bool:
        """Remove a person's journal; whether there was one."""
        path = self.path(person)
        there = path.exists()
        path.unlink(missing_ok=True)
        return there


def needs_guardian(age: Any) -> bool:
    """Whether somebody of this age may be too young to consent alone; a teenager without years may be 13."""
    years = years_of(age)
    if years is not None:
        return years < OF_AGE
    return Persona.parse({"age": age}).age in ("아동", "청소년")


def consent_of(events: list[dict[str, Any]]) -> Consent:
    """What a journal's person said last."""
    for event in reversed(events):
        if event["event"] == "consent":
            return Consent(**{name: event.get(name) is True for name in (*SWITCHES, "guardian")})
    return NOTHING


def persona_of(events: list[dict[str, Any]]) -> Persona:
    """Who a journal's person said they are, with their last consent."""
    told = [event["persona"] for event in events if event["event"] == "consent"]
    return Persona.parse(told[-1] if told else None)


def _event(line: bytes) -> dict[str, Any] | None:
    """A line of a journal; None where it is none."""
    try:
        event = json.loads(line)
        kinds = {"persona": dict} if event["event"] == "consent" else {"request": str, **_EVENTS[event["event"]]}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = all(isinstance(event.get(name), kind) for name, kind in kinds.items() if name != "context")
    texts = (*event.get("cards", ()), *event.get("offered", ())) if whole else ()
    return event if whole and all(isinstance(text, str) for text in texts) else None


def _checked(event: Any) -> dict[str, Any]:
    """An event with the fields of its kind alone.

    Raises:
        UserError: names the field and what it must be.
    """
    kinds = _EVENTS.get(event.get("event", "") if isinstance(event, dict) else "")
    if kinds is None:
        raise UserError(f"event: one of {', '.join(_EVENTS)} is needed")
    line = {"event": event["event"], "request": event.get("request")}
    if not isinstance(line["request"], str) or not 0 < len(line["request"]) <= 80:
        raise UserError("request: the id of the request is needed")
    for name, kind in kinds.items():
        value = line[name] = event.get(name)
        if not isinstance(value, kind) or isinstance(value, bool) or (kind is int and not 0 <= value < 10):
            raise UserError(f"{name}: {kind.__name__} is needed, not {shown(value)}")
    for text in _texts(line):
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST or text_problem(text):
            raise UserError(f"{line['event']}: a text of 1 to {LONGEST} characters is needed, not {shown(text)}")
    return line


def _texts(line: dict[str, Any]) -> Iterator[Any]:
    if "text" in line:
        yield line["text"]
    if line["event"] == "shown":
        if not 1 <= len(line["cards"]) <= MOST_CARDS or not len(line["offered"]) <= 10:
            raise UserError(f"cards: the words of 1 to {MOST_CARDS} cards are needed")
        yield from line["cards"]
        yield from line["offered"]
        if unknown := set(line["context"]) - set(CONTEXT):
            raise UserError(f"context: no field {shown(min(map(str, unknown)))}; choose among {', '.join(CONTEXT)}")


def _append(path: Path, line: dict[str, Any], new: bool) -> None:
    """A whole line at the end, on the disk when this returns, or nothing.

    Raises:
        FileNotFoundError: there is no such file, and none is to be made.
        OSError: the disk is full, or cannot be written.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | (os.O_CREAT if new else 0), 0o600)
    try:
        hold(handle, path, wait=True)
        size = os.fstat(handle).st_size
        torn = size and os.pread(handle, 1, size - 1) != b"\n"  # a crash cut the line before: it stays one of its own
        data = b"\n" * bool(torn) + json_bytes(line)
        try:
            if os.write(handle, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            if not size:
                path.unlink(missing_ok=True)
            raise
    finally:
        os.close(handle)
