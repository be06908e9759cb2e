"""How long the data steps take with many cards and many rows: 13,000 generated 500x500 RGBA PNGs by default.

python benchmarks/prepare_scale.py --folder FOLDER_WITH_ROOM
python benchmarks/prepare_scale.py --folder FOLDER_WITH_ROOM --rows-only --rows 12000 24000 48000 100000

Every step runs in a process of its own (its start, half a second of the processor, included). Cards that the folder
holds already are not drawn again.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.common import ROOT, arguments, report  # noqa: E402

SIDE = 500
CORES = 2


@lru_cache(maxsize=1)
def lexicon() -> list[str]:
    with (ROOT / "aac/lexicon.csv").open(encoding="utf-8", newline="") as file:
        return [row["keyword"] for row in csv.DictReader(file)]


def word(number: int) -> str:
    """The lexicon's words for the first cards, then made-up ones."""
    if number < len(lexicon()):
        return lexicon()[number]
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


def measured(line: list[str]) -> dict[str, float]:
    """Run data_prepare.py: wall and processor seconds, and the peak of its memory."""
    command = [sys.executable, str(ROOT / "data_prepare.py"), *line]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{errors[-2000:]}")
    wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return {"wall s": wall, "CPU s": cpu, "peak GB": usage.ru_maxrss * 1024 / 1e9}


def all_steps(common: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for step in range(1, 9):
        rows.append({"step": str(step), **measured([*common, "--steps", str(step)])})
        print(f"step {step}: {rows[-1]['wall s']:.1f} s", flush=True)
    inner = rows[1:7]
    sums = {key: sum(row[key] for row in inner) for key in ("wall s", "CPU s")}
    return [*rows, {"step": "2 to 7", **sums, "peak GB": max(row["peak GB"] for row in inner)}]


def growth(common: list[str], people: int, counts: list[int]) -> list[dict[str, Any]]:
    """CPU seconds by number of rows. A remote teacher takes any cards together ("7, any cards"), the grammar those that
    it can say: step 7 deals for both, step 8 answers the second."""
    table = []
    for count in counts:
        each = -(-count // people)
        seconds, peak = {}, 0.0
        for name, more in (("4", []), ("7, any cards", ["--teacher", "openai"]), ("7", []), ("8", [])):
            found = measured([*common, "--samples-per-persona", str(each), *more, "--steps", name[0]])
            seconds[f"step {name}, CPU s"] = found["CPU s"]
            peak = max(peak, found["peak GB"])
        total = sum(seconds.values())
        table.append({"rows": each * people, **seconds, "ms a row": 1000 * total / (each * people), "peak GB": peak})
        print(f"{each * people} rows: {total:.0f} s of the processor", flush=True)
    return table


def main(argv: list[str] | None = None) -> int:
    parser = arguments(__doc__, "prepare_scale")
    parser.add_argument("--folder", type=Path, required=True, help="where the workspace is made; kept")
    parser.add_argument("--cards", type=int, default=13_000)
    parser.add_argument("--personas", type=int, default=24)
    parser.add_argument("--samples-per-persona", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="also steps 4, 7 and 8 with that many rows")
    parser.add_argument("--rows-only", action="store_true", help="the steps have run here: only the table of rows")
    args = parser.parse_args(argv)
    home = args.folder / "dataset"
    images = home / "images"
    images.mkdir(parents=True, exist_ok=True)
    size = -(-args.cards // 32)
    with ProcessPoolExecutor(CORES) as pool:
        for job in [pool.submit(draw_cards, images, i, min(i + size, args.cards)) for i in range(0, args.cards, size)]:
            job.result()
    people = json.loads((ROOT / "dataset/persona.json").read_text(encoding="utf-8"))[: args.personas]
    (home / "persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    common = ["--workspace", str(args.folder), "--overwrite"]
    more = {"load average": os.getloadavg()[0]}
    what = f"{args.cards} cards {SIDE}x{SIDE} RGBA"
    if not args.rows_only:
        rows = all_steps([*common, "--samples-per-persona", str(args.samples_per_persona)])
        title = f"{what}, {len(people)} personas x {args.samples_per_persona} rows"
        report(rows, args.output, title, **more)
    if args.rows:
        output = args.output.with_name(f"{args.output.stem}_rows.json")
        report(growth(common, len(people), args.rows), output, f"{what}, rows by number", **more)
    return 0


if __name__ == "__main__":
    sys.exit(main())
