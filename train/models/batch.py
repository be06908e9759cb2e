"""Rows and batches: what the model reads.

A row is `[prompt | answer 1 | answer 2 | answer 3]`: every answer sees the prompt and itself, and its positions start
where the prompt ends. Loss and gradients equal those of three separate rows. Each answer opens with its style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aac.records import Context, Persona
from train.models.conditioning import NO_STYLE, Conditions
from train.models.prompt import PromptEncoder
from train.models.tensors import Tensors

IGNORE = -100
_CARDS, _PREFERRED = 4, 8


@dataclass
class Row:
    """One encoded sample, or one request (no answers)."""

    prompt: list[int]
    answers: list[list[int]]
    styles: list[int]
    cards: list[int]  # indices into the images of the run or the request
    persona: Persona
    context: Context
    record: int = 0

    @property
    def length(self) -> int:
        return len(self.prompt) + sum(len(answer) for answer in self.answers)


@dataclass
class Batch(Tensors):
    """Tensors of a micro-batch. B rows, L positions, N answers in the batch (row by row), A longest answer.

    `input_ids`: token ids; -k where the row's k-th image stands; 0 where a soft token or a style goes, and for padding.
    `segments`: 0 prompt, 1.. answers, -1 padding. `targets[b, i]`: the token after position i, or IGNORE.
    `cards` (B, 4): indices into `images`, the batch's distinct ones, -1 where there is none.
    """

    input_ids: Tensor  # (B, L)
    position_ids: Tensor  # (B, L), each answer's from where its prompt ends
    segments: Tensor  # (B, L)
    targets: Tensor  # (B, L)
    style_indices: Tensor  # (N, 2) row and position where each answer opens
    style_inputs: Tensor  # (N,) the style told there, NO_STYLE where it is dropped
    style_labels: Tensor  # (N,) the answer's style, IGNORE where the classifier must not learn from it
    answer_indices: Tensor  # (N, A) positions of the answers' text within their row, -1 padding
    cards: Tensor
    images: list[int]
    conditions: Conditions
    records: list[int]  # each once, also where it takes several rows
    prefix: int  # positions that every row spends on its prompt

    def first(self, length: int) -> Batch:
        """Of prompts of one length: their first positions alone."""
        parts = ("input_ids", "position_ids", "segments", "targets")
        cut = {name: getattr(self, name)[:, :length] for name in parts}
        return replace(self, **cut, prefix=min(self.prefix, length))

    @property
    def card_starts(self) -> Tensor:
        """(B, 4): the position where each of a row's cards begins; any where there is none."""
        tags = -torch.arange(1, self.cards.shape[1] + 1, device=self.input_ids.device)
        return (self.input_ids[:, None] == tags[:, None]).int().argmax(-1)

    @property
    def label_tokens(self) -> int:
        return int((self.targets != IGNORE).sum())


def split_long_answers(rows: Sequence[Row], switch: int) -> list[Row]:
    """The rows, but one whose answers would fall on both sides of the rotary switch as one row an answer: in one row
    the longest would give the others its factors. `switch`: see `backbones.Backbone`."""
    split: list[Row] = []
    for row in rows:
        beyond = {len(row.prompt) + len(answer) > switch for answer in row.answers}
        pairs = zip(row.answers, row.styles, strict=True)
        split += [replace(row, answers=[a], styles=[s]) for a, s in pairs] if len(beyond) > 1 else [row]
    return split


def collate(
    rows: Sequence[Row], encoder: PromptEncoder, clusters: Tensor, drop_style: Sequence[bool] | None = None
) -> Batch:
    """Rows to a batch padded on the right. `clusters`: of every picture that `cards` can name, -1 unknown."""
    ids, positions, segments, targets = [], [], [], []
    openings, told, labels, texts = [], [], [], []
    for b, row in enumerate(rows):
        start = len(row.prompt)
        row_ids, row_positions = list(row.prompt), list(range(start))
        row_segments, row_targets = [0] * start, [IGNORE] * start
        dropped = bool(drop_style and drop_style[b])
        for k, (answer, style) in enumerate(zip(row.answers, row.styles, strict=True), start=1):
            opening = len(row_ids)
            row_ids += [0, *answer[:-1]]  # 0: where the style opens the answer
            row_positions += range(start, start + len(answer))
            row_segments += [k] * len(answer)
            row_targets += answer
            openings.append((b, opening))
            told.append(NO_STYLE if dropped else style)
            labels.append(style if dropped and style != NO_STYLE else IGNORE)
            texts.append(range(opening + 1, opening + len(answer)))
        ids.append(row_ids)
        positions.append(row_positions)
        segments.append(row_segments)
        targets.append(row_targets)
    distinct = sorted({card for row in rows for card in row.cards})
    local = {card: index for index, card in enumerate(distinct)}
    return Batch(
        input_ids=_padded(ids, 0),
        position_ids=_padded(positions, 0),
        segments=_padded(segments, -1),
        targets=_padded(targets, IGNORE),
        style_indices=torch.tensor(openings, dtype=torch.long).view(-1, 2),
        style_inputs=torch.tensor(told, dtype=torch.long),
        style_labels=torch.tensor(labels, dtype=torch.long),
        answer_indices=_padded(texts, -1),
        cards=_padded([[local[card] for card in row.cards] for row in rows], -1, _CARDS),
        images=distinct,
        conditions=conditions(rows, encoder, clusters),
        records=list(dict.fromkeys(row.record for row in rows)),
        prefix=min(len(row.prompt) for row in rows),
    )


def conditions(rows: Sequence[Row], encoder: PromptEncoder, clusters: Tensor) -> Conditions:
    """What conditions each row, as tensors."""
    reading = encoder.reading
    persona_text, text, field, position = [], [], [], []
    for row in rows:
        persona_text.append([i for piece in reading.pieces(row.persona) for i in encoder.text(piece)])
        tokens = [
            (i, f, left) for f, name in enumerate(reading.memory) for i, left in _counted(row.context, name, encoder)
        ]
        text.append([t[0] for t in tokens])
        field.append([t[1] for t in tokens])
        position.append([t[2] for t in tokens])
    cards = [[int(clusters[card]) for card in row.cards] for row in rows]
    preferred = [row.persona.preferred_category_types[:_PREFERRED] for row in rows]
    return Conditions(
        categories=torch.tensor([reading.categories(row.persona) for row in rows]),
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
