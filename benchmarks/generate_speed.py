"""Speed of an answer: three candidates from one prefill against the ways of getting three otherwise.

python benchmarks/generate_speed.py --workspace DIR [--checkpoint FILE]

Every way starts from decoded pictures (the tower is part of the time) and writes exactly `--tokens` tokens a candidate,
so that none wins by stopping early. `model.generate` runs on the bare backbone in transformers' own layers, without the
heads that ours pays for. With a checkpoint, more rows time the product itself, whole and by its parts: gate, second
tries and confidence included, at its own lengths. Ratios are against the first row, in wall and in processor seconds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import ROOT, Clock, alternate, arguments, report
from benchmarks.subject import Subject, data_arguments, load_data, plain_layers


class Ways:
    """The ways to candidates for requests of one number of cards."""

    def __init__(self, model: Any, requests: list[dict[str, Any]], tokens: int) -> None:
        from transformers import GenerationConfig

        from aac.records import Context, Persona

        self.model, self.requests = model, requests
        request, processor = requests[0], model.processor
        self.persona, self.context = Persona.parse(request["persona_info"]), Context.parse(request["context_info"])
        counts = [processor.num_tokens(tuple(size)) for size in processor.images(request["images"])[1].tolist()]
        self.prompt = model.encoder.prompt(counts, self.persona, self.context, request["keywords"])
        model.eval()
        model.config["max_new_tokens"] = tokens
        model.encoder.stops = frozenset()
        settings = {"max_new_tokens": tokens, "min_new_tokens": tokens, "eos_token_id": None, "pad_token_id": 0}
        self.greedy = GenerationConfig(do_sample=False, **settings)
        self.sampled = GenerationConfig(do_sample=True, num_return_sequences=3, **settings)

    def write(self, styles: Sequence[int], count: int = 1) -> list[list[int]]:
        """Ours: the tokens of these styles for the first `count` requests, from one prefill."""
        import torch

        from train.interpreter.decoding import Prefilled
        from train.interpreter.requests import parse_request, prompt_batch
        from train.models.conditioning import STYLES

        with torch.inference_mode():
            parsed = [parse_request(self.model, request) for request in self.requests[:count]]
            session = Prefilled(self.model, *prompt_batch(self.model, parsed))
            numbers = [i * STYLES + style for i in range(count) for style in styles]
            return [candidate.tokens for candidate in session.decode({n: [] for n in numbers}).values()]

    def generate(self, settings: Any) -> Any:
        """transformers' `generate` on the backbone, from the same prompts and pictures."""
        import torch

        model = self.model
        pixels, sizes = model.processor.images(self.requests[0]["images"])
        ids = torch.tensor([self.prompt], device=model.device)
        with torch.inference_mode(), plain_layers(model.backbone):
            return model.backbone.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=pixels.to(model.device),
                image_sizes=sizes,
                generation_config=settings,
            )


def table(clocks: dict[str, Clock], rounds: int, shares: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """Milliseconds of a request and how often the first row's, of each way."""
    first = next(iter(clocks.values()))
    rows = []
    for name, clock in clocks.items():
        count = rounds * (shares or {}).get(name, 1)
        wall, cpu = 1e3 * clock.wall / count, 1e3 * clock.cpu / count
        ratios = {"wall": clock.wall / count / first.wall * rounds, "cpu": clock.cpu / count / first.cpu * rounds}
        rows.append({"way": name, "wall ms": wall, "cpu ms": cpu} | {k: f"{v:.2f}x" for k, v in ratios.items()})
    return rows


def measure(model: Any, requests: list[dict[str, Any]], tokens: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each way, for one request."""
    ways = Ways(model, requests, tokens)
    together = f"ours: {len(requests)} requests together, a request"
    steps: dict[str, Callable[[], Any]] = {
        "ours: three candidates, one prefill": lambda: ways.write((0, 1, 2)),
        "ours: one candidate": lambda: ways.write((0,)),
        "ours: three calls": lambda: [ways.write((style,)) for style in range(3)],
        "generate(num_return_sequences=3)": lambda: ways.generate(ways.sampled),
        "three generate calls": lambda: [ways.generate(ways.greedy) for _ in range(3)],
        together: lambda: ways.write((0, 1, 2), len(requests)),
    }
    return table(alternate(steps, rounds), rounds, {together: len(requests)})


def parts(model: Any, request: dict[str, Any], rounds: int) -> list[dict[str, Any]]:
    """Where the time of `generate_interpretation` goes."""
    import torch

    from aac import gate
    from train.interpreter.decoding import Prefilled
    from train.interpreter.requests import parse_request, prompt_batch

    with torch.inference_mode():
        parsed = parse_request(model, request)
        inputs = prompt_batch(model, [parsed])
        session = Prefilled(model, *inputs)
        said = [model.encoder.decode(c.tokens) for c in session.decode({n: [] for n in range(3)}).values()]
        steps: dict[str, Callable[[], Any]] = {
            "generate_interpretation, whole": lambda: model.generate_interpretation(**request),
            "its pictures through the tower": lambda: parse_request(model, request),
            "its prefill": lambda: Prefilled(model, *prompt_batch(model, [parsed])),
            "its steps": lambda: session.decode({n: [] for n in range(3)}),
            "its confidence": lambda: session.style_confidence(said),
            "its gate": lambda: gate.check(said, parsed.keywords, parsed.context),
        }
        return table(alternate(steps, rounds), rounds)


def main(argv: list[str] | None = None) -> int:
    from aac.pictures import open_picture
    from train.config.train_config import load_config
    from train.models.aac_multimodal_model import AACMultimodalModel

    parser = arguments(__doc__, "generate_speed")
    data_arguments(parser)
    parser.add_argument("--config", metavar="FILE", default=ROOT / "train/config/tiny.json")
    parser.add_argument("--checkpoint", metavar="FILE", help="a trained model instead of a random one")
    parser.add_argument("--tokens", metavar="N", type=int, default=16, help="new tokens a candidate")
    parser.add_argument("--cards", metavar="N", type=int, default=3, help="cards of the requests")
    parser.add_argument("--rounds", metavar="N", type=int, default=20)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        samples, cards, origin = load_data(args.workspace, args.samples, Path(folder))
        if args.checkpoint:
            model = AACMultimodalModel.load_model(args.checkpoint)
        else:
            model = Subject(load_config(args.config), samples, cards, Path(folder) / "features").model
        place = {path.name: path for path in cards}
        requests = [
            {
                "images": [open_picture(place[card]) for card in sample.cards],
                "persona_info": sample.persona.public(),
                "context_info": sample.context.public(),
                "keywords": sample.keywords,
            }
            for sample in [sample for sample in samples if len(sample.cards) == args.cards][:8]
        ]
    stops = model.encoder.stops
    rows = measure(model, requests, args.tokens, args.rounds)
    if args.checkpoint:
        model.encoder.stops = stops
        model.config["max_new_tokens"] = 48
        rows += parts(model, requests[0], args.rounds)
    title = f"Answers to {args.cards} cards, {args.tokens} tokens a candidate, {origin}"
    report(rows, args.output, title)
    return 0


if __name__ == "__main__":
    sys.exit(main())
