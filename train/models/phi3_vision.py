"""Phi-3.5-Vision, native: the published weights and numbers without remote code.

The weights' layout, the CLIP tower, the cache, the attention back ends and `generate` are transformers' own. Written
here: the configuration, the rotary embedding chosen by each row's own length, the way from pictures to embeddings, and
the glue; in `decoder_layer.py` the decoder layer, in `published_call.py` the published model's own way of being called.
Parameter names are the published ones, so published files load and saved files load elsewhere.

Source: the published `config.json`, `modeling_phi3_v.py` and `image_embedding_phi3_v.py`; reference outputs are
compared in `tests/test_phi3_vision.py`. Shapes: B rows, L positions, D decoder width, C tower width, N pictures,
V views, P patches of a view, S pixels of a view's side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, DynamicCache, Phi3Config
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.models.phi3.modeling_phi3 import Phi3Model, Phi3PreTrainedModel, Phi3RMSNorm

from aac.io import UserError
from train.models.chat import ChatFormat
from train.models.decoder_layer import Phi3Layer
from train.models.fused import RMSNorm
from train.models.image_processing import IMAGE_LAYOUTS, Phi3VisionProcessor, pooled_side
from train.models.published_call import PublishedGenerationMixin
from train.models.published_weights import WholeWeights

AfterLayer = Callable[[int, Tensor], Tensor]

# openai/clip-vit-large-patch14-336: hard-coded in the published code, so absent from its config.json.
PUBLISHED_TOWER: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}

CHAT = ChatFormat(
    control=("<unk>", "<s>", "</s>", "<|endoftext|>", "<|assistant|>", "<|user|>", "<|end|>"),
    opening="<s>",
    user="<|user|>\n",
    before_picture="",
    after_picture="<s>",  # the published processor encodes each chunk of text alone, so each opens with its own BOS
    reply="<|end|>\n<|assistant|>",
    end="<|end|>",
    stops=("<|endoftext|>", "</s>"),
)


class Phi3VisionConfig(Phi3Config):
    """The published `config.json` as it is, and three optional keys of ours.

    vision_config: another CLIP tower (any key of `CLIPVisionConfig`; what is left out is as published). Default: None.
    image_layout: "sub_glb" as published; "global": one view a picture, no separators, (grid / 2)^2 tokens.
    card_tokens: 0, as the layout has it; above, the global view pooled to a square of at most so many tokens.

    Written back in the published layout, so that the published code can read it too.
    """

    model_type = "phi3_v"

    vision_config: dict | None = None
    image_layout: str = "sub_glb"
    card_tokens: int = 0

    def __post_init__(self, **kwargs: Any) -> None:
        if rope := kwargs.pop("rope_scaling", None):
            kind = rope.get("rope_type", rope.get("type"))
            rope = {key: value for key, value in rope.items() if key != "type"}
            self.rope_parameters = {**rope, "rope_type": "longrope" if kind == "su" else kind}
        # The published window is longer than the longest sequence: a mask for it would only cost time.
        self.sliding_window = None
        # A back end is chosen when loading; the published file asks for flash attention whether it is there or not.
        kwargs.pop("_attn_implementation", None)
        if self.image_layout not in IMAGE_LAYOUTS:
            raise UserError(f"config.json: image_layout must be one of {', '.join(IMAGE_LAYOUTS)}")
        super().__post_init__(**kwargs)
        tower = self.tower
        if tower.image_size % (2 * tower.patch_size):
            raise UserError("config.json: vision_config: image_size must be a multiple of twice patch_size")

    @property
    def tower(self) -> CLIPVisionConfig:
        """The vision tower's configuration."""
        return CLIPVisionConfig(**{**PUBLISHED_TOWER, **(self.vision_config or {})})

    @property
    def layout(self) -> str:
        return "global" if self.card_tokens else self.image_layout

    def image_processor(self, num_crops: int) -> Phi3VisionProcessor:
        """The processor that fits this tower, for pictures alone."""
        tower = self.tower
        return Phi3VisionProcessor(
            None, num_crops, tower.image_size, tower.patch_size, self.layout, card_tokens=self.card_tokens
        )

    def to_dict(self) -> dict[str, Any]:
        output = super().to_dict()
        output["architectures"] = ["Phi3VForCausalLM"]  # the published name: other engines look for it
        rope = dict(output.pop("rope_parameters", None) or {})
        output["rope_theta"] = rope.pop("rope_theta", 10000.0)
        if rope.pop("rope_type", "default") == "longrope":
            output["rope_scaling"] = {"type": "su", **{key: rope[key] for key in ("short_factor", "long_factor")}}
        if output.get("vision_config") is None:
            output.pop("vision_config", None)
        if not output["card_tokens"]:
            output.pop("card_tokens")
        if output.get("dtype") is not None:
            output["torch_dtype"] = output["dtype"]  # the name that the published code's transformers reads
        return output


class RotaryEmbedding(nn.Module):
    """Cosines and sines with the short or the long factors, row by row.

    A row takes the long factors when its own last position lies beyond `original_max_position_embeddings`: neither a
    longer neighbour nor padding moves it. The attention factor scales both kinds, at every length.
    """

    def __init__(self, config: Phi3VisionConfig) -> None:
        super().__init__()
        rope = config.rope_parameters
        self.dim = config.hidden_size // config.num_attention_heads
        self.theta = rope["rope_theta"]
        plain = [1.0] * (self.dim // 2)
        self.factors = (rope.get("short_factor") or plain, rope.get("long_factor") or plain)
        self.original = config.original_max_position_embeddings
        stretch = config.max_position_embeddings / self.original
        scaled = rope["rope_type"] == "longrope" and stretch > 1
        self.attention_factor = math.sqrt(1 + math.log(stretch) / math.log(self.original)) if scaled else 1.0

    def inv_freq(self, device: torch.device | None = None) -> Tensor:
        """(2, head_dim / 2) float32: short, long. Not a buffer: `model.half()` would round it."""
        powers = torch.arange(0, self.dim, 2, device=device).float() / self.dim
        return 1.0 / (torch.tensor(self.factors, dtype=torch.float32, device=device) * self.theta**powers)

    @torch.no_grad()
    def forward(self, hidden: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (B or 1, L) to cos and sin (B or 1, L, head_dim) in the dtype of `hidden`."""
        long = position_ids.amax(dim=-1) + 1 > self.original
        inv_freq = self.inv_freq(hidden.device)[long.long()]
        angles = position_ids[..., None].float() * inv_freq[:, None, :]
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos() * self.attention_factor, angles.sin() * self.attention_factor
        return cos.to(hidden.dtype), sin.to(hidden.dtype)


class VisionEmbedding(nn.Module):
    """Pictures to embeddings of the decoder: CLIP tower, 2x2 merge, separators, projector."""

    def __init__(self, config: Phi3VisionConfig) -> None:
        super().__init__()
        tower = config.tower
        self.layout = config.layout
        self.image_size = tower.image_size
        self.grid = tower.image_size // tower.patch_size
        self.pooled = pooled_side(self.grid // 2, config.card_tokens)
        merged = 4 * tower.hidden_size
        # The inner name is the published one; transformers' class alone would drop it.
        self.img_processor = nn.ModuleDict({"vision_model": CLIPVisionModel(tower)})
        self.glb_GN = nn.Parameter(torch.zeros(1, 1, merged))
        self.sub_GN = nn.Parameter(torch.zeros(1, 1, 1, merged))
        self.img_projection = nn.Sequential(
            nn.Linear(merged, config.hidden_size), nn.GELU(), nn.Linear(config.hidden_size, config.hidden_size)
        )

    @property
    def tower(self) -> nn.Module:
        return self.img_processor

    @property
    def projector(self) -> nn.Module:
        return self.img_projection

    @property
    def output(self) -> nn.Linear:
        return self.img_projection[-1]

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Views (V, 3, S, S) to patch features (V, P, C): CLIP's `hidden_states[-2]` without the class token.

        The last layer and the closing norm are stored but never used, so they are not run.
        """
        clip = self.img_processor["vision_model"]
        hidden = clip.pre_layrnorm(clip.embeddings(pixel_values.to(self.glb_GN.dtype)))
        for layer in clip.encoder.layers[:-1]:
            hidden = layer(hidden, None)
        return hidden[:, 1:]

    def project(self, features: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Features of pictures, each (V, P, C), global view first, and their sizes (height, width) to (tokens, D)
        each; one pass through the projection for all of them.

        One view alone stands for both views of a picture whose only tile equals its global view.
        """
        laid = [self._laid_out(feature, size) for feature, size in zip(features, image_sizes, strict=True)]
        joined = torch.cat(laid).to(self.img_projection[0].weight.dtype)  # fp32 where it trains over a half-size base
        return list(self.img_projection(joined).split([len(rows) for rows in laid]))

    def _laid_out(self, features: Tensor, image_size: tuple[int, int]) -> Tensor:
        """One picture (V, P, C) to the projection's input (tokens, 4C): 2x2 merges, separators between lines."""
        half = self.grid // 2
        width = features.shape[-1]
        views = features.reshape(-1, half, 2, half, 2, width).transpose(2, 3).reshape(-1, half, half, 4 * width)
        if self.layout == "global":
            squares = views[0].unflatten(0, (self.pooled, -1)).unflatten(2, (self.pooled, -1))
            return squares.mean((1, 3)).flatten(0, 1)
        rows, columns = (int(side) // self.image_size for side in image_size)
        tiles = views[1:] if len(views) > 1 else views
        if len(tiles) != rows * columns:
            raise UserError(f"image size {tuple(image_size)} needs {rows * columns} tiles, not {len(tiles)}")
        local = tiles.reshape(rows, columns, half, half, -1).transpose(1, 2).reshape(rows * half, columns * half, -1)
        return torch.cat([self._lines(local), self.glb_GN[0], self._lines(views[0])])

    def _lines(self, grid: Tensor) -> Tensor:
        """(rows, columns, 4C) to (rows * (columns + 1), 4C): a separator ends each row."""
        return torch.cat([grid, self.sub_GN[0].expand(len(grid), -1, -1)], dim=1).flatten(0, 1)

    def used_views(self, views: Tensor, size: tuple[int, int]) -> Tensor:
        """The views of one picture, (views, 3, S, S), that are worth encoding: no filling, no tile that equals its
        global view.

        Raises:
            UserError: fewer views than an image of that size (height, width) has.
        """
        if self.layout == "global":
            return views[:1]
        tiles = math.prod(side // self.image_size for side in size)
        if len(views) < tiles + 1:
            raise UserError(f"image size {size} needs {tiles + 1} views, but pixel_values has {len(views)}")
        return views[:1] if tiles == 1 and torch.equal(views[0], views[1]) else views[: tiles + 1]


class Phi3VisionModel(Phi3Model):
    """The decoder with its picture inputs, without the language head."""

    config: Phi3VisionConfig
    _no_split_modules = ("Phi3Layer", "CLIPEncoderLayer")

    def __init__(self, config: Phi3VisionConfig) -> None:
        super().__init__(config)
        # The same weights: building them a second time would hold them twice.
        for layer in self.layers:
            layer.__class__ = Phi3Layer
        for norm in (module for module in self.modules() if isinstance(module, Phi3RMSNorm)):
            norm.__class__ = RMSNorm
        self.rotary_emb = RotaryEmbedding(config)
        self.vision_embed_tokens = VisionEmbedding(config)
        self.post_init()

    @property
    def vision(self) -> VisionEmbedding:
        return self.vision_embed_tokens

    def forward(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor | None,
        position_ids: Tensor,
        past_key_values: Cache | None = None,
        use_cache: bool = False,
        after_layer: AfterLayer | None = None,
        prefix: int = 0,
        skip: int = 0,
        output_hidden_states: bool = False,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Hidden states (B, L - skip, D) after the final norm.

        attention_mask: (B, 1, L - prefix, cached + L), used as it is; None: every position sees its past.
        position_ids: (B, L); may restart within a row.
        after_layer: `after_layer(i, hidden)` replaces the hidden states (B, L, D) after decoder layer i.
        prefix: the mask leaves out so many first positions (`attention.py`).
        skip: nobody reads the first so many positions: the last layer gives only their keys and values. At least
            `prefix`, or 0.
        """
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        hidden = inputs_embeds
        states = [hidden]
        kwargs |= {"past_key_values": past_key_values, "position_embeddings": self.rotary_emb(hidden, position_ids)}
        for index, layer in enumerate(self.layers):
            if index < len(self.layers) - 1 or not skip:
                hidden = layer(hidden, attention_mask=attention_mask, prefix=prefix, **kwargs)
            else:
                hidden = layer(hidden, attention_mask=attention_mask[:, :, skip - prefix :], skip=skip, **kwargs)
            if after_layer is not None:
                hidden = after_layer(index, hidden)
            if output_hidden_states:
                states.append(hidden)
        hidden = self.norm(hidden)
        return BaseModelOutputWithPast(
            last_hidden_state=hidden,
            past_key_values=past_key_values if use_cache else None,
            hidden_states=(*states[:-1], hidden) if output_hidden_states else None,
        )


class Phi3VisionForCausalLM(WholeWeights, PublishedGenerationMixin, Phi3PreTrainedModel):
    """Phi-3.5-Vision with its language head, under the published names."""

    config: Phi3VisionConfig
    config_class = Phi3VisionConfig
    chat = CHAT
    full_precision = ("lm_head", "model.vision_embed_tokens")
    _no_split_modules = Phi3VisionModel._no_split_modules
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012  only if the config ties them
    _keys_to_ignore_on_load_unexpected = (r"vision_embed_tokens\.wte\.weight$", r"\.position_ids$")

    def __init__(self, config: Phi3VisionConfig) -> None:
        super().__init__(config)
        self.model = Phi3VisionModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def positions(self, counted: Tensor, input_ids: Tensor, image_sizes: Any) -> tuple[Tensor, Tensor]:
        """See `backbones.Backbone`: here a picture takes as many positions as it has tokens."""
        return counted, counted.new_zeros(len(counted))

    @property
    def lora_parts(self) -> dict[str, str]:
        """See `train/models/backbones.py`. The tower's last layer is never run, so nothing there would learn."""
        used = "|".join(str(layer) for layer in range(self.config.tower.num_hidden_layers - 1))
        vision = r"model\.vision_embed_tokens"
        return {
            "decoder": r"model\.layers\.\d+\.\w+\.",
            "vision": rf"{vision}\.img_processor\.vision_model\.encoder\.layers\.({used})\..*(_proj|fc1|fc2)",
            "projector": rf"{vision}\.img_projection\.[02]",
        }
