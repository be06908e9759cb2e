"""How fast step 8 runs offline: rows a second of one core, how it grows, and what the time goes into.

python benchmarks/teacher_speed.py
python benchmarks/teacher_speed.py --rows 4800 --profile

Rows as step 7 leaves them: the shipped personas, 1 to 4 words of the lexicon that go together; with --own-words every
row holds a word that the lexicon does not know. Each size runs in a fresh process, so that nothing is cached but Kiwi.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import pstats
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aac.io import read_json
from aac.records import sample_key
from benchmarks.common import ROOT, arguments, report

_SYLLABLES = "가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = arguments(__doc__, "teacher_speed")
    parser.add_argument("--rows", type=int, nargs="+", default=[4800, 20000, 100000], metavar="N", help="sizes")
    parser.add_argument("--own-words", action="store_true", help="a word in every row that the lexicon does not know")
    parser.add_argument("--profile", action="store_true", help="also the twenty functions that take longest")
    parser.add_argument("--measure", type=Path, metavar="DIR", help=argparse.SUPPRESS)  # in a process of its own
    return parser.parse_args(argv)


def make_rows(count: int, own_words: bool) -> list[dict[str, Any]]:
    """Rows as step 7 leaves them."""
    from aac.lexicon import load_lexicon
    from dataset.prepare.teachers.reading import read

    draw = random.Random(1)
    people = read_json(ROOT / "dataset/persona.json")
    pool = [card.keyword for card in load_lexicon()]
    rows = []
    for number in range(1, count + 1):
        person = people[number % len(people)]
        words: list[str] = []
        for _ in range(draw.choices((1, 2, 3, 4), (15, 40, 30, 15))[0]):
            for word in draw.sample(pool, 40):
                if word not in words and (not words or read(frozenset({*words, word}))):
                    words.append(word)
                    break
        if own_words:
            strange = "".join(draw.choices(_SYLLABLES, k=draw.randint(2, 3))) + draw.choice(("", "", "다", "하다"))
            words[draw.randrange(len(words))] = strange
        cards = [f"{word}.png" for word in words]
        source = {"persona": person["persona"], "context": {}, "AAC_card_combination": cards}
        rows.append({"id": number, "key": sample_key(person["id"], cards, number), "keywords": words, "input": source})
    return rows


def measure(folder: Path, profile: bool) -> dict[str, Any]:
    """Step 8 on `dataset_with_cards.json` in `folder`, in CPU seconds (user + system); a digest of what it wrote."""
    from aac.korean import join
    from dataset.prepare.options import Options
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
        "step 8 cpu s": seconds,
        "rows/cpu s": count / seconds,
        "loading Kiwi cpu s": started - before,
        "process cpu s": time.process_time(),
        "rows/process cpu s": count / time.process_time(),
        "digest": hashlib.sha256(made).hexdigest()[:16],
    }


def main(argv: list[str] | None = None) -> int:
    """Prints a table, writes JSON; returns 0."""
    args = parse_args(argv)
    if args.measure:
        print(json.dumps(measure(args.measure, args.profile)))
        return 0
    table = []
    for count in args.rows:
        with tempfile.TemporaryDirectory() as folder:
            made = json.dumps(make_rows(count, args.own_words))
            (Path(folder) / "dataset_with_cards.json").write_text(made, encoding="utf-8")
            line = [sys.executable, __file__, "--measure", folder, *(["--profile"] if args.profile else [])]
            *profile, last = subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()
        table.append(json.loads(last))
        print("\n".join(profile), end="\n" if profile else "")
    words = "a word of the user's own in every row" if args.own_words else "words of the lexicon"
    report(table, args.output, f"Step 8, grammar teacher, one core, {words}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
