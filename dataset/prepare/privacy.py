"""What of a persona may leave this machine: the shipped, synthetic ones; of a user's own only the fields that they
list (`--send-personas`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from aac.fields import no_field
from aac.io import UserError
from aac.persona import PERSONA, Persona

# Digests, not `dataset/persona.json` itself: users write their own people into that file.
SHIPPED_FILE = Path(__file__).with_name("synthetic_personas.txt")
# What shapes a sentence; disability and gender do not (reference: they choose no language).
SENT_OF_SHIPPED = tuple(name for name, kind in PERSONA.items() if kind.leaves == "shipped")
_MAY_BE_LISTED = {name: kind for name, kind in PERSONA.items() if kind.leaves != "never"}


def persona_digest(persona: dict[str, Any]) -> str:
    """Of everything that a persona tells about a person; the clusters that step 6 adds tell nothing."""
    fields = Persona.read(persona).public()
    del fields["preferred_category_types"]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:24]


def is_shipped(persona: dict[str, Any]) -> bool:
    """Whether this is one of the project's synthetic personas, unchanged."""
    return persona_digest(persona) in _shipped()


def check_listed(listed: Sequence[str]) -> None:
    """Whether `--send-personas` names fields that may leave this machine.

    Raises:
        UserError: one of them is none.
    """
    for name in listed:
        if name not in _MAY_BE_LISTED:
            raise UserError(f"--send-personas: {no_field(name, _MAY_BE_LISTED)}")


def may_leave(persona: dict[str, Any], listed: Sequence[str] | None) -> dict[str, Any]:
    """The filled fields that a remote teacher may be told; `listed` is what `--send-personas` names, None: nothing."""
    names = listed if listed is not None else SENT_OF_SHIPPED if is_shipped(persona) else ()
    fields = Persona.read(persona).public()
    return {name: fields[name] for name in names if name in _MAY_BE_LISTED and fields.get(name)}


@lru_cache(maxsize=1)
def _shipped() -> frozenset[str]:
    return frozenset(SHIPPED_FILE.read_text(encoding="utf-8").split())
