"""`model_type` chooses the backbone: this is all that heads, data and trainer know of one.

A backbone is a module with `config` (hidden_size, num_hidden_layers, tower), `model` (embed_tokens,
vision_embed_tokens.encode / project, a forward with `after_layer`) and `lm_head`. Another one is
a branch in each function.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from dataset.prepare.records import UserError

if TYPE_CHECKING:
    from torch import nn

    from train.models.image_processing import Phi3VisionProcessor

PARAMETERS = {"3.8B": 4_146_621_440}  # the seed's label names the decoder; with its tower the model holds 4.15B


# Measured on the two-core preset: token embeddings of 0.02, right for width 3072, halve the speed of learning at 256.
SCRATCH_EMBEDDING_STD = 0.1


def build(config: dict[str, Any], tokenizer: Any | None = None) -> tuple[nn.Module, Any]:
    """The backbone and its tokenizer, with what does not train frozen.

    From scratch (`config['backbone']`): random weights under `config['seed']`; `tokenizer` must be given. Pretrained:
    loaded from `model_path`, LoRA added where asked, the vision tower frozen.

    Raises:
        UserError: the weights are not there, or LoRA targets match nothing in the decoder.
    """
    import torch

    from train.models.phi3_vision import Phi3VisionConfig, Phi3VisionForCausalLM

    if config["backbone"]:
        if tokenizer is None:
            raise UserError(
                "a backbone from scratch needs a tokenizer: train first, or load a checkpoint that holds one"
            )
        shape = Phi3VisionConfig(**config["backbone"], vocab_size=tokenizer.get_vocab_size())
        with torch.random.fork_rng():
            torch.manual_seed(config["seed"])
            model = Phi3VisionForCausalLM(shape)
        with torch.no_grad():
            model.model.embed_tokens.weight.mul_(SCRATCH_EMBEDDING_STD / shape.initializer_range)
        return model, tokenizer
    from tokenizers import Tokenizer

    half = torch.bfloat16 if config["use_bf16"] else torch.float16 if config["use_fp16"] else torch.float32
    dtype = half if config["device"].startswith("cuda") else torch.float32
    folder = find_weights(config["model_path"])
    model = Phi3VisionForCausalLM.from_pretrained(folder, dtype=dtype)
    check_size(config, model)
    model.requires_grad_(not config["use_lora"])
    core = model.model.vision_embed_tokens
    core.img_processor.requires_grad_(False)
    if config["use_lora"]:
        add_lora(model, config)
    core.img_projection.requires_grad_(config["train_projector"])
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if config["gradient_checkpointing"]:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model, tokenizer or Tokenizer.from_file(f"{folder}/tokenizer.json")


def find_weights(model_path: str) -> str:
    """A local folder as it is; a hub id from the local cache or the hub.

    Raises:
        UserError: neither is to be had; says what works without.
    """
    from pathlib import Path

    if Path(model_path).is_dir():
        return model_path
    try:
        from huggingface_hub import snapshot_download

        return snapshot_download(model_path, allow_patterns=["*.json", "*.safetensors"], etag_timeout=5)
    except Exception as error:
        raise UserError(
            f"model_path {model_path!r}: not a local folder, not in the local cache, and no model hub can be reached "
            f"({type(error).__name__}). Download the model where there is a network and set model_path to its folder, "
            "or train the small model, which needs no weights: python train/train.py --config train/config/tiny.json"
        ) from None


def check_size(config: dict[str, Any], model: nn.Module) -> None:
    """`model_size` is a label: an error where it names another size than the weights have."""
    count = sum(parameter.numel() for parameter in model.parameters())
    expected = PARAMETERS.get(config["model_size"])
    if expected and not 0.9 < count / expected < 1.1:
        raise UserError(
            f"model_size {config['model_size']!r} does not fit {config['model_path']}: {count:,} parameters"
        )


def add_lora(model: nn.Module, config: dict[str, Any]) -> None:
    """LoRA (Hu et al. 2021) on the decoder's linear layers, through PEFT, in place.

    Raises:
        UserError: a target that matches no module of the decoder; lists those that exist (PEFT alone is silent).
    """
    from peft import LoraConfig, inject_adapter_in_model
    from torch import nn

    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    inside = sorted({name.rsplit(".", 1)[-1] for name in linear if name.startswith("model.layers.")})
    if unknown := [target for target in config["lora_target_modules"] if target not in inside]:
        raise UserError(f"lora_target_modules: {', '.join(unknown)} not in the decoder; it has {', '.join(inside)}")
    # A pattern, not bare names: the same name in the vision tower must not match.
    pattern = rf"model\.layers\.\d+\..*\.({'|'.join(config['lora_target_modules'])})"
    settings = LoraConfig(
        r=config["lora_r"], lora_alpha=config["lora_alpha"], lora_dropout=config["lora_dropout"], target_modules=pattern
    )
    inject_adapter_in_model(settings, model)


def processor(shape: Any, config: dict[str, Any]) -> Phi3VisionProcessor:
    """The picture processor that fits a backbone's configuration."""
    from train.models.image_processing import Phi3VisionProcessor

    tower = shape.tower
    return Phi3VisionProcessor(None, config["num_crops"], tower.image_size, tower.patch_size, shape.image_layout)


def identity(config: dict[str, Any], model: nn.Module) -> dict[str, str]:
    """Which base a checkpoint stands on: its id, and a digest of a few of its frozen tensors."""
    if config["backbone"]:
        return {"id": "from scratch", "digest": ""}
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if not parameter.requires_grad and parameter.ndim == 1:
            digest.update(name.encode() + parameter.detach().float().cpu().numpy().tobytes())
    return {"id": config["model_path"], "digest": digest.hexdigest()}


def check_identity(stored: dict[str, str], here: dict[str, str], where: str) -> None:
    """Raises UserError where a checkpoint's adapters belong to another base model."""
    if stored["digest"] != here["digest"]:
        raise UserError(f"{where}: trained over {stored['id']}, but model_path gives other weights ({here['id']})")
