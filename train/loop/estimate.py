"""What a run needs: parameters, memory, time, and what a smaller setting would need. Figures in GiB are estimates."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from aac.rules import MOST_CARDS
from train.config.backbones import BACKBONES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from train.models.network import Network

GIB = 2**30
GO_ON = ". Then go on with --resume auto"
# A trained parameter in fp32: weight, gradient, and the two moments of AdamW.
_TRAINED_BYTES = 16


def parameter_lines(model: nn.Module, groups: list[dict[str, Any]]) -> list[str]:
    """All parameters, those that train, and each optimizer group's count and rate."""
    every = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    lines = [f"Parameters: {every:,}, of which {trained:,} train ({100 * trained / every:.1f} %)"]
    for group in groups:
        count = sum(p.numel() for p in group["params"])
        lines.append(f"  {group['name']}: {count:,} at learning rate {group['base_lr']:g}")
    return lines


def state_bytes(model: nn.Module) -> int:
    """Weights, gradients and AdamW's moments."""
    return sum(p.numel() * (_TRAINED_BYTES if p.requires_grad else p.element_size()) for p in model.parameters())


def activation_bytes(model: Network, config: dict[str, Any], positions: int, labels: int, half: bool) -> int:
    """What a forward pass keeps for its backward pass: `positions` in the decoder, logits for `labels` of them, and
    what the tower keeps where it trains. Recomputing keeps each layer's input, and one layer whole; of the last layer
    little is run, of the tower's nothing."""
    from train.models import footprint

    shape, size = model.backbone.config, 2 if half else 4
    recompute = config["gradient_checkpointing"] and not config["backbone"]
    drops = config["use_lora"] and config["lora_dropout"] > 0
    layers = shape.num_hidden_layers
    layer = footprint.kept_bytes(shape.hidden_size, shape.intermediate_size, size, drops)
    kept = layers * shape.hidden_size * size + layer if recompute else (layers - 1) * layer
    # The context attention, outside what is recomputed: hidden states in fp32, normed, and what is added to them.
    kept += len(model.context.layers) * 3 * shape.hidden_size * 4
    logits = 3 * 4 * shape.vocab_size  # with their softmax and their gradient
    return positions * kept + labels * logits + tower_bytes(model, config, positions, size, recompute)


def tower_bytes(model: Network, config: dict[str, Any], positions: int, size: int, recompute: bool) -> int:
    """What the vision tower keeps where it trains, of as many cards as stand in so many positions."""
    from train.models import backbones, footprint

    if backbones.boundary(model.backbone) != "views":
        return 0
    tower, (views, _) = model.backbone.config.tower, _blank_card(model, config["num_crops"])
    cards = min(MOST_CARDS * config["batch_size"], positions // card_positions(model, config["num_crops"]))
    patches = cards * views.numel() // (3 * tower.patch_size**2)
    layer = footprint.kept_bytes(tower.hidden_size, tower.intermediate_size, size, config["lora_dropout"] > 0)
    layers = footprint.tower_layers(tower)
    return patches * (layers * tower.hidden_size * size + layer if recompute else (layers - 1) * layer)


def _blank_card(model: Network, crops: int) -> tuple[Tensor, tuple[int, int]]:
    """A square card, cut into at most so many tiles: its views (V, 3, H, W) that are encoded, and its size."""
    from PIL import Image

    pixels, sizes = model.backbone.config.image_processor(crops).images([Image.new("RGB", (64, 64), "white")])
    size = tuple(sizes[0].tolist())
    return model.backbone.model.vision.used_views(pixels[0], size), size


def run_bytes(model: Network, config: dict[str, Any], tokens: float, half: bool) -> int:
    """An estimate for batches of `batch_size` rows of `tokens` positions, with gradients that are there already."""
    from train.models.conditioning import STYLES

    positions = int(config["batch_size"] * tokens)
    labels = config["batch_size"] * min(0.3 * tokens, STYLES * config["max_new_tokens"])
    return state_bytes(model) + activation_bytes(model, config, positions, int(labels), half)


def smaller_settings(model: Network, config: dict[str, Any], tokens: float, half: bool) -> list[str]:
    """What other settings would need, a line each; the effective batch stays."""
    rows = []
    size, accumulation = config["batch_size"], config["gradient_accumulation_steps"]
    while size > 1 and len(rows) < 3:
        size, accumulation = size // 2, accumulation * 2
        need = run_bytes(model, {**config, "batch_size": size}, tokens, half)
        rows.append(f"  batch_size {size}, gradient_accumulation_steps {accumulation}: about {need / GIB:.1f} GiB")
    if not config["gradient_checkpointing"] and not config["backbone"]:
        need = run_bytes(model, {**config, "gradient_checkpointing": True}, tokens, half)
        rows.append(f"  gradient_checkpointing true: about {need / GIB:.1f} GiB, a third slower")
    if not config["use_lora"] and not config["backbone"]:
        every = sum(p.numel() for p in model.parameters())
        spared = state_bytes(model) - every * (2 if half else 4) - 0.04 * every * _TRAINED_BYTES
        rows.append(f"  use_lora true: about {(run_bytes(model, config, tokens, half) - spared) / GIB:.1f} GiB")
    now, fewer = (card_positions(model, crops) for crops in (config["num_crops"], 1))
    if fewer < now:
        rows.append(f"  num_crops 1: {fewer} positions a card instead of {now}")
    return rows


def card_positions(model: Network, crops: int) -> int:
    """Positions that a square card takes in a row, cut into at most so many tiles."""
    return model.backbone.config.image_processor(crops).num_tokens(_blank_card(model, crops)[1])


def needs(model: Network, config: dict[str, Any], longest: int) -> list[str]:
    """What `--dry-run` says before it computes anything, for rows of at most `longest` positions."""
    half, device = computes_in_half(config), config["device"]
    need = run_bytes(model, config, longest, half)
    return [
        f"Memory, estimated: {state_bytes(model) / GIB:.1f} GiB for weights, gradients and AdamW, {need / GIB:.1f} GiB "
        f"with a batch of the longest rows; this device has {available_bytes(device) / GIB:.1f} GiB",
        "A smaller setting, the effective batch the same:",
        *(smaller_settings(model, config, longest, half) or ["  none: the batch is one row"]),
    ]


def measured(
    config: dict[str, Any], lengths: Sequence[int], total: int, record: dict[str, float], seconds: float
) -> list[str]:
    """What it says after an update in `seconds` on the longest rows, which filled `record["positions"]`."""
    mean = sum(lengths) / len(lengths)
    rows = config["batch_size"] * config["gradient_accumulation_steps"]
    pace = seconds * rows * mean / max(1.0, record["positions"])
    return [
        f"A second update, of two batches of the longest rows: loss {record['loss']:.4f}, {seconds:.1f} s, the process "
        f"holds at most {peak_bytes(config['device']) / GIB:.1f} GiB",
        f"Time, estimated from it: {total} updates of {rows} rows, about {duration(pace * total)} without evaluations "
        "and the vision stage",
    ]


def computes_in_half(config: dict[str, Any]) -> bool:
    return config["device"].startswith("cuda") and (config["use_fp16"] or config["use_bf16"])


def available_bytes(device: str) -> int:
    """Memory of the device: the GPU's, or this machine's."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_properties(torch.device(device)).total_memory
    import psutil

    return psutil.virtual_memory().total


def peak_bytes(device: str) -> int:
    """The most memory this process has held: on the GPU, or on this machine."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        held = psutil.Process().memory_info()
        return getattr(held, "peak_wset", held.rss)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def check_memory(config: dict[str, Any], available: int, processes: int = 1) -> None:
    """Before weights are loaded: does what must be held fit at all?

    Raises:
        UserError: a model of known size that cannot train here; says what would.
    """
    count = BACKBONES[config["model_type"]].parameters.get(config["model_size"])
    if config["backbone"] or not count:
        return
    frozen = count * (4 if config["device"] == "cpu" else 0.7 if config["load_in_4bit"] else 2)
    need = frozen if config["use_lora"] else count * _TRAINED_BYTES
    if need <= available * processes:
        return
    have = f"{processes} x {available / GIB:.0f} GiB" if processes > 1 else f"{available / GIB:.0f} GiB"
    if config["use_lora"]:
        raise UserError(
            f"model_size {config['model_size']}: its frozen weights alone take {need / GIB:.0f} GiB, and there are "
            f"{have}; set load_in_4bit to true, use a larger device, or train the small model: --config "
            "train/config/tiny.json"
        )
    raise UserError(
        f"use_lora is false: training all {count / 1e9:.1f}B parameters takes {need / GIB:.0f} GiB for weights, "
        f"gradients and AdamW, and there are {have}. Set use_lora to true (about {frozen / GIB + 4:.0f} GiB), or shard "
        "over more GPUs with FSDP (train/README.md)"
    )


def out_of_memory(config: dict[str, Any], micro_batches: int, error: Exception, where: str, then: str = GO_ON) -> str:
    """What to change, in the user's own numbers, and what to do then."""
    size = max(1, config["batch_size"] // micro_batches)
    accumulation = config["gradient_accumulation_steps"] * micro_batches
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    remedies = []
    if size > 1:
        remedies.append(
            f"'batch_size': {max(1, size // 2)} with 'gradient_accumulation_steps': {accumulation * 2} (the result "
            "stays the same), or 'auto_batch_size': true, which does that by itself"
        )
    if not config["use_lora"] and not config["backbone"]:
        remedies.append("'use_lora': true")
    if not config["gradient_checkpointing"] and not config["backbone"]:
        remedies.append("'gradient_checkpointing': true")
    if config["num_crops"] > 1:
        remedies.append(f"'num_crops': 1 instead of {config['num_crops']}")
    remedies.append("export PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:128")
    return (
        f"out of memory {where} with batch_size {size}, gradient_accumulation_steps {accumulation}, use_lora "
        f"{str(config['use_lora']).lower()}: {told}. Try {'; '.join(remedies)}{then}"
    )


def disk_warning(folder: Path, model: nn.Module, keep: int) -> str:
    """A line where the checkpoints of a run will not fit on the disk; empty where they will."""
    import shutil

    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    need = trained * 12 * (keep + 1) + trained * 4  # fp32 weights and two moments; one more while it is written
    free = shutil.disk_usage(folder).free
    if need <= free:
        return ""
    return (
        f"{folder}: {free / GIB:.1f} GiB free, but {keep} checkpoints and the best model take about {need / GIB:.1f} "
        "GiB; free space or lower max_checkpoints"
    )


def duration(seconds: float) -> str:
    """`3 d 4 h`, `2 h 5 min`, `7 min`, `40 s`."""
    minutes = seconds / 60
    if minutes >= 24 * 60:
        return f"{int(minutes // 1440)} d {int(minutes % 1440 // 60)} h"
    if minutes >= 60:
        return f"{int(minutes // 60)} h {int(minutes % 60)} min"
    return f"{minutes:.0f} min" if minutes >= 1 else f"{seconds:.0f} s"
