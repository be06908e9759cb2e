"""Every card is learned: step 7 sees to it that each stands in enough rows of the training split.

A card alone is split by who says it (`records.split_of`), so a card that stands only alone, told to few people, may lie
wholly outside training. The lone rows of one of its people are then pinned to training (`"split": "train"` in the
row), all of them, so that no card stands in two splits with one person. A pin is written where the row is dealt: rows
that are added later move none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from aac.records import LEAST_TRAINED, Persona, split_of

Row = dict[str, Any]


def secure(rows: Sequence[Row], people: Mapping[int, Mapping[str, Any]], left: int = 1) -> int:
    """Pin lone rows of cards that have too few training rows.

    Args:
        rows: as step 7 deals them; a pin is written into them.
        people: the personas by id.
        left: how many of the rows must stay for validation.

    Returns:
        How many rows were pinned.
    """
    persons = {number: Persona.read(person) for number, person in people.items()}
    trained: Counter[str] = Counter()
    outside: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    held = 0
    for row in rows:
        chosen = row["input"]["AAC_card_combination"]
        split = split_of(chosen, persons[row["persona_id"]])
        held += split == "val"
        if split == "train":
            trained.update(chosen)
        elif len(chosen) == 1:
            outside[chosen[0]][row["persona_id"]].append(row)
    pinned = 0
    for card in sorted(outside):
        for _, own in sorted(outside[card].items(), key=lambda item: (len(item[1]), item[0])):
            held_here = sum(split_of([card], persons[row["persona_id"]]) == "val" for row in own)
            if trained[card] >= LEAST_TRAINED or held - held_here < left:
                continue
            for row in own:
                row["split"] = "train"
            trained[card] += len(own)
            pinned += len(own)
            held -= held_here
    return pinned
