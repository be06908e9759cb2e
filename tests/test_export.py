"""The merged model in the published layout: the adapter's numbers, the published names, the heads beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fresh_model, pictures
from published import tuned_model, tuning, write_published
from safetensors import safe_open
from safetensors.torch import load_file

from train.export import HEADS, main
from train.models import backbones
from train.models.phi3_vision import Phi3VisionForCausalLM

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_published(tmp_path_factory.mktemp("published"))
    (folder / "preprocessor_config.json").write_text("{}")
    return folder


@torch.no_grad()
def logits(backbone: Any, processor: Any) -> torch.Tensor:
    """Of one prompt with two pictures, decoder, projector and tower all at work."""
    pixels, sizes = processor.images(pictures()[:2])
    count = processor.num_tokens(tuple(sizes[0].tolist()))
    ids = torch.tensor([[1, *[-1] * count, 1, *[-2] * count, 1, 9, 12, 20, 7]])
    dtype = backbone.lm_head.weight.dtype
    return backbone(input_ids=ids, pixel_values=pixels.to(dtype), image_sizes=sizes).logits.float()


@pytest.mark.parametrize("changes", [{}, {"lora_vision": True, "lora_projector": True}])
def test_merged_equals_adapter(base: Path, tmp_path: Path, changes: dict[str, bool]) -> None:
    model = tuned_model(base, **changes)
    model.save_model(tmp_path / "best_model.pt")
    output = tmp_path / "합친 모델"
    assert main(["--checkpoint", str(tmp_path / "best_model.pt"), "--output", str(output), "--dtype", "fp32"]) == 0
    merged = Phi3VisionForCausalLM.from_pretrained(output).eval()
    want = logits(model.backbone, model.processor)
    assert (logits(merged, model.processor) - want).abs().max() <= 1e-5
    plain, _ = backbones.build(tuning(base))  # negative control: the base alone says something else
    assert (logits(plain, model.processor) - want).abs().max() > 1e-2
    half = tmp_path / "half"
    assert main(["--checkpoint", str(tmp_path / "best_model.pt"), "--output", str(half)]) == 0
    again = Phi3VisionForCausalLM.from_pretrained(half, dtype=torch.bfloat16).eval()
    assert (logits(again, model.processor) - want).abs().mean() / want.std() < 0.1


def test_the_folder_is_in_the_published_layout(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tuned_model(base)
    model.save_model(tmp_path / "best_model.pt")
    output = tmp_path / "merged"
    assert main(["--checkpoint", str(tmp_path / "best_model.pt"), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "not part of" in said and HEADS in said
    names = set(load_file(output / "model.safetensors"))
    assert names == set(load_file(base / "model.safetensors")) and not any("lora" in name for name in names)
    config = json.loads((output / "config.json").read_text())
    assert config["architectures"] == ["Phi3VForCausalLM"] and config["model_type"] == "phi3_v"
    assert config["torch_dtype"] == "bfloat16" and config["rope_scaling"]["type"] == "su"
    for name in ("tokenizer.json", "preprocessor_config.json"):
        assert (output / name).read_bytes() == (base / name).read_bytes()
    with safe_open(output / HEADS, framework="pt") as heads:
        assert {name.split(".")[0] for name in heads.keys()} == {"persona", "context", "styles", "centroids"}  # noqa: SIM118
        assert torch.equal(heads.get_tensor("persona.text.weight"), model.persona.text.weight)
    # It is a base like any other: it can be tuned again.
    assert len(set(tuned_model(output).generate_interpretation(pictures()[:1]))) == 3


def test_a_model_from_scratch_is_written_too(tmp_path: Path) -> None:
    model = fresh_model()
    model.save_model(tmp_path / "best_model.pt")
    output = tmp_path / "plain"
    assert main(["--checkpoint", str(tmp_path / "best_model.pt"), "--output", str(output), "--dtype", "fp32"]) == 0
    again = Phi3VisionForCausalLM.from_pretrained(output).eval()
    assert (logits(again, model.processor) - logits(model.backbone, model.processor)).abs().max() <= 1e-5
    features, _ = tuned_model(output).encode_images(pictures()[:1])
    assert features[0].shape == model.encode_images(pictures()[:1])[0][0].shape


def test_mistakes_exit_2_and_leave_nothing(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_published(tmp_path / "other", seed=2)
    tuned_model(base).save_model(tmp_path / "best_model.pt")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("x")
    best = str(tmp_path / "best_model.pt")
    for line, word in (
        (["--checkpoint", str(tmp_path / "none.pt"), "--output", str(tmp_path / "a")], "no such checkpoint"),
        (["--checkpoint", best, "--output", str(full)], "holds something"),
        (["--checkpoint", best, "--output", str(tmp_path / "a"), "--model-path", str(other)], "other weights"),
        (["--checkpoint", best, "--output", str(tmp_path / "a"), "--model-path", "nobody/nothing"], "model_path"),
    ):
        assert main(line) == 2
        assert word in capsys.readouterr().err
    assert (full / "mine.txt").read_text() == "x" and not (tmp_path / "a").exists()
    assert not list(tmp_path.glob(".*.tmp"))


def test_help_needs_no_torch() -> None:
    line = [sys.executable, "-X", "importtime", str(ROOT / "train/export.py"), "--help"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0 and "--output" in done.stdout and "torch" not in done.stderr
