"""Cards for Qwen3-VL: each scaled to a budget of positions, its shape kept (PIL and torch only).

A position is a square of `cell` pixels. The published processor scales a picture up to 64 positions and lets a larger
one take as many as it fills; at equal sizes the pixels are the same (`tests/test_qwen3_vl.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from aac import pictures
from aac.io import UserError


def grid_of(width: int, height: int, budget: int) -> tuple[int, int]:
    """Rows and columns of a picture's positions: its shape as well as `budget` positions show it."""
    root = math.sqrt(budget * height / width)
    rows, columns = max(1, round(root)), max(1, round(budget / root))
    while rows * columns > budget:
        rows, columns = (rows - 1, columns) if rows > columns else (rows, columns - 1)
    return rows, columns


class Qwen3VLProcessor:
    """PIL pictures to normalised views.

    Args:
        card_tokens: the most positions a picture takes.
        cell: the side of a position's square, in pixels.

    Raises:
        UserError: a budget below 1.
    """

    def __init__(self, card_tokens: int, cell: int = 32) -> None:
        if card_tokens < 1:
            raise UserError(f"card_tokens must be at least 1 for qwen3_vl, not {card_tokens}; 64 is as published")
        self.card_tokens, self.cell = card_tokens, cell
        self.identity = f"{card_tokens}|{cell}"

    def images(self, images: Sequence[Image.Image]) -> tuple[list[Tensor], Tensor]:
        """Pictures to one view each (1, 3, H, W), values -1 to 1, and their sizes (N, 2)."""
        views = [self._view(pictures.plain(image)) for image in images]
        return views, torch.tensor([view.shape[-2:] for view in views])

    def num_tokens(self, image_size: tuple[int, int]) -> int:
        """Positions that a picture of this size (height, width) takes."""
        rows, columns = (int(side) // self.cell for side in image_size)
        return rows * columns

    def _view(self, image: Image.Image) -> Tensor:
        rows, columns = grid_of(*image.size, self.card_tokens)
        size = (columns * self.cell, rows * self.cell)
        raw = torch.frombuffer(bytearray(image.resize(size, Image.Resampling.BICUBIC).tobytes()), dtype=torch.uint8)
        return raw.view(1, size[1], size[0], 3).permute(0, 3, 1, 2) / 127.5 - 1
