"""How cost grows: with samples (start-up, and an update), with cards, with the length of a row, with the batch.

python benchmarks/scaling.py --workspace DIR

Processor seconds of the two-core preset. A column that stays flat (per sample, per 100 positions) grows in proportion.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from aac.io import read_json, write_json
from benchmarks.common import ROOT, Clock, alternate, arguments, report
from benchmarks.memory import enlarge
from benchmarks.subject import Subject, data_arguments, draw_data, load_data, row_batches
from benchmarks.train_speed import Ideas, Ours


def with_samples(data: Path, config: dict[str, Any], counts: Sequence[int], scratch: Path) -> list[dict[str, Any]]:
    """Start-up on so many rows of `data` (read, checked, each encoded once for its length; cards cached), an update."""
    rows, content = [], read_json(data / "dataset/processed/dataset_completed.json")
    for count in counts:
        copy = scratch / str(count)
        (copy / "dataset/processed").mkdir(parents=True)
        (copy / "dataset/images").symlink_to((data / "dataset/images").resolve())
        write_json(copy / "dataset/processed/dataset_completed.json", enlarge(content, count), None)
        samples, cards, _ = load_data(copy, count, copy)
        Subject(config, samples, cards, scratch / "features")  # the cards are encoded here
        clock = Clock()
        with clock.running():
            samples, cards, _ = load_data(copy, count, copy)
            subject = Subject(config, samples, cards, scratch / "features")
            ours = Ours(subject, Ideas(), row_batches(subject, config["batch_size"], True))
            ours()
        update = alternate({"": ours}, 2)[""]
        each = {"start-up cpu s": clock.cpu, "update cpu ms": 1e3 * update.cpu / 2}
        if rows:
            more = (clock.cpu - rows[0]["start-up cpu s"]) / (len(samples) - rows[0]["samples"])
            each["start-up ms a sample more"] = 1e3 * more
        rows.append({"samples": len(samples), **each})
    return rows


def with_shape(subject: Subject, size: int, rounds: int) -> list[dict[str, Any]]:
    """An update's cost by cards, by positions of a row, and by rows of a batch."""
    samples = subject.data.samples
    by_cards = {n: [i for i, sample in enumerate(samples) if len(sample.cards) == n][:size] for n in range(1, 5)}
    groups = {f"{n} cards": [subject.data[i] for i in chosen] for n, chosen in by_cards.items() if len(chosen) == size}
    plain = [subject.data[i] for i in range(size)]
    filler = list(subject.model.encoder.text("조금 더 긴 이야기 "))
    for more in (0, 100, 300, 700):
        extra = (filler * more)[:more]
        groups[f"{more} positions more"] = [
            replace(row, prompt=[*row.prompt[:-3], *extra, *row.prompt[-3:]]) for row in plain
        ]
    for part in (size // 4, size // 2, size, 2 * size):
        groups[f"{part} rows"] = [subject.data[i % len(samples)] for i in range(part)]
    clocks = alternate({name: Ours(subject, Ideas(), repeat(rows)) for name, rows in groups.items()}, rounds)
    table = []
    for name, rows in groups.items():
        cost, positions = clocks[name].cpu / rounds, sum(row.length for row in rows)
        table.append(
            {
                "batch": name,
                "positions a row": positions / len(rows),
                "cpu ms a row": 1e3 * cost / len(rows),
                "cpu ms per 100 positions": 1e5 * cost / positions,
            }
        )
    return table


def main(argv: list[str] | None = None) -> int:
    from train.config.train_config import load_config

    parser = arguments(__doc__, "scaling")
    data_arguments(parser)
    parser.add_argument("--config", metavar="FILE", default=ROOT / "train/config/tiny.json")
    parser.add_argument("--counts", metavar="N", type=int, nargs="+", default=[1000, 4000, 16000])
    parser.add_argument("--rounds", metavar="N", type=int, default=3)
    args = parser.parse_args(argv)
    config = load_config(args.config)
    with tempfile.TemporaryDirectory() as folder:
        there = (args.workspace / "dataset/processed/dataset_completed.json").exists()
        data = args.workspace if there else draw_data(Path(folder) / "drawn", max(args.counts))
        growth = with_samples(data, config, args.counts, Path(folder))
        samples, cards, origin = load_data(data, args.samples, Path(folder))
        subject = Subject(config, samples, cards, Path(folder) / "features")
        shapes = with_shape(subject, config["batch_size"], args.rounds)
    report(growth, args.output.with_stem(f"{args.output.stem}_samples"), "Cost against samples")
    report(shapes, args.output, f"Cost of an update against its shape, {origin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
