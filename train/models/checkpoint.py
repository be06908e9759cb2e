"""Checkpoint files: atomic, tensors and plain data only, with a digest that is checked before anything is read.

A checkpoint is what `torch.save` writes, a zip archive, with `sha256:<hex>` of all bytes before the archive's comment
standing in that comment: `torch.load` reads it, and flipped bits, which `torch.load` does not notice, are found.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aac.io import UserError, atomic_file

if TYPE_CHECKING:
    import torch

FORMAT = 1
_MARK = b"sha256:"
_COMMENT = len(_MARK) + 64
_LENGTH = struct.pack("<H", _COMMENT)  # closes the archive's end record
_PLAIN = (type(None), bool, int, float, str, bytes)
_SHAPE = {"config": dict, "base": dict, "tokenizer": str, "model": dict}


def save(path: str | Path, state: dict[str, Any]) -> None:
    """Write `state` beside the target, flush, rename: a reader never sees half a file, and memory holds no copy.

    Raises:
        OSError: disk full, read-only folder; the old file is untouched.
        UserError: something in it is neither a tensor nor plain data: `load` would refuse the file.
    """
    import torch

    path = Path(path)
    state = {key: _plain(value, f"{path}: {key}") for key, value in state.items()}
    try:
        with atomic_file(path) as file:
            torch.save(state, file)
            length = file.seek(0, os.SEEK_END) - 2  # the last two bytes are the comment's length: none yet
            comment = _MARK + _digest(file, length).encode()
            file.seek(length)
            file.write(_LENGTH + comment)
    except (OSError, RuntimeError) as error:  # torch's writer calls a full disk a RuntimeError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OSError(
            f"{path}: cannot be written ({reason}); free space or set checkpoint_dir. What was there is intact: go on "
            "with --resume auto"
        ) from None


def _plain(value: Any, where: str) -> Any:
    """`value` with NumPy's scalars as Python's own; tensors are handed through. `where`: the file, and the key in it.

    Raises:
        UserError: another type.
    """
    import numpy as np
    import torch

    if isinstance(value, np.generic):
        value = value.item()
    kind = type(value)  # itself: a subclass (an Enum that is a str) is written by its class's name, which no reader has
    if isinstance(value, torch.Tensor) or kind in _PLAIN:
        return value
    if kind in (dict, OrderedDict):
        return kind((_plain(key, where), _plain(item, f"{where}.{key}")) for key, item in value.items())
    if kind in (list, tuple, set):
        return kind(_plain(item, f"{where}.{number}") for number, item in enumerate(value))
    raise UserError(
        f"{where} is of type {kind.__name__}: a checkpoint holds tensors and plain data; convert or drop it"
    )


def load(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        UserError: missing, truncated, altered, or not a checkpoint of this project. Nothing in it is executed.
    """
    import torch

    path = Path(path)
    try:
        file = open(path, "rb")  # noqa: SIM115  closed below
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; train one first: python train/train.py") from None
    except OSError as error:
        raise UserError(f"{path}: not a readable checkpoint ({error.strerror})") from None
    with file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _COMMENT - 2))
        end = file.read()
        if size < 100 or not end.startswith(_LENGTH + _MARK):
            raise UserError(f"{path}: not a checkpoint of this project, or damaged (cut short); use an earlier one")
        if end[2 + len(_MARK) :].decode(errors="replace") != _digest(file, size - _COMMENT - 2):
            raise UserError(f"{path}: damaged (its digest does not match its content); use an earlier one")
        file.seek(0)
        try:
            with warnings.catch_warnings(action="ignore"):  # a TorchScript archive is refused, in our words alone
                state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a hostile archive makes the reader stumble over
            raise UserError(
                f"{path}: holds more than tensors and plain data, refused ({type(error).__name__})"
            ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this project's format {FORMAT}")
    if wrong := [key for key, kind in _SHAPE.items() if not isinstance(state.get(key), kind)]:
        raise UserError(f"{path}: not a checkpoint of this project (its {', '.join(wrong)} are missing or malformed)")
    if strange := [name for name, value in state["model"].items() if not isinstance(value, torch.Tensor)]:
        raise UserError(f"{path}: {strange[0]!r} in its model is no tensor; use an earlier one")
    return state


def _digest(file: BinaryIO, length: int) -> str:
    """SHA-256 of the first `length` bytes."""
    file.seek(0)
    digest = hashlib.sha256()
    while length > 0 and (piece := file.read(min(length, 1 << 20))):
        digest.update(piece)
        length -= len(piece)
    return digest.hexdigest()


def compact(tensors: dict[str, torch.Tensor], precision: str) -> dict[str, torch.Tensor]:
    """The model's tensors for `best_model.pt`: LoRA's in the precision of the run's matrix products, the rest as is.

    Under autocast a LoRA matrix is rounded to that precision wherever it is used, so this rounding changes no product;
    rank 64 over 3.8B then takes 0.2 GB instead of 0.4. Step checkpoints keep fp32: an update is smaller than half
    precision can tell. What would overflow stays as it is.
    """
    import torch

    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision)
    if dtype is None:
        return tensors
    largest = torch.finfo(dtype).max
    fitting = {name for name, value in tensors.items() if ".lora_" in name and value.abs().amax() <= largest}
    return {name: value.to(dtype) if name in fitting else value for name, value in tensors.items()}


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
