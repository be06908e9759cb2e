"""One prefill a request, then its candidates decoded together from the shared cache.

A candidate is known by its number, request x 3 + style. A candidate that has ended leaves the batch. Shapes: B
requests, N candidates being written, P prompt positions, T answer positions, D decoder width.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from train.data.dataset import Batch
from train.models.attention import row_mask
from train.models.conditioning import NO_STYLE, STYLES, Memory

if TYPE_CHECKING:
    from train.models.aac_multimodal_model import AACMultimodalModel

# Taking rows out of the cache copies it, which costs about a step: worth it once this share has ended.
_LEAVE_AT = 0.25


@dataclass
class Decoded:
    """Tokens of one candidate, and at each step how far the best token led and which came second."""

    tokens: list[int] = field(default_factory=list)
    leads: list[float] = field(default_factory=list)
    seconds: list[int] = field(default_factory=list)


@dataclass
class _Live:
    """The candidates being written, row by row."""

    numbers: list[int]
    embeds: Tensor  # (N, P, D) the prompts
    positions: Tensor  # (N, P)
    visible: Tensor  # (N, P) bool, not padding
    memory: Memory
    cache: Any
    said: Tensor  # (N, T, D) answer inputs read so far

    @property
    def lengths(self) -> Tensor:
        return self.visible.sum(1)

    def keep(self, rows: list[int]) -> None:
        """Let all other rows go."""
        index = torch.tensor(rows, device=self.embeds.device)
        self.numbers = [self.numbers[row] for row in rows]
        self.embeds, self.positions, self.visible = self.embeds[index], self.positions[index], self.visible[index]
        self.memory, self.said = self.memory.rows(index), self.said[index]
        self.cache.batch_select_indices(index)


class Prefilled:
    """Requests whose prompts have been read once."""

    def __init__(
        self, model: AACMultimodalModel, batch: Batch, features: Sequence[Tensor], sizes: Sequence[Any]
    ) -> None:
        self.model, self.batch = model, batch
        self.core = model.backbone.model
        self.embeds = model.embed(batch, features, sizes)
        self.memory = model.memory(batch)
        self.cache = model.hidden_states(batch, self.embeds, use_cache=True).past_key_values
        self.scale = self.core.embed_tokens.weight.detach().float().std()

    def decode(
        self, prefixes: Mapping[int, Sequence[int]], temperature: float = 0.0, seed: int = 0
    ) -> dict[int, Decoded]:
        """Candidates, each opened by its style and forced along its prefix: by number, as they were asked for.

        Greedy, or with a temperature sampled, each candidate from numbers of its own (`seed`, style), so that
        neighbours change nothing. Ends when all have ended, or at `max_new_tokens`.
        """
        limit, stops = self.model.config["max_new_tokens"], self.model.encoder.stops
        live, said = self._start(prefixes), {number: Decoded() for number in prefixes}
        draws = {number: random.Random(f"{seed}|{number % STYLES}") for number in prefixes}
        styles = torch.tensor([number % STYLES for number in live.numbers], device=self.embeds.device)
        inputs = self.model.styles.opening(styles, self.scale).to(self.embeds.dtype)[:, None]
        for step in range(limit):
            logits = self.model.backbone.lm_head(self._step(live, inputs)).float()
            top, best = functional.softmax(logits, dim=-1).topk(2)
            chosen = best[:, 0].tolist() if not temperature else self._sampled(logits / temperature, live, draws)
            for row, number in enumerate(live.numbers):
                candidate, prefix = said[number], prefixes[number]
                if candidate.tokens and candidate.tokens[-1] in stops:
                    continue
                forced = step < len(prefix)
                chosen[row] = prefix[step] if forced else chosen[row]
                candidate.tokens.append(chosen[row])
                candidate.leads.append(1.0 if forced else float(top[row, 0] - top[row, 1]))
                candidate.seconds.append(int(best[row, 1]))
            going = [row for row, number in enumerate(live.numbers) if said[number].tokens[-1] not in stops]
            if not going:
                break
            if len(going) <= (1 - _LEAVE_AT) * len(live.numbers):
                live.keep(going)
                chosen = [chosen[row] for row in going]
            inputs = self.core.embed_tokens(torch.tensor(chosen, device=self.embeds.device))[:, None]
        return said

    def style_confidence(self, texts: Sequence[str]) -> Tensor:
        """How sure the classifier is of each style, (3B, 3), read from every candidate's text with no style told."""
        encoder, device = self.model.encoder, self.embeds.device
        ids = [encoder.answer(text)[:-1] for text in texts]
        width = max(1, *(len(i) for i in ids))
        table = torch.zeros(len(ids), width, dtype=torch.long)
        mask = torch.zeros(len(ids), width, dtype=torch.bool)
        for row, tokens in enumerate(ids):
            table[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long), True
        opening = self.model.styles.opening(torch.full((len(ids),), NO_STYLE, device=device), self.scale)
        words = self.core.embed_tokens(table.to(device))
        live = self._start(range(len(ids)))
        causal = torch.ones(width + 1, width + 1, dtype=torch.bool, device=device).tril()
        seen = live.visible[:, None].expand(-1, width + 1, -1)
        full = torch.cat([seen, causal.expand(len(ids), -1, -1)], dim=2)[:, None]
        hidden = self._read(live, torch.cat([opening.to(words.dtype)[:, None], words], dim=1), full)
        return functional.softmax(self.model.styles.logits(hidden[:, 1:], mask.to(device)).float(), dim=-1)

    def _start(self, numbers: Iterable[int]) -> _Live:
        """Rows for these candidates, each with its request's prompt and cache."""
        numbers = list(numbers)
        index = torch.tensor([number // STYLES for number in numbers], device=self.embeds.device)
        cache = copy.deepcopy(self.cache)
        cache.batch_select_indices(index)
        embeds, visible = self.embeds[index], self.batch.segments[index] == 0
        return _Live(
            numbers, embeds, self.batch.position_ids[index], visible, self.memory.rows(index), cache, embeds[:, :0]
        )

    def _step(self, live: _Live, inputs: Tensor) -> Tensor:
        """One position further, (N, D), from inputs (N, 1, D)."""
        done = live.said.shape[1]
        if done and (live.lengths + done == self.core.config.original_max_position_embeddings).any():
            live.cache = self._recomputed(live)
        seen = torch.cat([live.visible, live.visible.new_ones(len(inputs), done + 1)], dim=1)
        hidden = self._read(live, inputs, seen[:, None, None])[:, -1]
        live.said = torch.cat([live.said, inputs], dim=1)
        return hidden

    def _read(self, live: _Live, inputs: Tensor, mask: Tensor) -> Tensor:
        """The decoder on answer inputs (N, T, D) that follow what is in the cache."""
        steps = torch.arange(live.said.shape[1], live.said.shape[1] + inputs.shape[1], device=inputs.device)
        return self.core(
            inputs_embeds=inputs,
            attention_mask=mask,
            position_ids=live.lengths[:, None] + steps,
            past_key_values=live.cache,
            use_cache=True,
            after_layer=lambda layer, hidden: self.model.context.attend(layer, hidden, live.memory),
        ).last_hidden_state

    def _recomputed(self, live: _Live) -> Any:
        """A row crosses to the long rotary factors: cached keys are rotated already, so all are made again."""
        steps = torch.arange(live.said.shape[1], device=live.said.device)
        answers = live.visible.new_ones(live.said.shape[:2]).long()
        return self.core(
            inputs_embeds=torch.cat([live.embeds, live.said], dim=1),
            attention_mask=row_mask(torch.cat([live.visible.long() - 1, answers], dim=1)),
            position_ids=torch.cat([live.positions, live.lengths[:, None] + steps], dim=1),
            use_cache=True,
            after_layer=lambda layer, hidden: self.model.context.attend(layer, hidden, live.memory),
        ).past_key_values

    @staticmethod
    def _sampled(logits: Tensor, live: _Live, draws: Mapping[int, random.Random]) -> list[int]:
        """One token a row: where the running sum of its chances passes a number of its own between 0 and 1."""
        sums = functional.softmax(logits, dim=-1).cumsum(-1)
        marks = torch.tensor([[draws[number].random()] for number in live.numbers], device=sums.device)
        return (sums < marks * sums[:, -1:]).sum(-1).clamp(max=sums.shape[-1] - 1).tolist()
