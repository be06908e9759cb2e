"""The data contract: what a sample is, on disk and in memory.

The files keep the public AAC format (`dataset/README.md`): the pipeline writes it, the trainer reads it through this
module, `persona.py` declares what persona and context hold.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from aac.io import UserError, read_json
from aac.persona import Context, Persona
from aac.rules import INTERPRETATIONS, TWICE, Problem, card_keyword, nfc, once, row_problems
from aac.stream import json_items

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
LEAST_TRAINED = 5  # rows of the training split in which a card should stand to be learned


class Sample(BaseModel):
    """One training row: cards, who, where, and three interpretations in the order of the styles."""

    id: int
    persona: Persona
    persona_id: int | None = None
    context: Context
    cards: list[str] = Field(min_length=1)
    output: list[str] = Field(min_length=INTERPRETATIONS)
    key: str = ""
    keywords: list[str] = Field(default_factory=list)
    surplus: int = 0  # sentences beyond the third, which stay unused
    pinned: bool = False  # a lone card's row that training needs, whatever its hash says

    def model_post_init(self, _: Any) -> None:
        self.keywords = self.keywords or [card_keyword(card) for card in self.cards]

    @property
    def split(self) -> Split:
        return "train" if self.pinned else split_of(self.cards, self.persona)


def combination_key(cards: list[str]) -> str:
    """A hash of the set of cards, whatever their order: two rows of one combination share it."""
    joined = "\n".join(sorted(nfc(card) for card in cards))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def sample_key(persona_id: int | None, cards: list[str], row_id: int) -> str:
    """The content key of a row: journals and hand corrections find it by this, not by its place in the file."""
    return hashlib.sha256(f"{persona_id}|{combination_key(cards)}|{row_id}".encode()).hexdigest()[:16]


def split_of(cards: list[str], persona: Persona | None = None) -> Split:
    """80/10/10 by the combination's hash, so that no combination stands in two splits and adding data moves no row.

    A card alone must be trained on, whatever card it is: it is split by who says it, so that every lone card stands in
    each split, and in one split alone with each person. Without a persona a lone card counts as one for training.
    """
    key = combination_key(cards)
    if len(cards) == 1:
        if persona is None:
            return "train"
        # Clusters are left out: they change with the cards of the set, and would move rows.
        told = persona.model_dump_json(exclude={"id", "preferred_category_types"})
        key = hashlib.sha256(f"{key}|{told}".encode()).hexdigest()
    slot = int(key, 16) % 10
    return "train" if slot < 8 else "val" if slot == 8 else "test"


class Rows(NamedTuple):
    """A data file, checked: what can be trained on, how many rows of each status there are, and what is wrong."""

    samples: list[Sample]
    statuses: Counter[str]
    problems: list[Problem]


def checked_rows(path: str | Path, clusters: int | None = None) -> Iterator[tuple[str, list[Problem], Sample | None]]:
    """Read and check `dataset_completed.json` row by row, whoever made it, by the rules of `rules.py`.

    Args:
        clusters: how many clusters there are, where that is known: preferences beyond are then a problem.

    Yields:
        A row's status, what is wrong with it, and the sample where it is complete.

    Raises:
        UserError: the file is not a JSON list.
    """
    first: dict[int | str, int] = {}
    for place, row in enumerate(_raw_rows(path), start=1):
        status, problems = row_problems(row, place, clusters)
        identity = row.get("id") if isinstance(row, dict) else None
        if isinstance(identity, int) and first.setdefault(identity, place) != place:
            remedy = f"row no. {first[identity]} of the file has the same id; give every row its own"
            problems.append(Problem(identity, "id", str(identity), remedy))
            status = "defective"
        yield status, problems, _sample(row) if status == "complete" else None


def _raw_rows(path: str | Path) -> Iterator[Any]:
    """What the file's list holds. A file that cannot be read so is read as a whole, for the message that names why."""
    count = 0
    try:
        for row in json_items(path, once):
            yield row
            count += 1
        return
    except (ValueError, OSError, RecursionError):
        rows = read_json(path, "run `python data_prepare.py --steps 1 2 3 4 5 6 7 8`", once)
    if not isinstance(rows, list):
        raise UserError(f"{path}: expected a list of rows, not {type(rows).__name__}; see dataset/README.md")
    yield from rows[count:]


def read_rows(path: str | Path, clusters: int | None = None) -> Rows:
    """All of `checked_rows`.

    Raises:
        UserError: the file is not a JSON list.
    """
    found = Rows([], Counter(), [])
    for status, problems, sample in checked_rows(path, clusters):
        found.statuses[status] += 1
        found.problems.extend(problems)
        if sample:
            found.samples.append(sample)
    return found


def stream_samples(path: str | Path, clusters: int | None, skipped: Counter[str]) -> Iterator[Sample]:
    """Read `dataset_completed.json` for training, a sample at a time: the contract of every reader of data.

    Args:
        skipped: counts what is left out by reason (`failed`: the teacher's error mark stands in the row; `incomplete`:
            the row was never processed; and how many sentences stand beyond the third, unused).

    Raises:
        UserError: the file or a row is not of the public format; the message names the row and the field. Known at the
            end of the file alone: nothing may be learned from its samples before.
    """
    fatal: list[Problem] = []
    for status, problems, sample in checked_rows(path, clusters):
        fatal += [problem for problem in problems if problem.fatal]
        if status in ("failed", "incomplete"):
            skipped[status] += 1
        if sample:
            skipped["sentences beyond the third"] += sample.surplus
            yield sample
    if fatal:
        more = f" ({len(fatal) - 1} more problems)" if len(fatal) > 1 else ""
        raise UserError(f"{path}: {fatal[0]}{more}; `python data_prepare.py --check {path}` lists all")


def load_samples(path: str | Path, clusters: int | None = None) -> tuple[list[Sample], Counter[str]]:
    """All of `stream_samples`, and what it counts.

    Raises:
        UserError: the file or a row is not of the public format; the message names the row and the field.
    """
    skipped: Counter[str] = Counter()
    samples = list(stream_samples(path, clusters, skipped))
    return samples, +skipped


def seldom_trained(cards: Iterable[tuple[str, str]], trained: Mapping[str, int]) -> str:
    """The cards that too few training rows hold, and what to do; empty: every card is learned.

    Args:
        cards: file names and words of all cards in use.
        trained: in how many training rows each stands.
    """
    seldom = sorted(
        (trained.get(card, 0), word or card) for card, word in cards if trained.get(card, 0) < LEAST_TRAINED
    )
    if not seldom:
        return ""
    never = sum(count == 0 for count, _ in seldom)
    shown = ", ".join(f"{word} {count}" for count, word in seldom[:20]) + (", ..." if len(seldom) > 20 else "")
    return (
        f"{len(seldom)} cards stand in fewer than {LEAST_TRAINED} training rows, {never} of them in none, and will "
        f"hardly be learned: {shown}; make more rows: data_prepare.py with a higher --samples-per-persona"
    )


def by_split(samples: Iterable[Sample], path: str | Path, empty: Callable[[], Any] = list) -> dict[Split, Any]:
    """The samples of each split, appended to what `empty` makes.

    Raises:
        UserError: too few for training and choosing a model.
    """
    splits: dict[Split, Any] = {name: empty() for name in SPLITS}
    for sample in samples:
        splits[sample.split].append(sample)
    if not splits["train"] or not splits["val"]:
        counts = ", ".join(f"{len(rows)} {name}" for name, rows in splits.items())
        raise UserError(f"{path}: too few rows for a train and a val split ({counts}); make more with data_prepare.py")
    return splits


def _sample(row: dict[str, Any]) -> Sample:
    """A row that the rules found complete."""
    source = row["input"]
    cards = source["AAC_card_combination"]
    persona = Persona.read(source["persona"])
    persona_id = row.get("persona_id", persona.id)
    return Sample(
        id=row["id"],
        persona=persona,
        persona_id=persona_id,
        context=Context.read(source["context"]),
        cards=[nfc(card) for card in cards],
        output=[nfc(text) for text in row["output"][:INTERPRETATIONS]],
        surplus=max(0, len(row["output"]) - INTERPRETATIONS),
        key=row.get("key") or sample_key(persona_id, cards, row["id"]),
        keywords=[nfc(word) for word in row.get("keywords") or []],
        pinned=row.get("split") == "train",
    )


class Clusters(NamedTuple):
    """`clustering_results.json`: how many clusters there are, and the cards of each that holds any."""

    count: int
    files: dict[int, list[str]]


def read_clusters(path: str | Path) -> Clusters:
    """Read and check `clustering_results.json`; cluster ids may be text or numbers.

    Raises:
        UserError: the file is not of the public format.
    """
    again = "rerun step 3"
    result = read_json(path, "run `python data_prepare.py --steps 3`", once)
    if not isinstance(result, dict):
        raise UserError(f"{path}: expected an object, not {type(result).__name__}; {again}")
    count, files = result.get("n_clusters"), result.get("clustered_files")
    if twice := [part[TWICE] for part in (result, files) if isinstance(part, dict) and TWICE in part]:
        raise UserError(f"{path}: {twice[0]!r} stands twice in one object; {again}")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise UserError(f"{path}: n_clusters: {count!r}: the number of clusters; {again}")
    if not isinstance(files, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in files.values()
    ):
        raise UserError(f"{path}: clustered_files: cluster ids with lists of file names; {again}")
    for number in files:
        if not re.fullmatch(r"\d{1,6}", number) or int(number) >= count:
            raise UserError(f"{path}: clustered_files: {number!r}: clusters go from 0 to {count - 1}; {again}")
    owners = Counter(name for names in files.values() for name in names)
    if twice := [name for name, times in owners.items() if times > 1]:
        raise UserError(f"{path}: clustered_files: {twice[0]!r} stands in two clusters; {again}")
    return Clusters(count, {int(number): names for number, names in files.items() if names})
