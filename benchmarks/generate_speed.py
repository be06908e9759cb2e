"""Speed of an answer: three candidates from one prefill against the ways of getting three otherwise.

python benchmarks/generate_speed.py --workspace DIR [--checkpoint FILE]

Every way starts from decoded pictures (the tower is part of the time) and writes exactly `--tokens` tokens a candidate,
so that none wins by stopping early. `model.generate` runs on the bare backbone, without the heads that ours pays for.
With a checkpoint, a last row times the product itself: gate, retries, fallbacks and confidence included, at its own
lengths. Latencies are processor seconds of a request; wall seconds stand beside them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import ROOT, alternate, arguments, report
from benchmarks.subject import Subject, data_arguments, load_data, plain_layers

if TYPE_CHECKING:
    from torch import Tensor


class Ways:
    """The ways to candidates for requests of one number of cards."""

    def __init__(self, model: Any, requests: list[dict[str, Any]], tokens: int) -> None:
        from transformers import GenerationConfig

        from dataset.prepare.records import Context, Persona

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

    def three(self) -> Any:
        """Ours: one prefill a request, three styles decoded together."""
        from train.models.generation import interpret_parsed, parse_request

        parsed = [parse_request(self.model, request) for request in self.requests]
        return interpret_parsed(self.model, parsed, gated=False, confidence=False)

    def one(self, style: int = 0) -> Tensor:
        """Ours, written out for one candidate of the first request: prefill, then one style from the cache."""
        import torch

        from train.data.dataset import Row, collate
        from train.models.generation import encode_pictures

        model, core = self.model, self.model.backbone.model
        with torch.inference_mode():
            features, sizes = encode_pictures(model, self.requests[0]["images"])
            row = Row(self.prompt, [], [], list(range(len(features))), self.persona, self.context)
            batch = collate([row], model.encoder, model.picture_clusters(features).cpu()).to(model.device)
            memory = model.memory(batch)
            cache = model.hidden_states(batch, model.embed(batch, features, sizes), use_cache=True).past_key_values
            scale = core.embed_tokens.weight.float().std()
            opening = model.styles.opening(torch.tensor([style], device=model.device), scale)
            inputs = opening.to(core.embed_tokens.weight.dtype)
            said = []
            for step in range(model.config["max_new_tokens"]):
                hidden = core(
                    inputs_embeds=inputs[:, None],
                    position_ids=torch.tensor([[len(self.prompt) + step]], device=model.device),
                    past_key_values=cache,
                    use_cache=True,
                    after_layer=lambda layer, states: model.context.attend(layer, states, memory),
                ).last_hidden_state[:, -1]
                said.append(model.backbone.lm_head(hidden).argmax(-1))
                inputs = core.embed_tokens(said[-1])
            return torch.cat(said)

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


def measure(model: Any, requests: list[dict[str, Any]], tokens: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each way, for one request."""
    ways = Ways(model, requests[:1], tokens)
    many = Ways(model, requests, tokens)
    names = {
        "ours: three candidates, one prefill": ways.three,
        "ours: one candidate": ways.one,
        "ours: three calls": lambda: [ways.one(style) for style in range(3)],
        "generate(num_return_sequences=3)": lambda: ways.generate(ways.sampled),
        "three generate calls": lambda: [ways.generate(ways.greedy) for _ in range(3)],
        f"ours: {len(requests)} requests together": many.three,
    }
    steps: dict[str, Callable[[], Any]] = dict(names)
    clocks = alternate(steps, rounds)
    base = next(iter(clocks.values()))
    rows = []
    for name, clock in clocks.items():
        share = rounds * (len(requests) if name.endswith("together") else 1)
        ratio = f"{clock.cpu / share / (base.cpu / rounds):.2f}x"
        rows.append(
            {"way": name, "wall ms": 1e3 * clock.wall / share, "cpu ms": 1e3 * clock.cpu / share, "cost": ratio}
        )
    return rows


def main(argv: list[str] | None = None) -> int:
    from train.config.train_config import load_config
    from train.data.features import open_picture
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
        clock = alternate({"product": lambda: model.generate_interpretations(requests[:1])}, args.rounds)["product"]
        each = {"wall ms": 1e3 * clock.wall / args.rounds, "cpu ms": 1e3 * clock.cpu / args.rounds}
        rows.append({"way": "generate_interpretation, whole", **each})
    title = f"Answers to {args.cards} cards, {args.tokens} tokens a candidate, {origin}"
    report(rows, args.output, title)
    return 0


if __name__ == "__main__":
    sys.exit(main())
