"""The optimizer, and the learning rate over a run: warm-up, then cosine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from aac.io import UserError

if TYPE_CHECKING:
    import torch

    from train.models.network import Network


def make_optimizer(model: Network, config: dict[str, Any]) -> torch.optim.AdamW:
    """AdamW with two groups: LoRA or backbone at `learning_rate`, conditioning modules at `head_learning_rate`.

    At the backbone's rate a gate that starts at zero would stay shut for the whole run.
    """
    import torch

    groups = [
        {"params": model.backbone_parameters(), "lr": config["learning_rate"], "name": "backbone"},
        {"params": model.conditioning_parameters(), "lr": config["head_learning_rate"], "name": "conditioning modules"},
    ]
    for group in groups:
        group["base_lr"] = group["lr"]
    return torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=config["weight_decay"], fused=True)


def warmup_updates(config: dict[str, Any], total: int) -> int:
    """Updates with a rising rate: `warmup_steps`, or else `warmup_ratio` of the run.

    Raises:
        UserError: the warm-up is as long as the run or longer, so that the full rate is never reached.
    """
    warmup = config["warmup_steps"] or max(1, round(total * config["warmup_ratio"]))
    if warmup >= total > 1:
        raise UserError(
            f"the warm-up of {warmup} updates is not shorter than the run of {total}; lower warmup_steps or "
            "warmup_ratio, or raise max_steps or num_epochs"
        )
    return warmup


def set_rates(optimizer: Any, step: int, warmup: int, total: int) -> None:
    """The rates of update `step` (from 0). A function of the step alone: a resumed run has no schedule to restore."""
    if step < warmup:
        factor = (step + 1) / warmup
    else:
        factor = 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
