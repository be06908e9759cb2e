"""A trained model without one of its parts, to see what each is worth.

A *part* is taken out of the model itself (`train/models/parts.py`). Other ablations change the requests (`changed`):
persona, context or pictures taken away, or given from another row.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from aac.records import Context, Persona
from train.scoring.generation import answers, blank_card
from train.scoring.table import Table, beside

if TYPE_CHECKING:
    from train.interpreter.requests import Request
    from train.models.network import Network
    from train.scoring.measure import Scorer

log = logging.getLogger("aac")

# Name of the ablation to the parts that are taken out.
PARTS: dict[str, tuple[str, ...]] = {
    "no_persona_embedding": ("persona_embedding",),
    "no_context_attention": ("context_attention",),
    "no_cluster_memory": ("cluster_memory",),
    "no_style_embedding": ("style_embedding",),
    "no_text_persona": ("text_persona",),
    "no_text_context": ("text_context",),
    "heads_only": ("text_persona", "text_context"),
    "text_only": ("persona_embedding", "context_attention"),
}
CHANGES = (
    "no_persona",
    "no_context",
    "no_persona_no_context",
    "shuffled_personas",
    "shuffled_contexts",
    "shuffled_images",
)
NAMES = (*CHANGES, *PARTS)
BLIND = "no_persona_no_context"
INPUTS = ("keywords_only", "pictures_and_keywords")  # rows of their own beside the default, pictures only


def check_names(names: Sequence[str]) -> list[str]:
    """The ablations asked for; none named means all.

    Raises:
        UserError: an unknown name.
    """
    for name in names:
        if name not in NAMES:
            raise UserError(f"--ablate: unknown ablation {name!r}; choose among {', '.join(NAMES)}")
    return list(names or NAMES)


class Without:
    """The rows again, scored beside the whole model: each entry is one of metrics.json (see `beside`).

    Args:
        model, requests: what answers, and the rows as they are asked.
        scorer, whole: of these rows; the whole model's table.
    """

    def __init__(self, model: Network, requests: Sequence[Request], scorer: Scorer, whole: Table) -> None:
        self.model, self.requests, self.scorer, self.whole = model, requests, scorer, whole
        self._made: dict[str, dict[str, Any]] = {}

    def each(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those named; none named means all that the rows allow.

        Raises:
            UserError: the rows leave nothing to exchange for one that was named.
        """
        found = {}
        for name in check_names(names):
            try:
                found[name] = self.one(name)
            except UserError as error:
                if names:
                    raise
                log.warning("%s: left out", error)
        return found

    def one(self, name: str) -> dict[str, Any]:
        """Made once."""
        from train.models import parts

        if name not in self._made:
            if name in PARTS:
                with parts.without(self.model, PARTS[name]):
                    self._made[name] = self._scored(name, self.requests)
            else:
                self._made[name] = self._scored(name, changed(name, self.requests))
        return self._made[name]

    def told_otherwise(self) -> dict[str, dict[str, Any]]:
        """Other ways to tell the cards, beside the default: pictures only."""
        words, blank = [list(sample.keywords) for sample in self.scorer.samples], blank_card(self.model)
        asked = {name: inputs(name, self.requests, words, blank) for name in INPUTS}
        return {"pictures_only": self.whole.values()} | {name: self._scored(name, r) for name, r in asked.items()}

    def _scored(self, name: str, requests: Sequence[Request]) -> dict[str, Any]:
        said = answers(self.model, self.scorer.samples, requests, name)
        return beside(self.whole, self.scorer.table(said.predictions).joined(said.counts))


def changed(name: str, requests: Sequence[Request]) -> list[Request]:
    """The requests with a piece of their input taken away or exchanged; draws are fixed.

    `shuffled_personas`, `shuffled_contexts`: every row gets one that differs from its own, of another row.
    `shuffled_images`: every card is replaced by one that the row does not hold.
    """
    draw = random.Random(0)
    if name == "no_persona":
        return [replace(r, persona=Persona()) for r in requests]
    if name == "no_context":
        return [replace(r, context=Context()) for r in requests]
    if name == "no_persona_no_context":
        return [replace(r, persona=Persona(), context=Context()) for r in requests]
    if name == "shuffled_images":
        pool = {id(card[0]): card for r in requests for card in _cards(r)}
        return [_other_pictures(r, pool, draw) for r in requests]
    field = "persona" if name == "shuffled_personas" else "context"
    values = [getattr(r, field) for r in requests]
    return [replace(r, **{field: _other(values, own, draw, name)}) for r, own in zip(requests, values, strict=True)]


def _other(values: Sequence[Any], own: Any, draw: random.Random, name: str) -> Any:
    for _ in range(1000):
        if (found := draw.choice(values)) != own:
            return found
    raise UserError(f"--ablate {name}: the rows differ too little to exchange anything; score more rows")


def _other_pictures(request: Request, pool: dict[int, tuple[Any, Any, Any]], draw: random.Random) -> Request:
    own = {id(feature) for feature in request.features}
    others = [pair for key, pair in pool.items() if key not in own]
    if len(others) < len(own):
        raise UserError("--ablate shuffled_images: too few other cards; score more rows")
    picked = draw.sample(others, len(request.features))
    readings = [reading for _, _, reading in picked if reading]
    return replace(
        request, features=[f for f, _, _ in picked], image_sizes=[s for _, s, _ in picked], readings=readings
    )


def _cards(request: Request) -> Iterator[tuple[Any, Any, Any]]:
    """Features, size and reading of each card."""
    yield from zip(
        request.features, request.image_sizes, request.readings or [None] * len(request.image_sizes), strict=True
    )


def inputs(name: str, requests: Sequence[Request], words: Sequence[list[str]], blank: tuple[Any, Any]) -> list[Request]:
    """`keywords_only`: the cards' words beside white pictures (`blank`: features and size); or words and pictures."""
    if name == "keywords_only":
        return [
            replace(r, keywords=w, features=[blank[0]] * len(w), image_sizes=[blank[1]] * len(w), readings=[])
            for r, w in zip(requests, words, strict=True)
        ]
    return [replace(r, keywords=w) for r, w in zip(requests, words, strict=True)]
