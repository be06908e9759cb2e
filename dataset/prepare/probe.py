"""What the teachers do, in digests: by these, steps 7 and 8 know that what they would make of the same inputs changed.

The text of the code tells neither less nor more than that: a comment changes it, and another version of Kiwi says other
words under the same text. So a few hundred card combinations, each with a person and a situation, are put to the
teacher, and its answers are hashed; its tables (JSON), of which a probe meets a part, are hashed as they stand.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from aac.io import read_json
from aac.lexicon import load_lexicon
from aac.register import REGISTER_FILE, levels
from dataset.prepare.sampling import plausible, proposed
from dataset.prepare.teach import complete
from dataset.prepare.teachers.registry import TEACHERS
from dataset.prepare.themes import meant

TABLES = Path(__file__).parent / "teachers"
# Words that no lexicon holds, as users have them.
OWN_WORDS = ("드론", "로봇", "뽀로로", "편의점", "고모", "모레", "코딩하다", "손을 흔들다", "시원하다", "어서")
HANDS_OF_A_THEME = 20
OFFERED = 30  # words to each hand: what may join it is what the teacher is asked
AGE_WORDS = ("아동", "청소년", "성인", "노인", "")
AGES, LENGTHS, LEVELS = (7, 15, 30, 70, ""), ("", "짧게", "자세히"), ("", "", "반말", "합쇼체")
TOLD = (
    *("age", "gender", "disability_type", "communication_characteristics", "selection_complexity"),
    *("interesting_topics", "utterance_length", "speech_level"),
)
VOICES = ("first", "third")
# The version before this module watched texts, the folder `teachers` and a table: what its steps took for them beside
# the lexicon, and what its code would have answered here. Its data sets are understood by these.
_FOLDER = "teachers:16f4f0226cd4c02505bae94159cc62773a557dcc58e7ac01dbecb09f9c01aeb1\n"
_TABLE = "register.json:0c814a5e68fb9db12cdae365c13b74c519e3ac75900be31886a7dcf1e40fb6e2\n"
TEXT_BEFORE = {7: _FOLDER, 8: _FOLDER + _TABLE}
BEFORE = {
    ("joins", "grammar"): "c32ba184587a2288bd0f9fe2bac18e8d82e397980093f2d9c9d2db3e93c70feb",
    ("joins", "openai"): "",
    ("says", "grammar"): "8d48c8367f9f7b2f14a1b9e57e53fd88b76f4547e13f2e685111e11ebf3d89d5",
    ("says", "openai"): "bad04105b7bb5169f2e1397163010dc354362c665ad2ea4f6ed52ede6c422638",
}


def joins(teacher: str) -> str:
    """Which cards a teacher lets step 7 put together, and which it means; empty for a remote one, which takes any."""
    if TEACHERS[teacher].remote:
        return ""
    return _digest([*_hands(teacher), *_proposals(teacher), (TABLES / "frames.json").read_text(encoding="utf-8")])


@lru_cache(maxsize=2)
def says(teacher: str) -> str:
    """What a teacher makes of the rows of step 8: situations and sentences; of a remote one, what it is asked."""
    return _asked() if TEACHERS[teacher].remote else _said(teacher)


def _said(teacher: str) -> str:
    rows: list[Any] = []
    for number, (words, _) in enumerate(_hands(teacher)):
        for size in range(1, len(words) + 1):
            draw = random.Random(f"{number}|{size}")
            persona = {"age": draw.choice(AGES), "utterance_length": draw.choice(LENGTHS)}
            persona["speech_level"] = draw.choice(LEVELS)
            row = {"key": f"{number}|{size}", "keywords": words[:size], "input": {"persona": persona}}
            complete(row, 0, teacher)
            rows.append((row["input"]["context"], row["output"]))
    heads = sorted(head for heads in read_json(REGISTER_FILE)["heads"].values() for head in heads)
    rows += [levels(head, age) for head in heads for age in AGE_WORDS]
    tables = [path.read_text(encoding="utf-8") for path in sorted(TABLES.glob("*.json"))]
    return _digest([*rows, *tables])


def _asked() -> str:
    """Rules, the words around cards, person and situation, and the form of an answer."""
    from aac.records import Context
    from dataset.prepare.teachers.ask import Ask, Turn, answer_format, messages

    pictures = (Path("1.png"), Path("2.png"))
    there = Context(time="오후", place="집", interaction_partner="친구", current_activity="쉬는 중")
    asks = Ask(pictures, ("물", "주세요"), dict.fromkeys(TOLD, "가"), there), Ask(pictures[:1], occasion=1)
    again = [Turn("물", ("짧다",))]
    return _digest([(messages(ask, voice, again, str), answer_format(ask)) for ask in asks for voice in VOICES])


def _hands(teacher: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Each word first in a hand that grows by a word that may join, and all of those offered that may at each step."""
    fits, joins_any = plausible(teacher)
    pool = [*(card.keyword for card in load_lexicon()), *OWN_WORDS]
    draw = random.Random("hands")
    for first in pool:
        hand, offers = [first], list[list[str]]()
        while len(hand) < 4 and joins_any(first):
            offers.append([word for word in draw.sample(pool, OFFERED) if word not in hand and fits(hand, word)])
            if not offers[-1]:
                break
            hand.append(draw.choice(offers[-1]))
        # Words that no table joins are said, too, by the people who choose them.
        yield [*hand, draw.choice(OWN_WORDS)] if len(hand) < 3 and draw.random() < 0.2 else hand, offers


def _proposals(teacher: str) -> Iterator[tuple[int, list[list[str]], list[bool]]]:
    """Each theme with its words, and whether a person could mean some hands of it."""
    draw = random.Random("themes")
    for theme in proposed(teacher):
        slots = [sorted(slot) for slot in theme.slots]
        yield theme.weight, slots, [meant(tuple(map(draw.choice, slots))) for _ in range(HANDS_OF_A_THEME)]


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()
