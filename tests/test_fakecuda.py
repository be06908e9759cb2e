"""The CUDA path without a CUDA card: what `fake_runs.py` counted on a fake one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import make_workspace

Counts = dict[str, Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counts]:
    """All runs, in one process that has the fake card from its first import."""
    line = [sys.executable, str(Path(__file__).with_name("fake_runs.py"))]
    line.append(str(make_workspace(tmp_path_factory.mktemp("fake"))))
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    if "skip" in found:
        pytest.skip(found["skip"])
    return found


def ran(runs: dict[str, Counts], name: str) -> Counts:
    assert "failed" not in runs[name], runs[name]["failed"]
    return runs[name]


def slow_attention(attention: dict[str, int]) -> list[str]:
    """Attention that takes PyTorch's unfused kernels, though there is something to read."""
    return [call for call in attention if call.startswith("math") and not call.endswith("no queries")]


@pytest.mark.parametrize(
    "name",
    [
        "fp16",
        "bf16",
        "tower adapted",
        "projector adapted",
        "projector frozen",
        "four crops",
        "everything trained",
        "nothing recomputed",
    ],
)
def test_a_small_geometry_trains_and_answers(runs: dict[str, Counts], name: str) -> None:
    """No mix of devices or precisions in an update and in answers, and every attention on a fused kernel."""
    counts = ran(runs, name)
    assert not counts["without a gradient"]
    assert not slow_attention(counts["attention"]) and not slow_attention(counts["attention answering"])


@pytest.mark.parametrize("name", ["command", "command resumed"])
def test_the_command_trains_from_the_first_stage_to_a_resume(runs: dict[str, Counts], name: str) -> None:
    """The small model from scratch, whose tower learns first, on a GPU: `--set device=cuda`."""
    assert not slow_attention(ran(runs, name)["attention"])


def test_the_default_settings_fit_a_card_of_24_gb(runs: dict[str, Counts]) -> None:
    counts = ran(runs, "full size")
    assert counts["peak"] < 14.5
    assert counts["estimate"] == pytest.approx(counts["peak"], rel=0.1)
    assert 250 < counts["teraflops"] < 350  # two micro-batches
    assert not slow_attention(counts["attention"])
    assert sum(counts["syncs"].values()) < 30


def test_an_update_reads_and_writes_little(runs: dict[str, Counts]) -> None:
    """Of two micro-batches: each moved 989 GB in 9,616 kernels where LoRA's inputs were cast and norms were apart."""
    counts = ran(runs, "full size")
    assert counts["gigabytes moved"] < 2 * 600
    assert counts["kernels"] < 2 * 6000


def test_an_evaluation_fits_into_16_gb(runs: dict[str, Counts]) -> None:
    """32 requests of four cards, which held 74 GiB with a prompt's keys and values for each candidate."""
    counts = ran(runs, "answering")
    assert counts["answers"] == [3] * 32 and counts["peak"] < 16
    assert not slow_attention(counts["attention"])


def test_a_token_of_an_answer_takes_few_kernels(runs: dict[str, Counts]) -> None:
    """2,158 with LoRA apart; and no attention without a query, for which PyTorch would take its slowest kernel."""
    alone = ran(runs, "answering")["alone"]
    assert alone["kernels a token"] < 1000
    assert not [call for call in alone["attention"] if call.startswith("math")]
