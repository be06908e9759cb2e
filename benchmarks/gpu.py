"""The 4B geometry with random weights on a GPU: training and answering, and how near the hardware they come.

python benchmarks/gpu.py                the first CUDA device
python benchmarks/gpu.py --small        a small size on the CPU, to see that everything runs

Weights are random, so sentences are noise; time and memory are those of the real model. Shares of the ceiling: the
matrix product of `--ceiling-size` is timed in the same run and precision; a training step is credited with 4 N
operations a position (forward, and backward through frozen weights), N the decoder's linear weights, and 4 N' a
labelled position for the head; recomputation, attention, tower and LoRA are not credited. Positions are real ones:
padding is not counted. Where prompts are repeated, the repetitions are credited too: compare samples/s there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import PUBLISHED, arguments, report
from benchmarks.generate_speed import Ways
from benchmarks.subject import Stage
from benchmarks.train_speed import NONE, Ideas, Ours

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from train.models.batch import Row

SMALL: dict[str, Any] = {
    **PUBLISHED,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 700,
    "pad_token_id": 0,
    "rope_scaling": {"type": "su", "short_factor": [1.0] * 8, "long_factor": [1.0] * 8},
    "vision_config": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
    },
}
# A sample of AAC data: a persona and a situation of this many tokens, three answers of that many.
TEXT, ANSWER = 150, 30


class CardsInMemory:
    """Features of pictures kept on the device, as `CardFeatures` gives them from its file."""

    def __init__(self, features: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]) -> None:
        self.features, self.image_sizes = list(features), list(image_sizes)

    def __getitem__(self, index: int) -> Tensor:
        return self.features[index]

    def batch(self, indices: Sequence[int], device: Any) -> tuple[list[Tensor], list[tuple[int, int]]]:
        from train.models.tensors import moved

        return moved([self.features[i] for i in indices], device), [self.image_sizes[i] for i in indices]


def build(settings: dict[str, Any], device: str, dtype: torch.dtype, **changes: Any) -> Any:
    """An AACMultimodalModel of this geometry: random frozen weights in `dtype`, LoRA and heads in fp32.

    `changes`: settings of the run; unless they say otherwise, without gradient checkpointing.
    """
    import torch

    from train.config.train_config import validate
    from train.models import backbones
    from train.models.aac_multimodal_model import AACMultimodalModel
    from train.models.attention import SHARED_PREFIX
    from train.models.phi3_vision import Phi3VisionConfig, Phi3VisionForCausalLM
    from train.models.prompt import train_tokenizer

    half = {"use_bf16": dtype == torch.bfloat16, "use_fp16": dtype == torch.float16}
    plain = {"device": device, "model_size": "random", "gradient_checkpointing": False, **half}
    config = validate({**plain, **changes})
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            backbone = Phi3VisionForCausalLM(Phi3VisionConfig(**settings))
    finally:
        torch.set_default_dtype(before)
    backbone.base = {"id": "random", "digest": ""}
    backbone.set_attn_implementation(SHARED_PREFIX)
    backbones.freeze(backbone, config)
    if config["gradient_checkpointing"]:
        backbone.gradient_checkpointing_enable({"use_reentrant": False})
    tokenizer = train_tokenizer(["물을 마시고 싶어요", "학교에서 선생님과"], 400, backbone.chat.control)
    clusters = torch.randn(8, backbone.config.tower.hidden_size)
    return AACMultimodalModel(backbone, tokenizer, config, clusters).to(device)


def stage(model: Any, crops: int, count: int) -> Stage:
    """`count` square pictures of noise, encoded at `crops`."""
    import numpy as np
    import torch
    from PIL import Image

    from train.models import backbones

    model.processor = model.backbone.config.image_processor(crops)
    noise = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    views, sizes = model.processor.images([Image.fromarray(picture) for picture in noise])
    image_sizes = [(int(height), int(width)) for height, width in sizes.tolist()]
    with torch.no_grad():
        features = [
            feature
            for first in range(0, count, 4)
            for feature in backbones.encode_cards(
                model.backbone, views[first : first + 4].to(model.device), image_sizes[first : first + 4]
            )
        ]
    return Stage(model, CardsInMemory(features, image_sizes), views)


def sample_rows(staged: Stage, count: int, cards: int) -> list[Row]:
    """`count` samples of `cards` cards each; neighbours share one, as card sets do."""
    import random

    from aac.records import Context, Persona
    from train.models.batch import Row

    model, draw = staged.model, random.Random(0)
    words = staged.model.backbone.config.vocab_size - 1
    rows = []
    for number in range(count):
        chosen = [(number * (cards - 1) + place) % len(staged.views) for place in range(cards)]
        tokens = [model.processor.num_tokens(staged.features.image_sizes[card]) for card in chosen]
        prompt = model.encoder.prompt(tokens, Persona(), Context())
        text = [draw.randint(10, words) for _ in range(TEXT)]
        answers = [[draw.randint(10, words) for _ in range(ANSWER - 3 * k)] for k in range(3)]
        rows.append(Row([*prompt[:-3], *text, *prompt[-3:]], answers, [0, 1, 2], chosen, Persona(), Context(), number))
    return rows


def seconds(step: Callable[[], Any], rounds: int, device: str) -> float:
    """Wall seconds of a call, the device waited for; one call before does not count."""
    import torch

    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    step()
    wait()
    started = time.perf_counter()
    for _ in range(rounds):
        step()
    wait()
    return (time.perf_counter() - started) / rounds


def ceiling(size: int, device: str, dtype: torch.dtype, rounds: int) -> float:
    """Operations a second of a square matrix product."""
    import torch

    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / seconds(lambda: left @ right, rounds, device)


@contextmanager
def memory_of(device: str, row: dict[str, Any]) -> Iterator[None]:
    """Peak memory into `row`; running out of it is a result, not an end."""
    import gc

    import torch

    gc.collect()
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        yield
    except torch.OutOfMemoryError:
        row["note"] = "out of memory"
    if on_gpu:
        row["peak GB"] = torch.cuda.max_memory_allocated() / 1e9


def train_row(
    staged: Stage, rows: list[Row], ideas: Ideas, dtype: torch.dtype, top: float, rounds: int
) -> dict[str, Any]:
    """One line of the training table."""
    result: dict[str, Any] = {}
    device = staged.config["device"]
    with memory_of(device, result):
        ours = Ours(staged, ideas, repeat(rows), dtype)
        spent = seconds(ours, rounds, device)
        calls = rounds + 1
        decoder = sum(
            module.weight.numel()
            for name, module in staged.model.backbone.named_modules()
            if name.startswith("model.layers.") and name.endswith(("_proj", "_proj.base_layer"))
            and not hasattr(module, "base_layer")
        )  # fmt: skip
        head = staged.model.backbone.lm_head.weight.numel()
        labels = ours.labels if ideas.head_on_labels else ours.positions
        credited = 4 * (decoder * ours.kept + head * labels) / calls
        result |= {
            "samples/s": len(rows) / spent,
            "tokens/s": ours.kept / calls / spent,
            "ms": 1e3 * spent,
            "ceiling %": 100 * credited / spent / top,
        }
    return result


def answer_rows(staged: Stage, cards: int, tokens: int, rounds: int) -> list[dict[str, Any]]:
    """Latency of answers to one request."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(1).integers(0, 256, (cards, 64, 64, 3), dtype=np.uint8)
    request = {"images": [Image.fromarray(picture) for picture in noise], "persona_info": {}, "context_info": "집에서"}
    ways = Ways(staged.model, [{**request, "keywords": None}], tokens)
    named = {
        "three candidates, one prefill": lambda: ways.write((0, 1, 2)),
        "one candidate": lambda: ways.write((0,)),
        "three calls": lambda: [ways.write((style,)) for style in range(3)],
        "generate(num_return_sequences=3)": lambda: ways.generate(ways.sampled),
        "three generate calls": lambda: [ways.generate(ways.greedy) for _ in range(3)],
    }
    rows = []
    for name, step in named.items():
        row: dict[str, Any] = {"way": name}
        with memory_of(staged.config["device"], row):
            row["seconds"] = seconds(step, rounds, staged.config["device"])
        rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> int:
    import torch

    parser = arguments(__doc__, "gpu")
    parser.add_argument("--small", action="store_true", help="a small geometry on the CPU")
    parser.add_argument("--dtypes", nargs="+", choices=("bf16", "fp16"), default=["bf16", "fp16"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 4], metavar="N")
    parser.add_argument("--crops", nargs="+", type=int, default=[1, 4], metavar="N")
    parser.add_argument("--cards", type=int, default=4, metavar="N")
    parser.add_argument("--tokens", type=int, default=30, metavar="N", help="new tokens a candidate")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--ceiling-size", type=int, default=8192, metavar="N")
    args = parser.parse_args(argv)
    if not args.small and not torch.cuda.is_available():
        print("error: PyTorch sees no CUDA device here; --small runs a small size on the CPU", file=sys.stderr)
        return 2
    device, settings = ("cpu", SMALL) if args.small else ("cuda", PUBLISHED)
    size = 256 if args.small else args.ceiling_size
    training, ideas_table, answers, tops = [], [], [], {}
    for name in args.dtypes:
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[name]
        top = ceiling(size, device, dtype, 4 * args.rounds)
        tops[f"ceiling {name}, T/s"] = top / 1e12
        model = build(settings, device, dtype)
        for crops in args.crops:
            staged = stage(model, crops, 4 * args.cards)
            for checkpointing in (False, True):
                switch = model.backbone.gradient_checkpointing_enable
                switch({"use_reentrant": False}) if checkpointing else model.backbone.gradient_checkpointing_disable()
                for batch in args.batches:
                    rows = sample_rows(staged, batch, args.cards)
                    where = {"dtype": name, "crops": crops, "checkpointing": checkpointing, "batch": batch}
                    where["positions a row"] = rows[0].length
                    training.append(where | train_row(staged, rows, Ideas(), dtype, top, args.rounds))
            model.backbone.gradient_checkpointing_disable()
        staged = stage(model, args.crops[0], 4 * args.cards)
        model.backbone.gradient_checkpointing_enable({"use_reentrant": False})  # so that the plain path fits too
        rows = sample_rows(staged, max(args.batches), args.cards)
        paths = {"ours": Ideas()}
        # One length of rows: bucketing has nothing to do here (benchmarks/train_speed.py shows it).
        switched = [field.name for field in fields(Ideas) if field.name != "bucketing"]
        paths |= {f"without {idea.replace('_', ' ')}": replace(Ideas(), **{idea: False}) for idea in switched}
        for path, ideas in {**paths, "without any of them": NONE}.items():
            ideas_table.append({"dtype": name, "path": path, **train_row(staged, rows, ideas, dtype, top, args.rounds)})
        model.backbone.gradient_checkpointing_disable()
        answers += [{"dtype": name, **row} for row in answer_rows(staged, args.cards, args.tokens, args.rounds)]
        del model, staged
    shown = f"{args.cards} cards, {'small size' if args.small else '4.15B parameters'}"
    output = args.output
    report(training, output, f"LoRA training, {shown}", **tops)
    batch = max(args.batches)
    report(
        ideas_table,
        output.with_stem(f"{output.stem}_ideas"),
        f"LoRA training, {shown}, batch {batch}, num_crops {args.crops[0]}, checkpointing, each idea off in turn",
    )
    report(answers, output.with_stem(f"{output.stem}_answers"), f"Answers, {shown}, {args.tokens} tokens a candidate")
    return 0


if __name__ == "__main__":
    sys.exit(main())
