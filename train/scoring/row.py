"""A row and what is said of it: what every metric is asked about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from aac.gate import comparable
from aac.records import INTERPRETATIONS, Sample, nfc


@dataclass
class Prediction:
    """A row and what a model says of it, best first; `notes`: where sentences come from that are not its own first."""

    sample: Sample
    candidates: list[str]
    notes: list[str] = field(default_factory=list)

    @cached_property
    def three(self) -> list[str]:
        """Exactly three texts; an empty one, or one without a letter, is an empty string."""
        texts = [nfc(text) if comparable(text).strip("?") else "" for text in self.candidates[:INTERPRETATIONS]]
        return texts + [""] * (INTERPRETATIONS - len(texts))


def row_key(sample: Sample) -> str:
    """The row's id with a digest of all that it holds: rows of other data are never taken for the same."""
    return f"{sample.id}-{hashlib.sha256(sample.model_dump_json().encode()).hexdigest()[:8]}"


def person_key(sample: Sample) -> str:
    """Whose row it is: the persona's id, or, without one, a digest of its fields (never the fields themselves)."""
    if sample.persona_id is not None:
        return str(sample.persona_id)
    return hashlib.sha256(sample.persona.model_dump_json().encode()).hexdigest()[:12]
