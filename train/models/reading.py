"""What a model reads of persona and context: the wording of its prompt, and its vocabularies. It stands in checkpoints.

A model goes on reading what it was trained to read: its checkpoint's wording and vocabularies hold for it, whatever the
table of fields (`aac/persona.py`) declares since. A field declared later reaches models trained from then on.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from aac.fields import Text, Word
from aac.io import UserError
from aac.persona import CONTEXT, PERSONA, Context, Persona

_LEADS = {"persona": "사람: ", "context": "상황: "}
_REQUESTS = {"first": "카드로 내가 할 말:", "third": "카드로 그 사람이 전하는 말:"}
# What checkpoints without a record read, and how their prompts look.
_UNRECORDED = Path(__file__).with_name("reading_unrecorded.json")


class Reading(BaseModel):
    """Plain data, by the names of fields.

    Attributes:
        leads: what opens the lines of persona and context.
        persona, context: each field's words in its line, in the line's order; "{}" is the value.
        requests: by voice, the line that closes a prompt: whose words are asked for.
        vocabularies: of the persona's fields with a fixed choice the values, the first of them unknown ("").
        prose: the persona's fields that are read from their tokens.
        memory: the context's fields that are read from their tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    leads: dict[str, str]
    persona: dict[str, str]
    context: dict[str, str]
    requests: dict[str, str]
    vocabularies: dict[str, list[str]]
    prose: list[str]
    memory: list[str]

    def persona_text(self, persona: Persona) -> str:
        """The persona as one Korean line; unknown fields are left out, nobody is empty.

        Characteristics and topics are prose of thirty tokens and more: the persona embedding and the context memory
        read them, the prompt does not repeat them.
        """
        return _line(self.leads["persona"], self.persona, persona)

    def context_text(self, context: Context) -> str:
        """The situation as one Korean line; absent parts are left out."""
        return _line(self.leads["context"], self.context, context)

    def categories(self, persona: Persona) -> list[int]:
        """One index a vocabulary; what a vocabulary does not know is unknown (0), never an error."""
        values = ((getattr(persona, name), words) for name, words in self.vocabularies.items())
        return [words.index(value) if value in words else 0 for value, words in values]

    def pieces(self, persona: Persona, beside_line: bool = False) -> list[str]:
        """The texts of the persona's prose that are known; `beside_line`: those alone that its line does not hold."""
        values = [getattr(persona, name) for name in self.prose if not (beside_line and name in self.persona)]
        return [piece for value in values for piece in ([value] if isinstance(value, str) else value) if piece]

    def differences(self, other: Reading) -> str:
        """What another reading has that this has not, and what it words otherwise; empty where nothing."""
        own, its = self._fields(), other._fields()
        words, others = ({**r.leads, **r.requests, **r.persona, **r.context} for r in (self, other))
        told = {
            "not read": sorted(its - own),
            "worded otherwise": [name for name in words if others.get(name, words[name]) != words[name]],
        }
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in told.items() if names)

    def _fields(self) -> set[str]:
        return {*self.persona, *self.context, *self.vocabularies, *self.prose, *self.memory}


def _line(lead: str, words: dict[str, str], record: Persona | Context) -> str:
    values = ((form, getattr(record, name)) for name, form in words.items())
    parts = [form.replace("{}", v if isinstance(v, str) else ", ".join(map(str, v))) for form, v in values if v]
    return lead + ", ".join(parts) if parts else ""


@lru_cache(maxsize=1)
def today() -> Reading:
    """What a fresh model reads: what the table of fields declares."""
    closed = {name: kind for name, kind in PERSONA.items() if kind.embedded and isinstance(kind, Word)}
    return Reading(
        leads=_LEADS,
        persona=_in_order(PERSONA),
        context=_in_order(CONTEXT),
        requests=_REQUESTS,
        vocabularies={name: ["", *kind.values] for name, kind in closed.items()},
        prose=[name for name, kind in PERSONA.items() if kind.embedded and name not in closed],
        memory=[name for name, kind in CONTEXT.items() if kind.embedded],
    )


def _in_order(fields: dict[str, Text]) -> dict[str, str]:
    there = [(*kind.prompt, name) for name, kind in fields.items() if kind.prompt]
    return {name: words for _, words, name in sorted(there)}


def stored(state: dict[str, Any], where: str) -> tuple[Reading, str]:
    """A checkpoint's reading, and how its prompts looked (`PromptEncoder.rendered`).

    Raises:
        UserError: the record is malformed, or of a version that reads more than this one knows.
    """
    if "reading" in state:
        plain, looked = state["reading"], state.get("prompt")
    else:
        then = json.loads(_UNRECORDED.read_text(encoding="utf-8"))
        plain, looked = then["reading"], then["prompt"]
    try:
        reading = Reading.model_validate(plain)
    except ValidationError as error:
        wrong = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{where}: its record of what it reads is malformed at {wrong or 'its root'}") from None
    if unknown := reading._fields() - {*PERSONA, *CONTEXT}:
        raise UserError(f"{where}: reads a field {min(unknown)!r} that this version does not know; upgrade")
    if not isinstance(looked, str):
        raise UserError(f"{where}: its record of how its prompts look is malformed")
    return reading, looked


def check_same_prompt(looked: str, looks: str, where: str) -> None:
    """A model must be asked in the form in which it was trained.

    Raises:
        UserError: the code that lays out a prompt writes another than the checkpoint's.
    """
    if looked != looks:
        pairs = enumerate(zip(looked, looks, strict=False))
        start = max(0, next((i for i, (a, b) in pairs if a != b), min(len(looked), len(looks))) - 12)
        then, now = (text[start : start + 40] for text in (looked, looks))
        raise UserError(
            f"{where}: trained to read prompts with {then!r} where this version writes {now!r}; use the version "
            "that it was trained with, or train anew"
        )
