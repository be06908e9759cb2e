"""What is asked: a request, checked, and many of them as one batch of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from aac.io import UserError
from aac.pictures import given_picture
from aac.records import Context, Persona
from train.models.batch import Batch, Row, collate

if TYPE_CHECKING:
    from train.models.network import Network


@dataclass
class Request:
    """One request, checked: features of its cards instead of pictures."""

    features: list[Tensor]
    sizes: list[tuple[int, int]]
    persona: Persona
    context: Context
    keywords: list[str] | None


def parse_request(model: Network, request: dict[str, Any]) -> Request:
    """Check a request's arguments and encode its pictures.

    Raises:
        UserError: names the argument and what it must be.
    """
    images = list(request["images"])
    if not 1 <= len(images) <= 4:
        raise UserError(f"images: 1 to 4 cards are needed, not {len(images)}")
    keywords = request.get("keywords")
    if keywords is not None and len(keywords) != len(images):
        raise UserError(f"keywords: {len(keywords)} words for {len(images)} images; give one for each, in their order")
    features, sizes = model.encode_pictures([given_picture(i, f"images: picture {n}") for n, i in enumerate(images, 1)])
    return Request(
        features=features,
        sizes=sizes,
        persona=Persona.parse(request.get("persona_info")),
        context=Context.parse(request.get("context_info")),
        keywords=list(keywords) if keywords is not None else None,
    )


def prompt_batch(model: Network, parsed: Sequence[Request]) -> tuple[Batch, list[Tensor], list[tuple[int, int]]]:
    """Requests to a batch of prompts without answers; every request brings its own pictures."""
    features = [feature for request in parsed for feature in request.features]
    sizes = [size for request in parsed for size in request.sizes]
    rows, first = [], 0
    for request in parsed:
        counts = [model.processor.num_tokens(size) for size in request.sizes]
        cards = list(range(first, first + len(counts)))
        first += len(counts)
        prompt = model.encoder.prompt(counts, request.persona, request.context, request.keywords)
        rows.append(Row(prompt, [], [], cards, request.persona, request.context))
    clusters = model.picture_clusters(features).cpu()
    return collate(rows, model.encoder, clusters).to(model.device), features, sizes
