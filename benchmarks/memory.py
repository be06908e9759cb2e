"""Peak memory of training the two-core preset, and how it grows with the number of samples.

python benchmarks/memory.py --workspace DIR

The command itself, `train/train.py`, runs in a process of its own on more and more rows: those of the workspace, each
again under another number (the same cards, so that only the count of samples grows). Its peak resident memory is what
the operating system reports when it ends; libraries and the memory-mapped card features are part of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import ROOT, arguments, report
from benchmarks.subject import data_arguments, draw_data
from dataset.prepare.records import read_json, write_json


def enlarge(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """`count` rows: these, over and over, each with a number of its own."""
    return [{**rows[i % len(rows)], "id": i + 1} for i in range(count)]


def peak_of_training(workspace: Path, config: Path, settings: list[str]) -> tuple[float, float]:
    """Peak resident MB and processor seconds of a training run."""
    line = [sys.executable, str(ROOT / "train/train.py"), "--config", str(config), "--workspace", str(workspace)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*line, "--overwrite", "--set", *settings], stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(log.read().decode(errors="replace")[-2000:])
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def main(argv: list[str] | None = None) -> int:
    parser = arguments(__doc__, "memory")
    data_arguments(parser)
    parser.add_argument("--config", metavar="FILE", default=ROOT / "train/config/tiny.json", type=Path)
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="+", default=["vision_pretrain_steps=4"])
    parser.add_argument("--updates", metavar="N", type=int, default=12)
    parser.add_argument("--times", metavar="N", type=int, nargs="+", default=[1, 4, 16], help="multiples of --samples")
    args = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        there = (args.workspace / "dataset/processed/dataset_completed.json").exists()
        source = args.workspace if there else draw_data(Path(folder) / "drawn", args.samples)
        data = read_json(source / "dataset/processed/dataset_completed.json")
        data = data[: args.samples]
        copy = Path(folder) / "copy"
        processed = copy / "dataset/processed"
        processed.mkdir(parents=True)
        (copy / "dataset/images").symlink_to((source / "dataset/images").resolve())
        clusters = (source / "dataset/processed/clustering_results.json").read_bytes()
        (processed / "clustering_results.json").write_bytes(clusters)
        updates = [f"max_steps={args.updates}", "eval_steps=1000000", "save_steps=1000000"]
        for times in args.times:
            count = len(data) * times
            write_json(processed / "dataset_completed.json", enlarge(data, count), None)
            size = (processed / "dataset_completed.json").stat().st_size / 2**20
            peak, seconds = peak_of_training(copy, args.config, [*args.set, *updates])
            row = {"samples": count, "data file MB": size, "peak MB": peak, "cpu s": seconds}
            if rows:
                more = count - rows[0]["samples"]
                row["kB a sample more"] = 1024 * (peak - rows[0]["peak MB"]) / more
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    report(rows, args.output, f"Peak memory of training, {args.updates} updates")
    return 0


if __name__ == "__main__":
    sys.exit(main())
