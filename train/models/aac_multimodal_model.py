"""AACMultimodalModel: a vision-language backbone with what AAC needs. The one class that others import."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dataset.prepare.records import UserError
from train.config.train_config import RUNTIME_KEYS, TRAIN_CONFIG, validate
from train.data.dataset import IGNORE, Batch
from train.models import backbones
from train.models.attention import row_mask
from train.models.conditioning import (
    ContextAttention,
    InterpretationStyle,
    Memory,
    PersonaEmbedding,
    nearest_cluster,
    token_scale,
)
from train.models.prompt import PromptEncoder
from train.utils import ablations, checkpoint

log = logging.getLogger("aac")


class AACMultimodalModel(nn.Module):
    """Backbone, persona embedding, context attention with clusters, interpretation styles.

    Args:
        backbone: see `train/models/backbones.py`.
        tokenizer: a `tokenizers.Tokenizer`.
        config: a validated config (`train/config/train_config.py`).
        centroids: (K, C) clusters of cards in the tower's pooled features; None: no clusters known.
    """

    def __init__(
        self, backbone: nn.Module, tokenizer: Any, config: dict[str, Any], centroids: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        shape = backbone.config
        hidden, depth, pooled = shape.hidden_size, shape.num_hidden_layers, shape.tower.hidden_size
        # Not after the last layer, so that the decoder can work with what was read.
        places = tuple(sorted({max(0, depth * quarter // 4 - 1) for quarter in (1, 2, 3)}))
        self.persona = PersonaEmbedding(hidden, config["persona_tokens"])
        scratch = bool(config["backbone"])
        self.context = ContextAttention(
            hidden, config["context_width"], places, pooled, config["cluster_weight"], open_gates=scratch
        )
        self.styles = InterpretationStyle(hidden)
        self.register_buffer("centroids", torch.zeros(0, pooled) if centroids is None else centroids)
        self.encoder = PromptEncoder(tokenizer, config["persona_tokens"], config["voice"])
        self.processor = backbones.processor(shape, config)
        ablations.leave_out(self, config["parts_off"])

    # ------------------------------------------------------------------ embeddings

    @property
    def device(self) -> torch.device:
        return self.centroids.device

    def head_parameters(self) -> list[nn.Parameter]:
        """Parameters that learn at `head_learning_rate`."""
        return [p for part in (self.persona, self.context, self.styles) for p in part.parameters() if p.requires_grad]

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Parameters that learn at `learning_rate`: LoRA, the projector, or the whole backbone."""
        return [p for p in self.backbone.parameters() if p.requires_grad]

    def picture_clusters(self, features: Sequence[Tensor]) -> Tensor:
        """Pictures as `encode_cards` gives them to their clusters (N,)."""
        return nearest_cluster(backbones.pool_cards(self.backbone, features).to(self.device), self.centroids)

    def embed(self, batch: Batch, features: Sequence[Tensor], sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Input embeddings (B, L, D): tokens, the batch's distinct pictures (each projected once), persona, styles."""
        core = self.backbone.model
        projected = backbones.embed_cards(self.backbone, features, sizes)
        embeds = core.embed_tokens(batch.input_ids.clamp(min=0))
        if projected:
            # One selection of all places: taken card by card, the backward pass would add them up one by one.
            places = torch.arange(sum(map(len, projected)), device=self.device).split([len(p) for p in projected])
            shown = torch.cat([places[card] for row in batch.cards.tolist() for card in row if card >= 0])
            pictures = torch.cat(projected).index_select(0, shown).to(embeds.dtype)
            embeds = embeds.masked_scatter((batch.input_ids < 0)[..., None], pictures)
        slots = self.config["persona_tokens"]
        soft = self.persona(batch.conditions, core.embed_tokens).to(embeds.dtype)
        embeds = torch.cat([embeds[:, :1], soft, embeds[:, 1 + slots :]], dim=1)
        if len(batch.style_places):
            opening = self.styles.opening(batch.style_inputs, token_scale(core.embed_tokens)).to(embeds.dtype)
            embeds = embeds.index_put((batch.style_places[:, 0], batch.style_places[:, 1]), opening)
        return embeds

    def hidden_states(self, batch: Batch, embeds: Tensor, **kwargs: Any) -> Any:
        """The backbone's output for whole rows, each answer blind to its siblings. `skip`: see `backbones.Core`."""
        memory = self.memory(batch)
        device = embeds.device.type
        if torch.is_autocast_enabled(device):  # the residual stream too: of a half-size base it is half anyway
            embeds = embeds.to(torch.get_autocast_dtype(device))
        return self.backbone.model(
            inputs_embeds=embeds,
            attention_mask=row_mask(batch.segments, batch.prefix),
            prefix=batch.prefix,
            position_ids=batch.position_ids,
            after_layer=lambda layer, hidden: self.context.attend(layer, hidden, memory),
            **kwargs,
        )

    def memory(self, batch: Batch) -> Memory:
        return self.context.memory(batch.conditions, self.backbone.model.embed_tokens, self.centroids)

    # ------------------------------------------------------------------ loss

    def forward(self, batch: Batch, features: Sequence[Tensor], sizes: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        """Summed losses and their counts, so that an accumulation window can be normalised as one batch.

        Returns `language` (summed cross-entropy of answer tokens), `tokens`, `style` (summed), `style_answers`,
        `style_correct`. Logits exist only where there is a label.
        """
        embeds, skip = self.embed(batch, features, sizes), batch.prefix
        hidden = self.hidden_states(batch, embeds, skip=skip, use_cache=False).last_hidden_state
        targets = batch.targets[:, skip:].flatten()
        labelled = (targets != IGNORE).nonzero()[:, 0]
        logits = self.backbone.lm_head(hidden.flatten(0, 1).index_select(0, labelled)).float()
        language = functional.cross_entropy(logits, targets[labelled], reduction="sum")
        # Without an answer to learn from, sums of nothing: every process has the same gradients to share.
        learn = batch.style_labels != IGNORE
        rows, places = batch.style_places[learn, :1], batch.answer_places[learn]
        scores = self.styles.logits(hidden[rows, (places - skip).clamp(min=0)], places >= 0)
        style = functional.cross_entropy(scores, batch.style_labels[learn], reduction="sum")
        correct = (scores.argmax(-1) == batch.style_labels[learn]).sum()
        return {
            "language": language,
            "tokens": targets.new_tensor(len(labelled)),
            "style": style,
            "style_answers": learn.sum(),
            "style_correct": correct,
        }

    # ------------------------------------------------------------------ requests

    def generate_interpretation(
        self,
        images: Sequence[Any],
        persona_info: dict[str, Any] | None = None,
        context_info: dict[str, Any] | str | None = None,
        keywords: Sequence[str] | None = None,
        return_details: bool = False,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[Any]:
        """Three distinct Korean sentences for 1 to 4 cards.

        Args:
            images: PIL pictures.
            persona_info: any of the persona's fields; missing ones are unknown.
            context_info: a sentence, any of the four fields, or None.
            keywords: the cards' words in the order of the images, where the app knows them.
            return_details: dicts (`text`, `style`, `confidence`, `passed`, `source`, `reasons`) instead of strings.
            temperature: 0 is greedy, the likeliest words; above, words are drawn: other candidates for another `seed`.

        Raises:
            UserError: no or too many images, not as many keywords, a temperature below 0.
        """
        request = {"images": images, "persona_info": persona_info, "context_info": context_info, "keywords": keywords}
        return self.generate_interpretations([request], return_details, temperature, seed)[0]

    def generate_interpretations(
        self,
        requests: Sequence[dict[str, Any]],
        return_details: bool = False,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[Any]]:
        """`generate_interpretation` for many requests, decoded together; each a dict of its arguments."""
        from train.models.generation import interpret_requests

        details = interpret_requests(self, requests, temperature, seed)
        return details if return_details else [[candidate["text"] for candidate in three] for three in details]

    # ------------------------------------------------------------------ files

    @classmethod
    def build(
        cls,
        config: dict[str, Any],
        tokenizer: Any | None = None,
        centroids: Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> AACMultimodalModel:
        """A fresh model: pretrained backbone with LoRA, or, where `config['backbone']` describes one, from scratch.

        `dtype`: of a pretrained base; None: as device and precision of the config want.
        """
        backbone, tokenizer = backbones.build(config, tokenizer, dtype)
        return cls(backbone, tokenizer, config, centroids)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: everything that was trained (not a frozen pretrained base), and its plan."""
        whole = bool(self.config["backbone"])
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        tensors = self.state_dict()
        keep = {name: value for name, value in tensors.items() if whole or name in trained or name == "centroids"}
        return {
            "format": checkpoint.FORMAT,
            "config": self.config,
            "base": backbones.identity(self.config, self.backbone),
            "tokenizer": self.encoder.tokenizer.to_str() if whole else "",
            "model": {name: value.detach().to("cpu", copy=True) for name, value in keep.items()},
        }

    def save_model(self, path: str | Path, **extra: Any) -> None:
        """Write a checkpoint that `load_model` reads (atomic; tensors and plain data only)."""
        checkpoint.save(path, {**self.state(), **extra})

    @classmethod
    def load_model(cls, path: str | Path, config: dict[str, Any] | None = None) -> AACMultimodalModel:
        """A trained model, ready to interpret.

        The checkpoint knows its own architecture; `config` gives run-time settings (device, precision, paths), and a
        disagreement elsewhere is said in the log. A GPU that is asked for but absent means the CPU, with one warning.

        Raises:
            UserError: no such file, a damaged one, or one over another base model.
        """
        return cls.from_state(checkpoint.load(path), config, where=str(path))

    @classmethod
    def from_state(
        cls, state: dict[str, Any], config: dict[str, Any] | None, where: str, dtype: torch.dtype | None = None
    ) -> AACMultimodalModel:
        """`load_model` from a checkpoint already read."""
        from tokenizers import Tokenizer

        asked = validate(config or {}, "config")
        own = validate(state["config"], where)
        differing = [k for k, v in asked.items() if k not in RUNTIME_KEYS and v != own[k] and v != TRAIN_CONFIG[k]]
        if differing:
            log.warning("%s: the checkpoint's own settings are used for %s", where, ", ".join(differing))
        settings = {**own, **{key: asked[key] for key in RUNTIME_KEYS}}
        device = settings["device"]
        if device.startswith("cuda") and not torch.cuda.is_available():
            log.warning("config asks for %s, but this machine has no CUDA device: interpreting on the CPU", device)
            device = "cpu"
        settings["device"] = device
        tokenizer = Tokenizer.from_str(state["tokenizer"]) if state["tokenizer"] else None
        model = cls.build(settings, tokenizer, state["model"]["centroids"], dtype)
        backbones.check_identity(state["base"], backbones.identity(settings, model.backbone), where)
        own = model.state_dict()
        reshaped = [name for name, value in state["model"].items() if name in own and value.shape != own[name].shape]
        if reshaped:
            raise UserError(f"{where}: tensors of another shape ({', '.join(reshaped[:3])}); retrain or upgrade")
        missing, unexpected = model.load_state_dict(state["model"], strict=False)
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        lost = [name for name in missing if settings["backbone"] or name in trained]
        if lost or unexpected:
            raise UserError(
                f"{where}: tensors do not fit ({len(lost)} missing, {len(unexpected)} unknown); retrain or upgrade"
            )
        return model.to(device).eval()
