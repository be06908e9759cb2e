"""Each card once: what is frozen of every picture, computed once and read from a memory-mapped file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dataset.prepare.records import UserError
from train.models import backbones

if TYPE_CHECKING:
    from PIL.Image import Image

    from train.models.aac_multimodal_model import AACMultimodalModel

log = logging.getLogger("aac")
_CHUNK = 32


def open_picture(path: Path) -> Image:
    """A card's picture, fully read. Raises UserError that names a file that is no picture."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).copy()
    except (OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise UserError(f"{path}: not a readable picture ({error})") from None


class CardFeatures:
    """Cards at the last frozen boundary (see `train/models/backbones.py`), by picture index.

    The file is keyed by the pictures' bytes, the processor's settings, the boundary and the frozen weights, so that a
    stale one is never read. `sizes[i]`: the frame (height, width) of picture i; `self[i]`, float32 on the CPU: the
    tower's (V, P, C), (V, 3, S, S) where the tower trains, (tokens, D) where the projector does not; `pooled`: (N, C).
    """

    def __init__(self, model: AACMultimodalModel, pictures: Sequence[Path], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{_key(model, pictures)}.npz"
        if not target.exists():
            log.info("Reading %d cards up to the %s -> %s", len(pictures), backbones.boundary(model.backbone), target)
            _compute(model, pictures, target)
            for old in sorted(folder.glob("*.npz"), key=lambda p: p.stat().st_mtime)[:-2]:
                old.unlink(missing_ok=True)
                old.with_suffix(".npy").unlink(missing_ok=True)
        table = np.load(target)
        self.sizes = [(int(h), int(w)) for h, w in table["sizes"]]
        self.starts = table["starts"].tolist()
        self.pooled = torch.from_numpy(table["pooled"])
        self.rows = np.load(target.with_suffix(".npy"), mmap_mode="r")

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.array(self.rows[self.starts[index] : self.starts[index + 1]]))

    def batch(self, indices: Sequence[int], device: torch.device | str) -> tuple[list[Tensor], list[tuple[int, int]]]:
        """Features and frames of a batch's distinct pictures, on the device."""
        return [self[i].to(device) for i in indices], [self.sizes[i] for i in indices]


def _key(model: AACMultimodalModel, pictures: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in pictures:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    settings = model.processor
    kind = backbones.boundary(model.backbone)
    digest.update(f"{kind}|{settings.num_crops}|{settings.image_size}|{settings.image_layout}".encode())
    vision = model.backbone.model.vision_embed_tokens
    for name, parameter in (vision if kind == "projector" else vision.img_processor).named_parameters():
        if not parameter.requires_grad:
            digest.update(name.encode() + parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


def _compute(model: AACMultimodalModel, pictures: Sequence[Path], target: Path) -> None:
    from tqdm import tqdm

    from train.models.generation import encode_pictures

    model.eval()
    finish = backbones.boundary(model.backbone) == "projector"
    parts: list[np.ndarray] = []
    sizes: list[tuple[int, int]] = []
    pooled: list[Tensor] = []
    for first in tqdm(range(0, len(pictures), _CHUNK), desc="cards", unit="x32", leave=False):
        images = [open_picture(path) for path in pictures[first : first + _CHUNK]]
        features, frames = encode_pictures(model, images)
        pooled.append(backbones.pool_cards(model.backbone, features).cpu())
        if finish:
            with torch.no_grad():
                features = backbones.embed_cards(model.backbone, features, frames)
        parts += [feature.float().cpu().numpy() for feature in features]
        sizes += frames
    starts = np.cumsum([0, *(len(part) for part in parts)])
    # Data before its table: a table that exists has its data.
    for name, write in (
        (target.with_suffix(".npy"), lambda f: np.save(f, np.concatenate(parts))),
        (target, lambda f: np.savez(f, sizes=np.array(sizes), starts=starts, pooled=torch.cat(pooled).numpy())),
    ):
        temporary = name.with_name(f".{name.name}.tmp")
        with open(temporary, "wb") as file:
            write(file)
        temporary.replace(name)
