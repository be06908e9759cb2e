"""Verbs and adjectives beside the lexicon's that boards hold (`verbs.json`): what each takes, and whether one may wish
for it.

`act`: one's own deed; `ask`: one that is also asked of the partner; `serve`: a deed for somebody (읽어 주다). What is
told and never wished: `tell` (알다, and every verb that no table knows), `event` (it happens to a thing), `body` (it
happens to oneself), `harm` (it hurts or kills), `vital` (what nobody gives up: 숨쉬다). `state` and `quality` are
adjectives: of oneself, of a thing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aac.io import read_json
from aac.rules import nfc

VERBS_FILE = Path(__file__).with_name("verbs.json")
UNWISHED = frozenset({"tell", "event", "body", "harm", "vital"})


@dataclass(frozen=True)
class Valency:
    """What a predicate takes.

    `told`: when it is mostly told, now, past or near (토할 것 같다). `objects`: words and classes of words (doing: what
    one does, as 수학 and 축구), * for all, which stand with `josa`. `place` and `person`: the josa of these, empty
    where none stands with it.
    """

    kind: str
    told: str = ""
    objects: frozenset[str] = frozenset()
    josa: str = "을"
    place: str = ""
    person: str = ""


UNKNOWN = Valency("tell")


def valency(word: str) -> Valency | None:
    """What a predicate takes, by the table or by its form; None: no table knows it, or it is no predicate."""
    word = nfc(word)
    if found := next((_table()[form] for form in _forms(word) if form in _table()), None):
        return found
    return Valency("serve") if re.search(r"[가-힣] ?주다$", word) else None


def known_verbs() -> dict[str, Valency]:
    """Every word of the table."""
    return dict(_table())


def _forms(word: str) -> tuple[str, ...]:
    """숨이 막히다, 숨 막히다 and 숨막히다 are one word."""
    *lead, last = word.split() or [""]
    bare = [re.sub(r"(?<=.)[을를이가]$", "", part) for part in lead]
    return word, "".join([*lead, last]), "".join([*bare, last])


@lru_cache(maxsize=1)
def _table() -> dict[str, Valency]:
    found = {}
    for kind, groups in read_json(VERBS_FILE).items():
        for group in groups:
            josa = group.get("josa") or ("이" if kind in ("event", "body", "state", "quality") else "을")
            told, place, person = (group.get(name, "") for name in ("told", "place", "person"))
            objects = frozenset(group.get("object", "").split())
            entry = Valency(kind, told, objects, josa, place, person or ("이랑" if kind == "act" else ""))
            found |= dict.fromkeys(group["words"].split(), entry)
    return found
