"""Keys and values of requests' prompts, held once, and of their candidates' answers behind them, filled in place.

A row of the cache is a request as training lays one out, `[prompt | answers]`, the answers step by step, a column for
each lane. Which columns a candidate may see is a mask's business, so three candidates read one prompt. Shapes: B
requests, G lanes, N candidates, H heads, T steps, C columns so far, d width of a head.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from train.models.attention import Lanes


class SharedCache:
    """What a decoder asks of a cache, without a copy of everything at each step.

    First it takes the prompts, a row a request; from `seat` on, what rows of candidates write. `standing`: the request
    in each row. `room`: columns left for answers; where more come, more are made.
    """

    def __init__(self, requests: Sequence[int], room: int) -> None:
        self.standing, self.room = list(requests), room
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.length = self.start = 0  # columns filled, now and before the ones that are being filled
        self.lanes: Lanes | None = None
        # What each candidate may see, of the columns to come too: (N, columns), and by lane (B, 1, G, columns).
        self.seen = self.shown = torch.empty(0, dtype=torch.bool)

    def get_seq_length(self) -> int:
        return self.length

    def update(self, key: Tensor, value: Tensor, layer: int, *_: Any) -> tuple[Tensor, Tensor]:
        """New positions of a layer, of prompts (B, H, C, d) or of candidates (N, H, T, d), to the requests' columns so
        far, (B, H, C, d)."""
        if self.lanes is not None:
            key, value = self.lanes.together(key), self.lanes.together(value)
        if not layer:
            self.start, self.length = self.length, self.length + key.shape[2]
        if layer == len(self.layers):
            rows, heads, length, width = key.shape
            self.layers.append(tuple(key.new_empty(rows, heads, length + self.room, width) for _ in range(2)))
        if (short := self.length - self.layers[layer][0].shape[2]) > 0:
            self.layers[layer] = tuple(
                functional.pad(part, (0, 0, 0, short + self.room)) for part in self.layers[layer]
            )
        keys, values = (part[: len(key), :, : self.length] for part in self.layers[layer])
        keys[:, :, self.start :], values[:, :, self.start :] = key, value
        return keys, values

    def rewind(self, length: int) -> None:
        """Forget all columns but the first ones: those of the prompts."""
        self.length, self.lanes = length, None

    def seat(self, requests: Sequence[int], seen: Tensor, steps: int) -> None:
        """Give candidates, by the request of each, a lane for so many steps; other requests' rows are not read then.

        `seen` (N, C): which columns each may see so far; of those to come it sees its own.
        """
        members: dict[int, list[int]] = {}
        for row, request in enumerate(requests):
            members.setdefault(request, []).append(row)
        self._bring(members)
        lanes = max(map(len, members.values()))
        seated = [members[request] for request in self.standing[: len(members)]]
        rows = torch.tensor([[*some, *some[:1] * (lanes - len(some))] for some in seated], device=seen.device)
        found = {row: b * lanes + g for b, some in enumerate(seated) for g, row in enumerate(some)}
        order = [found[row] for row in range(len(requests))]
        places = torch.tensor(order, device=seen.device)
        self.lanes = Lanes(rows, places, full=order == list(range(rows.numel())))
        own = places[:, None] % lanes == torch.arange(lanes, device=seen.device)
        self.seen = torch.cat([seen, own.repeat(1, steps)], dim=1)
        self.shown = self.seen[rows][:, None]

    def _bring(self, wanted: Collection[int]) -> None:
        """Let these requests stand in the first rows: those behind change places with others, a layer at a time, so
        that little is held twice."""
        ahead = [row for row, request in enumerate(self.standing[: len(wanted)]) if request not in wanted]
        behind = [row for row in range(len(wanted), len(self.standing)) if self.standing[row] in wanted]
        if not ahead:
            return
        to, origin = [*ahead, *behind], [*behind, *ahead]
        for part in (part for layer in self.layers for part in layer):
            filled = part[:, :, : self.length]
            filled[to] = filled[origin]
        moved = [self.standing[row] for row in origin]
        for row, request in zip(to, moved, strict=True):
            self.standing[row] = request

    def mask(self, steps: int = 1) -> Tensor:
        """Who sees what in the next steps, (B, 1, T * G, C + T * G)."""
        lanes = self.shown.shape[2]
        seen = self.shown[..., : self.length + steps * lanes]
        if steps == 1:
            return seen
        past = torch.ones(steps, steps, dtype=torch.bool, device=seen.device).tril().repeat_interleave(lanes, dim=1)
        past = functional.pad(past, (self.length, 0), value=True)
        return (seen[:, :, None] & past[:, None]).flatten(2, 3)
