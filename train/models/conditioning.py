"""What AAC adds to the backbone: persona embedding, context attention with clusters, interpretation styles.

Shapes: B rows, T text tokens, M memory entries, D decoder width, W inner width, C width of a pooled view, K clusters, F
vocabularies of the persona.
Free text is read from its tokens, never looked up by id, so that unseen personas and partners work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.models.attention import attend
from train.models.reading import Reading
from train.models.tensors import Tensors

STYLES = 3
NO_STYLE = STYLES
_POSITIONS = 8  # counted from the end of a field: Korean puts the head of a phrase last


@dataclass
class Conditions(Tensors):
    """What a batch knows beside its prompts. Padding: text ids -1, clusters -1."""

    categories: Tensor  # (B, F) indices into `Reading.vocabularies`
    persona_text: Tensor  # (B, T) token ids of `Reading.prose`
    context_text: Tensor  # (B, T) token ids of the context's fields, one after another
    context_field: Tensor  # (B, T) index into `Reading.memory`
    context_position: Tensor  # (B, T) tokens left in the field after this one
    card_clusters: Tensor  # (B, 4)
    preferred_clusters: Tensor  # (B, 8)


class Memory(NamedTuple):
    """What the context attention reads. `keys_values`: of each layer, made once, two of (B, heads, M, W / heads);
    `exists`: which entries there are (B, M); `starts`: the position from which each may be read (B, M), None: any."""

    keys_values: dict[int, tuple[Tensor, Tensor]]
    exists: Tensor
    starts: Tensor | None = None

    def rows(self, index: Tensor) -> Memory:
        """The memory of these rows (N,), in this order, a row as often as it is named."""
        chosen = {layer: (key[index], value[index]) for layer, (key, value) in self.keys_values.items()}
        return Memory(chosen, self.exists[index], None if self.starts is None else self.starts[index])

    def after(self, positions: int | None = None) -> Memory:
        """For hidden states that begin after so many positions; None: after the prompt, where all may be read."""
        later = None if self.starts is None or positions is None else self.starts - positions
        return self._replace(starts=later)

    def seen(self, length: int) -> Tensor:
        """Which entries each of `length` positions may read: (B, 1, length or 1, M)."""
        exists = self.exists[:, None, None]
        if self.starts is None:
            return exists
        places = torch.arange(length, device=exists.device)
        return exists & (places[:, None] >= self.starts[:, None, None])


def token_scale(embedding: nn.Embedding) -> Tensor:
    """How loud a token is, a scalar: what stands among tokens is brought to this size. No gradient."""
    return embedding.weight.detach().float().std()


def _linear(layer: nn.Linear, values: Tensor) -> Tensor:
    """`values` in the precision of the layer: a model may be cast as a whole."""
    return layer(values.to(layer.weight.dtype))


def _mean_text(embedding: nn.Embedding, ids: Tensor) -> Tensor:
    """(B, T) ids to (B, D) mean token embeddings, not trained from here; no text gives zeros."""
    mask = (ids >= 0)[..., None]
    vectors = embedding(ids.clamp(min=0)).detach().float() * mask
    return vectors.sum(1) / mask.sum(1).clamp(min=1)


class PersonaEmbedding(nn.Module):
    """A persona to a few soft tokens at the scale of the token embeddings: fresh ones disturb little, and gradients
    reach them from the first step."""

    def __init__(self, hidden: int, tokens: int, reading: Reading, width: int = 256) -> None:
        super().__init__()
        self.tokens = tokens
        self.fields = nn.ModuleList(nn.Embedding(len(words), width) for words in reading.vocabularies.values())
        self.text = nn.Linear(hidden, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, hidden * tokens)
        )

    def fields_of(self, categories: Tensor) -> Tensor:
        """(B, F) to (B, F, W): each field's own vector."""
        return torch.stack([table(categories[:, i]) for i, table in enumerate(self.fields)], dim=1)

    def forward(self, conditions: Conditions, embedding: nn.Embedding) -> Tensor:
        """Soft tokens (B, tokens, D)."""
        text = _mean_text(embedding, conditions.persona_text)
        scale = token_scale(embedding)
        summed = self.fields_of(conditions.categories).sum(1) + _linear(self.text, text / scale)
        soft = self.mlp(summed).unflatten(-1, (self.tokens, -1))
        return functional.normalize(soft, dim=-1) * (soft.shape[-1] ** 0.5) * scale


class ContextAttention(nn.Module):
    """Gated cross-attention from the decoder's hidden states to a small memory.

    The memory holds the context's tokens, the persona's fields and text, the clusters of the chosen cards and of the
    person's preference (scaled by `cluster_weight`). Over pretrained weights gates start at zero: a fresh module
    changes no logit (as in Flamingo, Alayrac et al. 2022). Over a decoder that starts anew with it they start open:
    shut, they would hold the memory back until the decoder has learned to do without.
    """

    def __init__(
        self,
        hidden: int,
        width: int,
        layers: tuple[int, ...],
        pooled: int,
        cluster_weight: float,
        reading: Reading,
        open_gates: bool = False,
    ) -> None:
        super().__init__()
        width = min(width, 512, hidden)
        self.layers = layers
        self.heads = max(1, width // 64)
        self.cluster_weight = cluster_weight
        self.token = nn.Linear(hidden, width)
        self.field = nn.Embedding(len(reading.memory), width)
        self.position = nn.Embedding(_POSITIONS, width)
        self.persona = nn.ModuleList(nn.Embedding(len(words), width) for words in reading.vocabularies.values())
        self.persona_text = nn.Linear(hidden, width)
        self.cluster = nn.Linear(pooled, width)
        self.cluster_kind = nn.Embedding(2, width)
        self.nothing = nn.Parameter(torch.randn(1, 1, width))  # an entry that is always there
        self.norm = nn.LayerNorm(width)
        gate = 1.0 if open_gates else 0.0
        self.blocks = nn.ModuleDict({str(i): _CrossAttention(hidden, width, self.heads, gate) for i in layers})

    def memory(
        self, c: Conditions, embedding: nn.Embedding, centroids: Tensor, card_starts: Tensor | None = None
    ) -> Memory:
        """All that a batch's hidden states may read; `card_starts` (B, 4): from where on a card's cluster is known."""
        scale = token_scale(embedding)
        tokens = _linear(self.token, embedding(c.context_text.clamp(min=0)).detach().float() / scale)
        tokens = tokens + self.field(c.context_field) + self.position(c.context_position.clamp(max=_POSITIONS - 1))
        persona = torch.stack([table(c.categories[:, i]) for i, table in enumerate(self.persona)], dim=1)
        prose = _linear(self.persona_text, _mean_text(embedding, c.persona_text) / scale)[:, None]
        entries = [self.nothing.expand(len(tokens), -1, -1), tokens, persona, prose]
        exists = [tokens.new_ones(len(tokens), 1, dtype=torch.bool), c.context_text >= 0, c.categories > 0]
        exists.append((c.persona_text >= 0).any(1, keepdim=True))
        weights = [1.0, 1.0, 1.0, 1.0]
        if len(centroids):
            for kind, clusters in enumerate((c.card_clusters, c.preferred_clusters)):
                own = centroids[clusters.clamp(0, len(centroids) - 1)]
                vectors = _linear(self.cluster, own) + self.cluster_kind.weight[kind]
                entries.append(vectors)
                exists.append((clusters >= 0) & (clusters < len(centroids)))
                weights.append(self.cluster_weight)
        normed = [self.norm(entry) * weight for entry, weight in zip(entries, weights, strict=True)]
        entries = torch.cat(normed, dim=1)
        exists, starts = torch.cat(exists, dim=1), None
        if card_starts is not None and len(centroids):
            behind = c.preferred_clusters.shape[1]
            starts = functional.pad(card_starts, (exists.shape[1] - card_starts.shape[1] - behind, behind))
        return Memory({i: self.blocks[str(i)].read_keys(entries) for i in self.layers}, exists, starts)

    def attend(self, layer: int, hidden: Tensor, memory: Memory) -> Tensor:
        """Hidden states (B, L, D) after decoder layer `layer`, with what they read from the memory."""
        if layer not in self.layers:
            return hidden
        seen = memory.seen(hidden.shape[1])
        return hidden + self.blocks[str(layer)](hidden, *memory.keys_values[layer], seen).to(hidden.dtype)


class _CrossAttention(nn.Module):
    def __init__(self, hidden: int, width: int, heads: int, gate: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(hidden)
        self.query = nn.Linear(hidden, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, hidden, bias=False)
        self.gate = nn.Parameter(torch.full((1,), gate))  # not a scalar: FSDP shards none

    def read_keys(self, entries: Tensor) -> tuple[Tensor, Tensor]:
        """Entries (B, M, W) to their keys and values, each (B, heads, M, W / heads)."""
        key, value = self.key_value(entries).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(self, hidden: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
        query = self._split(self.query(self.norm(hidden.to(self.norm.weight.dtype))))
        read = attend(query, key, value, seen)
        return torch.tanh(self.gate) * self.out(read.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class InterpretationStyle(nn.Module):
    """A learned vector opens each answer (index `NO_STYLE`: none told); a classifier reads the style from its text."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(STYLES + 1, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.classifier = nn.Linear(hidden, STYLES)

    def opening(self, styles: Tensor, scale: Tensor) -> Tensor:
        """Style indices (N,) to the answers' first input vectors (N, D), at the token embeddings' scale."""
        return self.embedding(styles) * scale

    def logits(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Mean hidden state of each answer's text: (N, A, D) with mask (N, A) to (N, 3)."""
        weights = mask[..., None].to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.classifier(self.norm(pooled.to(self.norm.weight.dtype)))


def nearest_cluster(pooled: Tensor, centroids: Tensor) -> Tensor:
    """Pooled pictures (N, C) to the index of the nearest centroid (K, C) by cosine; without centroids -1."""
    if not len(centroids):
        return torch.full((len(pooled),), -1, dtype=torch.long, device=pooled.device)
    alike = functional.normalize(pooled.float(), dim=-1) @ functional.normalize(centroids.float(), dim=-1).T
    return alike.argmax(-1)
