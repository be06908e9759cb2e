"""Step 8: contexts and three interpretations for every row, from a teacher."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from dataset.prepare.records import Context, Persona, card_keyword, read_json, write_json

if TYPE_CHECKING:
    from dataset.prepare.pipeline import Options


def write_interpretations(options: Options) -> str:
    """Write `dataset_completed.json`. Rows outside `--start`/`--limit` stay as they are, unprocessed."""
    from tqdm import tqdm

    rows = read_json(options.file("dataset_with_cards.json"))
    stop = len(rows) if options.limit is None else options.start + options.limit
    chosen = rows[options.start : stop]
    for row in tqdm(chosen, desc="interpretations", unit="row", leave=False):
        complete(row, options.seed)
    write_json(options.file("dataset_completed.json"), rows, None)
    return f"{len(chosen)} rows with three sentences each ({options.teacher} teacher) -> dataset_completed.json"


def complete(row: dict[str, Any], seed: int) -> None:
    """Fill in one row's context and outputs by the offline grammar; the draw is the row's own."""
    from dataset.prepare.teachers.grammar import interpret, sample_context

    draw = random.Random(f"{seed}|{row['key']}")
    source = row["input"]
    words = row.get("keywords") or [card_keyword(card) for card in source["AAC_card_combination"]]
    persona = Persona.parse(source["persona"])
    context: Context = sample_context(persona, words, draw)
    source["context"] = context.public()
    row["output"] = interpret(words, persona, context, draw)
