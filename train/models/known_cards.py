"""Which card is this? The pictures that a model was trained with, in a form that others can be compared to.

A picture is cut to what is drawn on it and made small (16 x 16 colours, as differences from the background), so that a
border, another size, a shift or another file format change little. Likeness is the mean of two cosines, of these
colours and of their fine structure (what a blur takes away): round yellow faces are alike in the first alone. It does
not ask the vision tower: a tower that has learned to name cards under shifts and turns finds a card in noise as well.
`benchmarks/known_cards.py` measures both kinds of error at `KNOWN`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from aac.io import UserError
from aac.rules import spoken

if TYPE_CHECKING:
    from PIL.Image import Image

KNOWN = 0.78  # likeness from which a picture is taken for the card
_SIDE = 16
_LOOK = 64  # side in which what is drawn is looked for
_INK = 32  # difference from the background, of 255, that counts as drawn
_BLUR = _SIDE / 8
_MIDDLE = 128


@dataclass(frozen=True)
class CardReading:
    """What one picture was taken for: the likest known card's word, how like it is (-1 to 1), and whether that is
    enough."""

    word: str
    similarity: float

    @property
    def known(self) -> bool:
        return self.similarity >= KNOWN

    def public(self) -> dict[str, Any]:
        """Plain values for `return_details`; an unknown picture has no word."""
        word = spoken(self.word) if self.known else ""
        return {"word": word, "known": self.known, "similarity": self.similarity}


class KnownCards:
    """Words and thumbnails (N, 16, 16, 3) of N pictures, as `thumbnail` makes them."""

    def __init__(self, words: Sequence[str], thumbnails: np.ndarray) -> None:
        self.words, self.thumbnails = list(words), thumbnails

    @classmethod
    def of(cls, pictures: Sequence[Image], words: Sequence[str]) -> KnownCards:
        return cls(words, np.stack([thumbnail(picture) for picture in pictures]))

    @cached_property
    def _prints(self) -> np.ndarray:
        return _prints(self.thumbnails)

    def read(self, pictures: Sequence[Image]) -> list[CardReading]:
        """The likest known card of each RGB picture."""
        if not pictures:
            return []
        likeness = _prints(np.stack([thumbnail(picture) for picture in pictures])) @ self._prints.T
        best = likeness.argmax(1)
        return [CardReading(self.words[i], round(float(row[i]), 4)) for i, row in zip(best, likeness, strict=True)]

    def state(self) -> dict[str, Any]:
        """For a checkpoint: tensors and plain data."""
        import torch

        return {"words": self.words, "thumbnails": torch.from_numpy(self.thumbnails)}

    @classmethod
    def from_state(cls, state: Any, where: str) -> KnownCards:
        """What `state` gave.

        Raises:
            UserError: it is not that.
        """
        try:
            words, thumbnails = state["words"], state["thumbnails"].numpy()
            fits = thumbnails.shape == (len(words), _SIDE, _SIDE, 3) and thumbnails.dtype == np.uint8
        except (AttributeError, KeyError, TypeError):
            fits = False
        if not fits or not all(isinstance(word, str) for word in words):
            raise UserError(f"{where}: its table of known cards is malformed; use an earlier checkpoint")
        return cls(words, thumbnails)


def thumbnail(picture: Image) -> np.ndarray:
    """An RGB picture to (16, 16, 3) of uint8: what is drawn on it, fitted into a square, as differences from the
    background (its border's median colour), halved around 128. A picture on which nothing is drawn is 128 throughout.
    """
    from PIL import Image

    scale = _LOOK / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    seen = np.asarray(picture.resize(size, Image.Resampling.BOX)).astype(np.float32)
    background = np.median(np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]]), axis=0)
    ink = np.abs(seen - background).max(-1) > _INK
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return np.full((_SIDE, _SIDE, 3), _MIDDLE, dtype=np.uint8)
    box = [round(edge / scale) for edge in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]
    drawn = picture.crop(tuple(box))
    square = Image.new("RGB", (max(drawn.size),) * 2, tuple(round(float(value)) for value in background))
    square.paste(drawn, ((square.width - drawn.width) // 2, (square.height - drawn.height) // 2))
    small = np.asarray(square.resize((_SIDE, _SIDE), Image.Resampling.BOX)).astype(np.float32)
    return np.clip(np.round((small - background) / 2) + _MIDDLE, 0, 255).astype(np.uint8)


def _prints(thumbnails: np.ndarray) -> np.ndarray:
    """Thumbnails to unit vectors (N, 2 x 768), whose product is the mean of the two cosines."""
    from scipy.ndimage import gaussian_filter

    colours = thumbnails.astype(np.float32) - _MIDDLE
    fine = colours - gaussian_filter(colours, (0, _BLUR, _BLUR, 0))
    parts = [part.reshape(len(part), -1) for part in (colours, fine)]
    units = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-6) for part in parts]
    return np.concatenate(units, axis=1) / np.sqrt(2, dtype=np.float32)
