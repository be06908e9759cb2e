"""Small models in the published layouts, and settings to fine-tune it: what a pretrained backbone is in these tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from conftest import SENTENCES, TINY, WORDS

BACKBONE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
    "original_max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "rope_scaling": {"type": "su", "short_factor": [1.0, 1.05, 1.1, 1.2], "long_factor": [1.1, 2.0, 5.0, 9.0]},
    "initializer_range": 0.2,
    "pad_token_id": 3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 7,
    },
}


def tokenizer(model_type: str = "phi3_vision") -> Any:
    from train.models.backbones import model_class
    from train.models.prompt import train_tokenizer

    words = [*WORDS, *SENTENCES, "사람: 성인, 여성", "상황: 장소 집, 상대 친구"]
    return train_tokenizer(words, 400, model_class(model_type).chat.control)


def write_published(folder: Path, seed: int = 1, model_type: str = "phi3_vision") -> Path:
    """Random weights, biases and separators away from zero, in the published layout with its tokenizer."""
    from train.models.backbones import model_class

    words, kind = tokenizer(model_type), model_class(model_type)
    shape = BACKBONE if model_type == "phi3_vision" else louder(TINY[model_type])
    torch.manual_seed(seed)
    model = kind(kind.config_class(**shape, vocab_size=words.get_vocab_size()))
    for name, parameter in model.named_parameters():
        if name.endswith(("GN", "bias", "embedding")):
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))
    return folder


def louder(shape: dict[str, Any]) -> dict[str, Any]:
    """Weights so large that each counts."""
    return {name: part | {"initializer_range": 0.2} if isinstance(part, dict) else part for name, part in shape.items()}


def tuning(folder: Path, **changes: Any) -> dict[str, Any]:
    """A validated config that fine-tunes the model of `folder` with LoRA on the CPU."""
    from train.config.train_config import validate

    plain = {"model_path": str(folder), "model_size": "tiny", "device": "cpu", "lora_r": 4, "lora_dropout": 0.0}
    plain |= {"persona_tokens": 2, "context_width": 16, "max_new_tokens": 6, "num_workers": 0}
    plain |= {"use_fp16": False}  # numbers are compared, also on a processor that has bf16
    if json.loads((folder / "config.json").read_text())["model_type"] == "qwen3_vl":
        plain |= {"model_type": "qwen3_vl", "card_tokens": 4, "use_bf16": False}
    return validate({**plain, "gradient_checkpointing": False, **changes})


def tuned_model(folder: Path, **changes: Any) -> Any:
    """A fine-tuned model: gates and LoRA B away from zero, the projector moved where it trains."""
    from train.models.aac_multimodal_model import AACMultimodalModel

    torch.manual_seed(0)
    model = AACMultimodalModel.build(tuning(folder, **changes), None, torch.randn(5, 16))
    for block in model.context.blocks.values():
        torch.nn.init.constant_(block.gate, 0.7)
    with torch.no_grad():
        for name, parameter in model.backbone.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
        for name, parameter in model.backbone.model.vision.projector.named_parameters():
            if parameter.requires_grad and "lora_" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval()
