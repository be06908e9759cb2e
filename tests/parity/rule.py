"""The fixture's numbers: weights and pixels from the rule in README.md, cases from the stored files."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

FOLDER = Path(__file__).parent
CASES: dict[str, dict[str, Any]] = json.loads((FOLDER / "cases/index.json").read_text(encoding="utf-8"))


def tensor(name: str, shape: list[int], mean: float = 0.0, std: float = 1.0) -> torch.Tensor:
    """splitmix64 from the name's crc32, mapped to a flat distribution of this mean and deviation; float32."""
    steps = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
    z = np.uint64(zlib.crc32(name.encode())) + steps * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    k = (z ^ (z >> np.uint64(31))) >> np.uint64(40)
    x = (2 * k.astype(np.float64) / 2**24 - 1) * math.sqrt(3)
    return torch.from_numpy((mean + std * x).astype(np.float32).reshape(shape))


def config_dict() -> dict[str, Any]:
    """The fixture's published-style config.json with its tower under the optional key."""
    config = json.loads((FOLDER / "config.json").read_text())
    return config | {"vision_config": json.loads((FOLDER / "clip_config.json").read_text())}


def weights() -> dict[str, torch.Tensor]:
    rows = json.loads((FOLDER / "weights.json").read_text())
    made = {name: tensor(name, row["shape"], row["mean"], row["std"]) for name, row in rows.items()}
    for name, row in rows.items():
        flat = made[name].flatten()
        assert flat[:4].tolist() == row["first4"][:4] and flat[-1].item() == row["last"], name
    return made


def case(name: str) -> dict[str, torch.Tensor]:
    with np.load(FOLDER / f"cases/{name}.npz") as stored:
        values = {key: torch.from_numpy(stored[key]) for key in stored.files}
    return {key: value.float() if value.is_floating_point() else value.long() for key, value in values.items()}


def picture(name: str) -> Image.Image:
    return Image.open(FOLDER / "images" / name)
