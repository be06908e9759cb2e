"""Attention of rows `[prompt | answers]`, forward and backward: one dense mask, against no mask on the prompt.

python benchmarks/attention.py

In fp32 and in half precision, at the length of the two-core preset and at that of four cards in the 4B geometry. On
CUDA flex attention stands beside them (compiled; a few minutes the first time).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import arguments, report

# name: rows, heads, prompt, each of three answers, width of a head
SHAPES = {"tiny": (32, 4, 48, 12, 64), "four cards, 4B": (2, 32, 1300, 30, 96)}


def main() -> None:
    parser = arguments(__doc__, "attention")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = [
        {"rows": name, "precision": str(dtype).removeprefix("torch."), **times(shape, dtype, device, args.repeats)}
        for name, shape in SHAPES.items()
        for dtype in (torch.float32, torch.bfloat16)
    ]
    report(rows, args.output, "Attention with a shared prefix: milliseconds forward and backward")


def times(shape: tuple[int, ...], dtype: Any, device: str, repeats: int) -> dict[str, float]:
    """Milliseconds by way. On a CPU of processor time."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    from train.models.attention import row_mask, shared_prefix_attention

    count, heads, prompt, answer, width = shape
    segments = torch.tensor([0] * prompt + [1] * answer + [2] * answer + [3] * answer, device=device).repeat(count, 1)
    mask = row_mask(segments)
    parts = [
        torch.randn(count, heads, segments.shape[1], width, dtype=dtype, device=device, requires_grad=True)
        for _ in range(3)
    ]
    module = torch.nn.Module()
    ways: dict[str, Callable[[], Any]] = {
        "dense mask": lambda: scaled_dot_product_attention(*parts, mask),
        "prefix unmasked": lambda: shared_prefix_attention(module, *parts, mask[:, :, prompt:], prefix=prompt)[0],
    }
    if device == "cuda":
        ways["flex"] = flexible(parts, segments)
    return {name: timed(way, parts, device, repeats) for name, way in ways.items()}


def flexible(parts: list[Any], segments: Any) -> Callable[[], Any]:
    """Flex attention (PyTorch), its block mask made once."""
    import torch
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def visible(row: Any, head: Any, query: Any, key: Any) -> Any:
        return (query >= key) & ((segments[row, key] == 0) | (segments[row, key] == segments[row, query]))

    length = segments.shape[1]
    blocks = create_block_mask(visible, len(segments), None, length, length, device=segments.device)
    compiled = torch.compile(flex_attention)
    return lambda: compiled(*parts, block_mask=blocks)


def timed(way: Callable[[], Any], parts: list[Any], device: str, repeats: int) -> float:
    """Milliseconds of a forward and a backward pass, the best of `repeats` after two more."""
    import torch

    clock = time.perf_counter if device == "cuda" else time.process_time
    best = float("inf")
    for _ in range(repeats + 2):
        if device == "cuda":
            torch.cuda.synchronize()
        began = clock()
        way().float().sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock() - began)
        for part in parts:
            part.grad = None
    return 1000 * best


if __name__ == "__main__":
    main()
