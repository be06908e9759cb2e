"""What a card's budget of positions (`card_tokens`) costs: positions, operations and seconds until four cards are read.

python benchmarks/card_tokens.py          about two minutes and 3 GB of memory

The published geometries with random fp32 weights, cut to a few layers of decoder and tower, timed and scaled to all of
them; the text of a prompt is 60 Korean syllables, in each vocabulary's tokens. Seconds are of processor time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.common import GEOMETRIES, arguments, report

CARDS, SYLLABLES = 4, 60
BUDGETS = {"phi3_vision": (0, 144, 36, 16), "qwen3_vl": (196, 64, 36, 16)}
TOKENS_PER_SYLLABLE = {"phi3_vision": 2.25, "qwen3_vl": 1.11}  # over 3,000 of the project's answers


def shortened(name: str, settings: dict[str, Any], layers: int) -> tuple[dict[str, Any], int, int]:
    """These settings with so many layers, and how many of decoder and tower they ask for."""
    if name == "phi3_vision":
        from train.models.phi3_vision import PUBLISHED_TOWER

        tower = {**PUBLISHED_TOWER, **settings.get("vision_config", {})}
        cut = {**tower, "num_hidden_layers": layers + 1}  # its last one is never run
        decoder = settings["num_hidden_layers"]
        return {**settings, "num_hidden_layers": layers, "vision_config": cut}, decoder, tower["num_hidden_layers"] - 1
    text, tower = settings["text_config"], settings["vision_config"]
    cut = {
        **settings,
        "text_config": {**text, "num_hidden_layers": layers},
        "vision_config": {**tower, "depth": layers, "deepstack_visual_indexes": [0]},
    }
    return cut, text["num_hidden_layers"], tower["depth"]


def cpu_seconds(step: Callable[[], Any], rounds: int) -> float:
    """The quickest of some rounds: neighbours only slow them down."""
    import torch

    took = []
    with torch.inference_mode():
        for _ in range(rounds + 1):
            started = time.process_time()
            step()
            took.append(time.process_time() - started)
    return min(took[1:])


def measure(name: str, geometry: dict[str, Any], budget: int, layers: int, rounds: int) -> dict[str, Any]:
    """One line of the table."""
    import torch
    from PIL import Image

    from train.models import backbones
    from train.models.attention import SHARED_PREFIX

    settings, decoder_layers, tower_layers = shortened(name, geometry, layers)
    kind = backbones.model_class(name)
    backbone = kind(kind.config_class(**settings, card_tokens=budget)).eval().requires_grad_(False)
    backbone.set_attn_implementation(SHARED_PREFIX)
    processor = backbone.config.image_processor(1)
    pixels, sizes = processor.images([Image.new("RGB", (500, 500), "red")])
    size = tuple(sizes[0].tolist())
    around = 2 if name == "qwen3_vl" else 1  # control tokens
    text = round(SYLLABLES * TOKENS_PER_SYLLABLE[name])
    positions = CARDS * (processor.num_tokens(size) + around) + text
    decoder = [p for n, p in backbone.named_parameters() if "layers." in n and "vis" not in n]
    weights = sum(p.numel() for p in decoder) // layers * decoder_layers
    heads = backbone.config.get_text_config()
    width = getattr(heads, "head_dim", None) or heads.hidden_size // heads.num_attention_heads
    scores = 2 * decoder_layers * heads.num_attention_heads * width * positions**2  # half of the square is masked
    embeds = torch.randn(1, positions, backbone.config.hidden_size)
    places, mask = torch.arange(positions)[None], torch.ones(1, 1, 0, positions, dtype=torch.bool)
    given = {"inputs_embeds": embeds, "attention_mask": mask, "position_ids": places, "prefix": positions}
    prefill = cpu_seconds(lambda: backbone.model(**given), rounds) / layers * decoder_layers
    card = cpu_seconds(lambda: backbones.encode_cards(backbone, [pixels[0]], [size]), rounds) / layers * tower_layers
    return {
        "backbone": name,
        "card_tokens": budget,
        "positions a card": processor.num_tokens(size),
        "positions": positions,
        "T operations": (2 * weights * positions + scores) / 1e12,
        "prefill s": prefill,
        "tower s a card": card,
    }


def main(argv: list[str] | None = None, layers: int = 2, geometries: dict[str, dict[str, Any]] = GEOMETRIES) -> int:
    parser = arguments(__doc__, "card_tokens")
    parser.add_argument("--rounds", type=int, default=2, metavar="N")
    parser.add_argument("--backbones", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    args = parser.parse_args(argv)
    rows = [
        measure(name, geometries[name], budget, layers, args.rounds)
        for name in args.backbones
        for budget in BUDGETS[name]
    ]
    report(rows, args.output, f"Reading {CARDS} cards, {layers} layers timed and scaled to all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
