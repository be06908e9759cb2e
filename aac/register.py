"""Which speech level a partner asks for: one committed table (`register.json`) for the teacher and for the metrics."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from aac.persona import AGES, LEVELS

REGISTER_FILE = Path(__file__).with_name("register.json")
UNKNOWN = "미상"


@lru_cache(maxsize=1)
def _register() -> dict[str, Any]:
    return json.loads(REGISTER_FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _heads() -> list[tuple[str, str]]:
    """(head word, class), the longest first, so that 남동생 or 의사 선생님 is read before 동생 or 선생님."""
    pairs = [(head, name) for name, heads in _register()["heads"].items() for head in heads]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


@lru_cache(maxsize=10_000)
def partner_class(text: str) -> str:
    """The class of a partner by the head at the end of its expression ("동네 약국 약사님"); unknown is "미상"."""
    text = " ".join(text.split())
    return next((name for head, name in _heads() if text == head or text.endswith((" " + head, "의 " + head))), UNKNOWN)


def levels(partner: str, age: str, speech_level: str = "") -> list[str]:
    """The accepted speech levels for a partner, the one to generate first.

    A persona's own `speech_level` overrides the table; an unknown age is read as an adult's.
    """
    if speech_level in LEVELS:
        return [speech_level]
    return list(_register()["table"][partner_class(partner)][AGES.index(age if age in AGES else "성인")])
