"""Who may write contexts and interpretations (`--teacher`): a teacher is a module, and an entry here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Entry:
    """Where a teacher is.

    Attributes:
        module: imported once the teacher is asked, so that `--help` stays instant. One on this machine has
            `sample_context(persona, keywords, draw)` and `interpret(keywords, persona, context, draw)`, which with the
            same arguments say the same, and what it can say: `fits(keywords, word)`, whether a word may join those
            chosen, and `joins(word)`, whether it may join any; perhaps `themes()`, what step 7 deals on purpose. A
            remote one has `Settings` and `Teacher`, a `RemoteTeacher`.
        remote: it is asked over the network, through the journal, and is told only what may leave.
        voices: the persons it can speak in.
    """

    module: str
    remote: bool = False
    voices: tuple[str, ...] = ("first",)

    def load(self) -> Any:
        """The teacher's module."""
        return import_module(self.module)


TEACHERS = {
    "grammar": Entry("dataset.prepare.teachers.grammar"),
    "openai": Entry("dataset.prepare.teachers.openai_teacher", remote=True, voices=("first", "third")),
}


def remote_teachers() -> list[str]:
    """The names of those that are asked over the network."""
    return [name for name, entry in TEACHERS.items() if entry.remote]
