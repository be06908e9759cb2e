"""Score a trained model: candidates for a split, metrics with intervals, ablations.

python train/evaluate.py --checkpoint train/checkpoints/best_model.pt --ablate
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "15")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from dataset.prepare.records import (  # noqa: E402
    SPLITS,
    Context,
    Persona,
    Sample,
    UserError,
    load_samples,
    write_atomic,
    write_json,
)
from train.config.train_config import TRAIN_CONFIG, at_root  # noqa: E402

if TYPE_CHECKING:
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.models.generation import Request

log = logging.getLogger("aac")
BATCH = 32
HEADLINE = ("bleu4", "rougeL", "card_coverage", "register_accuracy", "register", "distinct3")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", metavar="PATH", help="default: best_model.pt in the workspace")
    parser.add_argument("--data", metavar="FILE", help="rows in the public format; default: the workspace's")
    parser.add_argument("--images", metavar="DIR", help="the cards' folder; default: the workspace's")
    parser.add_argument("--split", choices=[*SPLITS, "all"], default="test")
    parser.add_argument("--output", metavar="DIR", help="default: train/logs/evaluation in the workspace")
    parser.add_argument("--limit", type=int, metavar="N", help="score N rows, drawn with a fixed seed")
    parser.add_argument("--ablate", action="store_true", help="also without persona, context, and with other cards")
    parser.add_argument("--with-keywords", action="store_true", help="tell the model the cards' words")
    parser.add_argument("--workspace", metavar="DIR", default=ROOT, help="root of the default paths")
    return parser.parse_args(argv)


def rows_of(path: Path, split: str, limit: int | None) -> list[Sample]:
    """The rows to score.

    Raises:
        UserError: none are left.
    """
    samples, _ = load_samples(path)
    chosen = [sample for sample in samples if split in ("all", sample.split)]
    if not chosen:
        raise UserError(f"{path}: no rows in split {split!r}; use --split all or make more data")
    if limit and limit < len(chosen):
        chosen = random.Random(0).sample(chosen, limit)
    return chosen


def requests_of(model: AACMultimodalModel, samples: Sequence[Sample], images: Path, keywords: bool) -> list[Request]:
    """Rows to requests; each card is encoded once."""
    from train.data.dataset import find_pictures
    from train.data.features import open_picture
    from train.models.generation import Request, encode_pictures

    encoded: dict[str, Any] = {}
    from dataset.prepare.records import nfc

    for path in find_pictures(samples, images):
        features, sizes = encode_pictures(model, [open_picture(path)])
        encoded[nfc(path.name)] = (features[0], sizes[0])
    made = []
    for sample in samples:
        cards = [encoded[card] for card in sample.cards]
        words = sample.keywords if keywords else None
        made.append(Request([f for f, _ in cards], [s for _, s in cards], sample.persona, sample.context, words))
    return made


def generate(model: AACMultimodalModel, requests: Sequence[Request], what: str) -> list[list[dict[str, Any]]]:
    """Candidates for every request, long prompts beside long ones, in the order given."""
    from tqdm import tqdm

    from train.models.generation import interpret_parsed

    order = sorted(range(len(requests)), key=lambda i: len(requests[i].features))
    results: list[list[dict[str, Any]]] = [[] for _ in requests]
    for first in tqdm(range(0, len(order), BATCH), desc=what, unit=f"x{BATCH} rows"):
        group = order[first : first + BATCH]
        for i, three in zip(
            group, interpret_parsed(model, [requests[i] for i in group], confidence=False), strict=True
        ):
            results[i] = three
    return results


def ablations(requests: Sequence[Request]) -> dict[str, list[Request]]:
    """The same rows with a part taken away. Shuffled images: every card replaced by one the row does not hold."""
    draw = random.Random(0)
    pool = {id(f): (f, s) for r in requests for f, s in zip(r.features, r.sizes, strict=True)}

    def other(request: Request) -> Request:
        own = {id(feature) for feature in request.features}
        picked = draw.sample([pair for key, pair in pool.items() if key not in own], len(own))
        return replace(request, features=[f for f, _ in picked], sizes=[s for _, s in picked])

    return {
        "shuffled_images": [other(r) for r in requests],
        "no_persona": [replace(r, persona=Persona()) for r in requests],
        "no_context": [replace(r, context=Context()) for r in requests],
        "no_persona_no_context": [replace(r, persona=Persona(), context=Context()) for r in requests],
    }


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Load, generate, score, write `metrics.json` and `predictions.jsonl`; returns the metrics."""
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.utils import metrics

    root = Path(args.workspace).resolve()
    checkpoint = args.checkpoint or root / "train/checkpoints/best_model.pt"
    data = Path(args.data) if args.data else at_root(TRAIN_CONFIG["processed_data"], root)
    images = Path(args.images) if args.images else at_root(TRAIN_CONFIG["images_folder"], root)
    output = Path(args.output) if args.output else root / "train/logs/evaluation"
    samples = rows_of(data, args.split, args.limit)
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AACMultimodalModel.load_model(checkpoint, {**TRAIN_CONFIG, "device": device})
    log.info("Scoring %d rows of %s (%s) with %s", len(samples), data, args.split, checkpoint)
    requests = requests_of(model, samples, images, args.with_keywords)
    three = generate(model, requests, "candidates")
    predictions = [metrics.Prediction(s, [c["text"] for c in t]) for s, t in zip(samples, three, strict=True)]
    learned = [sample for sample in load_samples(data)[0] if sample.split == "train"]
    result = metrics.score(predictions, fit_on=learned)
    result["rows"] = len(samples)
    result["not_from_model"] = sum(not c["source"].startswith("model") for t in three for c in t) / (3 * len(three))
    if args.ablate:
        result["ablations"] = {}
        for name, changed in ablations(requests).items():
            texts = [[c["text"] for c in t] for t in generate(model, changed, name)]
            scored = metrics.score([metrics.Prediction(s, t) for s, t in zip(samples, texts, strict=True)], bootstrap=0)
            result["ablations"][name] = {k: v for k, v in scored.items() if isinstance(v, int | float)}
    write_json(output / "metrics.json", result)
    lines = [
        json.dumps({"id": s.id, "interpretations": [c["text"] for c in t]}, ensure_ascii=False) + "\n"
        for s, t in zip(samples, three, strict=True)
    ]
    write_atomic(output / "predictions.jsonl", "".join(lines).encode())
    show(result)
    print(f"-> {output / 'metrics.json'}")
    return result


def show(result: dict[str, Any]) -> None:
    """A short table: the headline metrics, with their intervals, and each ablation."""
    columns = {"all": result, **result.get("ablations", {})}
    print(f"{'':24}" + "".join(f"{name:>19}" for name in HEADLINE))
    for name, values in columns.items():
        print(f"{name:24}" + "".join(f"{values[key]:>19.3f}" for key in HEADLINE))
    intervals = result.get("intervals", {})
    if intervals:
        spans = ("[{:.3f}, {:.3f}]".format(*intervals[key]) if key in intervals else "" for key in HEADLINE)
        print(f"{'95 % interval':24}" + "".join(f"{span:>19}" for span in spans))


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 2 a user's mistake."""
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        evaluate(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
