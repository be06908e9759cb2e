"""Phi-3.5-Vision called as the published model is: ids and pixels in; loss, logits and `generate` out.

For whoever loads exported weights, for parity and for benchmarks. Training and interpreting never pass here: they hand
the decoder ready embeddings, masks and positions. Shapes: B rows, L positions, D decoder width, N pictures, V views, S
pixels of a view's side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin
from transformers.cache_utils import Cache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.modeling_utils import slice_logits_to_keep
from transformers.utils import can_return_tuple, is_flash_attn_2_available

from aac.io import UserError


def choose_attention(dtype: Any, asked: str | None = None) -> str:
    """`asked`, or flash attention where its package and a GPU are there and the weights are half size, else SDPA.

    Raises UserError where flash attention is asked for and cannot be had.
    """
    flash = is_flash_attn_2_available()  # the package and a GPU
    if asked and asked.startswith("flash") and not flash:
        raise UserError(f"attn_implementation {asked!r}: the flash-attn package or a GPU is missing; leave it out")
    half = dtype in (torch.float16, torch.bfloat16, "float16", "bfloat16")
    return asked or ("flash_attention_2" if flash and half else "sdpa")


def images_per_row(input_ids: Tensor) -> list[int]:
    """Pictures of each row of `input_ids` (B, L): id -k marks the positions of the row's k-th picture.

    Raises UserError unless the tags of every row are 1, 2, ... in order, each in one piece.
    """
    counts = []
    for number, row in enumerate(input_ids.cpu()):
        # A picture's positions touch; text or BOS lies between two pictures, or their tags differ.
        starts = (row < 0) & (row != torch.cat([row.new_zeros(1), row[:-1]]))
        tags = [-tag for tag in row[starts].tolist()]
        if tags != list(range(1, len(tags) + 1)):
            raise UserError(f"input_ids row {number}: image tags must be 1, 2, ... once each, in order; found {tags}")
        counts.append(len(tags))
    return counts


def image_features(vision: Any, pixel_values: Tensor, image_sizes: Tensor) -> list[Tensor]:
    """`pixel_values` (N, V, 3, S, S) and `image_sizes` (N, 2) to one (tokens, D) tensor a picture.

    Filling views are never encoded, nor is a tile that equals its picture's global view.

    Raises:
        UserError: another number of sizes than of pictures.
    """
    sizes = [tuple(size) for size in image_sizes.tolist()]
    if len(sizes) != len(pixel_values):
        raise UserError(f"{len(pixel_values)} pictures in pixel_values, but {len(sizes)} rows in image_sizes")
    used = [vision.used_views(views, size) for views, size in zip(pixel_values, sizes, strict=True)]
    features = vision.encode(torch.cat(used)).split([len(views) for views in used])
    return vision.project(features, sizes)


def embed(core: Any, input_ids: Tensor, features: Sequence[Tensor] = ()) -> Tensor:
    """`input_ids` (B, L), negative where pictures stand, and the pictures' features in row order to (B, L, D).

    Raises UserError where tags and features do not match.
    """
    embeds = core.embed_tokens(input_ids.clamp(min=0))
    counts = images_per_row(input_ids)
    if sum(counts) != len(features):
        raise UserError(f"input_ids name {sum(counts)} pictures ({counts} by row), but {len(features)} were given")
    if not features:
        return embeds
    owners = [(row, tag) for row, count in enumerate(counts) for tag in range(1, count + 1)]
    for (row, tag), feature in zip(owners, features, strict=True):
        count = int((input_ids[row] == -tag).sum())
        if count != len(feature):
            raise UserError(f"input_ids row {row}: picture {tag} has {count} positions, but {len(feature)} tokens")
    joined = torch.cat(list(features)).to(device=embeds.device, dtype=embeds.dtype)
    return embeds.masked_scatter((input_ids < 0)[..., None], joined)


def decoder_mask(config: Any, embeds: Tensor, mask: Tensor | None, cache: Cache | None) -> Tensor | None:
    """The mask that the decoder's layers take: a ready 4D one as it is (bool: True may be seen; float: added to the
    scores), else a causal one for `mask` (B, cached + L), 1 where a token stands.

    Raises:
        UserError: a ready mask for flash attention, which takes none.
    """
    if mask is None or mask.ndim == 2:
        # Without position ids: transformers would take a row whose positions restart for several packed ones.
        return create_causal_mask(config=config, inputs_embeds=embeds, attention_mask=mask, past_key_values=cache)
    if config._attn_implementation.startswith("flash"):
        raise UserError("flash attention takes no 4D attention mask; load with attn_implementation='sdpa'")
    if config._attn_implementation == "eager" and mask.dtype == torch.bool:
        return torch.zeros_like(mask, dtype=embeds.dtype).masked_fill(~mask, torch.finfo(embeds.dtype).min)
    return mask


class PublishedGenerationMixin(GenerationMixin):
    """The published model's inputs for a `PreTrainedModel` with `model`, a decoder, and `lm_head`."""

    @classmethod
    def from_pretrained(cls, path: Any, *args: Any, **kwargs: Any) -> Any:
        """With the fastest attention that the weights' dtype and this machine allow, unless one is asked for."""
        kwargs["attn_implementation"] = choose_attention(kwargs.get("dtype"), kwargs.get("attn_implementation"))
        return super().from_pretrained(path, *args, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits (B, kept, vocabulary); with `labels` (B, L) the mean cross-entropy of the next token, -100 left out.

        attention_mask: see `decoder_mask`. Restarted positions need a 4D one: they are not read as packing.
        position_ids: (B, L); without them, counted from the 2D mask.
        logits_to_keep: the last so many positions, or their indices.
        kwargs: handed on to the decoder, `after_layer` and `output_hidden_states` among them.

        Raises:
            UserError: ids and embeddings, or neither.
        """
        core = self.model
        if (input_ids is None) == (inputs_embeds is None):
            raise UserError("give either input_ids or inputs_embeds")
        cached = past_key_values.get_seq_length() if past_key_values is not None else 0
        if inputs_embeds is None and cached and pixel_values is None:
            inputs_embeds = core.embed_tokens(input_ids)  # generated ids name no pictures: spare the check
        elif inputs_embeds is None:
            shown = pixel_values is not None
            features = image_features(core.vision, pixel_values, image_sizes) if shown else ()
            inputs_embeds = embed(core, input_ids, features)
        if position_ids is None:
            length = inputs_embeds.shape[1]
            if attention_mask is not None and attention_mask.ndim == 2:
                position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]
            else:
                position_ids = torch.arange(cached, cached + length, device=inputs_embeds.device)[None]
        outputs = core(
            inputs_embeds=inputs_embeds,
            attention_mask=decoder_mask(self.config, inputs_embeds, attention_mask, past_key_values),
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=(self.config.use_cache and not self.training) if use_cache is None else use_cache,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=outputs.past_key_values, hidden_states=outputs.hidden_states
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Cached keys are rotated already: when a row crosses to the long factors, everything is computed again,
        pictures included."""
        cached = past_key_values.get_seq_length() if past_key_values is not None else 0
        if cached:
            mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            before, now = mask[:, :cached].sum(-1), mask.sum(-1)
            original = self.config.original_max_position_embeddings
            if ((before <= original) & (now > original)).any():
                past_key_values, cached = None, 0
                kwargs["next_sequence_length"] = None
        inputs = super().prepare_inputs_for_generation(
            input_ids, past_key_values=past_key_values, attention_mask=attention_mask, **kwargs
        )
        if not cached and pixel_values is not None and inputs.get("inputs_embeds") is None:
            inputs |= {"pixel_values": pixel_values, "image_sizes": image_sizes}
        return inputs

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Beams and several return sequences: pictures are repeated row by row, not one by one."""
        pictures = {key: kwargs.pop(key, None) for key in ("pixel_values", "image_sizes")}
        if expand_size > 1 and pictures["pixel_values"] is not None:
            counts = images_per_row(input_ids)
            order = torch.cat([row.repeat(expand_size) for row in torch.arange(sum(counts)).split(counts)])
            pictures = {key: value[order.to(value.device)] for key, value in pictures.items()}
        input_ids, kwargs = super()._expand_inputs_for_generation(expand_size, is_encoder_decoder, input_ids, **kwargs)
        return input_ids, kwargs | {key: value for key, value in pictures.items() if value is not None}
