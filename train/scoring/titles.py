"""Whom a sentence calls, and whether that is the partner."""

from __future__ import annotations

import re

from train.scoring.wording import people, table

_RUDE = re.compile(r"(?:의사|간호사|선생님|치료사|경찰관)(?:아|야)(?=[,.!])")


def called_wrongly(text: str, partner: str) -> set[str]:
    """The persons who are called at the beginning or the end and are not the partner, and titles called rudely
    (의사야); nobody is wrong where no partner is known."""
    if not partner:
        return set()
    name = f"({'|'.join(map(re.escape, people()))})(?:님| 선생님|아|야)?"
    first, last = rf"(?:^|[.,!?] ){name}[,!] ", rf"[,.!?] {name}[.!?]*$"
    names = {*re.findall(first, text), *re.findall(last, text)}
    return {name for name in names if not is_partner(name, partner)} | set(_RUDE.findall(text))


def is_partner(name: str, partner: str) -> bool:
    """Whether that names the partner: their own word, 선생님 of a therapist, 사장님 of a shop, 여보 of a spouse."""
    teacher = name == "선생님" and any(word in partner for word in table()["teachers"])
    owner = name == "사장님" and partner.endswith(("점원", "직원"))
    spouse = name == "여보" and partner in ("아내", "남편", "배우자")
    return bool(partner) and (name.removesuffix("님") in partner or partner in name or teacher or owner or spouse)
