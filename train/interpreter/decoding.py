"""One prefill a request, then its candidates decoded together from the shared cache.

A candidate is known by its number, request x 3 + style. A candidate that has ended leaves the batch. Shapes: B
requests, N candidates being written, P prompt positions, T answer positions, D decoder width.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from train.models.attention import row_mask
from train.models.batch import Batch
from train.models.conditioning import NO_STYLE, STYLES, Memory, token_scale

if TYPE_CHECKING:
    from train.models.network import Network

# Taking rows out of the cache copies it, which costs about a step: worth it once this share has ended.
_LEAVE_AT = 0.25
# Multiply-adds of a layer's products above which several threads gain more than their meetings cost.
_WORTH_THREADS = 5e7


@dataclass
class Decoded:
    """Tokens of one candidate, at each step how far the best token led and which came second, and whether it came to
    an end before the longest length."""

    tokens: list[int] = field(default_factory=list)
    leads: list[float] = field(default_factory=list)
    seconds: list[int] = field(default_factory=list)
    finished: bool = False


@contextmanager
def _threads(config: Any, positions: Tensor) -> Iterator[None]:
    """One thread where the products of so many positions are too small to be shared: threads that meet every few
    microseconds gain nothing on a quiet machine, and lose forty times as much on a busy one."""
    before = torch.get_num_threads()
    work = positions.numel() * config.hidden_size * (4 * config.hidden_size + 3 * config.intermediate_size)
    if positions.device.type == "cpu" and work < _WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class AnswerCache:
    """Keys and values of N rows: those of their prompts, then room for answers, filled in place.

    What the decoder asks of a cache, without a copy of everything at each step. `rows`: the request of each row.
    """

    def __init__(self, prompts: Any, rows: Tensor, room: int) -> None:
        self.length = prompts.get_seq_length()
        space = (0, 0, 0, room)
        self.layers = [
            tuple(functional.pad(part[rows], space) for part in (layer.keys, layer.values)) for layer in prompts.layers
        ]

    def get_seq_length(self) -> int:
        return self.length

    def update(self, key: Tensor, value: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        """New positions (N, H, T, d) of a layer; all of them so far, (N, H, P + T, d)."""
        stop = self.length + key.shape[2]
        keys, values = self.layers[layer]
        keys[:, :, self.length : stop], values[:, :, self.length : stop] = key, value
        if layer == len(self.layers) - 1:
            self.length = stop
        return keys[:, :, :stop], values[:, :, :stop]

    def keep(self, index: Tensor) -> None:
        self.layers = [(keys[index], values[index]) for keys, values in self.layers]


@dataclass
class _Live:
    """The candidates being written, row by row."""

    numbers: list[int]
    index: Tensor  # (N,) each row's request
    lengths: list[int]  # where their answers start
    starts: Tensor  # (N, 1) the same
    seen: Tensor  # (N, 1, 1, P + room) bool: what is padding is not
    memory: Memory
    cache: AnswerCache
    said: list[Tensor] = field(default_factory=list)  # (N, 1, D) each: answer inputs read so far

    def keep(self, rows: list[int]) -> None:
        """Let all other rows go."""
        index = torch.tensor(rows, device=self.starts.device)
        self.numbers, self.lengths = [self.numbers[row] for row in rows], [self.lengths[row] for row in rows]
        self.index, self.starts, self.seen = self.index[index], self.starts[index], self.seen[index]
        self.memory, self.said = self.memory.rows(index), [inputs[index] for inputs in self.said]
        self.cache.keep(index)


class Prefilled:
    """Requests whose prompts have been read once."""

    def __init__(self, model: Network, batch: Batch, features: Sequence[Tensor], image_sizes: Sequence[Any]) -> None:
        self.model, self.batch = model, batch
        self.core = model.backbone.model
        skip = batch.input_ids.shape[1]  # of the prompts nobody reads more than keys and values
        with _threads(self.core.config, batch.input_ids):
            self.inputs = model.embed(batch, features, image_sizes)
            self.memory = model.memory(batch)
            self.cache = model.hidden_states(batch, self.inputs, skip=skip, use_cache=True).past_key_values
        self.scale = token_scale(self.core.embed_tokens)
        self.switch = self.core.config.original_max_position_embeddings  # a row with more positions: long factors

    def decode(
        self, prefixes: Mapping[int, Sequence[int]], temperature: float = 0.0, seed: int = 0
    ) -> dict[int, Decoded]:
        """Candidates, each opened by its style and forced along its prefix: by number, as they were asked for.

        Greedy, or with a temperature sampled, each candidate from numbers of its own (`seed`, style), so that
        neighbours change nothing. Ends when all have ended, or at `max_new_tokens`.
        """
        limit, stops = self.model.config["max_new_tokens"], self.model.encoder.stops
        live, said = self._start(prefixes, limit), {number: Decoded() for number in prefixes}
        draws = {number: random.Random(f"{seed}|{number % STYLES}") for number in prefixes}
        styles = torch.tensor([number % STYLES for number in live.numbers], device=self.inputs.embeds.device)
        inputs = self.model.styles.opening(styles, self.scale).to(self.inputs.embeds.dtype)[:, None]
        with _threads(self.core.config, styles):
            for step in range(limit):
                logits = self.model.backbone.lm_head(self._step(live, inputs)).float()
                top, best = functional.softmax(logits, dim=-1).topk(2)
                firsts = best[:, 0].tolist() if not temperature else self._sampled(logits / temperature, live, draws)
                going, chosen = [], []
                lines = zip(live.numbers, firsts, (top[:, 0] - top[:, 1]).tolist(), best[:, 1].tolist(), strict=True)
                for row, (number, token, lead, second) in enumerate(lines):
                    candidate, prefix = said[number], prefixes[number]
                    if candidate.finished:
                        chosen.append(token)
                        continue
                    forced = step < len(prefix)
                    chosen.append(prefix[step] if forced else token)
                    candidate.tokens.append(chosen[row])
                    candidate.leads.append(1.0 if forced else lead)
                    candidate.seconds.append(second)
                    candidate.finished = chosen[row] in stops
                    if not candidate.finished:
                        going.append(row)
                if not going:
                    break
                if len(going) <= (1 - _LEAVE_AT) * len(live.numbers):
                    live.keep(going)
                    chosen = [chosen[row] for row in going]
                inputs = self.core.embed_tokens(torch.tensor(chosen, device=self.inputs.embeds.device))[:, None]
        return said

    def style_confidence(self, texts: Sequence[str]) -> Tensor:
        """How sure the classifier is of each style, (3B, 3), read from every candidate's text with no style told."""
        encoder, device = self.model.encoder, self.inputs.embeds.device
        ids = [encoder.answer(text)[:-1] for text in texts]
        width = max(1, *(len(i) for i in ids))
        table = torch.zeros(len(ids), width, dtype=torch.long)
        mask = torch.zeros(len(ids), width, dtype=torch.bool)
        for row, tokens in enumerate(ids):
            table[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long), True
        mask = mask.to(device)
        opening = self.model.styles.opening(torch.full((len(ids),), NO_STYLE, device=device), self.scale)
        words = self.core.embed_tokens(table.to(device))
        live = self._start(range(len(ids)), width + 1)
        causal = torch.ones(width + 1, live.seen.shape[-1], dtype=torch.bool, device=device)
        inputs = torch.cat([opening.to(words.dtype)[:, None], words], dim=1)
        steps = functional.pad(mask.cumsum(1), (1, 0))  # none beyond a row's own text: its last position decides
        with _threads(self.core.config, table):
            if ((live.starts <= self.switch) & (live.starts + steps[:, -1:] >= self.switch)).any():
                hidden = self._whole(live, inputs, steps).last_hidden_state[:, -width - 1 :]
            else:
                hidden = self._read(live, inputs, live.seen & causal.tril(live.cache.length), steps)
        return functional.softmax(self.model.styles.logits(hidden[:, 1:], mask).float(), dim=-1)

    def _start(self, numbers: Iterable[int], room: int) -> _Live:
        """Rows for these candidates, each with its request's prompt, and room for so many answer positions."""
        numbers = list(numbers)
        index = torch.tensor([number // STYLES for number in numbers], device=self.inputs.embeds.device)
        visible = self.batch.segments[index] == 0
        starts = (visible.sum(1) + self.inputs.shift[index])[:, None]
        seen = functional.pad(visible, (0, room), value=True)[:, None, None]
        cache = AnswerCache(self.cache, index, room)
        return _Live(numbers, index, starts[:, 0].tolist(), starts, seen, self.memory.rows(index), cache)

    def _step(self, live: _Live, inputs: Tensor) -> Tensor:
        """One position further, (N, D), from inputs (N, 1, D)."""
        live.said.append(inputs)
        done = len(live.said)
        if all(length + done != self.switch + 1 for length in live.lengths):
            steps = torch.full_like(live.starts, done - 1)
            return self._read(live, inputs, live.seen[..., : live.cache.length + 1], steps)[:, -1]
        # A row crosses to the long rotary factors: cached keys are rotated already, so all are made again.
        said = torch.cat(live.said, dim=1)
        output = self._whole(live, said, torch.arange(done, device=said.device).expand(len(said), -1))
        cache, rows = output.past_key_values, torch.arange(len(said), device=said.device)
        live.cache = AnswerCache(cache, rows, live.seen.shape[-1] - cache.get_seq_length())
        return output.last_hidden_state[:, -1]

    def _read(self, live: _Live, inputs: Tensor, mask: Tensor, steps: Tensor) -> Tensor:
        """The decoder on answer inputs (N, T, D) that follow what is in the cache; `steps` (N, T): their places in the
        answer."""
        return self.core(
            inputs_embeds=inputs,
            attention_mask=mask,
            position_ids=live.starts + steps,
            past_key_values=live.cache,
            use_cache=True,
            after_layer=self.model.after_layer(live.memory),
        ).last_hidden_state

    def _whole(self, live: _Live, said: Tensor, steps: Tensor) -> Any:
        """The decoder's output on the prompts and all answer inputs, (N, P + T, D), without a cache to read from."""
        inputs = self.inputs
        segments = torch.cat([self.batch.segments[live.index], torch.ones_like(steps)], dim=1)
        prompt = inputs.positions[..., live.index, :]
        answers = (live.starts + steps).expand(*prompt.shape[:-1], -1)
        return self.core(
            inputs_embeds=torch.cat([inputs.embeds[live.index], said], dim=1),
            attention_mask=row_mask(segments),
            position_ids=torch.cat([prompt, answers], dim=-1),
            use_cache=True,
            after_layer=self.model.after_layer(live.memory, [deep[live.index] for deep in inputs.deeper]),
        )

    @staticmethod
    def _sampled(logits: Tensor, live: _Live, draws: Mapping[int, random.Random]) -> list[int]:
        """One token a row: where the running sum of its chances passes a number of its own between 0 and 1."""
        sums = functional.softmax(logits, dim=-1).cumsum(-1)
        marks = torch.tensor([[draws[number].random()] for number in live.numbers], device=sums.device)
        return (sums < marks * sums[:, -1:]).sum(-1).clamp(max=sums.shape[-1] - 1).tolist()
