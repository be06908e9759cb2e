"""TRAIN_CONFIG: every setting of a run, flat, with its consequence. A JSON file (`--config`) and `--set key=value` use
the same keys; an unknown key, a wrong type or an impossible combination is an error with the remedy."""

from __future__ import annotations

import difflib
import json
import math
from pathlib import Path
from typing import Any

from aac.io import UserError, read_json
from train.config.backbones import BACKBONES

ROOT = Path(__file__).resolve().parents[2]

TRAIN_CONFIG: dict[str, Any] = {
    # --- model
    "model_type": "phi3_vision",  # which backbone (train/config/backbones.py); another brings its own defaults
    "model_size": "3.8B",  # a label, checked against the weights (3.8B: the decoder; with its tower 4.15B)
    "model_path": "microsoft/Phi-3.5-vision-instruct",  # hub id or local folder in the published layout
    "backbone": {},  # a backbone configuration: trained from scratch; empty: weights from model_path
    "vocab_size": 3000,  # only from scratch: entries of the tokenizer trained on the training split
    "num_crops": 1,  # phi3_vision: local tiles a picture: 1 = 313 positions a card, 4 = 757; simple drawings need 1
    "card_tokens": 0,  # most positions a card takes, fewer are quicker; phi3_vision: 144, 36, 16 ..., 0 = by num_crops
    # --- LoRA (pretrained backbones)
    "use_lora": True,  # False tunes the whole decoder: 4B parameters with optimizer states
    "lora_r": 64,  # rank: higher learns more and saves larger files (64: 0.2 GB in half precision)
    "lora_alpha": 64,  # adapters count alpha / r: raising it acts like a higher rate
    "lora_dropout": 0.05,  # against overfitting on few rows; 0 is a little faster
    "lora_target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],  # must match inside the decoder
    "lora_vision": False,  # True adapts the vision tower too: pictures are encoded anew in every step
    "lora_projector": False,  # True adapts the projector instead of training it whole
    "train_projector": True,  # from pictures to the decoder's space; False lets the cache hold its output too
    "load_in_4bit": False,  # QLoRA: the frozen decoder in 4 bits, a quarter of its memory, slower; needs CUDA
    # --- what conditions the model
    "persona_tokens": 4,  # soft tokens after the first BOS
    "context_width": 512,  # inner width of the context attention
    "cluster_weight": 0.3,  # weight of card and preference clusters in the context memory
    "persona_dropout": 0.1,  # share of rows trained with no persona, or with parts of it: it may be unknown when used
    "context_dropout": 0.1,  # likewise for the context
    "keyword_dropout": 0.5,  # share of rows without card words: pictures alone must do
    "style_dropout": 0.2,  # share of rows whose answers lack their style: the classifier reads the text there
    "style_loss_weight": 0.1,  # of the classifier beside the language loss; 0: style_confidence means nothing
    "style_labels": True,  # False: the data's outputs have no style order
    "parts_off": [],  # parts built out of the model, to see what each is worth (train/scoring/ablations.py)
    "voice": "first",  # first: the person speaks; third: notes about the person
    # --- training
    "batch_size": 4,  # samples a step and device; each holds three interpretations
    "gradient_accumulation_steps": 8,  # effective batch = batch_size x this x devices
    "auto_batch_size": False,  # True: out of memory halves the batch and doubles accumulation; the result stays
    "learning_rate": 2e-5,  # LoRA or backbone
    "head_learning_rate": 1e-3,  # persona, context, clusters, styles: at 2e-5 a zero gate stays shut
    "weight_decay": 0.01,  # pulls weights to zero; more, where few rows are learned by heart
    "warmup_ratio": 0.03,  # share of the updates with rising learning rate, then cosine
    "warmup_steps": 0,  # the same in updates; 0: warmup_ratio decides
    "max_grad_norm": 1.0,  # longer gradients are scaled down to this length: lower is steadier and slower
    "max_skipped_steps": 10,  # fp16: so many updates in a row may overflow before the run stops
    "num_epochs": 10,  # times that the training rows are gone through
    "max_steps": 0,  # updates; 0: num_epochs decides
    "max_length": 4096,  # a longer row is an error that names its record; nothing is cut
    "early_stopping_patience": 0,  # evaluations without improvement before stopping; 0: never
    "vision_pretrain_steps": 0,  # only from scratch: updates in which the tower learns to name the cards
    "seed": 42,  # fixes the order of rows, what is dropped, and fresh weights
    # --- hardware
    "device": "cuda",  # cuda, cuda:N or cpu; several GPUs through `accelerate launch`
    "use_fp16": True,  # mixed precision with the loss scaler on CUDA; on a CPU fp32 is used and said
    "use_bf16": False,  # instead of fp16, on hardware that has it: no overflow, so no scaler; else fp32, and said
    "quantize": "",  # interpreting on a CPU: int8, int4 hold the decoder's weights in 8 or 4 bits: less memory
    "gradient_checkpointing": True,  # less memory, about a third slower
    "num_workers": 2,  # processes that encode rows ahead; 0: the training process does. The result is the same
    # --- evaluation, logging, files
    "eval_steps": 200,  # updates between evaluations, after which best_model.pt may be replaced
    "save_steps": 200,  # updates between checkpoints: at most so many are run again after a crash
    "logging_steps": 10,  # updates between log lines
    "max_checkpoints": 3,  # step checkpoints kept, newest first; best_model.pt always stays
    "best_metric": "val_loss",  # what best_model.pt is best at
    "eval_samples": 512,  # validation rows a loss evaluation reads
    "generation_samples": 0,  # validation rows an evaluation also generates for and scores; 0: none, the quickest
    "max_new_tokens": 48,  # an interpretation's longest length
    "unknown_cards": "answer",  # a picture of no known card and no told word: said to be unknown; refuse: an error
    "similarity_model": "jhgan/ko-sroberta-multitask",  # hub id or folder; where absent a lexical score stands in
    "log_samples": False,  # True lets loggers see sentences and personas
    "processed_data": "dataset/processed/dataset_completed.json",  # rows, made by data_prepare.py
    "clustering_results": "dataset/processed/clustering_results.json",  # clusters of the cards, by step 3
    "images_folder": "dataset/images",  # the cards' files
    "checkpoint_dir": "train/checkpoints",  # one run at a time writes here
    "feature_cache_dir": "",  # of cached cards; empty: features/ beside processed_data, or in ~/.cache if read-only
    "feature_cache_gb": 20.0,  # most disk for cached cards (2.4 MB each in fp32); the least used caches go first
    "log_dir": "train/logs",  # log.jsonl, TensorBoard's events, curves.png
}

PATH_KEYS = ("processed_data", "clustering_results", "images_folder", "checkpoint_dir", "feature_cache_dir", "log_dir")
# Settings of the run, which a checkpoint does not fix: `load_model(path, config)` takes them from the config.
RUNTIME_KEYS = ("device", "use_fp16", "use_bf16", "max_new_tokens", "unknown_cards", "similarity_model", *PATH_KEYS)
RUNTIME_KEYS += ("quantize",)
# What a model is: a warm start takes these from its checkpoint.
ARCHITECTURE_KEYS = ("model_type", "model_size", "model_path", "backbone", "vocab_size", "num_crops", "use_lora")
ARCHITECTURE_KEYS += ("card_tokens",)
ARCHITECTURE_KEYS += ("lora_r", "lora_alpha", "lora_target_modules", "lora_vision", "lora_projector")
ARCHITECTURE_KEYS += ("train_projector", "parts_off")
ARCHITECTURE_KEYS += ("persona_tokens", "context_width", "cluster_weight")
# What may change while a run is interrupted: where and how it computes, how long, how often it says and saves.
RESUMABLE_KEYS = (
    "device",
    "use_fp16",
    "use_bf16",
    "quantize",
    "max_new_tokens",
    "unknown_cards",
    "similarity_model",
    "gradient_checkpointing",
    "num_workers",
    *PATH_KEYS,
)
RESUMABLE_KEYS += ("auto_batch_size", "max_skipped_steps", "num_epochs", "max_steps", "early_stopping_patience")
RESUMABLE_KEYS += ("eval_steps", "save_steps", "logging_steps", "max_checkpoints", "log_samples", "generation_samples")
_CHOICES = {
    "voice": ("first", "third"),
    "unknown_cards": ("answer", "refuse"),
    "best_metric": ("val_loss",),
    "model_type": BACKBONES,
    "quantize": ("", "int8", "int4"),
}
_POSITIVE = ("batch_size", "gradient_accumulation_steps", "num_epochs", "lora_r", "lora_alpha", "num_crops")
_POSITIVE += ("eval_steps", "save_steps", "logging_steps", "max_length", "max_checkpoints", "max_new_tokens")
_POSITIVE += ("learning_rate", "head_learning_rate", "max_grad_norm", "eval_samples", "persona_tokens")
_POSITIVE += ("context_width", "vocab_size", "max_skipped_steps")
_NOT_NEGATIVE = ("max_steps", "warmup_steps", "early_stopping_patience", "vision_pretrain_steps", "num_workers")
_NOT_NEGATIVE += ("weight_decay", "style_loss_weight", "cluster_weight", "generation_samples", "seed", "card_tokens")
_SHARES = ("persona_dropout", "context_dropout", "keyword_dropout", "style_dropout", "lora_dropout", "warmup_ratio")


def validate(settings: dict[str, Any], where: str = "config") -> dict[str, Any]:
    """TRAIN_CONFIG, the defaults of the backbone that `settings` choose, and `settings` laid over them.

    Raises:
        UserError: an unknown key (the nearest is named), a wrong type, a value out of range, settings that contradict.
    """
    chosen = str(settings.get("model_type", TRAIN_CONFIG["model_type"]))
    defaults = {**TRAIN_CONFIG, **(BACKBONES[chosen].settings if chosen in BACKBONES else {})}
    config = dict(defaults)
    for key, value in settings.items():
        if key not in TRAIN_CONFIG:
            near = difflib.get_close_matches(key, TRAIN_CONFIG, 1)
            hint = f"did you mean {near[0]!r}?" if near else "train/config/train_config.py lists the keys"
            raise UserError(f"{where}: unknown key {key!r}; {hint}")
        config[key] = _typed(key, value, where)
    for key in _POSITIVE:
        if config[key] <= 0:
            raise UserError(f"{where}: {key} must be above 0, not {config[key]!r}")
    for key in _NOT_NEGATIVE:
        if config[key] < 0:
            raise UserError(f"{where}: {key} must be 0 or more, not {config[key]!r}")
    for key in _SHARES:
        if not 0 <= config[key] < 1:
            raise UserError(f"{where}: {key} is a share, at least 0 and below 1, not {config[key]!r}")
    for key, allowed in _CHOICES.items():
        if config[key] not in allowed:
            raise UserError(f"{where}: {key} must be one of {', '.join(allowed)}, not {config[key]!r}")
    for key, instead in BACKBONES[chosen].fixed.items():
        if config[key] != defaults[key]:
            raise UserError(f"{where}: {key} cannot be changed for {chosen}: {instead}")
    _check_together(config, settings, where)
    if config["lora_projector"]:
        config["train_projector"] = False
    if config["use_bf16"]:
        config["use_fp16"] = False
    if config["backbone"]:
        config["use_lora"] = False
    return config


def runtime(asked: dict[str, Any], model_type: str) -> dict[str, Any]:
    """A validated config's settings of the run, for a model of `model_type`: where the config is another backbone's,
    what is merely TRAIN_CONFIG's default is not asked for (fp16 among it)."""
    if asked["model_type"] == model_type:
        return {key: asked[key] for key in RUNTIME_KEYS}
    defaults = {**TRAIN_CONFIG, **BACKBONES[model_type].settings}
    return {key: defaults[key] if asked[key] == TRAIN_CONFIG[key] else asked[key] for key in RUNTIME_KEYS}


def _check_together(config: dict[str, Any], settings: dict[str, Any], where: str) -> None:
    """Settings that contradict each other. What the hardware forbids is checked where the hardware is known."""
    if config["use_bf16"] and config["use_fp16"] and "use_fp16" in settings:
        raise UserError(f"{where}: use_fp16 and use_bf16 are both true; choose one")
    kind, _, number = config["device"].partition(":")
    if kind not in ("cuda", "cpu") or (number and not number.isdigit()) or (kind == "cpu" and number):
        raise UserError(f"{where}: device must be 'cuda', 'cuda:N' or 'cpu', not {config['device']!r}")
    if config["backbone"] and config["use_lora"] and "use_lora" in settings:
        raise UserError(
            f"{where}: a backbone trained from scratch has nothing for LoRA to adapt; set use_lora to false"
        )
    if config["lora_projector"] and config["train_projector"] and "train_projector" in settings:
        raise UserError(f"{where}: lora_projector adapts the projector that train_projector trains whole; choose one")
    for key in ("lora_vision", "lora_projector", "load_in_4bit"):
        if config[key] and (config["backbone"] or not config["use_lora"]):
            raise UserError(f"{where}: {key} goes with LoRA over a pretrained backbone; set {key} to false")
    if config["load_in_4bit"] and config["device"] == "cpu":
        raise UserError(f"{where}: load_in_4bit works on CUDA alone; set it to false, or device to 'cuda'")
    if config["vision_pretrain_steps"] and not config["backbone"]:
        raise UserError(
            f"{where}: vision_pretrain_steps is for a backbone from scratch; the weights of model_path can see. "
            "Set it to 0, or describe a backbone"
        )
    if config["use_lora"] and not config["lora_target_modules"]:
        raise UserError(f"{where}: use_lora without lora_target_modules trains nothing of the decoder; name some")
    if config["max_steps"] and config["warmup_steps"] >= config["max_steps"]:
        raise UserError(
            f"{where}: warmup_steps {config['warmup_steps']} is not shorter than the run of max_steps "
            f"{config['max_steps']}; lower the one or raise the other"
        )


def _typed(key: str, value: Any, where: str) -> Any:
    default = TRAIN_CONFIG[key]
    if isinstance(default, bool) or isinstance(value, bool):
        good = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        good = isinstance(value, int | float) and math.isfinite(value)
        value = float(value) if good else value
    elif isinstance(default, list):
        good = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    else:
        good = isinstance(value, type(default))
    if not good:
        raise UserError(f"{where}: {key} must be {type(default).__name__}, like {default!r}, not {value!r}")
    return value


def load_config(path: str | Path | None = None, overrides: list[str] | None = None) -> dict[str, Any]:
    """The resolved config of a run: TRAIN_CONFIG, then the JSON file, then `key=value` overrides, validated.

    Raises:
        UserError: a file that is no JSON object, an override that is no `key=value`; as of `validate`.
    """
    settings: dict[str, Any] = {}
    if path is not None:
        settings = read_json(path)
        if not isinstance(settings, dict):
            raise UserError(f"{path}: expected a JSON object of settings")
        validate(settings, str(path))
    for override in overrides or []:
        key, equals, text = override.partition("=")
        if not equals:
            raise UserError(f"--set {override}: write key=value")
        try:
            settings[key] = json.loads(text)
        except json.JSONDecodeError:
            settings[key] = text
    return validate(settings, str(path) if path is not None and not overrides else "config")


def at_root(path: str | Path, root: Path = ROOT) -> Path:
    """A path of the config: absolute as it is, relative to the repository's root (or a workspace)."""
    return Path(path) if Path(path).is_absolute() else root / path
