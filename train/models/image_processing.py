"""Pictures and prompts to model inputs, as the published Phi-3.5-Vision processor does it (PIL and torch only).

Source: the published `preprocessor_config.json` and processing code, checked against reference outputs in
`tests/test_image_processing.py`. One departure, on by default: transparent pictures are laid on white, because the
published RGB conversion shows whatever colour hides below the transparency (often black).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from aac import pictures
from aac.io import UserError

if TYPE_CHECKING:
    from transformers import BatchFeature

IMAGE_LAYOUTS = ("sub_glb", "global")
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_LONGEST = 6000  # side of a picture that is padded to a square
_TAG = re.compile(r"<\|image_(\d+)\|>")


def hd_size(width: int, height: int, num_crops: int, tile: int) -> tuple[int, int, int]:
    """How a landscape picture is laid out: (new width, new height, height padded to whole tiles).

    The width is the largest whole number of tiles for which width x height tiles stay within `num_crops`.
    Raises UserError for a picture so flat that no pixel row is left (the published code fails there too).
    """
    ratio = width / height
    tiles = 1
    while (tiles + 1) * math.ceil((tiles + 1) / ratio) <= num_crops:
        tiles += 1
    new_width = tiles * tile
    new_height = int(new_width / ratio)
    if new_height == 0:
        raise UserError(f"picture of {width}x{height} is too flat for num_crops={num_crops}; crop it")
    return new_width, new_height, math.ceil(new_height / tile) * tile


def pooled_side(half: int, card_tokens: int) -> int:
    """The side of the square of tokens that a view of `half` x `half` is pooled to: at most `card_tokens` of them, all
    of the same share; 0: not pooled."""
    fitting = (side for side in range(half, 0, -1) if half % side == 0 and side**2 <= card_tokens)
    return next(fitting, half)


class Phi3VisionProcessor:
    """`<|image_N|>` prompts and PIL pictures to `input_ids` (image positions are -N), `pixel_values`, `image_sizes`.

    Args:
        tokenizer: callable, text to an object with `input_ids` including BOS (see `from_pretrained`); None if only
            pictures are processed.
        num_crops: most local tiles a picture is cut into; 1 suits simple drawings, the published config says 4.
        image_size, patch_size: of the vision tower.
        image_layout: "sub_glb" as published, or "global": the picture padded to a square, one view, no separators.
        white_background: lay transparent pictures on white; False is the published conversion.
        card_tokens: see `Phi3VisionConfig`.

    Raises:
        UserError: settings that fit no tower.
    """

    def __init__(
        self,
        tokenizer: Callable[[str], Any] | None,
        num_crops: int = 1,
        image_size: int = 336,
        patch_size: int = 14,
        image_layout: str = "sub_glb",
        white_background: bool = True,
        card_tokens: int = 0,
    ) -> None:
        if num_crops < 1:
            raise UserError(f"num_crops must be at least 1, not {num_crops}")
        if image_layout not in IMAGE_LAYOUTS:
            raise UserError(f"image_layout must be one of {', '.join(IMAGE_LAYOUTS)}, not {image_layout!r}")
        if image_size % (2 * patch_size):
            raise UserError(f"image_size {image_size} must be a multiple of twice patch_size {patch_size}")
        self.tokenizer = tokenizer
        self.num_crops = num_crops
        self.image_size = image_size
        self.patch_size = patch_size
        self.image_layout = image_layout
        self.white_background = white_background
        self.side = pooled_side(image_size // patch_size // 2, card_tokens)
        self.identity = f"{num_crops}|{image_size}|{image_layout}" + (f"|{self.side}" if card_tokens else "")

    @classmethod
    def from_pretrained(cls, path: str | Path, **settings: Any) -> Self:
        """With the tokenizer of a hub id or a folder.

        `tokenizer.json` is taken as it is: the Llama class, which `AutoTokenizer` may choose, gives other ids.
        """
        from transformers import PreTrainedTokenizerFast

        return cls(PreTrainedTokenizerFast.from_pretrained(path), **settings)

    def __call__(
        self, text: str, images: Sequence[Image.Image] | None = None, return_tensors: str | None = "pt"
    ) -> BatchFeature:
        """One prompt with its pictures: `input_ids`, `attention_mask` (1, L), and, with pictures, `pixel_values`
        (N, views, 3, S, S) and `image_sizes` (N, 2).

        Raises:
            UserError: the tags are not exactly 1..N in order, or other tensors than PyTorch's are asked for.
        """
        from transformers import BatchFeature

        if return_tensors not in ("pt", None):
            raise UserError(f"return_tensors={return_tensors!r}: this processor gives PyTorch tensors alone; use 'pt'")
        pictures = dict(zip(("pixel_values", "image_sizes"), self.images(images), strict=True)) if images else {}
        sizes = [tuple(size) for size in pictures["image_sizes"].tolist()] if images else []
        ids = torch.tensor([self.prompt_ids(text, sizes)])
        return BatchFeature({"input_ids": ids, "attention_mask": torch.ones_like(ids), **pictures})

    def prompt_ids(self, prompt: str, image_sizes: Sequence[tuple[int, int]]) -> list[int]:
        """Ids of a prompt whose pictures have these sizes (height, width).

        Each chunk of text between tags is tokenised alone, so each opens with its own BOS: the model was used so.

        Raises:
            UserError: the tags are not 1, 2, ... in order, one an image, or there is no tokenizer.
        """
        if self.tokenizer is None:
            raise UserError("this processor has no tokenizer; use Phi3VisionProcessor.from_pretrained(path)")
        tags = [int(tag) for tag in _TAG.findall(prompt)]
        if tags != list(range(1, len(image_sizes) + 1)):
            found = ", ".join(f"<|image_{tag}|>" for tag in tags) or "none"
            raise UserError(
                f"prompt: image tags must be <|image_1|> to <|image_{len(image_sizes)}|>, once each and in order, "
                f"for {len(image_sizes)} pictures; found {found}"
            )
        chunks = _TAG.split(prompt)[::2]
        ids = list(self.tokenizer(chunks[0]).input_ids)
        for tag, (size, chunk) in enumerate(zip(image_sizes, chunks[1:], strict=True), start=1):
            ids += [-tag] * self.num_tokens(size) + list(self.tokenizer(chunk).input_ids)
        return ids

    def num_tokens(self, image_size: tuple[int, int]) -> int:
        """Positions that a picture of this size (height, width) takes in the prompt."""
        if self.image_layout == "global":
            return self.side**2
        grid = self.image_size // self.patch_size // 2
        rows, columns = (int(side) // self.image_size for side in image_size)
        return (rows * columns + 1) * grid**2 + 1 + (rows + 1) * grid

    def images(self, images: Sequence[Image.Image]) -> tuple[Tensor, Tensor]:
        """Pictures to `pixel_values` (N, views, 3, S, S), float32 normalised, and `image_sizes` (N, 2) long.

        Views are the global one, then the tiles row by row, then zeros up to `num_crops` + 1; "global" has one view.

        Raises:
            UserError: no picture, or one too flat.
        """
        if not images:
            raise UserError("images: at least one picture is needed")
        if self.image_layout == "global":
            views = torch.stack([self._normalise(self._square(image))[None] for image in images])
            return views, torch.full((len(images), 2), self.image_size)
        laid = [self._normalise(self.hd_image(image)) for image in images]
        return torch.stack([self._views(image) for image in laid]), torch.tensor([image.shape[-2:] for image in laid])

    def hd_image(self, image: Image.Image) -> Image.Image:
        """The picture resized to whole tiles across and padded with white to whole tiles along its shorter side."""
        image = pictures.plain(image, self.white_background)
        portrait = image.width < image.height
        if portrait:
            image = image.transpose(Image.Transpose.TRANSPOSE)
        width, height, padded = hd_size(image.width, image.height, self.num_crops, self.image_size)
        laid = Image.new("RGB", (width, padded), "white")
        laid.paste(image.resize((width, height), Image.Resampling.BILINEAR), (0, (padded - height) // 2))
        return laid.transpose(Image.Transpose.TRANSPOSE) if portrait else laid

    def _square(self, image: Image.Image) -> Image.Image:
        image = pictures.plain(image, self.white_background)
        image.thumbnail((_LONGEST, _LONGEST))
        side = max(image.size)
        square = Image.new("RGB", (side, side), "white")
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        return square.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR)

    @staticmethod
    def _normalise(image: Image.Image) -> Tensor:
        raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        pixels = raw.view(image.height, image.width, 3).permute(2, 0, 1).float() / 255
        return (pixels - torch.tensor(CLIP_MEAN)[:, None, None]) / torch.tensor(CLIP_STD)[:, None, None]

    def _views(self, image: Tensor) -> Tensor:
        """(3, H, W) to (num_crops + 1, 3, S, S)."""
        tile = self.image_size
        glob = functional.interpolate(image[None], (tile, tile), mode="bicubic")
        tiles = image.unfold(1, tile, tile).unfold(2, tile, tile).permute(1, 2, 0, 3, 4).flatten(0, 1)
        blank = image.new_zeros(self.num_crops - len(tiles), 3, tile, tile)
        return torch.cat([glob, tiles, blank])
