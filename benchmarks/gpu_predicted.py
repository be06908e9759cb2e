"""What an update of the 4.15B model takes on a CUDA card, found without one: memory, operations, bytes moved.

python benchmarks/gpu_predicted.py              the table of benchmarks/README.md
python benchmarks/gpu_predicted.py --small      a small geometry, to see that everything runs

The project's own code runs on fake tensors (`benchmarks/fakecuda`), so shapes, precisions and lifetimes are the real
ones. Peak: what tensors hold, without what the allocator loses and the libraries take. An update of `--micro-batches`,
AdamW's moments there before. Nothing here tells time.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import PUBLISHED, arguments, report


def update(rows: int, cards: int, settings: dict[str, Any], micro_batches: int, **changes: Any) -> dict[str, Any]:
    """One line of the table; `rows` a micro-batch."""
    from benchmarks.fakecuda import GIB, fake_cuda
    from benchmarks.fakecuda.full_size import Work

    with fake_cuda(memory=1024 * GIB) as meter:
        work = Work(rows, cards, settings, **changes)
        window, updater = work.window(micro_batches), work.updater()
        meter.reset()
        updater.gradients(window)
        counts = {
            "TFLOP a micro-batch": meter.flops / micro_batches / 1e12,
            "GB moved": meter.moved / micro_batches / 1e9,
            "kernels": meter.kernels.total() // micro_batches,
            "syncs": meter.syncs.total() // micro_batches,
        }
        updater.step(window)
        return {"positions": work.rows[0].length, "peak GiB": meter.peak / GIB, **counts}


def main(argv: list[str] | None = None) -> int:
    parser = arguments(__doc__, "gpu_predicted")
    parser.add_argument("--small", action="store_true", help="a small geometry")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 4], metavar="N")
    parser.add_argument("--cards", nargs="+", type=int, default=[1, 4], metavar="N")
    parser.add_argument("--micro-batches", type=int, default=2, metavar="N", help="of an update: more take as much")
    args = parser.parse_args(argv)
    from benchmarks.fakecuda.device import NoFakeDevice

    try:
        import benchmarks.fakecuda  # noqa: F401  before torch
    except NoFakeDevice as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from benchmarks.gpu import SMALL

    settings = SMALL if args.small else PUBLISHED
    table = []
    for checkpointing, batch, cards in product((True, False), args.batches, args.cards):
        changes = {"gradient_checkpointing": checkpointing}
        shown = {"batch": batch, "cards": cards, "checkpointing": checkpointing}
        table.append(shown | update(batch, cards, settings, args.micro_batches, **changes))
    for changes in ({"num_crops": 4}, {"lora_vision": True}, {"use_bf16": True}, {"use_lora": False}):
        shown = {"batch": args.batches[-1], "cards": args.cards[-1], "checkpointing": True}
        row = update(args.batches[-1], args.cards[-1], settings, args.micro_batches, **changes)
        table.append(shown | row | {"setting": ", ".join(f"{key} {value}" for key, value in changes.items())})
    size = "small size" if args.small else "4.15B parameters"
    report(table, args.output, f"An update on a fake CUDA card, {size}, rank 64, fp16 unless said otherwise")
    return 0


if __name__ == "__main__":
    sys.exit(main())
