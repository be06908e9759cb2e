"""Going on from a checkpoint: the same run, or an error that says what is not the same."""

from __future__ import annotations

import logging
from typing import Any

from aac.io import UserError
from train.config.train_config import ARCHITECTURE_KEYS, RESUMABLE_KEYS, TRAIN_CONFIG
from train.loop.run_folder import Start

log = logging.getLogger("aac")
_WARM = "start anew from its weights with --init-from, in another checkpoint_dir"


def settle(config: dict[str, Any], start: Start, processes: int = 1) -> tuple[dict[str, Any], int]:
    """The run's config, given what it starts with, and how many micro-batches each batch is split into.

    A warm start takes the architecture from the checkpoint. A resumed run keeps its settings, but for RESUMABLE_KEYS,
    and may trade `batch_size` for accumulation (or processes): its batches stay the same rows, in more micro-batches.

    Raises:
        UserError: a resumed run whose settings differ.
    """
    if start.state is None:
        return config, 1
    own = {**TRAIN_CONFIG, **start.state["config"]}
    kept = [key for key in ARCHITECTURE_KEYS if config[key] != own[key] and config[key] != TRAIN_CONFIG[key]]
    if not start.resume:
        if kept:
            log.warning("%s: its own %s are kept", start.path, ", ".join(kept))
        return {**config, **{key: own[key] for key in ARCHITECTURE_KEYS}}, 1
    for key in ("max_steps", "num_epochs"):
        if config[key] != own[key]:
            log.warning("%s %d -> %d: the learning rate goes on as in a run of that length", key, own[key], config[key])
    config, micro_batches = _same_batches(config, own, start, processes)
    if differing := [key for key in TRAIN_CONFIG if key not in RESUMABLE_KEYS and config[key] != own[key]]:
        told = ", ".join(f"{key} {own[key]!r} -> {config[key]!r}" for key in differing[:4])
        raise UserError(f"{start.path}: a resumed run keeps its settings, but these differ: {told}; {_WARM}")
    return config, micro_batches


def _same_batches(
    config: dict[str, Any], own: dict[str, Any], start: Start, processes: int
) -> tuple[dict[str, Any], int]:
    size, accumulation = config["batch_size"], config["gradient_accumulation_steps"]
    progress = start.state["progress"]
    window = own["gradient_accumulation_steps"] * progress["processes"]  # batches an update, over all processes
    micro_batches, rest = divmod(own["batch_size"], size)
    if rest or size * accumulation * processes != own["batch_size"] * window or window % processes:
        raise UserError(
            f"{start.path}: trained with {own['batch_size'] * window} rows an update in batches of "
            f"{own['batch_size']}; batch_size {size} x gradient_accumulation_steps {accumulation} x {processes} "
            f"processes is not that, or does not divide its batches. Choose others, or {_WARM}"
        )
    same = {"batch_size": own["batch_size"], "gradient_accumulation_steps": window // processes}
    own["gradient_accumulation_steps"] = same["gradient_accumulation_steps"]
    return {**config, **same}, max(micro_batches, progress["parts"])


def check_same_data(start: Start, rows: str, clusters: str) -> None:
    """A position in the data, and the clusters' numbers, mean nothing over others.

    Raises:
        UserError: the training rows or the clusters are not those of the checkpoint.
    """
    stored = start.state["data"]
    if stored["clusters"] != clusters:
        raise UserError(
            f"{start.path}: trained with other clusters (clustering_results differ); restore them or {_WARM}"
        )
    if stored["rows"] != rows:
        raise UserError(
            f"{start.path}: trained on other rows (processed_data or its split differ); restore them or {_WARM}"
        )
