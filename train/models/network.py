"""The network: a vision-language backbone with what AAC needs, from batches to losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.models import backbones, checkpoint, limits
from train.models.attention import as_scores, row_mask
from train.models.batch import Batch
from train.models.conditioning import (
    ContextAttention,
    InterpretationStyle,
    Memory,
    PersonaEmbedding,
    nearest_cluster,
    token_scale,
)
from train.models.known_cards import KnownCards
from train.models.loss import Term, loss_terms
from train.models.prompt import PromptEncoder
from train.models.reading import Reading, today


class Inputs(NamedTuple):
    """A batch as the decoder reads it: embeddings (B, L, D); positions and the answers' shift as
    `backbones.Backbone.positions` gives them; `deeper`: what is added to the hidden states after layers 0, 1, ...,
    (B, L, D) each."""

    embeds: Tensor
    positions: Tensor
    shift: Tensor
    deeper: tuple[Tensor, ...] = ()


class Network(nn.Module):
    """Backbone, persona embedding, context attention with clusters, interpretation styles.

    Args:
        backbone: see `train/models/backbones.py`.
        tokenizer: a `tokenizers.Tokenizer`.
        config: a validated config (`train/config/train_config.py`).
        centroids: (K, C) clusters of cards in the tower's pooled features; None: no clusters known.
        reading: what it reads of persona and context; None: what the table of fields declares now.
    """

    def __init__(
        self,
        backbone: nn.Module,
        tokenizer: Any,
        config: dict[str, Any],
        centroids: Tensor | None = None,
        reading: Reading | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        shape = backbone.config
        hidden, depth, pooled = shape.hidden_size, shape.num_hidden_layers, shape.tower.hidden_size
        # Not after the last layer, so that the decoder can work with what was read.
        layers = tuple(sorted({max(0, depth * quarter // 4 - 1) for quarter in (1, 2, 3)}))
        reading = reading or today()
        self.persona = PersonaEmbedding(hidden, config["persona_tokens"], reading)
        scratch = bool(config["backbone"])
        self.context = ContextAttention(
            hidden, config["context_width"], layers, pooled, config["cluster_weight"], reading, scratch
        )
        self.styles = InterpretationStyle(hidden)
        self._no_split_modules = list(backbone._no_split_modules or ())  # what FSDP shards as one
        self.register_buffer("centroids", torch.zeros(0, pooled) if centroids is None else centroids)
        self.encoder = PromptEncoder(tokenizer, backbone.chat, config["persona_tokens"], config["voice"], reading)
        self.processor = shape.image_processor(config["num_crops"])
        self.longest = limits.longest_lines(self.encoder)  # of the rows it was trained on, in tokens
        self.cards: KnownCards | None = None  # of the data it is trained on

    # ------------------------------------------------------------------ embeddings

    @property
    def device(self) -> torch.device:
        return self.centroids.device

    def conditioning_parameters(self) -> list[nn.Parameter]:
        """Parameters that learn at `head_learning_rate`."""
        return [p for part in (self.persona, self.context, self.styles) for p in part.parameters() if p.requires_grad]

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Parameters that learn at `learning_rate`: LoRA, the projector, or the whole backbone."""
        return [p for p in self.backbone.parameters() if p.requires_grad]

    def image_clusters(self, features: Sequence[Tensor]) -> Tensor:
        """Pictures as `encode_cards` gives them to their clusters (N,)."""
        return nearest_cluster(backbones.pool_cards(self.backbone, features).to(self.device), self.centroids)

    @torch.inference_mode()
    def encode_images(self, images: Sequence[Any]) -> tuple[list[Tensor], list[tuple[int, int]]]:
        """PIL images to what `embed` takes of each, (V, P, C) or views (V, 3, S, S), and their sizes (height, width).

        Raises:
            UserError: an image that the processor cannot lay out.
        """
        pixels, found = self.processor.images(images)
        image_sizes = [(int(height), int(width)) for height, width in found.tolist()]
        views = [view.to(self.device) for view in pixels]
        return backbones.encode_cards(self.backbone, views, image_sizes), image_sizes

    def embed(self, batch: Batch, features: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]) -> Inputs:
        """Input embeddings (B, L, D): tokens, the batch's distinct images (each projected once), persona, styles.

        Args:
            batch: `input_ids` (B, L) is -k where the row's k-th image stands, as many positions as it has tokens.
            features: of each of `batch.images` what is cached of it (`backbones.encode_cards`), by its dimensions: 4
                the views (V, 3, S, S), 3 the tower's features (V, P, C), 2 finished embeddings (tokens, D).
            image_sizes: (height, width) of each.
        """
        core = self.backbone.model
        projected = backbones.embed_cards(self.backbone, features, image_sizes)
        embeds, deeper = core.embed_tokens(batch.input_ids.clamp(min=0)), ()
        cards = [[card for card in row if card >= 0] for row in batch.cards.tolist()]
        if projected:
            # One selection of all indices: taken card by card, the backward pass would add them up one by one.
            indices = torch.arange(sum(map(len, projected)), device=self.device).split([len(p) for p in projected])
            shown = torch.cat([indices[card] for row in cards for card in row])
            pictures = torch.cat(projected).index_select(0, shown).to(embeds.dtype).split(embeds.shape[-1], dim=-1)
            here = (batch.input_ids < 0)[..., None]
            deeper = tuple(torch.zeros_like(embeds).masked_scatter(here, deep) for deep in pictures[1:])
            embeds = embeds.masked_scatter(here, pictures[0])
        start, slots = len(self.encoder.opening), self.config["persona_tokens"]
        soft = self.persona(batch.conditions, core.embed_tokens).to(embeds.dtype)
        embeds = torch.cat([embeds[:, :start], soft, embeds[:, start + slots :]], dim=1)
        if len(batch.style_indices):
            opening = self.styles.opening(batch.style_inputs, token_scale(core.embed_tokens)).to(embeds.dtype)
            embeds = embeds.index_put((batch.style_indices[:, 0], batch.style_indices[:, 1]), opening)
        row_sizes = [[image_sizes[card] for card in row] for row in cards]
        return Inputs(embeds, *self.backbone.positions(batch.position_ids, batch.input_ids, row_sizes), deeper)

    def hidden_states(self, batch: Batch, inputs: Inputs, done: int = 0, **kwargs: Any) -> Any:
        """The backbone's output for whole rows, each answer blind to its siblings; its `last_hidden_state` is
        (B, L - skip, D). `skip`: see `backbones.Core`. `done`: so many first positions are in `past_key_values`, and
        L are those that follow."""
        embeds, deeper = inputs.embeds[:, done:], [deep[:, done:] for deep in inputs.deeper]
        device = embeds.device.type
        if torch.is_autocast_enabled(device):  # the residual stream too: of a half-size base it is half anyway
            embeds = embeds.to(torch.get_autocast_dtype(device))
        return self.backbone.model(
            inputs_embeds=embeds,
            attention_mask=as_scores(row_mask(batch.segments, done or batch.prefix), embeds.dtype),
            prefix=0 if done else batch.prefix,
            position_ids=inputs.positions[..., done:],
            after_layer=self.after_layer(self.memory(batch).after(done), deeper),
            **kwargs,
        )

    def after_layer(self, memory: Memory, deeper: Sequence[Tensor] = ()) -> Callable[[int, Tensor], Tensor]:
        """What follows a decoder layer: pictures' deeper features (B, P, D) at the first P positions, then what the
        hidden states read from the memory."""

        def change(layer: int, hidden: Tensor) -> Tensor:
            if layer < len(deeper):
                later = hidden.shape[1] - deeper[layer].shape[1]
                hidden = hidden + functional.pad(deeper[layer], (0, 0, 0, later)).to(hidden.dtype)
            return self.context.attend(layer, hidden, memory)

        return change

    def memory(self, batch: Batch) -> Memory:
        """What each row's hidden states may read. Where cards stand last, a cluster is known from its card on."""
        starts = batch.card_starts if self.backbone.chat.cards_last else None
        return self.context.memory(batch.conditions, self.backbone.model.embed_tokens, self.centroids, starts)

    # ------------------------------------------------------------------ loss

    def forward(
        self, batch: Batch, features: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]
    ) -> dict[str, Term]:
        """The terms of the loss of a batch (`loss_terms`), scalars each; arguments as of `embed`."""
        inputs = self.embed(batch, features, image_sizes)
        hidden = self.hidden_states(batch, inputs, skip=batch.prefix, use_cache=False).last_hidden_state
        return loss_terms(self, batch, hidden)

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: everything that was trained (not a frozen pretrained base), and its plan."""
        whole = bool(self.config["backbone"])
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        tensors = self.state_dict()
        keep = {name: value for name, value in tensors.items() if whole or name in trained or name == "centroids"}
        state = {
            "format": checkpoint.FORMAT,
            "config": self.config,
            "base": self.backbone.base,
            "tokenizer": self.encoder.tokenizer.to_str() if whole else "",
            "reading": self.encoder.reading.model_dump(),
            "prompt": self.encoder.rendered(),
            "longest": self.longest,
            "model": {name: value.detach().to("cpu", copy=True) for name, value in keep.items()},
        }
        return state if self.cards is None else {**state, "cards": self.cards.state()}
