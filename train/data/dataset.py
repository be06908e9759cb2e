"""JSON and pictures to batches.

A row is `[prompt | answer 1 | answer 2 | answer 3]`: every answer sees the prompt and itself, and its positions start
where the prompt ends. Loss and gradients equal those of three separate rows. Each answer opens with its style.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dataset.prepare.records import Context, Persona, Sample, UserError, nfc
from train.models.conditioning import CONTEXT_FIELDS, NO_STYLE, Conditions, persona_categories
from train.models.prompt import PromptEncoder

IGNORE = -100
_CARDS, _PREFERRED = 4, 8


@dataclass
class Row:
    """One encoded sample, or one request (no answers)."""

    prompt: list[int]
    answers: list[list[int]]
    styles: list[int]
    cards: list[int]  # indices into the pictures of the run or the request
    persona: Persona
    context: Context
    record: int = 0

    @property
    def length(self) -> int:
        return len(self.prompt) + sum(len(answer) for answer in self.answers)


@dataclass
class Batch:
    """Tensors of a step. B rows, L positions, N answers in the batch (row by row), A longest answer.

    `segments`: 0 prompt, 1.. answers, -1 padding. `targets[b, i]`: the token after position i, or IGNORE.
    `cards` (B, 4): indices into `pictures`, the batch's distinct pictures, -1 where there is none.
    """

    input_ids: Tensor
    position_ids: Tensor
    segments: Tensor
    targets: Tensor
    style_places: Tensor  # (N, 2) row and position where each answer opens
    style_inputs: Tensor  # (N,) the style told there, NO_STYLE where it is dropped
    style_labels: Tensor  # (N,) the answer's style, IGNORE where the classifier must not learn from it
    answer_places: Tensor  # (N, A) positions of the answers' text within their row, -1 padding
    cards: Tensor
    pictures: list[int]
    conditions: Conditions
    records: list[int]
    prefix: int  # positions that every row spends on its prompt

    def to(self, device: torch.device | str) -> Batch:
        moved = {f.name: getattr(self, f.name) for f in fields_of(self)}
        for name, value in moved.items():
            if isinstance(value, Tensor | Conditions):
                moved[name] = value.to(device)
        return Batch(**moved)

    @property
    def label_tokens(self) -> int:
        return int((self.targets != IGNORE).sum())


def split_long_answers(row: Row, switch: int) -> list[Row]:
    """A row whose answers would fall on both sides of the rotary switch becomes one row an answer."""
    ends = {len(row.prompt) + len(answer) > switch for answer in row.answers}
    if len(ends) < 2:
        return [row]
    return [
        Row(row.prompt, [answer], [style], row.cards, row.persona, row.context, row.record)
        for answer, style in zip(row.answers, row.styles, strict=True)
    ]


def collate(
    rows: Sequence[Row], encoder: PromptEncoder, clusters: Tensor, drop_style: Sequence[bool] | None = None
) -> Batch:
    """Rows to a batch padded on the right. `clusters`: of every picture that `cards` can name, -1 unknown."""
    ids, positions, segments, targets = [], [], [], []
    places, told, labels, texts = [], [], [], []
    for b, row in enumerate(rows):
        start = len(row.prompt)
        row_ids, row_positions = list(row.prompt), list(range(start))
        row_segments, row_targets = [0] * start, [IGNORE] * start
        dropped = bool(drop_style and drop_style[b])
        for k, (answer, style) in enumerate(zip(row.answers, row.styles, strict=True), start=1):
            place = len(row_ids)
            row_ids += [0, *answer[:-1]]  # 0: where the style opens the answer
            row_positions += range(start, start + len(answer))
            row_segments += [k] * len(answer)
            row_targets += answer
            places.append((b, place))
            told.append(NO_STYLE if dropped else style)
            labels.append(style if dropped and style != NO_STYLE else IGNORE)
            texts.append(range(place + 1, place + len(answer)))
        ids.append(row_ids)
        positions.append(row_positions)
        segments.append(row_segments)
        targets.append(row_targets)
    distinct = sorted({card for row in rows for card in row.cards})
    local = {card: place for place, card in enumerate(distinct)}
    return Batch(
        input_ids=_padded(ids, 0),
        position_ids=_padded(positions, 0),
        segments=_padded(segments, -1),
        targets=_padded(targets, IGNORE),
        style_places=torch.tensor(places, dtype=torch.long).view(-1, 2),
        style_inputs=torch.tensor(told, dtype=torch.long),
        style_labels=torch.tensor(labels, dtype=torch.long),
        answer_places=_padded(texts, -1),
        cards=_padded([[local[card] for card in row.cards] for row in rows], -1, _CARDS),
        pictures=distinct,
        conditions=conditions(rows, encoder, clusters),
        records=[row.record for row in rows],
        prefix=min(len(row.prompt) for row in rows),
    )


def conditions(rows: Sequence[Row], encoder: PromptEncoder, clusters: Tensor) -> Conditions:
    """What conditions each row, as tensors."""
    persona_text, text, field, position = [], [], [], []
    for row in rows:
        p = row.persona
        pieces = (p.disability_type, p.communication_characteristics, *p.interesting_topics)
        persona_text.append([i for piece in pieces if piece for i in encoder.text(piece)])
        tokens = [
            (i, f, left) for f, name in enumerate(CONTEXT_FIELDS) for i, left in _counted(row.context, name, encoder)
        ]
        text.append([t[0] for t in tokens])
        field.append([t[1] for t in tokens])
        position.append([t[2] for t in tokens])
    cards = [[int(clusters[card]) for card in row.cards] for row in rows]
    preferred = [row.persona.preferred_category_types[:_PREFERRED] for row in rows]
    return Conditions(
        categories=torch.tensor([persona_categories(row.persona) for row in rows]),
        persona_text=_padded(persona_text, -1),
        context_text=_padded(text, -1),
        context_field=_padded(field, 0),
        context_position=_padded(position, 0),
        card_clusters=_padded(cards, -1, _CARDS),
        preferred_clusters=_padded(preferred, -1, _PREFERRED),
    )


def _counted(context: Context, name: str, encoder: PromptEncoder) -> list[tuple[int, int]]:
    value = getattr(context, name)
    ids = encoder.text(value) if value else ()
    return [(token, len(ids) - 1 - i) for i, token in enumerate(ids)]


def _padded(lists: Sequence[Sequence[int]], fill: int, width: int = 1) -> Tensor:
    """Lists to a table (lists, longest), made in one go: a tensor for each list takes five times as long."""
    width = max([width, *map(len, lists)])
    table = [[*items, *[fill] * (width - len(items))] for items in lists]
    return torch.tensor(table, dtype=torch.long).view(-1, width)


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
                "raise max_length, lower num_crops or shorten the record (nothing is cut inside a picture)"
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
    return record.model_copy(update={n: getattr(unknown, n) for n in type(record).model_fields if draw.random() < 0.5})


class BucketedBatches(torch.utils.data.Sampler[list[int]]):
    """Groups of rows of like length, in an order that (seed, epoch) fixes, dealt to processes window by window.

    A window is what one update learns from: `accumulation` groups a process. Every process deals the same cards, so
    that two processes and one process with twice the accumulation read the same rows for the same update. `start`:
    groups of this epoch that are done, over all processes.
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
        self.window, self.rank, self.processes = accumulation * processes, rank, processes
        self.epoch, self.start = 0, 0

    def __len__(self) -> int:
        """Groups an epoch, over all processes."""
        return -(-len(self.lengths) // self.batch_size)

    def groups(self) -> list[list[int]]:
        order = list(range(len(self.lengths)))
        draw = random.Random(f"{self.seed}|{self.epoch}")
        draw.shuffle(order)
        pool = self.batch_size * 32
        groups: list[list[int]] = []
        for first in range(0, len(order), pool):
            near = sorted(order[first : first + pool], key=lambda i: self.lengths[i])
            groups += [near[i : i + self.batch_size] for i in range(0, len(near), self.batch_size)]
        draw.shuffle(groups)
        return groups

    def windows(self) -> list[tuple[list[list[int]], int, int]]:
        """The rest of the epoch: this process's groups of each window, how many of them count, and the window's size.

        Processes step together: one that is dealt fewer groups of a last, partial window goes through the window's
        first once more, which then does not count.
        """
        dealt = []
        groups = self.groups()
        for first in range(self.start, len(groups), self.window):
            window = groups[first : first + self.window]
            mine = window[self.rank :: self.processes]
            rounds = -(-len(window) // self.processes)
            dealt.append((mine + window[:1] * (rounds - len(mine)), len(mine), len(window)))
        return dealt

    def __iter__(self) -> Iterator[list[int]]:
        for mine, _, _ in self.windows():
            yield from mine


@dataclass
class Collator:
    """Rows of a group to batches: one, or `parts` smaller ones where memory is short. Draws the dropped styles."""

    encoder: PromptEncoder
    clusters: Tensor
    seed: int
    style_dropout: float
    epoch: int = 0
    parts: int = 1

    def __call__(self, rows: list[Row]) -> tuple[list[Batch], int]:
        """The batches, and how many positions the rows fill (padding not counted)."""
        size = -(-len(rows) // self.parts)
        chunks = [rows[first : first + size] for first in range(0, len(rows), size)]
        return [collate(chunk, self.encoder, self.clusters, self._drops(chunk)) for chunk in chunks], sum(
            row.length for row in rows
        )

    def _drops(self, rows: list[Row]) -> list[bool]:
        draws = (random.Random(f"{self.seed}|{self.epoch}|style|{row.record}").random() for row in rows)
        return [draw < self.style_dropout for draw in draws]


def find_pictures(samples: Iterable[Sample], folder: str | Path) -> list[Path]:
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


def loader(dataset: AACDataset, batches: BucketedBatches, collator: Collator, workers: int = 0) -> Any:
    """A DataLoader of `collator`'s results, whose iterator draws no number from the global generator (a resumed run
    must not drift). Workers are forked: they inherit the encoded texts, and need nothing that pickles."""
    if workers:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else tokenizers warns in every fork
    return torch.utils.data.DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collator,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        generator=torch.Generator().manual_seed(0),
    )
