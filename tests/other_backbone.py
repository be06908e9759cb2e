"""A backbone that is as unlike Phi-3.5-Vision as the next one will be, for test_other_backbone.py.

Qwen2's decoder with grouped heads; ChatML over a byte-level tokenizer without a BOS; pictures that keep their shape;
rotary positions on two axes, where a card of 2 x 3 patches takes six tokens and three positions; a tower that is read
at two depths. This module and `ENTRY` are all that adding it takes.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, Qwen2Config, Qwen2Model
from transformers.modeling_outputs import BaseModelOutputWithPast

from train.config.backbones import Entry
from train.models.chat import ChatFormat

PATCH, WIDTH = 14, 12

CHAT = ChatFormat(
    control=("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    opening="<|im_start|>user\n",
    user="",
    before_picture="<|vision_start|>",
    after_picture="<|vision_end|>",
    reply="<|im_end|>\n<|im_start|>assistant\n",
    end="<|im_end|>",
    stops=("<|endoftext|>",),
)
ENTRY = Entry(
    "other_backbone.OtherModel",
    {"small": 49_992},
    {"model_path": "nobody/other", "model_size": "small", "lora_target_modules": ["q_proj", "down_proj"]},
)


def grid(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // PATCH, size[1] // PATCH


class OtherProcessor:
    """Two patches along the shorter side, up to four along the longer one."""

    identity = "patches of 14"

    def images(self, images: list[Image.Image]) -> tuple[list[Tensor], Tensor]:
        pixels = []
        for image in images:
            shorter = min(image.size)
            size = [PATCH * min(4, round(2 * side / shorter)) for side in image.size]
            raw = torch.frombuffer(bytearray(image.convert("RGB").resize(size).tobytes()), dtype=torch.uint8)
            pixels.append(raw.view(1, size[1], size[0], 3).permute(0, 3, 1, 2) / 127.5 - 1)
        return pixels, torch.tensor([views.shape[-2:] for views in pixels])

    def num_tokens(self, image_size: tuple[int, int]) -> int:
        rows, columns = grid(image_size)
        return rows * columns


class OtherConfig(Qwen2Config):
    model_type = "other"
    card_tokens: int = 0
    tower = SimpleNamespace(hidden_size=WIDTH)

    @property
    def original_max_position_embeddings(self) -> int:
        return self.max_position_embeddings

    def image_processor(self, num_crops: int) -> OtherProcessor:
        return OtherProcessor()


class Visual(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Linear(WIDTH, WIDTH)])
        self.mergers = nn.ModuleList(nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, hidden)) for _ in range(2))

    @property
    def tower(self) -> nn.Module:
        return self.blocks

    @property
    def projector(self) -> nn.Module:
        return self.mergers

    def used_views(self, views: Tensor, size: tuple[int, int]) -> Tensor:
        return views

    def encode(self, pixel_values: Tensor) -> Tensor:
        first = self.blocks[0](pixel_values).flatten(2).transpose(1, 2)
        return torch.cat([torch.tanh(self.blocks[1](first)), first], dim=-1)

    def project(self, features: list[Tensor], image_sizes: list[tuple[int, int]]) -> list[Tensor]:
        depths = (feature[0].split(WIDTH, dim=-1) for feature in features)
        return [torch.cat([self.mergers[n](depth) for n, depth in enumerate(two)], dim=-1) for two in depths]


class OtherCore(Qwen2Model):
    def __init__(self, config: OtherConfig) -> None:
        super().__init__(config)
        self.visual = Visual(config.hidden_size)

    @property
    def vision(self) -> Visual:
        return self.visual

    def forward(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        past_key_values: Any = None,
        use_cache: bool = False,
        after_layer: Any = None,
        skip: int = 0,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        cache = past_key_values or (DynamicCache(config=self.config) if use_cache else None)
        axes = position_ids.expand(2, *position_ids.shape[-2:])
        across, down = ([self.rotary_emb(inputs_embeds, places)[n] for n in (0, 1)] for places in axes)
        even = torch.arange(across[0].shape[-1] // 2).repeat(2) % 2 == 0
        rotary = tuple(torch.where(even, one, other) for one, other in zip(across, down, strict=True))
        hidden = inputs_embeds
        for index, layer in enumerate(self.layers):
            given = {"attention_mask": attention_mask, "past_key_values": cache, "position_embeddings": rotary}
            hidden = layer(hidden, **given, **kwargs)
            hidden = after_layer(index, hidden) if after_layer else hidden
        return BaseModelOutputWithPast(last_hidden_state=self.norm(hidden[:, skip:]), past_key_values=cache)


class OtherModel(PreTrainedModel):
    config_class = OtherConfig
    base_model_prefix = "model"
    _supports_sdpa = True
    chat = CHAT
    full_precision = ("lm_head", "model.visual")
    _no_split_modules = ("Qwen2DecoderLayer",)
    lora_parts = {  # noqa: RUF012
        "decoder": r"model\.layers\.\d+\.\w+\.",
        "vision": r"model\.visual\.blocks\.1",
        "projector": r"model\.visual\.mergers\.[01]\.1",
    }

    def __init__(self, config: OtherConfig) -> None:
        super().__init__(config)
        self.model = OtherCore(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def positions(
        self, counted: Tensor, input_ids: Tensor, image_sizes: list[list[tuple[int, int]]]
    ) -> tuple[Tensor, Tensor]:
        placed, shift = counted.repeat(2, 1, 1), counted.new_zeros(len(counted))
        for row, shown in enumerate(image_sizes):
            for tag, size in enumerate(shown, start=1):
                here = (input_ids[row] == -tag).nonzero()[:, 0]
                inside = torch.stack(torch.meshgrid(*map(torch.arange, grid(size)), indexing="ij")).flatten(1)
                spared = len(here) - max(grid(size))
                placed[:, row, here[-1] + 1 :] -= spared
                placed[:, row, here] = placed[:, row, here[:1]] + inside
                shift[row] -= spared
        return placed, shift


SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 3,
}


def byte_level_tokenizer() -> Any:
    """A foreign vocabulary: byte-level BPE with ChatML's control tokens, one of them not marked as special."""
    from conftest import SENTENCES, WORDS
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*WORDS, *SENTENCES, "사람: 성인, 여성", "상황: 장소 집, 상대 친구"], trainer)
    *special, plain = CHAT.control
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([plain])
    return tokenizer


def write_published(folder: Path) -> Path:
    """Random weights in this backbone's own layout, with its tokenizer."""
    tokenizer = byte_level_tokenizer()
    torch.manual_seed(1)
    config = OtherConfig(**SHAPE, vocab_size=tokenizer.get_vocab_size() + 5, initializer_range=0.2)
    OtherModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
