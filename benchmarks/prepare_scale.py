"""How long the data steps take with many cards and many rows: 13,000 generated 500x500 RGBA PNGs by default.

python benchmarks/prepare_scale.py --folder /a/folder/with/room
python benchmarks/prepare_scale.py --folder /a/folder/with/room --rows 12000 24000 48000 96000

Every step runs in a process of its own (start-up, about a second, included). Prints tables; writes
`benchmarks/prepare_scale.json`. Cards that a folder holds are not drawn again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SIDE = 500
CORES = 2


def word(number: int) -> str:
    """The lexicon's words for the first cards, then made-up ones of two or three syllables."""
    with (ROOT / "dataset/prepare/lexicon.csv").open(encoding="utf-8", newline="") as file:
        known = [row["keyword"] for row in csv.DictReader(file)]
    if number < len(known):
        return known[number]
    draw = random.Random(number)
    return "".join(chr(0xAC00 + draw.randrange(399) * 28) for _ in range(draw.randint(2, 3))) + str(number)


def draw_cards(folder: Path, first: int, last: int) -> None:
    """Pictograms in kind: a few flat shapes with black outlines on a clear ground."""
    from PIL import Image, ImageDraw

    for number in range(first, last):
        path = folder / f"{number + 1}_{word(number)}.png"
        if path.exists():
            continue
        draw = random.Random(f"card|{number}")
        image = Image.new("RGBA", (SIDE, SIDE))
        pen = ImageDraw.Draw(image)
        for _ in range(draw.randint(2, 6)):
            x, y = draw.randint(20, 300), draw.randint(20, 300)
            box = (x, y, x + draw.randint(60, 180), y + draw.randint(60, 180))
            colour = tuple(draw.randrange(256) for _ in range(3))
            shape = draw.choice((pen.ellipse, pen.rectangle))
            shape(box, fill=(*colour, 255), outline=(0, 0, 0, 255), width=draw.randint(2, 9))
        image.save(path, compress_level=4)


def measured(arguments: list[str]) -> dict[str, float]:
    """Run data_prepare.py: wall and CPU seconds, and the peak of its memory in GB."""
    line = [sys.executable, str(ROOT / "data_prepare.py"), *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(line)}: exit {process.returncode}\n{errors.decode(errors='replace')[-2000:]}")
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_gb": usage.ru_maxrss / 1e6,
    }


def table(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}")
    names = list(rows[0])
    print(" | ".join(f"{name:>10}" for name in names))
    for row in rows:
        print(" | ".join(f"{value:>10.2f}" if isinstance(value, float) else f"{value:>10}" for value in row.values()))


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.machine()}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the workspace is made; kept")
    parser.add_argument("--cards", type=int, default=13_000)
    parser.add_argument("--personas", type=int, default=24)
    parser.add_argument("--samples-per-persona", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="also steps 4, 7 and 8 with that many rows")
    args = parser.parse_args()
    home = args.folder / "dataset"
    images = home / "images"
    images.mkdir(parents=True, exist_ok=True)
    size = -(-args.cards // 32)
    with ProcessPoolExecutor(CORES) as pool:
        for job in [pool.submit(draw_cards, images, i, min(i + size, args.cards)) for i in range(0, args.cards, size)]:
            job.result()
    people = json.loads((ROOT / "dataset/persona.json").read_text(encoding="utf-8"))[: args.personas]
    (home / "persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    weight = sum(path.stat().st_size for path in images.iterdir()) / 1e6
    print(f"{machine()}; {args.cards} cards {SIDE}x{SIDE} RGBA ({weight:.0f} MB)")

    report: dict[str, Any] = {"machine": machine(), "cards": args.cards, "load": os.getloadavg()[0]}
    common = ["--workspace", str(args.folder), "--overwrite"]
    steps = []
    for step in range(1, 9):
        found = measured([*common, "--samples-per-persona", str(args.samples_per_persona), "--steps", str(step)])
        steps.append({"step": step, **found})
        print(f"step {step}: {found['wall_s']:.1f} s", flush=True)
    report["steps"] = steps
    inner = steps[1:7]
    table(f"{args.cards} cards, {len(people)} personas x {args.samples_per_persona} samples", steps)
    wall, cpu = (sum(row[key] for row in inner) for key in ("wall_s", "cpu_s"))
    print(f"steps 2 to 7: {wall:.0f} s wall, {cpu:.0f} s CPU, peak {max(row['peak_gb'] for row in inner):.2f} GB")

    growth = []
    for count in args.rows:
        each = ["--samples-per-persona", str(-(-count // len(people)))]
        row: dict[str, Any] = {"rows": -(-count // len(people)) * len(people)}
        peak = 0.0
        for step in (4, 7, 8):
            found = measured([*common, *each, "--steps", str(step)])
            row[f"step {step} s"] = found["cpu_s"]
            peak = max(peak, found["peak_gb"])
        total = sum(row[f"step {step} s"] for step in (4, 7, 8))
        growth.append({**row, "ms a row": 1000 * total / row["rows"], "peak_gb": peak})
    if growth:
        table("CPU seconds by number of rows", growth)
    report["growth"] = growth
    (Path(__file__).with_suffix(".json")).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
