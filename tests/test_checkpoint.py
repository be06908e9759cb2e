"""Checkpoint files: whole or refused, and never executed."""

from __future__ import annotations

import enum
import hashlib
import importlib
import os
import pickle
import random
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import fresh_model

from aac.io import UserError
from train.loop import run_folder
from train.models import checkpoint

SHELL = {"format": checkpoint.FORMAT, "config": {}, "base": {}, "tokenizer": ""}


def state(**more: Any) -> dict[str, Any]:
    return {**SHELL, "model": {"weight": torch.arange(2000.0)}, "note": "글", **more}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint_step_3.pt"
    checkpoint.save(path, state())
    return path


def seal(path: Path) -> None:
    """Give an archive of another's making the digest that fits it, as an attacker would."""
    body = path.read_bytes()[:-2]
    comment = b"sha256:" + hashlib.sha256(body).hexdigest().encode()
    path.write_bytes(body + struct.pack("<H", len(comment)) + comment)


def refused(path: Path) -> str:
    """The one clear line on a file that must not load."""
    with pytest.raises(UserError) as caught:
        checkpoint.load(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_round_trip(saved: Path) -> None:
    whole = checkpoint.load(saved)
    assert torch.equal(whole["model"]["weight"], torch.arange(2000.0)) and whole["note"] == "글"
    assert torch.load(saved, weights_only=True)["note"] == "글"  # an ordinary torch file besides
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]  # no temporary stays


def test_a_flipped_bit_is_found_that_torch_does_not_see(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[data.index(torch.arange(2000.0).numpy().tobytes()[400:440])] ^= 1
    saved.write_bytes(data)
    torch.load(saved, weights_only=True)  # negative control: no complaint
    assert "damaged" in refused(saved)


def test_200_damaged_files_are_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    draw = random.Random(0)
    comment = len(whole) - 2 - 71
    places = [comment, comment + 1, comment + 2, len(whole) - 1]  # the end record's own bytes too
    for trial in range(200):
        data = bytearray(whole)
        if trial % 2:
            data = data[: draw.randrange(len(data))]
        else:
            place = places.pop() if places else draw.randrange(len(data))
            data[place] ^= 1 << draw.randrange(8)
        saved.write_bytes(data)
        refused(saved)


class Reduced:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


class WithState:
    def __init__(self, flag: Path) -> None:
        self.flag = str(flag)

    def __setstate__(self, held: dict[str, str]) -> None:
        Path(held["flag"]).touch()


def hostile(flag: Path) -> dict[str, Any]:
    """Objects that create `flag` when they are unpickled."""
    code = f"__import__('pathlib').Path({str(flag)!r}).touch()"
    nested = pickle.dumps(Reduced(Path.touch, flag))
    return {
        "method": Reduced(Path.touch, flag),
        "system": Reduced(os.system, f"touch '{flag}'"),
        "eval": Reduced(eval, code),
        "exec": Reduced(exec, code),
        "process": Reduced(subprocess.check_output, ["touch", str(flag)]),
        "import": Reduced(importlib.import_module, "this_module_is_not_there"),
        "nested": Reduced(pickle.loads, nested),
        "state": WithState(flag),
        "torch": Reduced(torch.load, str(flag)),
        "file": Reduced(open, str(flag), "w"),
    }


@pytest.mark.parametrize("kind", list(hostile(Path("x"))))
@pytest.mark.parametrize("place", ["beside", "inside", "legacy"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, kind: str, place: str) -> None:
    """Even with a digest that fits it."""
    flag, path = tmp_path / "ran", tmp_path / "hostile.pt"
    bad = hostile(flag)[kind]
    whole = state(model={"weight": bad}) if place == "inside" else state(x=bad)
    torch.save(whole, path, _use_new_zipfile_serialization=place != "legacy")
    if place == "legacy":
        with open(path, "ab") as file:
            file.write(b"\0\0")
    seal(path)
    assert zipfile.is_zipfile(path) or place == "legacy"
    refused(path)
    assert not flag.exists()


def test_the_hostile_pickles_would_run(tmp_path: Path) -> None:
    """Negative control: unpickled without care, they do what they say."""
    for kind in ("method", "system", "eval", "exec", "process", "nested", "state", "file"):
        flag = tmp_path / kind
        pickle.loads(pickle.dumps(hostile(flag)[kind]))
        assert flag.exists(), kind


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"config": 3}, "config"),
        ({"model": {"weight": "no tensor"}}, "weight"),
        ({"format": 9}, "format"),
        ({"tokenizer": None}, "tokenizer"),
    ],
)
def test_a_file_of_another_make_is_refused(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    path = tmp_path / "other.pt"
    checkpoint.save(path, state(**more))
    assert words in refused(path)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(path))
    seal(path)
    refused(path)
    path.unlink()
    path.mkdir()
    refused(path)


def test_numbers_of_numpy_are_saved_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    given = {np.str_("loss"): np.float32(0.5), "steps": [np.int64(3), (np.bool_(True), {"글": np.float64(2)})]}
    checkpoint.save(path, state(note=given))
    assert repr(checkpoint.load(path)["note"]) == repr({"loss": 0.5, "steps": [3, (True, {"글": 2.0})]})


class Level(enum.StrEnum):
    HIGH = "high"


@pytest.mark.parametrize("value", [np.zeros(2), Path("a"), Level.HIGH, np.datetime64("2024-01-01"), np.longdouble(1)])
def test_what_could_not_be_read_is_not_written(saved: Path, value: Any) -> None:
    before = saved.read_bytes()
    for note, key in ((value, "note"), ({"a": [1, value]}, r"note\.a\.1")):
        with pytest.raises(UserError, match=rf"checkpoint_step_3\.pt: {key} is of type "):
            checkpoint.save(saved, state(note=note))
    assert saved.read_bytes() == before and len(list(saved.parent.iterdir())) == 1


def test_a_save_that_fails_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*intact"):
        checkpoint.save(saved, state(note="new"))
    assert saved.read_bytes() == before and len(list(saved.parent.iterdir())) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_torch_on_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        return open("/dev/full", "r+b")

    monkeypatch.setattr("aac.io.open", full, raising=False)
    with pytest.raises(OSError, match=r"checkpoint\.pt: cannot be written \(") as caught:
        checkpoint.save(tmp_path / "checkpoint.pt", state())
    assert "\n" not in str(caught.value)


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


def test_a_damaged_newest_is_named_and_the_one_before_used(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    newest = saved.with_name("checkpoint_step_4.pt")
    newest.write_bytes(saved.read_bytes()[:-100])
    start = run_folder.choose_start(saved.parent, "auto", None, False)
    assert start.path == saved and start.resume and "checkpoint_step_4.pt" in caplog.text
    shutil.copy(newest, saved)
    with pytest.raises(UserError, match="none of its 2 checkpoints"):
        run_folder.choose_start(saved.parent, "auto", None, False)


# ---------------------------------------------------------------------- sizes


def test_a_tiny_best_model_is_under_40_mb(tmp_path: Path) -> None:
    """The two-core preset, with as many tokens as it may have."""
    import json

    from train.config.train_config import load_config
    from train.models.aac_multimodal_model import AACMultimodalModel

    tiny = Path(__file__).resolve().parents[1] / "train/config/tiny.json"
    config = load_config(tiny)
    shape = {**config["backbone"], "num_hidden_layers": config["backbone"]["num_hidden_layers"]}
    tokenizer = fresh_model().encoder.tokenizer
    plan = json.loads(tokenizer.to_str())
    vocabulary = plan["model"]["vocab"]
    vocabulary.update({f"글{i}": i for i in range(len(vocabulary), config["vocab_size"])})
    wide = type(tokenizer).from_str(json.dumps(plan))
    model = AACMultimodalModel.build({**config, "backbone": shape}, wide, torch.zeros(20, 192))
    assert model.backbone.config.vocab_size == config["vocab_size"]
    model.save_model(tmp_path / "best_model.pt")
    size = (tmp_path / "best_model.pt").stat().st_size
    assert 10e6 < size < 40e6, size


def test_a_lora_best_model_over_4b_is_under_450_mb() -> None:
    """Rank 64 with heads, from the published shapes: no weight is made."""
    from train.config.backbones import BACKBONES
    from train.config.train_config import validate
    from train.models import backbones
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.models.phi3_vision import Phi3VisionConfig, Phi3VisionForCausalLM

    config = validate({})
    tokenizer = fresh_model().encoder.tokenizer
    with torch.device("meta"):
        backbone = Phi3VisionForCausalLM(Phi3VisionConfig())
        assert sum(p.numel() for p in backbone.parameters()) == BACKBONES["phi3_vision"].parameters["3.8B"]
        backbone.requires_grad_(False)
        backbones.add_lora(backbone, config)
        backbone.model.vision_embed_tokens.img_projection.requires_grad_(True)
        model = AACMultimodalModel(backbone, tokenizer, config, torch.zeros(20, 1024))
    trained = {name: torch.zeros(()).expand(p.shape) for name, p in model.named_parameters() if p.requires_grad}
    assert sum(".lora_" in name for name in trained) == 32 * 4 * 2
    half = checkpoint.compact(trained, "fp16")
    size = sum(value.numel() * value.element_size() for value in half.values())
    whole = sum(value.numel() * value.element_size() for value in trained.values())
    assert 300e6 < size < 450e6 < whole, (size, whole)


def test_halved_lora_changes_no_product_under_autocast() -> None:
    """The rounding of the file is the rounding of the matrix product."""
    torch.manual_seed(0)
    tensors = {"x.lora_A.default.weight": torch.randn(8, 64), "head.weight": torch.randn(4, 8)}
    tensors["big.lora_B.default.weight"] = torch.full((2, 2), 1e6)
    for precision, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        stored = checkpoint.compact(tensors, precision)
        name = "x.lora_A.default.weight"
        assert stored[name].dtype == dtype and stored["head.weight"].dtype == torch.float32
        x = torch.randn(3, 64)
        with torch.autocast("cpu", dtype):
            before = torch.nn.functional.linear(x, tensors[name])
            after = torch.nn.functional.linear(x, stored[name].float())
        assert torch.equal(before, after)
    assert checkpoint.compact(tensors, "fp16")["big.lora_B.default.weight"].dtype == torch.float32  # would overflow
    assert checkpoint.compact(tensors, "no") == tensors
