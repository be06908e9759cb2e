"""`data_prepare.py --append`: new pictures join a finished data set, and nothing that exists changes.

Old cards keep their entries, embedding rows and clusters; a new card goes to the nearest of the frozen centroids; rows
for the new cards are dealt after the old ones. Every part finds its work in what the files before it hold, so a run
killed at any moment is simply done again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from aac.io import UserError, read_json, write_json
from aac.records import nfc
from aac.rules import row_problems
from dataset.prepare import cards, cluster, embed, sampling
from dataset.prepare.options import Options
from dataset.prepare.personas import blank_row
from dataset.prepare.training_rows import secure

log = logging.getLogger("aac")
# More rows than this teach a card no better (recall is at its height from 200 uses on).
ENOUGH = 200


def new_pictures(options: Options) -> list[str]:
    """The files of the images folder that step 1 has not seen yet."""
    table = read_json(options.file("cards.json"), "--append needs a finished data set; run steps 1 to 8 first")
    seen = {nfc(entry["file"]) for entry in (*table["cards"], *table["rejected"])}
    return [path.name for path in cards.pictures_in(options.images) if nfc(cards.printable(path.name)) not in seen]


def append_cards(options: Options, rows_each: int | None) -> Iterator[str]:
    """Extend the files of steps 1, 2, 3, 4 and 7; one line of report a file. Tags and preferences stay as they are.

    Args:
        rows_each: new rows for each persona; None: as many as give the new cards the median use of the old ones.

    Raises:
        UserError: an old card is gone or has changed, or the files do not belong together.
    """
    yield _cards(options)
    yield _embeddings(options)
    yield _clusters(options)
    yield _rows(options, rows_each)


def _cards(options: Options) -> str:
    path = options.file("cards.json")
    old = read_json(path)["cards"]
    found = cards.sift(options, [card["file"] for card in old])
    fresh = {card["file"]: card for card in found["cards"]}
    reasons = {entry["file"]: entry["reason"] for entry in found["rejected"]}
    for card in old:
        now = fresh.pop(card["file"], None)
        if now is None or now["sha256"] != card["sha256"]:
            why = "its picture changed" if now else reasons.get(card["file"], "it is gone")
            raise UserError(
                f"{options.images / card['file']}: {why}, and rows stand on it: restore it, or run without --append "
                "to make everything anew"
            )
        if now["keyword"] != card["keyword"]:
            log.warning("      %s: its label changed; rows stand on the old one, which stays", card["file"])
    write_json(path, {**found, "cards": [*old, *fresh.values()]})
    return f"[1/8] cards: {len(fresh)} new beside {len(old)} -> cards.json"


def _embeddings(options: Options) -> str:
    path = options.file("embeddings.json")
    about, table = read_json(path), read_json(options.file("cards.json"))["cards"]
    names = [card["file"] for card in table]
    count = len(about["filenames"])
    if about["filenames"] != names[:count]:
        raise UserError(f"{path}: its files are not those of cards.json; run step 2 without --append")
    if count == len(names):
        return "[2/8] embeddings: nothing to add"
    name, images_of, words_of = embed.encoder(options)
    if name != about["encoder"]:
        raise UserError(f"{path}: made with {about['encoder']}, not {name}; give the same --encoder")
    pictures = [options.images / card["file"] for card in table[count:]]
    parts = [images_of(pictures[i : i + embed.CHUNK]) for i in range(0, len(pictures), embed.CHUNK)]
    fresh = {
        "image_embeddings": np.concatenate(parts),
        "text_embeddings": words_of([c["keyword"] for c in table[count:]]),
    }
    for kind, rows in fresh.items():
        file = options.file(f"{kind}.npy")
        embed.save_array(file, np.concatenate([np.load(file)[:count], rows]))
    full = isinstance(about["image_embeddings"], list)
    embed.write_index(replace(options, full_embeddings=full), name, names)
    return f"[2/8] embeddings: {len(names) - count} rows added -> embeddings.json, *.npy"


def _clusters(options: Options) -> str:
    path = options.file("clustering_results.json")
    results, names = read_json(path), read_json(options.file("embeddings.json"))["filenames"]
    count = len(results["filenames"])
    if results["filenames"] != names[:count]:
        raise UserError(f"{path}: its files are not those of embeddings.json; run step 3 without --append")
    if count == len(names):
        return "[3/8] clusters: nothing to add"
    vectors, centroids = cluster.card_vectors(options), np.load(options.file("centroids.npy"))
    labels = (vectors[count:] @ centroids.T).argmax(1).tolist()
    for name, label in zip(names[count:], labels, strict=True):
        results["clustered_files"][str(label)].append(name)
    results["cluster_labels"] += labels
    cluster.draw(options, names, vectors, results["cluster_labels"], results["clustered_files"])
    write_json(path, {**results, "filenames": names})
    return (
        f"[3/8] clusters: {len(labels)} cards to {len(set(labels))} of the frozen centroids -> clustering_results.json"
    )


def _rows(options: Options, rows_each: int | None) -> str:
    rows, table = read_json(options.file("dataset_with_cards.json")), read_json(options.file("cards.json"))["cards"]
    deck = sampling.deck_of(table, options)
    for row in rows:
        deck.use(row["input"]["AAC_card_combination"])
    dealt = set(read_json(options.file("coverage.json"))["uses_by_card"])
    fresh = [card for card, uses in zip(deck.cards, deck.uses, strict=True) if not uses and card not in dealt]
    people = sampling.preferring(options)
    if fresh:
        usual = sorted(int(deck.uses[deck.place_of[card]]) for card in deck.cards if card in dealt)
        wanted = min(usual[len(usual) // 2], ENOUGH)
        each = rows_each or max(1, math.ceil(wanted * len(fresh) / len(people)))
        last = max(row["id"] for row in rows)
        added = [blank_row(person, fields) for person, fields in people.items() for _ in range(each)]
        for place, row in enumerate(added, start=1):
            row["id"] = last + place
        for place in sorted(range(len(added)), key=lambda place: (place % each, place)):
            sampling.fill_row(added[place], deck, people, options, fresh)
        secure(added, people, left=0)
        rows += added
        write_json(options.file("dataset_with_cards.json"), rows, None)
    write_json(options.file("coverage.json"), sampling.coverage(rows, deck, table))
    _schema(options, rows)
    uses = [int(deck.uses[deck.place_of[card]]) for card in fresh]
    least = f", a new card stands in {min(uses)} to {max(uses)} of them" if fresh else ""
    return f"[7/8] rows: {len(added) if fresh else 0} added{least} -> dataset.json, dataset_with_cards.json"


def _schema(options: Options, rows: list[dict[str, Any]]) -> None:
    """`dataset.json` holds an empty row for every row."""
    path = options.file("dataset.json")
    empty = read_json(path)
    known = {row["id"] for row in empty}
    missing = [row for row in rows if row["id"] not in known]
    for row in missing:
        empty.append({**blank_row(row["persona_id"], row["input"]["persona"]), "id": row["id"]})
    if missing:
        write_json(path, empty, None)


def finished_rows(options: Options) -> dict[int, dict[str, Any]]:
    """The rows of `dataset_completed.json` that a teacher or a person has finished, by id: step 8 keeps them."""
    path = options.file("dataset_completed.json")
    rows = read_json(path) if path.exists() else []
    return {
        row["id"]: row
        for place, row in enumerate(rows, start=1)
        if row_problems(row, place)[0] not in ("failed", "incomplete")
    }
