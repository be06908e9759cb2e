"""One prefill a request, then its candidates decoded together from one cache of keys and values (`shared_cache.py`).

A candidate is known by its number, request x 3 + style. A candidate that has ended leaves the batch. Shapes: B
requests, N candidates being written, P prompt positions, T answer positions, G lanes, D decoder width.
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

from train.interpreter.shared_cache import SharedCache
from train.models.attention import as_scores, row_mask
from train.models.batch import Batch
from train.models.conditioning import NO_STYLE, STYLES, Memory, token_scale

if TYPE_CHECKING:
    from train.interpreter.requests import Ahead
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


@dataclass
class _Live:
    """The candidates being written, row by row."""

    numbers: list[int]
    starts: Tensor  # (N, 1) where their answers start
    memory: Memory
    cache: SharedCache
    said: list[Tensor] = field(default_factory=list)  # (N, 1, D) each: answer inputs read so far

    @property
    def requests(self) -> list[int]:
        return [number // STYLES for number in self.numbers]

    def keep(self, rows: list[int], steps: int) -> None:
        """Let all other rows go; these have so many steps before them."""
        index = torch.tensor(rows, device=self.starts.device)
        self.numbers, self.starts = [self.numbers[row] for row in rows], self.starts[index]
        self.memory, self.said = self.memory.rows(index), [inputs[index] for inputs in self.said]
        self.cache.seat(self.requests, self.cache.seen[index, : self.cache.length], steps)


class Prefilled:
    """Requests whose prompts have been read once; `ahead`: what of a lone one's was read before."""

    def __init__(
        self,
        model: Network,
        batch: Batch,
        features: Sequence[Tensor],
        image_sizes: Sequence[Any],
        ahead: Ahead | None = None,
    ) -> None:
        self.model, self.batch = model, batch
        self.core = model.backbone.model
        count, length = batch.input_ids.shape
        done = ahead.length if ahead else 0
        self.cache = ahead.cache if ahead else SharedCache(range(count), STYLES * (model.config["max_new_tokens"] + 1))
        self.cache.rewind(done)
        told = {"skip": length - done, "past_key_values": self.cache, "use_cache": True}  # keys and values alone
        with _threads(self.core.config, batch.input_ids):
            self.inputs = model.embed(batch, features, image_sizes)
            self.memory = model.memory(batch)
            model.hidden_states(batch, self.inputs, done, **told)
        self.visible = batch.segments == 0  # what is padding is not
        self.starts = (self.visible.sum(1) + self.inputs.shift)[:, None]
        self.lengths = self.starts[:, 0].tolist()
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
                    live.keep(going, limit - step)
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
        inputs = torch.cat([opening.to(words.dtype)[:, None], words], dim=1)
        steps = functional.pad(mask.cumsum(1), (1, 0))  # none beyond a row's own text: its last position decides
        with _threads(self.core.config, table):
            if ((live.starts <= self.switch) & (live.starts + steps[:, -1:] >= self.switch)).any():
                rows = torch.tensor(live.requests, device=device)
                hidden = self._whole(rows, inputs, torch.ones_like(steps), steps)[:, -width - 1 :]
            else:
                hidden = self._read(live, inputs, steps)
        return functional.softmax(self.model.styles.logits(hidden[:, 1:], mask).float(), dim=-1)

    def _start(self, numbers: Iterable[int], steps: int) -> _Live:
        """Rows for these candidates behind their requests' prompts, for so many answer positions."""
        numbers = list(numbers)
        requests = [number // STYLES for number in numbers]
        index = torch.tensor(requests, device=self.inputs.embeds.device)
        self.cache.rewind(self.visible.shape[1])
        self.cache.seat(requests, self.visible[index], steps)
        return _Live(numbers, self.starts[index], self.memory.rows(index), self.cache)

    def _step(self, live: _Live, inputs: Tensor) -> Tensor:
        """One position further, (N, D), from inputs (N, 1, D)."""
        live.said.append(inputs)
        done = len(live.said)
        if all(self.lengths[request] + done != self.switch + 1 for request in live.requests):
            return self._read(live, inputs, torch.full_like(live.starts, done - 1))[:, -1]
        return self._again(live)

    def _read(self, live: _Live, inputs: Tensor, steps: Tensor) -> Tensor:
        """The decoder on answer inputs (N, T, D) that follow what is in the cache; `steps` (N, T): their places in the
        answer."""
        return self.core(
            inputs_embeds=inputs,
            attention_mask=as_scores(live.cache.mask(inputs.shape[1]), inputs.dtype),
            position_ids=live.starts + steps,
            past_key_values=live.cache,
            use_cache=True,
            after_layer=self.model.after_layer(live.memory.after()),
            lanes=live.cache.lanes,
        ).last_hidden_state

    def _again(self, live: _Live) -> Tensor:
        """Where a row crosses to the long rotary factors: cached keys are rotated already, so all are made again, in a
        cache of these candidates' own. The last position (N, D)."""
        lanes, count = live.cache.lanes, live.cache.lanes.rows.shape[1]
        requests = live.cache.standing[: len(lanes.rows)]
        rows = torch.tensor(requests, device=live.starts.device)
        said = lanes.together(torch.cat(live.said, dim=1)[:, None])[:, 0]
        steps = torch.arange(len(live.said), device=rows.device).repeat_interleave(count).expand(len(rows), -1)
        segments = torch.arange(1, count + 1, device=rows.device).repeat(len(live.said)).expand(len(rows), -1)
        cache = SharedCache(requests, live.cache.room)
        hidden = self._whole(rows, said, segments, steps, past_key_values=cache, use_cache=True)
        own = torch.tensor(live.requests, device=rows.device)
        cache.seat(live.requests, self.visible[own], self.model.config["max_new_tokens"])
        live.cache = cache
        return lanes.apart(hidden[:, None, -count:])[:, 0, 0]

    def _whole(self, rows: Tensor, said: Tensor, segments: Tensor, steps: Tensor, **cached: Any) -> Tensor:
        """The decoder on the prompts of these requests (R,) and all their answer inputs (R, T, D), which belong to
        `segments` (R, T) and stand at `steps` (R, T), with no cache to read from: (R, P + T, D)."""
        inputs = self.inputs
        prompt = inputs.positions[..., rows, :]
        mask = row_mask(torch.cat([self.batch.segments[rows], segments], dim=1))
        answers = (self.starts[rows] + steps).expand(*prompt.shape[:-1], -1)
        return self.core(
            inputs_embeds=torch.cat([inputs.embeds[rows], said], dim=1),
            attention_mask=as_scores(mask, said.dtype),
            position_ids=torch.cat([prompt, answers], dim=-1),
            after_layer=self.model.after_layer(self.memory.rows(rows), [deep[rows] for deep in inputs.deeper]),
            **cached,
        ).last_hidden_state

    @staticmethod
    def _sampled(logits: Tensor, live: _Live, draws: Mapping[int, random.Random]) -> list[int]:
        """One token a row: where the running sum of its chances passes a number of its own between 0 and 1."""
        sums = functional.softmax(logits, dim=-1).cumsum(-1)
        marks = torch.tensor([[draws[number].random()] for number in live.numbers], device=sums.device)
        return (sums < marks * sums[:, -1:]).sum(-1).clamp(max=sums.shape[-1] - 1).tolist()
