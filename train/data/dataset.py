"""Samples to rows, and the order in which a run reads them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aac.io import UserError
from aac.records import Context, Persona, Sample, nfc
from train.models.batch import Batch, Row, collate, split_long_answers
from train.models.conditioning import NO_STYLE
from train.models.prompt import PromptEncoder


class AACDataset(torch.utils.data.Dataset[Row]):
    """Samples to rows, with the drops of training drawn from (seed, epoch, record): the same whoever asks, and when.

    Args:
        image_tokens: positions each picture takes, by its index in `card_index`.
        card_index: file name to picture index.
        drops: shares for persona, context, keyword; empty for evaluation (nothing dropped, no keywords).
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        encoder: PromptEncoder,
        card_index: dict[str, int],
        image_tokens: Sequence[int],
        drops: dict[str, float] | None = None,
        seed: int = 0,
        max_length: int = 4096,
        style_labels: bool = True,
    ) -> None:
        self.samples, self.encoder, self.drops = samples, encoder, drops or {}
        self.card_index, self.image_tokens = card_index, image_tokens
        self.seed, self.epoch, self.max_length = seed, 0, max_length
        self.styles = [0, 1, 2] if style_labels else [NO_STYLE] * 3

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Row:
        """The row of a sample, in this epoch.

        Raises:
            UserError: it is longer than `max_length`.
        """
        sample = self.samples[index]
        draw = random.Random(f"{self.seed}|{self.epoch}|{sample.id}")
        persona = _known(sample.persona, self.drops.get("persona", 0), draw)
        context = _known(sample.context, self.drops.get("context", 0), draw)
        keywords = sample.keywords if self.drops and draw.random() >= self.drops.get("keyword", 0) else None
        cards = [self.card_index[card] for card in sample.cards]
        row = Row(
            prompt=self.encoder.prompt([self.image_tokens[card] for card in cards], persona, context, keywords),
            answers=[self.encoder.answer(text) for text in sample.output],
            styles=self.styles,
            cards=cards,
            persona=persona,
            context=context,
            record=sample.id,
        )
        longest = len(row.prompt) + max(len(answer) for answer in row.answers)
        if longest > self.max_length:
            raise UserError(
                f"record {sample.id}: {longest} tokens with its longest answer exceed max_length {self.max_length}; "
                "raise max_length, lower num_crops or card_tokens, shorten the record (nothing is cut inside a picture)"
            )
        return row


def _known(record: Persona | Context, share: float, draw: random.Random) -> Any:
    """What training is told of it: all; for `share` of the rows nothing or, as often, each field by the toss of a coin
    (apps know an age and a place before they know the rest)."""
    if draw.random() >= share:
        return record
    unknown = type(record)()
    if draw.random() < 0.5:
        return unknown
    # Of what a record is written with: a field that it does not use moves no draw.
    return record.model_copy(update={n: getattr(unknown, n) for n in record.model_dump() if draw.random() < 0.5})


class BucketedBatches(torch.utils.data.Sampler[list[int]]):
    """Batches of rows of like length, in an order that (seed, epoch) fixes, dealt to processes window by window.

    A window is what one update learns from: `accumulation` batches a process. Every process deals the same cards, so
    that two processes and one process with twice the accumulation read the same rows for the same update. `start`:
    batches of this epoch that are done, over all processes.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        accumulation: int = 1,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.per_update, self.rank, self.processes = accumulation * processes, rank, processes
        self.epoch, self.start = 0, 0

    def __len__(self) -> int:
        """Batches an epoch, over all processes."""
        return -(-len(self.lengths) // self.batch_size)

    def batches(self) -> list[list[int]]:
        """All of the epoch, each the indices of its rows."""
        order = list(range(len(self.lengths)))
        draw = random.Random(f"{self.seed}|{self.epoch}")
        draw.shuffle(order)
        pool = self.batch_size * 32
        batches: list[list[int]] = []
        for first in range(0, len(order), pool):
            near = sorted(order[first : first + pool], key=lambda i: self.lengths[i])
            batches += [near[i : i + self.batch_size] for i in range(0, len(near), self.batch_size)]
        draw.shuffle(batches)
        return batches

    def windows(self) -> list[tuple[list[list[int]], int, int]]:
        """The rest of the epoch: this process's batches of each window, how many of them count, and the window's size.

        Processes step together: one that is dealt fewer batches of a last, partial window goes through the window's
        first once more, which then does not count.
        """
        dealt = []
        batches = self.batches()
        for first in range(self.start, len(batches), self.per_update):
            window = batches[first : first + self.per_update]
            mine = window[self.rank :: self.processes]
            rounds = -(-len(window) // self.processes)
            dealt.append((mine + window[:1] * (rounds - len(mine)), len(mine), len(window)))
        return dealt

    def __iter__(self) -> Iterator[list[int]]:
        for mine, _, _ in self.windows():
            yield from mine


@dataclass
class Collator:
    """The rows of a batch to its micro-batches: itself alone, or `micro_batches` where memory is short. Draws the
    dropped styles.

    `switch`: the length at which the backbone's rotary factors change (`split_long_answers`).
    """

    encoder: PromptEncoder
    clusters: Tensor
    switch: int
    seed: int
    style_dropout: float
    epoch: int = 0
    micro_batches: int = 1  # a batch

    def __call__(self, rows: list[Row]) -> tuple[list[Batch], int]:
        """The micro-batches, and how many positions the rows fill (padding not counted)."""
        size = -(-len(rows) // self.micro_batches)
        chunks = [rows[first : first + size] for first in range(0, len(rows), size)]
        return [self.batch(chunk, dropping=True) for chunk in chunks], sum(self.positions(row) for row in rows)

    def batch(self, rows: Sequence[Row], dropping: bool = False) -> Batch:
        """One batch, in which a row on both sides of the switch stands as one row an answer."""
        rows = split_long_answers(rows, self.switch)
        return collate(rows, self.encoder, self.clusters, self._drops(rows) if dropping else None)

    def positions(self, row: Row) -> int:
        """How many positions a row fills in its batch."""
        return sum(part.length for part in split_long_answers([row], self.switch))

    def _drops(self, rows: Sequence[Row]) -> list[bool]:
        draws = (random.Random(f"{self.seed}|{self.epoch}|style|{row.record}").random() for row in rows)
        return [draw < self.style_dropout for draw in draws]


def find_images(samples: Iterable[Sample], folder: str | Path) -> list[Path]:
    """`find_cards` of the samples' cards."""
    records: dict[str, int] = {}
    for sample in samples:
        for card in sample.cards:
            records.setdefault(card, sample.id)
    return find_cards(records, folder)


def find_cards(records: Mapping[str, int], folder: str | Path) -> list[Path]:
    """The files of cards, in the order of their names.

    Args:
        records: each card's file name, and a record that names it.

    Raises:
        UserError: a card's file is not in the folder; the record that names it is named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"images_folder {folder}: not a folder; run `python data_prepare.py` or set images_folder")
    there = {nfc(path.name): path for path in folder.iterdir()}
    if missing := [card for card in records if card not in there]:
        card = missing[0]
        raise UserError(f"record {records[card]}: card {card!r} is not in {folder} ({len(missing)} cards are missing)")
    return [there[card] for card in sorted(records)]
