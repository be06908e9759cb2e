"""The whole product on this machine: cards, data, training, scores, and a page of cards beside their sentences.

`make demo` calls this; run again, it skips what is done.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "15")
ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # Python put the script's folder first, with -P nothing; the packages lie here
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from aac.io import UserError, escape_unprintable, read_json, write_json  # noqa: E402
from aac.records import load_samples  # noqa: E402

# No card is rare: about 125 training rows a card (the public default of 200 gives about 35); with more rows the same
# sentences come again and again.
SAMPLES_PER_PERSONA = 700
EVALUATED_ROWS = 600
TINY = ROOT / "train/config/tiny.json"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default=ROOT, metavar="DIR", help="keep the demo's data, model and page apart")
    return parser.parse_args(argv)


def say(number: int, what: str) -> None:
    print(f"\n[{number}/5] {what}", flush=True)


def run(*line: str | Path) -> None:
    """A command of the project, as a user would type it. Raises SystemExit with its code where it fails."""
    shown = " ".join(str(part) for part in line)
    print(f"$ python {shown}", flush=True)
    code = subprocess.run([sys.executable, *map(str, line)], cwd=ROOT).returncode
    if code:
        sys.exit(code)


def fingerprint(*paths: Path) -> str:
    import hashlib

    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


def train(workspace: Path, data: Path, state: Path, done: dict[str, Any]) -> None:
    """Train the small model, unless the same data and settings were trained already; go on where it was stopped."""
    best = workspace / "train/checkpoints/best_model.pt"
    key = fingerprint(data, TINY)
    if done.get("trained") == key and best.exists():
        print(f"Already trained on this data: {best}")
        return
    if best.exists() and not done.keys() & {"training", "trained"}:
        raise UserError(f"{best}: not the demo's own model; keep the demo apart with --workspace DIR, or move it away")
    again = ("--resume", "auto") if done.get("training") == key else ("--overwrite",)
    done["training"] = key
    write_json(state, done)
    started = time.time()
    run("train/train.py", "--config", TINY, "--workspace", workspace, *again)
    done["trained"] = key
    print(f"Trained in {(time.time() - started) / 60:.1f} minutes -> {best}")


def evaluate(workspace: Path, data: Path, done: dict[str, Any]) -> dict[str, Any]:
    """Score the test split, with ablations, and people and partners who occur nowhere in training."""
    folder = workspace / "train/logs/evaluation"
    best = workspace / "train/checkpoints/best_model.pt"
    key = fingerprint(best, data)
    if done.get("evaluated") != key or not (folder / "metrics.json").exists():
        common = ("train/evaluate.py", "--workspace", workspace, "--limit", str(EVALUATED_ROWS))
        run(*common, "--ablate", "shuffled_images", "no_persona", "no_context", "no_persona_no_context")
        unseen = unseen_rows(workspace, data)
        run(*common, "--data", unseen, "--split", "all", "--output", folder / "unseen", "--no-requests")
        done["evaluated"] = key
    return read_json(folder / "metrics.json")


def unseen_rows(workspace: Path, data: Path) -> Path:
    """The test split's cards, told by the personas and to the partners that training never saw."""
    from aac.records import Context, Persona, split_of
    from dataset.prepare.teachers.grammar import HELD_OUT_PARTNERS, interpret

    people = [Persona.parse(entry) for entry in read_json(ROOT / "dataset/persona_held_out.json")]
    rows = []
    for row in read_json(data):
        if split_of(row["input"]["AAC_card_combination"], Persona.read(row["input"]["persona"])) != "test":
            continue
        draw = random.Random(row["id"])
        persona = draw.choice(people)
        context = {**row["input"]["context"], "interaction_partner": draw.choice(HELD_OUT_PARTNERS)}
        source = {**row["input"], "persona": persona.public(), "context": context}
        output = interpret(row["keywords"], persona, Context.parse(context))
        rows.append({**row, "persona_id": persona.id, "input": source, "output": output})
    path = workspace / "dataset/processed/unseen.json"
    write_json(path, rows, None)
    return path


def draw_page(workspace: Path, data: Path, scores: dict[str, Any]) -> Path:
    """Three card sets of the test split, which training never saw combined, beside what the model says."""
    from aac.pictures import open_picture
    from train.config.train_config import TRAIN_CONFIG
    from train.interpreter.candidates import Source
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.pages import demo_page, demo_picture
    from train.pages.page import situation
    from train.scoring.row import Prediction

    samples = [s for s in load_samples(data)[0] if s.split == "test"]
    picked = []
    for count in (2, 3, 4):
        fitting = [s for s in samples if len(s.cards) == count and all(vars(s.context).values())]
        picked.append(random.Random(count).choice(fitting or samples))
    images = workspace / "dataset/images"
    model = AACMultimodalModel.load_model(
        workspace / "train/checkpoints/best_model.pt", {**TRAIN_CONFIG, "device": "cpu"}
    )
    told = []
    for sample in picked:
        pictures = [open_picture(images / card) for card in sample.cards]
        three = model.generate_interpretation(
            pictures, sample.persona.public(), sample.context.public(), return_details=True
        )
        print(f"\n{' + '.join(sample.keywords)}  ({sample.persona.age}; {situation(sample)})")
        for candidate in three:
            print(f"  - {candidate['text']}")
        notes = [c["source"] for c in three if not Source(c["source"]).from_model]
        told.append(Prediction(sample, [candidate["text"] for candidate in three], notes))
    folder = workspace / "train/logs/demo"
    folder.mkdir(parents=True, exist_ok=True)
    demo_page.write_page(folder / "index.html", told, images, "AAC 카드 해석", scores)
    demo_picture.draw_png(folder / "demo.png", told, images)
    return folder / "index.html"


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 2 a user's mistake, else that of the command that failed."""
    escape_unprintable()
    args = parse_args(argv)
    workspace = Path(args.workspace).resolve()
    data = workspace / "dataset/processed/dataset_completed.json"
    state = workspace / "train/logs/demo/state.json"
    done = json.loads(state.read_text(encoding="utf-8")) if state.exists() else {}
    try:
        say(1, "Cards and data: the open symbol set is fetched and drawn, then eight steps make the data set.")
        steps = [str(number) for number in range(1, 9)]
        count = str(SAMPLES_PER_PERSONA)
        run("data_prepare.py", "--steps", *steps, "--samples-per-persona", count, "--workspace", workspace)
        say(2, "Training: a small model of the real architecture, from scratch (about nine minutes on two cores).")
        train(workspace, data, state, done)
        write_json(state, done)
        say(3, "Scores on card combinations that training never saw, then the same without its parts.")
        scores = evaluate(workspace, data, done)
        write_json(state, done)
        say(4, "Three unseen card sets, interpreted.")
        page = draw_page(workspace, data, scores)
        say(
            5,
            f"Done. Open {page}\n      picture: {page.with_name('demo.png')}\n"
            f"      board: run `python train/serve.py --workspace {workspace}`, then open http://127.0.0.1:8000",
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
