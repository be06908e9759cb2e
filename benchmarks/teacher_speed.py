"""How fast step 8 runs offline: rows a second of one core, how it grows, and what the time goes into.

python benchmarks/teacher_speed.py [--rows 4800 20000] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import os
import platform
import pstats
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from dataset.prepare.records import read_json, sample_key  # noqa: E402


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[4800, 20000], metavar="N", help="data set sizes")
    parser.add_argument("--profile", action="store_true", help="also the twenty functions that take longest")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table as JSON, too")
    parser.add_argument("--measure", type=Path, metavar="DIR", help=argparse.SUPPRESS)  # in a process of its own
    return parser.parse_args(argv)


def make_rows(count: int) -> list[dict[str, Any]]:
    """Rows as step 7 leaves them: the shipped personas in turn, 1 to 4 cards of the lexicon that go together."""
    from dataset.prepare.lexicon import load_lexicon
    from dataset.prepare.teachers.grammar import next_cards

    draw = random.Random(1)
    people = read_json(ROOT / "dataset/persona.json")
    pool = [card.keyword for card in load_lexicon()]
    rows = []
    for number in range(1, count + 1):
        person = people[number % len(people)]
        words: list[str] = []
        for _ in range(draw.choices((1, 2, 3, 4), (15, 40, 30, 15))[0]):
            for word in draw.sample(pool, 40):
                if word not in words and next_cards(words, [word]):
                    words.append(word)
                    break
        cards = [f"{word}.png" for word in words]
        source = {"persona": person["persona"], "context": {}, "AAC_card_combination": cards}
        rows.append({"id": number, "key": sample_key(person["id"], cards, number), "keywords": words, "input": source})
    return rows


def measure(folder: Path, profile: bool) -> dict[str, Any]:
    """Step 8 on `dataset_with_cards.json` in `folder`, in CPU seconds (user + system); a digest of what it wrote."""
    from dataset.prepare.korean import join
    from dataset.prepare.pipeline import Options
    from dataset.prepare.teach import write_interpretations

    before = time.process_time()
    join((("물", "NNG"), ("을", "JKO")))
    started = time.process_time()
    profiler = cProfile.Profile(time.process_time)
    if profile:
        profiler.enable()
    write_interpretations(Options(home=folder, images=folder, output=folder, personas=folder))
    profiler.disable()
    seconds = time.process_time() - started
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(20)
    made = (folder / "dataset_completed.json").read_bytes()
    count = len(json.loads(made))
    return {
        "rows": count,
        "step_s": round(seconds, 2),
        "rows_a_second": round(count / seconds),
        "load_s": round(started - before, 2),
        "process_s": round(time.process_time(), 2),
        "rows_a_second_all_in": round(count / time.process_time()),
        "digest": hashlib.sha256(made).hexdigest()[:16],
    }


def main(argv: list[str] | None = None) -> int:
    """Prints a table; returns 0."""
    args = parse_args(argv)
    if args.measure:
        print(json.dumps(measure(args.measure, args.profile)))
        return 0
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"Step 8, grammar teacher, CPU seconds of one core ({machine}); nothing cached but Kiwi\n")
    titles = ("rows", "step s", "rows/s", "Kiwi s", "process s", "rows/s", "digest")
    print("".join(f"{title:>11}" for title in titles))
    table = []
    for count in args.rows:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "dataset_with_cards.json").write_text(json.dumps(make_rows(count)), encoding="utf-8")
            line = [sys.executable, __file__, "--measure", folder, *(["--profile"] if args.profile else [])]
            *profile, last = subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()
        table.append(json.loads(last))
        print("".join(f"{value!s:>11.10}" for value in table[-1].values()))
        print("\n".join(profile), end="\n" if profile else "")
    if args.output:
        args.output.write_text(json.dumps({"machine": machine, "table": table}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
