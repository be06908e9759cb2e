"""Requests in batches that the device's memory holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch

from train.models.conditioning import STYLES
from train.models.footprint import cache_values, kept_bytes

if TYPE_CHECKING:
    from train.interpreter.requests import Request
    from train.models.network import Network

log = logging.getLogger("aac")
T = TypeVar("T")
BATCH = 32  # requests together, where memory allows
# Of the memory that is free: the rest is for what fragments waste, and for whoever computes beside us.
_SHARE = 0.5


def in_batches(
    model: Network, requests: Sequence[Request], indices: Sequence[int], work: Callable[[list[int]], T], what: str = ""
) -> Iterator[tuple[list[int], T]]:
    """Batches of `indices` into the requests, those with equally many cards together, and what `work` makes of each.

    A batch that does not fit after all is halved, as are those after it. `what`: a word for a progress bar.

    Raises:
        MemoryError: not even one request fits.
    """
    from tqdm import tqdm

    ahead, most = sorted(indices, key=lambda i: len(requests[i].features)), BATCH
    with tqdm(total=len(ahead), desc=what, unit="row", leave=False, disable=not what) as bar:
        while ahead:
            batch = ahead[: fitting(model, [requests[i] for i in ahead[:most]])]
            try:
                result = work(batch)
            except torch.OutOfMemoryError as error:
                most = len(batch) // 2
                if not most:
                    raise MemoryError(_remedy(model, requests[batch[0]], error)) from None
                log.warning("out of memory with %d requests together; going on with %d", len(batch), most)
            else:
                yield batch, result
                ahead = ahead[len(batch) :]
                bar.update(len(batch))
                continue
            torch.cuda.empty_cache()  # here nothing holds the failed batch any more


def fitting(model: Network, requests: Sequence[Request]) -> int:
    """How many of the first requests to take together: all on a CPU, else what a share of the free memory holds."""
    if model.device.type != "cuda":
        return len(requests)
    free = torch.cuda.mem_get_info(model.device)[0]
    free += torch.cuda.memory_reserved(model.device) - torch.cuda.memory_allocated(model.device)
    longest = 0
    for count, request in enumerate(requests, start=1):
        longest = max(longest, _bytes(model, request))
        if count * longest > _SHARE * free:
            return max(1, count - 1)
    return len(requests)


def _bytes(model: Network, request: Request) -> int:
    """What answering a request holds: keys and values of prompt and candidates, and a layer at work on the prompt."""
    shape, size = model.backbone.config, model.backbone.model.embed_tokens.weight.element_size()
    counts = [model.processor.num_tokens(image_size) for image_size in request.image_sizes]
    prompt = len(model.encoder.prompt(counts, request.persona, request.context, request.keywords))
    answers = STYLES * (model.config["max_new_tokens"] + 1)
    layer = kept_bytes(shape.hidden_size, shape.intermediate_size, size, dropped=False)
    return size * (prompt + answers) * cache_values(shape) + prompt * layer


def _remedy(model: Network, request: Request, error: Exception) -> str:
    told = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    cards = len(request.features)
    return f"out of memory with one request of {cards} cards: {told}. Free memory of the device, or use a smaller model"
