"""What every benchmark shares: the machine's name, a table on the terminal, a JSON file, data to measure on."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parents[1]

# Phi-3.5-Vision's decoder; its tower is the default of Phi3VisionConfig. Factors of 1: they change numbers, not time.
PUBLISHED: dict[str, Any] = {
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32064,
    "max_position_embeddings": 131072,
    "original_max_position_embeddings": 4096,
    "rope_scaling": {"type": "su", "short_factor": [1.0] * 48, "long_factor": [1.0] * 48},
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 32000,
}
# Qwen3-VL-2B-Instruct's.
PUBLISHED_QWEN3_VL: dict[str, Any] = {
    "text_config": {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 262144,
        "rope_theta": 5000000,
        "rope_scaling": {"rope_type": "default", "mrope_section": [24, 20, 20], "mrope_interleaved": True},
    },
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "depth": 24,
        "num_heads": 16,
        "patch_size": 16,
        "out_hidden_size": 2048,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
    "tie_word_embeddings": True,
}
GEOMETRIES = {"phi3_vision": PUBLISHED, "qwen3_vl": PUBLISHED_QWEN3_VL}


def machine() -> str:
    """The processor, its cores and memory, the GPU if there is one, the threads in use, PyTorch's version."""
    import torch

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = found[0].split(":", 1)[1].strip() if found else name
    parts = [f"{name}, {os.cpu_count()} cores", f"{torch.get_num_threads()} threads", f"torch {torch.__version__}"]
    if hasattr(os, "sysconf"):
        parts.insert(1, f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB")
    if torch.cuda.is_available():
        parts.insert(0, torch.cuda.get_device_name())
    return ", ".join(parts)


def arguments(doc: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with the flags that all benchmarks know."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", metavar="FILE", default=ROOT / f"train/logs/benchmarks/{name}.json", type=Path)
    return parser


def report(rows: Sequence[dict[str, Any]], output: Path, title: str, **more: Any) -> None:
    """Print a Markdown table headed by the machine's name, and write it with `more` as JSON."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_shown(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(columns, *cells, strict=True)]
    print(f"\n{title}\n{machine()}\n")
    for line in (columns, ["-" * width for width in widths], *cells):
        print("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |")
    for key, value in more.items():
        print(f"{key}: {_shown(value)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    content = {"title": title, "machine": machine(), "rows": list(rows), **more}
    output.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"-> {output}")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


@dataclass
class Clock:
    """Wall and processor seconds (user and system, all threads of this process) spent inside `running()`."""

    wall: float = 0.0
    cpu: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


def alternate(steps: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Clock]:
    """Run every step `rounds` times after one that does not count, so that a busy neighbour hits all alike; each round
    in an order of its own, since a step pays for the memory that the one before it gave back."""
    clocks = {name: Clock() for name in steps}
    for step in steps.values():
        step()
    order = list(steps)
    for number in range(rounds):
        random.Random(number).shuffle(order)
        for name in order:
            with clocks[name].running():
                steps[name]()
    return clocks


def tiny_config() -> dict[str, Any]:
    """The two-core preset."""
    from train.config.train_config import load_config

    return load_config(ROOT / "train/config/tiny.json")
