"""Every benchmark runs at a small size, and what it compares is comparable. No time is asserted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY
from published import louder

from benchmarks import card_tokens, full_size, generate_speed, gpu, memory, scaling, teacher_speed, train_speed


def written(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["machine"] and content["title"] and content["rows"]
    return content


def common(workspace: Path, output: Path) -> list[str]:
    return ["--workspace", str(workspace), "--config", str(workspace / "tiny.json"), "--output", str(output)]


def test_training_is_compared_at_equal_losses(workspace: Path, tmp_path: Path) -> None:
    output = tmp_path / "speed.json"
    assert train_speed.main([*common(workspace, output), "--samples", "12", "--updates", "1"]) == 0
    content = written(output)
    assert content["loss_difference"] <= 1e-5 * content["loss_ours"]
    paths = [row["path"] for row in content["rows"]]
    assert paths[0] == "ours" and paths[-1].startswith("peer") and len(paths) == 9
    assert all(row["samples/cpu s"] > 0 for row in content["rows"])


def test_generation_is_compared(workspace: Path, tmp_path: Path) -> None:
    output = tmp_path / "generate.json"
    size = ["--samples", "30", "--cards", "2", "--rounds", "1", "--tokens", "3"]
    assert generate_speed.main([*common(workspace, output), *size]) == 0
    assert len(written(output)["rows"]) == 6


def test_one_candidate_of_the_benchmark_is_ours(model: Any) -> None:
    """The way written out there says what the product's own decoding says, style by style."""
    from conftest import pictures

    request = {"images": pictures()[:2], "persona_info": {"age": 9}, "context_info": "집에서", "keywords": ["물", "공"]}
    stops, limit = model.encoder.stops, model.config["max_new_tokens"]
    try:
        ways = generate_speed.Ways(model, [request], 4)
        three = ways.write((0, 1, 2))
        assert [ways.write((style,))[0] for style in range(3)] == three
        assert {len(tokens) for tokens in three} == {4} and len(set(map(tuple, three))) > 1
        shown = model.generate_interpretation(**request, return_details=True)
        said = [model.encoder.decode(tokens) for tokens in three]
        assert all(text == c["text"] for text, c in zip(said, shown, strict=True) if c["source"] == "model")
    finally:
        model.encoder.stops, model.config["max_new_tokens"] = stops, limit


def test_the_gpu_benchmark_runs_in_a_small_size(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    size = ["--dtypes", "bf16", "--batches", "1", "--crops", "1", "--rounds", "1", "--tokens", "2"]
    assert gpu.main(["--small", *size, "--output", str(output)]) == 0
    assert {row["checkpointing"] for row in written(output)["rows"]} == {True, False}
    assert written(tmp_path / "gpu_ideas.json")["rows"][0]["path"] == "ours"
    assert len(written(tmp_path / "gpu_answers.json")["rows"]) == 5


@pytest.mark.parametrize(
    ("more", "shape"),
    [([], gpu.SMALL), (["--model-type", "qwen3_vl", "--precisions", "int8"], louder(TINY["qwen3_vl"]))],
)
def test_full_size_writes_loads_and_answers_a_small_size(tmp_path: Path, more: list[str], shape: Any) -> None:
    output = tmp_path / "full.json"
    size = ["--work-dir", str(tmp_path), "--output", str(output), "--tokens", "2", "--cards", "1", "2"]
    assert full_size.main([*size, *more], shape) == 0
    rows = written(output)["rows"]
    assert all(row["finite"] and row["new tokens"] == [2, 2, 2] for row in rows)
    assert 20 < rows[0]["prompt tokens"] < rows[1]["prompt tokens"]
    assert list(tmp_path.iterdir()) == [output]  # the weights are gone


def test_a_cards_budget_is_measured(tmp_path: Path) -> None:
    output = tmp_path / "card_tokens.json"
    shapes = {"phi3_vision": gpu.SMALL, "qwen3_vl": {**TINY["qwen3_vl"], "tie_word_embeddings": False}}
    assert card_tokens.main(["--rounds", "1", "--output", str(output)], layers=2, geometries=shapes) == 0
    rows = [row for row in written(output)["rows"] if row["backbone"] == "qwen3_vl"]
    assert [row["positions a card"] for row in rows] == [196, 64, 36, 16]
    assert rows[0]["T operations"] > rows[-1]["T operations"] > 0 and rows[0]["prefill s"] > 0


def test_shards_have_the_published_names(tmp_path: Path) -> None:
    total = full_size.write_random(tmp_path, gpu.SMALL, shard_bytes=100_000)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == total and len(set(index["weight_map"].values())) > 1
    assert all((tmp_path / file).exists() for file in index["weight_map"].values())


@pytest.mark.slow
def test_memory_and_scaling_run(workspace: Path, tmp_path: Path) -> None:
    output = tmp_path / "memory.json"
    size = ["--samples", "40", "--updates", "1", "--counts", "40", "80", "--set", "vision_pretrain_steps=1"]
    assert memory.main([*common(workspace, output), *size]) == 0
    rows = written(output)["rows"]
    assert [row["samples"] for row in rows] == [40, 80] and all(row["peak MB"] > 100 for row in rows)
    stages = [row["stage"] for row in written(tmp_path / "memory_stages.json")["rows"]]
    assert stages[0] == "libraries" and {"first update", "validation", "later checkpoints", "end"} < set(stages)
    output = tmp_path / "scaling.json"
    size = ["--samples", "12", "--counts", "20", "40", "--rounds", "1"]
    assert scaling.main([*common(workspace, output), *size]) == 0
    assert len(written(output)["rows"]) >= 8 and len(written(tmp_path / "scaling_samples.json")["rows"]) == 2


def test_data_is_drawn_where_there_is_none(tmp_path: Path) -> None:
    from benchmarks.subject import load_data

    samples, cards, origin = load_data(tmp_path / "empty", 10, tmp_path / "drawn")
    assert len(samples) == 10 and len(cards) > 4 and "drawn" in origin


def test_the_offline_teacher_is_timed(tmp_path: Path) -> None:
    output = tmp_path / "teacher.json"
    assert teacher_speed.main(["--rows", "30", "--own-words", "--output", str(output)]) == 0
    (row,) = written(output)["rows"]
    assert row["rows"] == 30 and row["step 8 cpu s"] < row["process cpu s"] and len(row["digest"]) == 16


@pytest.mark.slow
def test_data_steps_are_measured(tmp_path: Path) -> None:
    from benchmarks import prepare_scale

    output = tmp_path / "scale.json"
    size = ["--cards", "12", "--personas", "2", "--samples-per-persona", "3", "--rows", "8"]
    assert prepare_scale.main(["--folder", str(tmp_path / "cards"), "--output", str(output), *size]) == 0
    assert [row["step"] for row in written(output)["rows"]] == [*"12345678", "2 to 7"]
    assert [row["rows"] for row in written(tmp_path / "scale_rows.json")["rows"]] == [8]
