"""Checkpoint files: atomic, tensors and plain data only, with a digest that is checked before anything is read.

A checkpoint is what `torch.save` writes, a zip archive, with `sha256:<hex>` of all bytes before the archive's comment
standing in that comment: `torch.load` reads it, and flipped bits, which `torch.load` does not notice, are found.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import struct
from pathlib import Path
from typing import Any

from dataset.prepare.records import UserError, write_atomic

FORMAT = 1
_MARK = b"sha256:"
_COMMENT = len(_MARK) + 64


def save(path: str | Path, state: dict[str, Any]) -> None:
    """Write `state` atomically. Raises OSError (disk full, read-only folder) with the old file untouched."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getbuffer()
    body = data[:-2]  # the end record's last two bytes are the comment's length
    comment = _MARK + hashlib.sha256(body).hexdigest().encode()
    write_atomic(path, bytes(body) + struct.pack("<H", len(comment)) + comment)


def load(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        UserError: missing, truncated, altered, or not a checkpoint of this project. Nothing in it is executed.
    """
    import torch

    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; train one first: python train/train.py") from None
    comment = data[-_COMMENT:]
    body = data[: -_COMMENT - 2]
    if len(data) < 100 or not comment.startswith(_MARK):
        raise UserError(f"{path}: not a checkpoint of this project, or cut short; use an earlier one")
    if comment[len(_MARK) :].decode(errors="replace") != hashlib.sha256(body).hexdigest():
        raise UserError(f"{path}: damaged (its digest does not match its content); use an earlier one")
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path}: holds more than tensors and plain data, refused ({type(error).__name__})") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this project's format {FORMAT}")
    return state


def step_checkpoints(folder: str | Path) -> list[Path]:
    """`checkpoint_step_N.pt` of a folder, newest first."""
    found = [
        (int(m[1]), p) for p in Path(folder).glob("checkpoint_step_*.pt") if (m := re.search(r"_(\d+)\.pt$", p.name))
    ]
    return [path for _, path in sorted(found, reverse=True)]


def rotate(folder: str | Path, keep: int) -> None:
    """Keep the newest `keep` step checkpoints; `best_model.pt` is none of them."""
    for path in step_checkpoints(folder)[keep:]:
        path.unlink(missing_ok=True)
