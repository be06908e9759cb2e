"""Checkpoint files: whole or refused, and never executed."""

from __future__ import annotations

import pickle
import random
import zipfile
from pathlib import Path

import pytest
import torch

from dataset.prepare.records import UserError
from train.utils import checkpoint


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint_step_3.pt"
    checkpoint.save(path, {"format": checkpoint.FORMAT, "weight": torch.arange(2000.0), "note": "글"})
    return path


def test_round_trip(saved: Path) -> None:
    state = checkpoint.load(saved)
    assert torch.equal(state["weight"], torch.arange(2000.0)) and state["note"] == "글"
    assert torch.load(saved, weights_only=True)["note"] == "글"  # an ordinary torch file besides


def test_a_flipped_bit_is_found_that_torch_does_not_see(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[data.index(torch.arange(2000.0).numpy().tobytes()[400:440])] ^= 1
    saved.write_bytes(data)
    torch.load(saved, weights_only=True)  # negative control: no complaint
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load(saved)


def test_damage_anywhere_is_one_clear_error(saved: Path) -> None:
    whole = saved.read_bytes()
    draw = random.Random(0)
    for trial in range(100):
        data = bytearray(whole)
        if trial % 2:
            data = data[: draw.randrange(len(data))]
        else:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        saved.write_bytes(data)
        with pytest.raises(UserError, match="checkpoint_step_3"):
            checkpoint.load(saved)


def test_a_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    import hashlib
    import struct

    flag = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple:
            return (Path.touch, (flag,))

    path = tmp_path / "hostile.pt"
    torch.save({"format": checkpoint.FORMAT, "x": Hostile()}, path)
    body = path.read_bytes()[:-2]
    comment = b"sha256:" + hashlib.sha256(body).hexdigest().encode()  # even with a digest that fits
    path.write_bytes(body + struct.pack("<H", len(comment)) + comment)
    assert zipfile.is_zipfile(path)
    with pytest.raises(UserError):
        checkpoint.load(path)
    assert not flag.exists()
    pickle.loads(pickle.dumps(Hostile()))  # negative control: unpickling would have run it
    assert flag.exists()


def test_rotation_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        (tmp_path / f"checkpoint_step_{step}.pt").touch()
    (tmp_path / "best_model.pt").touch()
    checkpoint.rotate(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best_model.pt",
        "checkpoint_step_10.pt",
        "checkpoint_step_2.pt",
    ]
