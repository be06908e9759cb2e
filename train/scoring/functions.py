"""What a sentence does: three choices that do the same are one choice in three dresses.

A refusal stays one in whatever form it is said: 안 먹을래요 is no plan, 먹고 싶지 않아요 no wish.
"""

from __future__ import annotations

import re
from functools import lru_cache

from aac.korean import analyse, is_question

# What stands at the end of the morphemes, the first that fits.
_BY_END = (
    ("request", r"(?:주|말|마)/V[VX](?: 시/EP)? \S+/E[FC]$|(?:세요|십시오|으세요|으십시오)/EF$|부탁/"),
    ("proposal", r"(?:자|ᆸ시다|읍시다)/E[FC]$"),
    ("refusal", r"싫\S*/V[AV]|싫어하/VV|(?:안|못)/MAG|지/EC (?:\S+/J\w+ )?(?:않|못하)/VX|없/VA|아니/(?:VCN|IC)"),
    ("wish", r"싶/VX|(?:좋|괜찮)/VA 겠/EP|면/EC 좋/VA|원하/VV|바라/VV|필요/"),
    (
        "plan",
        r"(?:래|게|래요|게요)\S*/EF$|/ETM (?:것|거|생각|예정)/NN\S* 이/VCP|려고/EC|(?<!모르/VV )겠/EP|ᆯ래|ᆯ게|을래|을게",
    ),
)


@lru_cache(maxsize=100_000)
def function_of(sentence: str) -> str:
    """`question`, `request`, `proposal`, `wish`, `plan` (what the person will do), `refusal` or `statement`."""
    if is_question(sentence):
        return "question"
    said = " ".join(f"{form}/{tag}" for form, tag in analyse(sentence) if not tag.startswith("S"))
    return next((name for name, pattern in _BY_END if re.search(pattern, said)), "statement")
