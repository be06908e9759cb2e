"""Qwen3-VL (Bai et al. 2025): the published weights and numbers, from ready embeddings on.

Layers, tower and mergers are transformers' own. Written here: the names that the seam asks for (`backbones.py`), the
rotary embedding without a buffer, and the way of pictures in two halves, so that what is frozen is computed once: the
tower's last states and the tapped ones (DeepStack, Meng et al. 2024), then their mergers. Parameter names are the
published ones, so published files load and saved files load elsewhere. `tests/test_qwen3_vl.py` compares the whole with
transformers' model.

Shapes: B rows, L positions, D decoder width, V pictures, P patches of one, C tower width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLPreTrainedModel,
    Qwen3VLTextModel,
    Qwen3VLVisionModel,
)
from transformers.vision_utils import (
    get_vision_cu_seqlens,
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from aac.io import UserError
from train.models.chat import ChatFormat
from train.models.decoder_layer import Qwen3VLLayer
from train.models.published_weights import WholeWeights
from train.models.qwen3_vl_images import Qwen3VLProcessor

CHAT = ChatFormat(
    control=(
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",  # where the published model reads a picture; here ids below 0 name it
        "<|video_pad|>",
    ),
    opening="<|im_start|>user\n",
    user="",
    before_picture="<|vision_start|>",
    after_picture="<|vision_end|>",
    reply="<|im_end|>\n<|im_start|>assistant\n",
    end="<|im_end|>",
    stops=("<|endoftext|>",),
    cards_last=True,
)


def _of_decoder(name: str) -> property:
    return property(lambda config: getattr(config.text_config, name))


class Qwen3VLBackboneConfig(Qwen3VLConfig):
    """The published `config.json` as it is, and one key of ours: `card_tokens`, the most positions a picture takes."""

    card_tokens: int = 64

    hidden_size = _of_decoder("hidden_size")
    intermediate_size = _of_decoder("intermediate_size")
    num_hidden_layers = _of_decoder("num_hidden_layers")
    vocab_size = _of_decoder("vocab_size")
    initializer_range = _of_decoder("initializer_range")
    original_max_position_embeddings = _of_decoder("max_position_embeddings")

    def __post_init__(self, **kwargs: Any) -> None:
        if (entries := kwargs.pop("vocab_size", None)) is not None:  # of a model from scratch
            self.text_config = {**(self.text_config or {}), "vocab_size": entries}
        super().__post_init__(**kwargs)

    @property
    def tower(self) -> Any:
        """The vision tower's configuration."""
        return self.vision_config

    @property
    def cell(self) -> int:
        """The side of the square of pixels that takes one position."""
        return self.vision_config.patch_size * self.vision_config.spatial_merge_size

    def image_processor(self, num_crops: int) -> Qwen3VLProcessor:
        return Qwen3VLProcessor(self.card_tokens, self.cell)

    def to_dict(self) -> dict[str, Any]:
        # The published name: other engines look for it.
        return {**super().to_dict(), "architectures": ["Qwen3VLForConditionalGeneration"]}


class RotaryEmbedding(nn.Module):
    """Cosines and sines of places on three axes (time, row, column), whose frequencies take turns.

    Raises:
        UserError: a configuration that scales its positions.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        if (kind := config.rope_parameters["rope_type"]) != "default":
            raise UserError(f"config.json: text_config: rope_type {kind!r} is not known here; use a model without it")
        self.dim, self.theta = config.head_dim, config.rope_parameters["rope_theta"]
        self.sections = config.rope_parameters.get("mrope_section", [24, 20, 20])

    @torch.no_grad()
    def forward(self, hidden: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (3, B, L), or (B, L) that are the same on every axis, to cos and sin (B, L, d) in the dtype of
        `hidden`."""
        # Not a buffer: `model.half()` would round it.
        powers = torch.arange(0, self.dim, 2, device=hidden.device).float() / self.dim
        angles = position_ids.expand(3, *position_ids.shape[-2:])[..., None].float() / self.theta**powers
        mixed = angles[0].clone()
        for axis in (1, 2):
            own = slice(axis, 3 * self.sections[axis], 3)
            mixed[..., own] = angles[axis][..., own]
        mixed = torch.cat((mixed, mixed), dim=-1)
        return mixed.cos().to(hidden.dtype), mixed.sin().to(hidden.dtype)


class Vision(Qwen3VLVisionModel):
    """The tower, and the mergers that turn squares of its patches into embeddings of the decoder."""

    @property
    def tower(self) -> nn.Module:
        return nn.ModuleDict({name: getattr(self, name) for name in ("patch_embed", "pos_embed", "blocks")})

    @property
    def projector(self) -> nn.Module:
        return nn.ModuleList([self.merger, *self.deepstack_merger_list])

    @property
    def output(self) -> nn.Linear:
        return self.merger.linear_fc2

    def used_views(self, views: Tensor, size: tuple[int, int]) -> Tensor:
        return views

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Pictures (V, 3, H, W) to (V, P, k C): the last block's states, then those of the tapped blocks, in the order
        of their squares."""
        count, merge = len(pixel_values), self.spatial_merge_size
        grid = [1, *(side // self.patch_size for side in pixel_values.shape[-2:])]
        grids = torch.tensor([grid] * count, device=pixel_values.device)
        indices, weights = get_vision_interpolation_indices_and_weights(
            grids, self.num_grid_per_side, self.interpolation_mode, self.interpolation_align_corners, merge
        )
        hidden = self.patch_embed(self._patches(pixel_values))
        hidden = hidden + (self.pos_embed(indices) * weights[:, :, None]).sum(1).to(hidden.dtype)
        places = self.rotary_pos_emb(hidden, get_vision_position_ids(grids, merge))
        ends = get_vision_cu_seqlens(grids)
        tapped = []
        for index, block in enumerate(self.blocks):
            hidden = block(hidden, cu_seqlens=ends, position_embeddings=places)
            if index in self.deepstack_visual_indexes:
                tapped.append(hidden)
        return torch.cat([hidden, *tapped], dim=-1).unflatten(0, (count, -1))

    def _patches(self, pixels: Tensor) -> Tensor:
        """(V, 3, H, W) to (V P, 3 T S S), squares of patches after one another; a picture is T equal frames."""
        side, merge = self.patch_size, self.spatial_merge_size
        squares = pixels.unflatten(-2, (-1, merge, side)).unflatten(-1, (-1, merge, side))
        patches = squares.permute(0, 2, 5, 3, 6, 1, 4, 7).flatten(0, 4)
        return patches[:, :, None].expand(-1, -1, self.config.temporal_patch_size, -1, -1).flatten(1)

    def project(self, features: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Features of pictures, each (1, P, k C), to (tokens, k D) each; one pass through the mergers for all of them.

        The first D are embeddings, the others are added after the decoder's first layers.
        """
        dtype, width = self.output.weight.dtype, self.config.hidden_size  # fp32 where it trains over a half-size base
        depths = torch.cat([feature[0] for feature in features]).to(dtype).split(width, dim=-1)
        merged = [merger(depth.contiguous()) for merger, depth in zip(self.projector, depths, strict=True)]
        square = self.spatial_merge_size**2
        return list(torch.cat(merged, dim=-1).split([feature.shape[1] // square for feature in features]))


class Qwen3VLCore(Qwen3VLPreTrainedModel):
    """The decoder with its picture inputs, without the language head."""

    config: Qwen3VLBackboneConfig

    def __init__(self, config: Qwen3VLBackboneConfig) -> None:
        super().__init__(config)
        self.visual = Vision(config.vision_config)
        self.language_model = Qwen3VLTextModel(config.text_config)
        self.language_model.rotary_emb = RotaryEmbedding(config.text_config)
        for layer in self.language_model.layers:
            layer.__class__ = Qwen3VLLayer  # the same weights: building them a second time would hold them twice
        self.post_init()

    @property
    def vision(self) -> Vision:
        return self.visual

    @property
    def embed_tokens(self) -> nn.Embedding:
        return self.language_model.embed_tokens

    def forward(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor | None,
        position_ids: Tensor,
        past_key_values: Cache | None = None,
        use_cache: bool = False,
        after_layer: Callable[[int, Tensor], Tensor] | None = None,
        prefix: int = 0,
        skip: int = 0,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Hidden states (B, L - skip, D) after the final norm; the arguments are `backbones.Core`'s."""
        decoder = self.language_model
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=decoder.config)
        hidden, last = inputs_embeds, len(decoder.layers) - 1
        kwargs |= {"past_key_values": past_key_values, "position_embeddings": decoder.rotary_emb(hidden, position_ids)}
        for index, layer in enumerate(decoder.layers):
            if index < last or not skip:
                hidden = layer(hidden, attention_mask=attention_mask, prefix=prefix, **kwargs)
            else:
                hidden = layer(hidden, attention_mask=attention_mask[:, :, skip - prefix :], skip=skip, **kwargs)
            if after_layer is not None:
                hidden = after_layer(index, hidden)
        return BaseModelOutputWithPast(last_hidden_state=decoder.norm(hidden), past_key_values=past_key_values)


class Qwen3VLBackbone(WholeWeights, Qwen3VLPreTrainedModel):
    """Qwen3-VL with its language head, under the published names."""

    config: Qwen3VLBackboneConfig
    config_class = Qwen3VLBackboneConfig
    chat = CHAT
    full_precision = ("lm_head", "model.visual")
    lora_parts = {  # noqa: RUF012
        "decoder": r"model\.language_model\.layers\.\d+\.\w+\.",
        "vision": r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.linear_fc[12])",
        "projector": r"model\.visual\.(merger|deepstack_merger_list\.\d+)\.linear_fc[12]",
    }
    _no_split_modules = ("Qwen3VLLayer", "Qwen3VLVisionBlock")
    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012  only if tied

    def __init__(self, config: Qwen3VLBackboneConfig) -> None:
        super().__init__(config)
        self.model = Qwen3VLCore(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def positions(
        self, counted: Tensor, input_ids: Tensor, image_sizes: Sequence[Sequence[tuple[int, int]]]
    ) -> tuple[Tensor, Tensor]:
        """See `backbones.Backbone`: time, row, column. A picture stands at one time; what follows it comes after its
        longer side, not after all its positions."""
        ids, placed = input_ids.cpu(), counted.cpu().repeat(3, 1, 1)
        shift = placed.new_zeros(len(ids))
        for row, sizes in enumerate(image_sizes):
            for tag, size in enumerate(sizes, start=1):
                here = (ids[row] == -tag).nonzero()[:, 0]
                sides = [int(side) // self.config.cell for side in size]
                inside = torch.stack(torch.meshgrid(*map(torch.arange, (1, *sides)), indexing="ij")).flatten(1)
                spared = len(here) - max(sides)
                placed[:, row, here[-1] + 1 :] -= spared
                placed[:, row, here] = placed[:, row, here[:1]] + inside
                shift[row] -= spared
        return placed.to(counted.device), shift.to(counted.device)
