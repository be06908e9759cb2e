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
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "15")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from aac.io import UserError, write_json  # noqa: E402
from aac.records import SPLITS, load_samples  # noqa: E402
from train.config.train_config import at_root, load_config  # noqa: E402

if TYPE_CHECKING:
    from train.interpreter.requests import Request
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.scoring.table import Table

log = logging.getLogger("aac")
HABIT_ROWS = 4000  # that lengths, vocabulary and idf are learned from: more change the third digit, and cost seconds


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
    parser.add_argument("--teacher", choices=["openai"], help="also score what this remote teacher writes for the rows")
    parser.add_argument("--send-personas", nargs="*", metavar="FIELD", help="fields of your own personas it may see")
    parser.add_argument("--dry-run", action="store_true", help="with --teacher: say what would be sent, and stop")
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
    if (args.ablate is not None or args.with_keywords) and (args.predictions or args.compare or args.rate):
        parser.error("--ablate and --with-keywords need a model, so they go with --checkpoint")
    unread = ("data", "images", "limit", "config", "similarity_model")
    if args.compare and (given := [name for name in unread if getattr(args, name) is not None]):
        parser.error(f"--compare reads finished evaluations, so --{given[0].replace('_', '-')} would change nothing")
    return args


class Rows:
    """What is scored, what training saw, and where things lie.

    Raises:
        UserError: no row is left, or two rows share an id.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.config = load_config(args.config)
        self.root = Path(args.workspace).resolve()
        self.data = Path(args.data) if args.data else at_root(self.config["processed_data"], self.root)
        self.images = Path(args.images) if args.images else at_root(self.config["images_folder"], self.root)
        self.output = Path(args.output) if args.output else self.root / "train/logs/evaluation"
        every, skipped = load_samples(self.data)
        for reason, count in skipped.items():
            log.warning("%s: %d %s rows left out", self.data, count, reason)
        chosen = [sample for sample in every if args.split in ("all", sample.split)]
        if not chosen:
            raise UserError(f"{self.data}: no rows in split {args.split!r}; use --split all or make more data")
        if args.limit and args.limit < len(chosen):
            chosen = random.Random(0).sample(chosen, args.limit)
        self.known = {sample.id for sample in every}
        if len(self.known) < len(every):
            raise UserError(f"{self.data}: two rows share an id; number the rows")
        self.samples = chosen
        self.learned = [sample for sample in every if sample.split == "train"]
        log.info("%s: %d rows (%s)", self.data, len(chosen), args.split)

    def make_output(self) -> None:
        """The folder of the results, before any work is done for them.

        Raises:
            UserError: nothing can be written there.
        """
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.output).close()
        except OSError as error:
            raise UserError(f"--output {self.output}: cannot be written ({error.strerror}); choose another") from None


class Scorer:
    """Candidates to counts, with everything that is fitted or loaded once."""

    def __init__(self, rows: Rows, similarity_model: str | None) -> None:
        from train.scoring import aac_metrics, similarity

        self.rows = rows
        learned = rows.learned
        if len(learned) > HABIT_ROWS:
            log.info("What is usual is read from %d of the %d training rows", HABIT_ROWS, len(learned))
            learned = random.Random(0).sample(learned, HABIT_ROWS)
        if not learned:
            log.warning(
                "%s: no training rows, so complexity, vocabulary, persona_consistency and the nearest neighbour are "
                "left out, and the lexical similarity learns from the scored rows",
                rows.data,
            )
        texts = [text for sample in learned or rows.samples for text in sample.output]
        model = similarity_model or rows.config["similarity_model"]
        self.similarity = similarity.choose(model, similarity_model is not None, texts)
        self.habits = aac_metrics.Habits(learned) if learned else None

    def table(self, threes: Sequence[Sequence[str]]) -> Table:
        from train.utils import metrics

        rows = zip(self.rows.samples, threes, strict=True)
        predictions = [metrics.Prediction(sample, list(three)) for sample, three in rows]
        return metrics.measure(predictions, self.habits, self.rows.config["voice"], self.similarity)


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Candidates from a model or a file; `metrics.json`, row counts, predictions and `report.html` in the output."""
    from train.pages import report_page, terminal
    from train.scoring import ablations, comparison, leave_one_out
    from train.scoring.baselines import baselines
    from train.scoring.predictions import read_predictions, write_predictions
    from train.scoring.table import beside
    from train.utils import metrics

    rows = Rows(args)
    if args.dry_run:
        ask_teacher(args, rows)
        return {}
    # What a user can get wrong comes first, then what costs time or money.
    ablations.check_names(args.ablate or ())
    said = read_predictions(Path(args.predictions), rows.samples, rows.known) if args.predictions else None
    loaded = load(args, rows) if said is None else None
    told = ask_teacher(args, rows) if args.teacher else None
    rows.make_output()
    scorer = Scorer(rows, args.similarity_model)
    others = baselines(rows.samples, rows.learned)
    if told is not None:
        others["teacher"] = told
        write_predictions(rows.output / "teacher.jsonl", rows.samples, told)
    if loaded:
        threes, table, notes, result = score_model(args, rows, scorer, *loaded)
    else:
        threes, notes, result = said or [], [[] for _ in rows.samples], {}
        table = scorer.table(threes)
    predictions = [metrics.Prediction(s, list(t)) for s, t in zip(rows.samples, threes, strict=True)]
    result = metrics.summary(table, predictions, similarity=scorer.similarity) | {"rows": len(rows.samples)} | result
    if "intervals" not in result:
        log.warning("no intervals: all rows are one person's, and intervals draw persons")
    if "context_relevance" not in result:
        log.warning("no context_relevance: it tells a row's context from others, and these rows have fewer than 6")
    entries = {name: beside(table, scorer.table(told)) for name, told in others.items()}
    result["baselines"] = entries | result.get("baselines", {})
    references = scorer.table([sample.output for sample in rows.samples])
    written = leave_one_out.writers(rows.samples, rows.data, rows.root / "dataset/corrections.jsonl")
    result["leave_one_out"] = leave_one_out.agreement(predictions, table, references, written, scorer.similarity)
    result["signatures"]["leave_one_out"] = leave_one_out.signature(len(rows.samples[0].output))
    result["rows_digest"] = comparison.write_rows(rows.output, table)
    write_json(rows.output / "metrics.json", result)
    write_predictions(rows.output / "predictions.jsonl", rows.samples, threes)
    report_page.write(rows.output / "report.html", predictions, table, result, rows.images, notes)
    terminal.show(result)
    for name in ("metrics.json", "report.html"):
        print(f"-> {rows.output / name}")
    return result


def ask_teacher(args: argparse.Namespace, rows: Rows) -> list[list[str]]:
    from train.scoring.teacher_row import teacher_candidates

    voice = rows.config["voice"]
    return teacher_candidates(rows.samples, rows.images, rows.root, voice, args.send_personas, args.dry_run)


def load(args: argparse.Namespace, rows: Rows) -> tuple[AACMultimodalModel, list[Request]]:
    """The model, and the rows as requests, their cards encoded."""
    import torch

    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.scoring.predictions import encode_cards, requests_of

    checkpoint = args.checkpoint or rows.root / "train/checkpoints/best_model.pt"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AACMultimodalModel.load_model(checkpoint, {**rows.config, "device": device})
    log.info("Scoring %s", checkpoint)
    return model, requests_of(rows.samples, encode_cards(model, rows.samples, rows.images), args.with_keywords)


def score_model(
    args: argparse.Namespace, rows: Rows, scorer: Scorer, model: AACMultimodalModel, requests: list[Request]
) -> tuple[list[list[str]], Table, list[list[str]], dict[str, Any]]:
    """The model's candidates, their counts, where they come from if not from the model, and what only a model has."""
    from train.interpreter.candidates import Source
    from train.scoring.predictions import generate, sources, styles_read

    three = generate(model, requests, "candidates")
    threes = [[c.text for c in t] for t in three]
    told = {"style_accuracy": styles_read(model, rows.samples, requests), **sources(three)}
    table = scorer.table(threes).joined(told)
    notes = [[c.source for c in t if c.source is not Source.MODEL] for t in three]
    return threes, table, notes, without_parts(args, rows, model, requests, scorer, table)


def without_parts(
    args: argparse.Namespace,
    rows: Rows,
    model: AACMultimodalModel,
    requests: list[Request],
    scorer: Scorer,
    whole: Table,
) -> dict[str, Any]:
    """The same rows with parts taken away: a baseline that knows neither person nor context, and with `--ablate`
    `ablations` and, as `inputs`, other ways to tell the cards."""
    from train.models import parts
    from train.scoring import ablations
    from train.scoring.predictions import blank_card, generate, sources
    from train.scoring.table import beside

    def scored(name: str, changed: list[Request]) -> dict[str, Any]:
        three = generate(model, changed, name)
        return beside(whole, scorer.table([[c.text for c in t] for t in three]).joined(sources(three)))

    found: dict[str, Any] = {}
    for name in [] if args.ablate is None else ablations.check_names(args.ablate):
        if name in ablations.CHANGES:
            try:
                found[name] = scored(name, ablations.changed(name, requests))
            except UserError as error:  # these rows leave nothing to exchange
                if args.ablate:
                    raise
                log.warning("%s: left out", error)
        else:
            with parts.without(model, ablations.PARTS[name]):
                found[name] = scored(name, requests)
    told: dict[str, Any] = {}
    if args.ablate == [] and not args.with_keywords:
        told["pictures_only"] = whole.values()
        words, blank = [list(sample.keywords) for sample in rows.samples], blank_card(model)
        for name in ablations.INPUTS:
            told[name] = scored(name, ablations.inputs(name, requests, words, blank))
    blind = "no_persona_no_context"
    knows_nobody = found.get(blind) or scored(blind, ablations.changed(blind, requests))
    more = {"ablations": found, "inputs": told, "baselines": {"model_without_persona_and_context": knows_nobody}}
    return {kind: entries for kind, entries in more.items() if entries}


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Paired differences of two evaluations."""
    from train.scoring import comparison

    result = comparison.compare(*(Path(path) for path in args.compare))
    comparison.show(result, args.compare)
    if args.output:
        write_json(Path(args.output) / "comparison.json", result)
    return result


def rate(args: argparse.Namespace) -> dict[str, Any]:
    """Write a blind rating sheet of two sets of predictions, or sum up filled ones."""
    from train.pages import rating_sheet
    from train.scoring import rating
    from train.scoring.predictions import read_predictions

    rows = Rows(args)
    one, other = (read_predictions(Path(path), rows.samples, rows.known) for path in args.rate)
    if not args.ratings:
        paths = rating_sheet.write_sheets(rows.output, rows.samples, one, other, rows.images)
        print("Fill in one of them; nothing in it tells which system wrote a sentence:")
        print(*(f"-> {path}" for path in paths), sep="\n")
        return {}
    result = rating.sum_up([Path(path) for path in args.ratings], rows.samples, one, other)
    write_json(rows.output / "ratings.json", result)
    rating.show(result, args.rate)
    print(f"-> {rows.output / 'ratings.json'}")
    return result


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 a run-time failure, 2 a user's mistake, 130 after Ctrl-C."""
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    verb: Callable[[argparse.Namespace], Any] = compare if args.compare else rate if args.rate else evaluate
    try:
        verb(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: no scores were written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
