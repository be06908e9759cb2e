"""The suite of requests (`suite.json`): what a person would really say, and what must be true of each sentence for it.

Every request holds good and bad sentences, written by hand, that its rules have to accept and refuse; a bad one says
why. `suite_judge.py` judges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aac.io import UserError, read_json
from aac.persona import Context, Persona
from aac.records import INTERPRETATIONS, nfc

SUITE_FILE = Path(__file__).with_name("suite.json")
TAGS = ("reversed", "added", "missing", "ungrammatical", "wrong_register", "wrong_title", "wrong_tense", "wrong_role")
LEVELS = ("polite", "plain", "easy", "any")
MEANINGS = ("want", "refuse", "cannot", "stop", "ask", "future")


@dataclass(frozen=True)
class Asked:
    """One request of the suite.

    Attributes:
        kind: the row of the table in which it is counted.
        level: `polite` (to the end of every sentence), `plain` (반말), `easy` (either, but no 합쇼체) or `any`.
        means: what every sentence does, of MEANINGS; `refuse:우유` refuses that card alone.
        may: cards that a sentence may say beyond its own.
        unsaid: its own cards that need no word (나 where the ending tells).
        must, never: regular expressions beyond the common rules; `never` by tag.
        good: sentences that are acceptable, three by three.
        bad: (tag, sentence) that are not.
    """

    id: str
    kind: str
    cards: tuple[str, ...]
    persona: Persona
    context: Context
    good: tuple[str, ...]
    bad: tuple[tuple[str, str], ...]
    level: str = "any"
    means: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    must: str = ""
    never: dict[str, str] = field(default_factory=dict)


def read_suite(path: Path = SUITE_FILE) -> list[Asked]:
    """The requests of a file such as `suite.json`.

    Raises:
        UserError: it is no such file; the request and the field are named.
    """
    entries = read_json(path, "give a suite of requests such as train/scoring/suite.json")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: a list of requests is needed")
    suite = [_asked(entry, f"{path}: request {number}") for number, entry in enumerate(entries, start=1)]
    if len({asked.id for asked in suite}) < len(suite):
        raise UserError(f"{path}: two requests share an id; name each once")
    return suite


def _asked(entry: Any, where: str) -> Asked:
    try:
        told = {name: tuple(map(nfc, entry.get(name, ()))) for name in ("cards", "good", "means", "may", "unsaid")}
        told["bad"] = tuple((tag, nfc(text)) for tag, text in entry.get("bad", ()))
        person, place = Persona.parse(entry.get("persona")), Context.parse(entry.get("context"))
        asked = Asked(**{**entry, **told, "persona": person, "context": place})
        for pattern in (asked.must, *asked.never.values()):
            re.compile(pattern)
    except (TypeError, ValueError, AttributeError, re.error) as error:
        raise UserError(f"{where}: {error}; see train/scoring/suite.json") from None
    strange = {*asked.never, *(tag for tag, _ in asked.bad)} - set(TAGS)
    strange |= {asked.level} - set(LEVELS) | {word.partition(":")[0] for word in asked.means} - set(MEANINGS)
    if strange:
        raise UserError(f"{where}: no tag, level or meaning is called {sorted(strange)[0]!r}")
    if not asked.cards or not asked.good or len(asked.good) % INTERPRETATIONS:
        raise UserError(f"{where}: cards and good sentences, three by three, are needed")
    return asked
