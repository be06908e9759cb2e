"""100 losses of the two-core preset's architecture, kept in a file, so that a change of numbers is seen.

A meant change is kept by `python tests/test_golden.py`, which writes the file anew; the commit says why it is meant.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).with_name("golden_losses.json")
UPDATES = 100
# Relative. Other processors and libraries add in another order, and AdamW spreads the difference over the updates:
# between one thread and two it grew to 2.3e-5.
TOLERANCE = 2e-3
# The preset's shape on the day the file was made; the preset itself may change without a word here.
CONFIG: dict[str, Any] = {
    "model_size": "tiny",
    "backbone": {
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "image_layout": "global",
        "pad_token_id": 3,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "vision_config": {
            "hidden_size": 192,
            "intermediate_size": 768,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": 84,
            "patch_size": 42,
        },
    },
    "vocab_size": 400,
    "device": "cpu",
    "batch_size": 2,
    "gradient_accumulation_steps": 1,
    "learning_rate": 0.0008,
    "head_learning_rate": 0.001,
    "context_width": 256,
    "max_length": 1024,
    "keyword_dropout": 0.6,
    "num_workers": 0,
    "max_steps": UPDATES,
    "logging_steps": 1,
    "eval_steps": UPDATES,
    "save_steps": UPDATES,
    "seed": 42,
}


def losses(workspace: Path) -> list[float]:
    """Train on the cards that `conftest.workspace` draws; the loss of every update."""
    import torch

    from train.train import main

    (workspace / "golden.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        line = ["--workspace", str(workspace), "--config", str(workspace / "golden.json"), "--overwrite"]
        assert main(line) == 0
    finally:
        torch.set_num_threads(threads)
    log = map(json.loads, (workspace / "train/logs/log.jsonl").read_text().splitlines())
    return [record["loss"] for record in log if "loss" in record]


@pytest.mark.slow
def test_golden_losses(workspace: Path) -> None:
    found = losses(workspace)
    assert len(found) == UPDATES and found[-1] < found[0] / 2
    assert found == pytest.approx(json.loads(GOLDEN.read_text()), rel=TOLERANCE)
    assert losses(workspace) == found  # on one machine to the last bit


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.path.append(str(Path(__file__).resolve().parent))
    import conftest

    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(losses(conftest.workspace.__wrapped__(Path(folder))), indent=0) + "\n")
