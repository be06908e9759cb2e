"""Each card once: what is frozen of every picture, computed once and read from a memory-mapped file."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from aac.io import UserError, hold, write_atomic
from aac.pictures import READING, open_picture
from train.models import backbones
from train.models.known_cards import thumbnail
from train.models.tensors import moved

if TYPE_CHECKING:
    from train.models.network import Network

log = logging.getLogger("aac")
_CHUNK = 32


class CardFeatures:
    """Cards at the last frozen boundary (see `train/models/backbones.py`), by picture index.

    The file is keyed by the pictures' bytes, the processor's settings, the boundary and the frozen weights, so that a
    stale one is never read. `image_sizes[i]`: (height, width) of picture i; `self[i]`, on the CPU, fp16 from an
    fp16 tower, else fp32: the tower's (V, P, C), (V, 3, S, S) where the tower trains, (tokens, D) where the projector
    does not; `pooled`: (N, C); `thumbnails`: see `known_cards.py`.

    One process encodes while others wait. Older files are deleted, the least used first, where all of them together
    take more than `feature_cache_gb` of the model's config. A folder that cannot be written is only read; for cards
    that are not in it, another one is used.

    Raises:
        UserError: these cards alone would take more than that, or there is no folder to write into.
    """

    def __init__(self, model: Network, paths: Sequence[Path], folder: Path) -> None:
        limit = int(model.config["feature_cache_gb"] * 1e9)
        name = f"{_key(model, paths)}.npz"
        folder = _usable(folder, name)
        table_file = folder / name
        with _one_at_a_time(folder):
            if not _whole(table_file):
                kind = backbones.boundary(model.backbone)
                log.info("Reading %d cards up to the %s -> %s", len(paths), kind, table_file)
                _compute(model, paths, table_file, limit)
            with suppress(OSError):  # of a folder that can only be read
                os.utime(table_file)
                _make_room(folder, table_file, limit)
            with np.load(table_file) as table:
                self.image_sizes = [(int(height), int(width)) for height, width in table["sizes"]]
                self.shapes = table["shapes"].tolist()
                self.starts = [0, *table["shapes"].prod(axis=1).cumsum().tolist()]
                self.pooled = torch.from_numpy(table["pooled"])
                self.thumbnails = table["thumbnails"]
                dtype = np.dtype(str(table["dtype"]))
            self.numbers = np.memmap(table_file.with_suffix(".bin"), dtype=dtype, mode="r", shape=self.starts[-1])

    def __len__(self) -> int:
        return len(self.image_sizes)

    def __getitem__(self, index: int) -> Tensor:
        numbers = np.array(self.numbers[self.starts[index] : self.starts[index + 1]])
        return torch.from_numpy(numbers).view(self.shapes[index])

    def batch(self, indices: Sequence[int], device: torch.device | str) -> tuple[list[Tensor], list[tuple[int, int]]]:
        """Features and sizes of a batch's distinct pictures, on the device."""
        return moved([self[i] for i in indices], device), [self.image_sizes[i] for i in indices]


def _whole(table_file: Path) -> bool:
    return table_file.exists() and table_file.with_suffix(".bin").exists()


def _usable(folder: Path, name: str) -> Path:
    """The folder, unless nothing can be written there and these cards are not in it: then one of the user's own."""
    if _whole(folder / name) or _writable(folder):
        return folder
    spare = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aac-interpreter/features"
    if not _writable(spare):
        raise UserError(f"neither {folder} nor {spare} can be written; set feature_cache_dir to a folder that can")
    log.warning("%s cannot be written: cards are kept in %s; feature_cache_dir chooses another folder", folder, spare)
    return spare


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with ExitStack() as held:
        with suppress(OSError):  # a folder that can only be read needs no lock
            file = held.enter_context((folder / ".lock").open("a"))
            hold(file.fileno(), folder / ".lock", wait=True)
        yield


def _key(model: Network, paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    kind = backbones.boundary(model.backbone)
    digest.update(f"3|{READING}|{kind}|{model.processor.identity}".encode())
    vision = model.backbone.model.vision
    for name, parameter in (vision if kind == "projector" else vision.tower).named_parameters():
        if not parameter.requires_grad:
            digest.update(name.encode() + parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


def _compute(model: Network, paths: Sequence[Path], table_file: Path, limit: int) -> None:
    """Encode in chunks, written as they come: memory does not grow with the number of cards."""
    from tqdm import tqdm

    model.eval()
    finish = backbones.boundary(model.backbone) == "projector"
    data_file = table_file.with_suffix(".bin")
    unfinished = data_file.with_suffix(".tmp")
    image_sizes: list[tuple[int, int]] = []
    pooled: list[Tensor] = []
    thumbnails: list[np.ndarray] = []
    shapes: list[tuple[int, ...]] = []
    try:
        with open(unfinished, "wb") as file:
            for first in tqdm(range(0, len(paths), _CHUNK), desc="cards", unit="x32", leave=False):
                images = [open_picture(path) for path in paths[first : first + _CHUNK]]
                thumbnails += [thumbnail(image) for image in images]
                features, found = model.encode_images(images)
                pooled.append(backbones.pool_cards(model.backbone, features).cpu())
                if finish:
                    with torch.no_grad():
                        features = backbones.embed_cards(model.backbone, features, found)
                for feature in features:
                    numbers = (feature if feature.dtype == torch.float16 else feature.float()).cpu().numpy()
                    file.write(np.ascontiguousarray(numbers).data)
                    shapes.append(numbers.shape)
                image_sizes += found
                if file.tell() > limit:
                    need = file.tell() / len(image_sizes) * len(paths) / 1e9
                    raise UserError(
                        f"feature_cache_gb is {limit / 1e9:g}, but the {len(paths)} cards take about {need:.1f} GB; "
                        "raise it, or lower num_crops or card_tokens"
                    )
        unfinished.replace(data_file)
    finally:
        unfinished.unlink(missing_ok=True)
    # Data before its table: a table that exists has its data.
    table = {"sizes": image_sizes, "shapes": shapes, "pooled": torch.cat(pooled).numpy(), "dtype": numbers.dtype.str}
    table["thumbnails"] = np.stack(thumbnails)
    buffer = io.BytesIO()
    np.savez(buffer, **table)
    write_atomic(table_file, buffer.getvalue())


def _make_room(folder: Path, keep: Path, limit: int) -> None:
    """Delete the least recently used caches beyond `limit` bytes; a process that reads one keeps its own copy open."""
    tables = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    pairs = {path: [file for file in (path, path.with_suffix(".bin")) if file.exists()] for path in tables}
    held = {path: sum(file.stat().st_size for file in files) for path, files in pairs.items()}
    total = held.pop(keep)
    for path, size in held.items():
        total += size
        if total > limit:
            log.info("Deleting %s: the cached cards take more than feature_cache_gb", path)
            path.unlink()
            path.with_suffix(".bin").unlink(missing_ok=True)
