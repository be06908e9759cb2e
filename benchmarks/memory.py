"""Peak memory of training the two-core preset: where it goes, and how it grows with the number of samples.

python benchmarks/memory.py --workspace DIR

The command itself, `train/train.py`, runs in processes of its own on more and more rows: those of the workspace, over
and over, each time around with numbers and sentences of their own (the cards stay the same, so that only samples grow).
The peak is of the resident memory of the process and its workers together, asked twenty times a second, or as the
process counted it where that is more; libraries and the memory-mapped card features are part of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from aac.io import read_json, write_json
from benchmarks.common import ROOT, arguments, report
from benchmarks.subject import data_arguments, draw_data

_MARKS = "!?~…"


def enlarge(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """`count` rows: these, over and over; each has its own number, each time around its own place and sentences."""
    return [_again(rows[i % len(rows)], i + 1, i // len(rows)) for i in range(count)]


def _again(row: dict[str, Any], number: int, turn: int) -> dict[str, Any]:
    if not turn:
        return {**row, "id": number}
    mark = ""
    while turn:
        turn, sign = divmod(turn - 1, len(_MARKS))
        mark += _MARKS[sign]
    source = row["input"]
    context = {**source["context"], "place": source["context"]["place"] + mark}
    output = [text.rstrip(".?!") + mark for text in row["output"]]
    return {**row, "id": number, "input": {**source, "context": context}, "output": output}


def watched_training(workspace: Path, config: Path, settings: list[str], scratch: Path) -> tuple[list[Any], float]:
    """A training run's rows of `stages.py`, and the peak resident MB of its processes together."""
    import psutil

    stages = scratch / "stages.json"
    line = [sys.executable, str(ROOT / "benchmarks/stages.py"), str(stages), "--config", str(config)]
    line += ["--workspace", str(workspace), "--overwrite", "--set", *settings]
    peak = 0
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(line, stdout=log, stderr=log)
        root = psutil.Process(process.pid)
        while process.poll() is None:
            held = 0
            try:
                for one in (root, *root.children(recursive=True)):
                    held += one.memory_info().rss
            except psutil.Error:  # it has ended meanwhile
                continue
            peak = max(peak, held)
            time.sleep(0.05)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(log.read().decode(errors="replace")[-2000:])
    rows = json.loads(stages.read_text(encoding="utf-8"))
    return rows, max(peak / 2**20, *(row["peak MB"] for row in rows))


def main(argv: list[str] | None = None) -> int:
    parser = arguments(__doc__, "memory")
    data_arguments(parser)
    parser.add_argument("--config", metavar="FILE", default=ROOT / "train/config/tiny.json", type=Path)
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="+", default=["vision_pretrain_steps=4"])
    parser.add_argument("--updates", metavar="N", type=int, default=60)
    parser.add_argument("--counts", metavar="N", type=int, nargs="+", default=[2000, 6000, 20000, 80000])
    args = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        there = (args.workspace / "dataset/processed/dataset_completed.json").exists()
        source = args.workspace if there else draw_data(Path(folder) / "drawn", args.samples)
        data = read_json(source / "dataset/processed/dataset_completed.json")
        copy = Path(folder) / "copy"
        processed = copy / "dataset/processed"
        processed.mkdir(parents=True)
        (copy / "dataset/images").symlink_to((source / "dataset/images").resolve())
        clusters = (source / "dataset/processed/clustering_results.json").read_bytes()
        (processed / "clustering_results.json").write_bytes(clusters)
        updates = [f"max_steps={args.updates}", f"eval_steps={args.updates}", f"save_steps={args.updates}"]
        for count in args.counts:
            write_json(processed / "dataset_completed.json", enlarge(data, count), None)
            size = (processed / "dataset_completed.json").stat().st_size / 2**20
            stages, peak = watched_training(copy, args.config, [*args.set, *updates], Path(folder))
            log = (copy / "train/logs/log.jsonl").read_text(encoding="utf-8").splitlines()
            waited = [record["data_wait"] for record in map(json.loads, log) if "data_wait" in record][-1]
            first = next(row for row in stages if row["stage"] == "first update")
            reading = next(row for row in stages if row["stage"] == "rows read and checked")
            row = {"samples": count, "data file MB": size, "peak MB": peak, "peak MB reading": reading["peak MB"]}
            row |= {"first update at s": first["ended at s"], "waiting for data %": 100 * waited}
            if rows:
                row["kB a sample more"] = 1024 * (peak - rows[0]["peak MB"]) / (count - rows[0]["samples"])
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    report(stages, args.output.with_stem(f"{args.output.stem}_stages"), f"Stages of a run on {count:,} rows")
    report(rows, args.output, f"Peak memory of training, {args.updates} updates, a validation, two checkpoints")
    return 0


if __name__ == "__main__":
    sys.exit(main())
