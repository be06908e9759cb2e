"""Score candidates against references, cards, persona and context: a trained model's, or anybody's.

python train/evaluate.py --checkpoint train/checkpoints/best_model.pt --ablate
python train/evaluate.py --predictions gpt4.jsonl --output train/logs/gpt4
python train/evaluate.py --compare train/logs/evaluation/metrics.json train/logs/gpt4/metrics.json
python train/evaluate.py --rate train/logs/evaluation/predictions.jsonl gpt4.jsonl
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "15")
ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # Python put the script's folder first, with -P nothing; the packages lie here
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from aac.io import UserError, escape_unprintable, write_json  # noqa: E402
from aac.records import SPLITS  # noqa: E402
from dataset.prepare.teachers.registry import remote_teachers  # noqa: E402
from train.config.train_config import load_config  # noqa: E402

if TYPE_CHECKING:
    from train.interpreter.requests import Request
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.scoring.row import Prediction
    from train.scoring.rows import Rows
    from train.scoring.table import Table

log = logging.getLogger("aac")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--checkpoint", metavar="PATH", help="score this model; default: best_model.pt in the workspace")
    what.add_argument(
        "--predictions", metavar="FILE", help='score a file of {"id": 17, "interpretations": ["…"]} lines'
    )
    what.add_argument("--compare", nargs=2, metavar="METRICS", help="paired differences of two scored metrics.json")
    what.add_argument("--rate", nargs=2, metavar="PREDICTIONS", help="write a blind rating sheet of two predictions")
    parser.add_argument(
        "--ratings", nargs="+", metavar="CSV", help="with --rate: filled sheets, one a rater, to sum up"
    )
    parser.add_argument("--data", metavar="FILE", help="rows in the public format; default: the workspace's")
    parser.add_argument("--images", metavar="DIR", help="the cards' folder; default: the workspace's")
    parser.add_argument("--split", choices=[*SPLITS, "all"], default="test")
    parser.add_argument("--output", metavar="DIR", help="default: train/logs/evaluation in the workspace")
    parser.add_argument("--limit", type=int, metavar="N", help="score N rows, drawn with a fixed seed")
    parser.add_argument("--ablate", nargs="*", metavar="NAME", help="also without its parts: all, or those named")
    parser.add_argument("--with-keywords", action="store_true", help="tell the model the cards' words")
    parser.add_argument(
        "--teacher", choices=remote_teachers(), help="also score what this remote teacher writes for the rows"
    )
    parser.add_argument("--send-personas", nargs="*", metavar="FIELD", help="fields of your own personas it may see")
    parser.add_argument("--dry-run", action="store_true", help="with --teacher: say what would be sent, and stop")
    parser.add_argument("--requests", metavar="FILE", help="another suite of requests than train/scoring/suite.json")
    parser.add_argument("--no-requests", action="store_true", help="do not ask the model the suite of requests")
    parser.add_argument("--similarity-model", metavar="NAME", help="sentence model (may be downloaded) or lemma-tfidf")
    parser.add_argument("--config", metavar="FILE", help="JSON with keys of train/config/train_config.py")
    parser.add_argument("--workspace", metavar="DIR", default=ROOT, help="root of the default paths")
    args = parser.parse_args(argv)
    if args.ratings and not args.rate:
        parser.error("--ratings goes with --rate A.jsonl B.jsonl")
    if args.limit is not None and args.limit < 1:
        parser.error("--limit must be at least 1")
    if (args.dry_run or args.send_personas is not None) and not args.teacher:
        parser.error("--dry-run and --send-personas go with --teacher")
    if args.teacher and (args.compare or args.rate):
        parser.error("--teacher goes with --checkpoint or --predictions; compare or rate its teacher.jsonl afterwards")
    asks = args.ablate is not None or args.with_keywords or args.requests or args.no_requests
    if asks and (args.predictions or args.compare or args.rate):
        parser.error("--ablate, --with-keywords and --requests need a model, so they go with --checkpoint")
    unread = ("data", "images", "limit", "config", "similarity_model")
    if args.compare and (given := [name for name in unread if getattr(args, name) is not None]):
        parser.error(f"--compare reads finished evaluations, so --{given[0].replace('_', '-')} would change nothing")
    return args


def evaluate(args: argparse.Namespace) -> None:
    """Candidates of a model or of a file, scored beside those of others, of the references, and of the model with parts
    of it or of its input taken away."""
    from train.scoring import ablations, leave_one_out, suite_scores
    from train.scoring.baselines import baselines
    from train.scoring.generation import Answers, answers
    from train.scoring.predictions import read_predictions, write_predictions
    from train.scoring.suite import SUITE_FILE, read_suite
    from train.scoring.table import beside
    from train.utils import metrics

    rows = rows_of(args)
    if args.dry_run:
        ask_teacher(args, rows)
        return
    # What a user can get wrong comes first, then what costs time or money.
    ablations.check_names(args.ablate or ())
    suite = [] if args.no_requests else read_suite(Path(args.requests or SUITE_FILE))
    read = read_predictions(Path(args.predictions), rows.samples, rows.known) if args.predictions else None
    model, requests = load(args, rows) if read is None else (None, [])
    others = {"teacher": ask_teacher(args, rows)} if args.teacher else {}
    folder = results_folder(args, rows)
    if others:
        write_predictions(folder / "teacher.jsonl", rows.samples, others["teacher"])
    named = args.similarity_model
    similar = named or rows.config["similarity_model"]
    scorer = metrics.Scorer(rows.samples, rows.learned, rows.config["voice"], similar, explicit=named is not None)
    if model:
        said = answers(model, rows.samples, requests, "candidates", styles=True)
    else:
        said = Answers(scorer.predictions(read or []))

    table = scorer.table(said.predictions).joined(said.counts)
    result = metrics.summary(table, said.predictions, similarity=scorer.similarity) | {"rows": len(rows.samples)}
    if "bleu4" not in result.get("intervals", {}):
        log.warning("no intervals: all rows are one person's, and intervals draw persons")
    if "context_relevance" not in result:
        log.warning("no context_relevance: it tells a row's context from others, and the rows have fewer than 6")
    others = baselines(rows.samples, rows.learned) | others
    result["baselines"] = {
        name: beside(table, scorer.table(scorer.predictions(threes))) for name, threes in others.items()
    }
    if model:
        result["requests"] = suite_scores.ask(model, suite, rows.images, folder / "requests.jsonl")
        without = ablations.Without(model, requests, scorer, table)
        result["baselines"]["model_without_persona_and_context"] = without.one(ablations.BLIND)
        if args.ablate is not None:
            result["ablations"] = without.each(args.ablate)
        if args.ablate == [] and not args.with_keywords:
            result["inputs"] = without.told_otherwise()
    written_by = leave_one_out.writers(rows.samples, rows.data, rows.root / "dataset/corrections.jsonl")
    references = scorer.table(scorer.predictions([sample.output for sample in rows.samples]))
    result["leave_one_out"] = leave_one_out.agreement(
        said.predictions, table, references, written_by, scorer.similarity
    )
    result["signatures"]["leave_one_out"] = leave_one_out.signature(len(rows.samples[0].output))
    write(folder, rows, said.predictions, table, result)


def rows_of(args: argparse.Namespace) -> Rows:
    from train.scoring.rows import Rows

    root = Path(args.workspace).resolve()
    return Rows(load_config(args.config), root, args.data, args.images, args.split, args.limit)


def load(args: argparse.Namespace, rows: Rows) -> tuple[AACMultimodalModel, list[Request]]:
    """The model, and the rows as requests, their cards encoded."""
    import torch

    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.scoring.generation import encode_cards, requests_of

    checkpoint = args.checkpoint or rows.root / "train/checkpoints/best_model.pt"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AACMultimodalModel.load_model(checkpoint, {**rows.config, "device": device})
    rows.config["voice"] = model.config["voice"]  # whose words it was trained to write is what it is judged by
    log.info("Scoring %s", checkpoint)
    cards = encode_cards(model, rows.samples, rows.images)
    return model, requests_of(rows.samples, cards, args.with_keywords, model.config["voice"])


def ask_teacher(args: argparse.Namespace, rows: Rows) -> list[list[str]]:
    from train.scoring.teacher_row import teacher_candidates

    told = (rows.images, rows.root, rows.config["voice"], args.send_personas, args.dry_run)
    return teacher_candidates(args.teacher, rows.samples, *told)


def results_folder(args: argparse.Namespace, rows: Rows) -> Path:
    """Made before any work is done for it.

    Raises:
        UserError: nothing can be written there.
    """
    folder = Path(args.output) if args.output else rows.root / "train/logs/evaluation"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"--output {folder}: cannot be written ({error.strerror}); choose another") from None
    return folder


def write(folder: Path, rows: Rows, predictions: list[Prediction], table: Table, result: dict[str, Any]) -> None:
    """The scores, every row's counts, the predictions, the report; a table in the terminal."""
    from train.pages import report_page, terminal
    from train.scoring import comparison
    from train.scoring.predictions import write_predictions

    result["rows_digest"] = comparison.write_rows(folder, table)
    write_json(folder / "metrics.json", result)
    write_predictions(folder / "predictions.jsonl", rows.samples, [p.candidates for p in predictions])
    report_page.write(folder / "report.html", predictions, table, result, rows.images)
    terminal.show(result)
    for name in ("metrics.json", "report.html"):
        print(f"-> {folder / name}")


def compare(args: argparse.Namespace) -> None:
    """Paired differences of two evaluations."""
    from train.scoring import comparison

    result = comparison.compare(*(Path(path) for path in args.compare))
    comparison.show(result, args.compare)
    if args.output:
        write_json(Path(args.output) / "comparison.json", result)


def rate(args: argparse.Namespace) -> None:
    """Write a blind rating sheet of two sets of predictions, or sum up filled ones."""
    from train.pages import rating_sheet
    from train.scoring import rating
    from train.scoring.predictions import read_predictions

    rows = rows_of(args)
    one, other = (read_predictions(Path(path), rows.samples, rows.known) for path in args.rate)
    folder = results_folder(args, rows)
    if not args.ratings:
        paths = rating_sheet.write_sheets(folder, rows.samples, one, other, rows.images)
        print("Fill in one of them; nothing in it tells which system wrote a sentence:")
        print(*(f"-> {path}" for path in paths), sep="\n")
        return
    result = rating.sum_up([Path(path) for path in args.ratings], rows.samples, one, other)
    write_json(folder / "ratings.json", result)
    rating.show(result, args.rate)
    print(f"-> {folder / 'ratings.json'}")


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 a run-time failure, 2 a user's mistake, 130 after Ctrl-C."""
    escape_unprintable()
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    verb: Callable[[argparse.Namespace], None] = compare if args.compare else rate if args.rate else evaluate
    try:
        verb(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: no scores were written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
