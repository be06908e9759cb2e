"""Steps 4 and 6: the rows of each persona, and which clusters of cards each persona prefers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from aac.io import UserError, read_json, write_json
from aac.records import Persona
from aac.rules import TWICE, once, persona_problems
from dataset.prepare.embed import encoder
from dataset.prepare.options import Options

log = logging.getLogger("aac")
PREFERRED = 8
THRESHOLD = 0.5  # cosine of topic and tag; the public (cos + 1) / 2 >= 0.75


def read_personas(path: Path) -> list[dict[str, Any]]:
    """`[{"id": 1, "persona": {…}}, …]` as the file holds them, checked.

    Raises:
        UserError: the file is not of this form, or an id stands twice.
    """
    entries = read_json(path, "give --personas a file like dataset/persona.json", once)
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: expected a list of personas, like dataset/persona.json")
    seen: set[int] = set()
    for place, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("persona"), dict):
            raise UserError(f'{path}: entry {place} must look like {{"id": {place}, "persona": {{…}}}}')
        if TWICE in entry:
            raise UserError(f"{path}: entry {place}: {entry[TWICE]!r} stands twice; keep one of them")
        identity = entry.get("id")
        if not isinstance(identity, int) or isinstance(identity, bool) or identity in seen:
            raise UserError(f"{path}: entry {place}: 'id' must be a number of its own, not {identity!r}")
        seen.add(identity)
        for field, value, remedy in persona_problems(entry["persona"]):
            raise UserError(f"{path}: persona {identity}: {field}: {value!r}: {remedy}")
    return entries


def blank_row(persona_id: int, persona: dict[str, Any]) -> dict[str, Any]:
    """A row before its cards: `persona_id` stands beside the public fields."""
    context = {"time": None, "place": None, "interaction_partner": None, "current_activity": ""}
    source = {"persona": persona, "context": context, "past_interpretation": "", "AAC_card_combination": []}
    return {"id": 0, "persona_id": persona_id, "input": source, "output": ""}


def write_schema(options: Options) -> str:
    """Write `dataset.json`: the empty rows, a block of them for each persona, with `persona_id` beside the public
    fields."""
    rows: list[dict[str, Any]] = []
    entries = read_personas(options.personas)
    for entry in entries:
        for _ in range(options.samples_per_persona):
            rows.append({**blank_row(entry["id"], entry["persona"]), "id": len(rows) + 1})
    write_json(options.file("dataset.json"), rows, None)
    return f"{len(entries)} personas x {options.samples_per_persona} = {len(rows)} rows -> dataset.json"


def write_preferences(options: Options) -> str:
    """Write `enhanced_persona.json`: each persona with its own `preferred_category_types`, at most eight, best first.

    A cluster's score for a person is the best cosine between a topic of theirs and a tag of the cluster.
    """
    entries = read_personas(options.personas)
    tags = read_json(options.file("cluster_tags.json"))
    places = [(int(number), tag) for number, words in tags.items() for tag in words]
    name, _, words_of = encoder(options)
    tag_vectors = words_of([tag for _, tag in places]) if places else None
    made = []
    for entry in entries:
        topics = Persona.read(entry).interesting_topics
        best: dict[int, float] = {}
        if topics and tag_vectors is not None:
            scores = (words_of(topics) @ tag_vectors.T).max(0)
            for (number, _), score in zip(places, scores.tolist(), strict=True):
                best[number] = max(best.get(number, -1.0), score)
        liked = [number for number, score in sorted(best.items(), key=lambda p: (-p[1], p[0])) if score >= THRESHOLD]
        made.append({**entry, "persona": {**entry["persona"], "preferred_category_types": liked[:PREFERRED]}})
    write_json(options.file("enhanced_persona.json"), made)
    some = sum(bool(entry["persona"]["preferred_category_types"]) for entry in made)
    return f"{some} of {len(made)} personas prefer clusters (words compared by {name}) -> enhanced_persona.json"
