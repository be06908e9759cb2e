"""Interpret cards: pictures, a persona and a situation to three Korean sentences.

python train/interpret.py --cards 물.png 주세요.png --persona '{"age": 25}' --context "점심시간, 식당"
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # Python put the script's folder first, with -P nothing; the packages lie here
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from aac.io import UserError, escape_unprintable, read_json  # noqa: E402
from aac.rules import card_keyword  # noqa: E402
from train.config.train_config import TRAIN_CONFIG  # noqa: E402


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", nargs="+", required=True, metavar="PNG", help="1 to 4 pictures, in the chosen order")
    parser.add_argument("--persona", metavar="FILE|JSON", help="the persona's fields; any may be missing")
    parser.add_argument("--context", metavar="TEXT|FILE|JSON", help="a sentence, or any of the four fields")
    parser.add_argument(
        "--keywords", nargs="+", metavar="WORD", help="the cards' words, where file names do not hold them"
    )
    parser.add_argument("--pictures-only", action="store_true", help="do not read words from file names")
    parser.add_argument("--checkpoint", default=str(ROOT / "train/checkpoints/best_model.pt"), metavar="PATH")
    parser.add_argument("--json", action="store_true", help="print styles, cards and the gate's verdicts as JSON")
    return parser.parse_args(argv)


def text_or_json(value: str | None, flag: str) -> Any:
    """A JSON object, the content of a JSON file, or the text itself.

    Raises:
        UserError: what looks like JSON but is not.
    """
    if value is None:
        return None
    if value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise UserError(f"{flag}: not JSON at column {error.colno}: {error.msg}") from None
    return read_json(value) if value.endswith(".json") else value


def words_of(cards: Sequence[str]) -> list[str] | None:
    """The words of `113_도와주세요.png` and the like; None where a name holds no Korean one."""
    words = [card_keyword(Path(card).name) for card in cards]
    return words if all(re.search("[가-힣]", word) for word in words) else None


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 the device's memory is too small, 2 a user's mistake."""
    escape_unprintable()
    args = parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        persona = text_or_json(args.persona, "--persona")
        if isinstance(persona, str):
            raise UserError(f"--persona {persona!r}: give a JSON object or a file that ends in .json")
        context = text_or_json(args.context, "--context")
        from aac.pictures import open_picture
        from train.interpreter.candidates import Source

        images = [open_picture(Path(card)) for card in args.cards]
        words = args.keywords or (None if args.pictures_only else words_of(args.cards))
        from train.models.aac_multimodal_model import AACMultimodalModel

        model = AACMultimodalModel.load_model(args.checkpoint, {**TRAIN_CONFIG, "device": _device()})
        candidates = model.generate_interpretation(images, persona, context, words, return_details=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(candidates, ensure_ascii=False, indent=1))
    else:
        for number, candidate in enumerate(candidates, start=1):
            source = Source(candidate["source"])
            note = "" if source.from_model else f"  [{source.korean}]"
            print(f"{number}. {candidate['text']}{note}")
    return 0


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    sys.exit(main())
