"""What `test_fakecuda.py` runs on a fake CUDA card, in a process of its own: the card must be there before PyTorch.

python tests/fake_runs.py WORKSPACE [RUN ...]      prints a line of JSON: what each run counted, or how it failed
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.fakecuda.device import NoFakeDevice  # noqa: E402

try:
    from benchmarks.fakecuda import GIB, fake_cuda
except NoFakeDevice as error:
    print(json.dumps({"skip": str(error)}))
    sys.exit()
from benchmarks import gpu  # noqa: E402
from benchmarks.fakecuda.full_size import Work  # noqa: E402
from benchmarks.fakecuda.values import UNKNOWN  # noqa: E402

# Settings of a run at a small geometry, each with what it adds to the defaults.
VARIANTS: dict[str, dict[str, Any]] = {
    "fp16": {},
    "bf16": {"use_bf16": True},
    "tower adapted": {"lora_vision": True},
    "projector adapted": {"lora_projector": True},
    "projector frozen": {"train_projector": False},
    "four crops": {"num_crops": 4},
    "everything trained": {"use_lora": False},
    "nothing recomputed": {"gradient_checkpointing": False},
}


def small(changes: dict[str, Any]) -> dict[str, Any]:
    """Two micro-batches and an update, then answers, at a small geometry."""
    with fake_cuda() as meter:
        work = Work(2, 2, gpu.SMALL, **changes)
        window = work.window(2)
        updater = work.updater()
        meter.reset()
        losses = updater.gradients(window)
        missing = [name for name, p in work.model.named_parameters() if p.requires_grad and p.grad is None]
        updater.step(window)
        found = counted(meter) | {"loss": losses["loss"], "without a gradient": missing}
        work.answer(2)
        return found | {"attention answering": dict(meter.attention)}


def full() -> dict[str, Any]:
    """The default settings at full size: two micro-batches of the second update's memory."""
    with fake_cuda() as meter:
        work = Work()
        window = work.window(2)
        updater = work.updater()
        meter.reset()
        updater.gradients(window)
        updater.step(window)
        return counted(meter) | {"estimate": work.estimated() / GIB}


def command(workspace: Path, *more: str) -> dict[str, Any]:
    """`train.py` as it stands, in the workspace: stage one, cards, updates, evaluations with answers, checkpoints."""
    from accelerate.state import AcceleratorState

    from train.train import main

    settings = ["device=cuda", "eval_steps=2", "save_steps=1"]
    line = ["--workspace", str(workspace), "--config", str(workspace / "tiny.json"), "--set", *settings, *more]
    with fake_cuda() as meter:
        AcceleratorState._reset_state(True)
        return counted(meter) if main(line) == 0 else {"failed": "see above"}


def answering() -> dict[str, Any]:
    """At full size, LoRA merged: one request, for the kernels of a token more; then 32, as `evaluate.py` has them."""
    from train.models.lora import fold_lora

    with fake_cuda() as meter:
        work = Work(rows=1)
        fold_lora(work.model.backbone)
        kernels = []
        for tokens in (2, 3):
            meter.reset()
            work.answer(tokens)
            kernels.append(meter.kernels.total())
        alone = {"kernels a token": kernels[1] - kernels[0], "attention": dict(meter.attention)}
        work.rows *= 32
        work.model.encoder.stops = frozenset([UNKNOWN])  # one step, with room for all
        meter.reset()
        answers = work.answer(48)
        return counted(meter) | {"answers": [len(three) for three in answers], "alone": alone}


def counted(meter: Any) -> dict[str, Any]:
    """What the card counted."""
    numbers = {"peak": meter.peak / GIB, "kernels": meter.kernels.total(), "teraflops": meter.flops / 1e12}
    numbers |= {"gigabytes moved": meter.moved / 1e9, "syncs": dict(meter.syncs), "attention": dict(meter.attention)}
    return numbers


def tried(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return run()
    except Exception:
        return {"failed": traceback.format_exc()}


def main() -> None:
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        name: lambda changes=changes: small(changes) for name, changes in VARIANTS.items()
    }
    workspace = Path(sys.argv[1])
    runs["command"] = lambda: command(workspace, "use_bf16=true", "max_steps=2", "generation_samples=1")
    runs["command resumed"] = lambda: command(workspace, "max_steps=3", "--resume", "auto")  # in fp16
    runs |= {"full size": full, "answering": answering}
    chosen = sys.argv[2:] or runs
    print(json.dumps({name: tried(runs[name]) for name in chosen}))


if __name__ == "__main__":
    main()
