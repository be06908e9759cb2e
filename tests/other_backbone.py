"""A backbone that is not Phi-3.5-Vision, for test_backbones.py: Qwen2's decoder with grouped heads, a tower of patches.

What `train/models/backbones.py` asks of one, and nothing else.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, Qwen2Config, Qwen2Model
from transformers.modeling_outputs import BaseModelOutputWithPast

from train.models.image_processing import Phi3VisionProcessor


class OtherConfig(Qwen2Config):
    model_type = "other"

    @property
    def tower(self) -> Any:
        from types import SimpleNamespace

        return SimpleNamespace(hidden_size=12)

    @property
    def original_max_position_embeddings(self) -> int:
        return self.max_position_embeddings

    def picture_processor(self, num_crops: int) -> Phi3VisionProcessor:
        return Phi3VisionProcessor(None, num_crops, image_size=28, patch_size=7, image_layout="global")


class Tower(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.img_processor = nn.Conv2d(3, 12, kernel_size=14, stride=14)
        self.img_projection = nn.Sequential(nn.LayerNorm(12), nn.Linear(12, hidden))

    def used_views(self, views: Tensor, size: tuple[int, int]) -> Tensor:
        return views[:1]

    def encode(self, pixel_values: Tensor) -> Tensor:
        return self.img_processor(pixel_values).flatten(2).transpose(1, 2)

    def project(self, features: list[Tensor], image_sizes: list[tuple[int, int]]) -> list[Tensor]:
        return [self.img_projection(feature[0]) for feature in features]


class OtherCore(Qwen2Model):
    def __init__(self, config: OtherConfig) -> None:
        super().__init__(config)
        self.vision_embed_tokens = Tower(config.hidden_size)

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
        hidden, rotary = inputs_embeds, self.rotary_emb(inputs_embeds, position_ids)
        for index, layer in enumerate(self.layers):
            given = {"attention_mask": attention_mask, "past_key_values": cache, "position_embeddings": rotary}
            hidden = layer(hidden, **given, **kwargs)
            hidden = after_layer(index, hidden) if after_layer else hidden
        return BaseModelOutputWithPast(last_hidden_state=self.norm(hidden[:, skip:]), past_key_values=cache)


class OtherModel(PreTrainedModel):
    config_class = OtherConfig
    base_model_prefix = "model"
    _supports_sdpa = True
    lora_parts = {  # noqa: RUF012
        "decoder": r"model\.layers\.\d+\.\w+\.",
        "vision": r"nothing",
        "projector": r"model\.vision_embed_tokens\.img_projection\.1",
    }

    def __init__(self, config: OtherConfig) -> None:
        super().__init__(config)
        self.model = OtherCore(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()


SHAPE = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 3,
}
