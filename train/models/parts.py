"""The model's parts, to take one out: what is each worth?

`without` takes parts out of a trained model for a while, with what training has seen where it can (the unknown persona,
no style told, a gate at zero, a line left out of the prompt); `leave_out` for good, before training (`parts_off` in the
config), which is how `benchmarks/heads.py` retrains without each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aac.io import UserError

if TYPE_CHECKING:
    from train.models.network import Network


def leave_out(model: Network, parts: Sequence[str]) -> None:
    """Build the model without parts: their weights are zero and stay so, their lines never stand in a prompt.

    Clusters have a setting of their own, `cluster_weight` 0.

    Raises:
        UserError: an unknown part.
    """
    import torch

    fixed = {
        "persona_embedding": [*(table.weight for table in model.persona.fields), model.persona.text.weight],
        "context_attention": [block.gate for block in model.context.blocks.values()],
        "style_embedding": [model.styles.embedding.weight],
    }
    for part in parts:
        if part in ("text_persona", "text_context"):
            _REMOVE[part](model)
        elif part not in fixed:
            known = ", ".join([*fixed, "text_persona", "text_context"])
            raise UserError(f"parts_off: unknown part {part!r}; choose among {known}")
        for weight in fixed.get(part, ()):
            torch.nn.init.zeros_(weight)
            weight.requires_grad_(False)


@contextmanager
def without(model: Network, parts: Sequence[str]) -> Iterator[None]:
    """The model with parts taken out; on leaving they are put back exactly."""
    import torch

    modules = (model.persona, model.context, model.styles)
    saved = [(weight, weight.detach().clone()) for module in modules for weight in module.parameters()]
    centroids, left_out = model.centroids, model.encoder.left_out
    try:
        with torch.no_grad():
            for part in parts:
                _REMOVE[part](model)
        yield
    finally:
        with torch.no_grad():
            for weight, value in saved:
                weight.copy_(value)
        model.centroids, model.encoder.left_out = centroids, left_out


def _persona_embedding(model: Any) -> None:
    for table in model.persona.fields:
        table.weight[:] = table.weight[0].clone()  # every field unknown
    model.persona.text.weight.zero_()


def _context_attention(model: Any) -> None:
    for block in model.context.blocks.values():
        block.gate.zero_()


def _cluster_memory(model: Any) -> None:
    model.centroids = model.centroids[:0]


def _style_embedding(model: Any) -> None:
    from train.models.conditioning import NO_STYLE

    model.styles.embedding.weight[:] = model.styles.embedding.weight[NO_STYLE].clone()


def _text(line: str) -> Callable[[Any], None]:
    def remove(model: Any) -> None:
        model.encoder.left_out = model.encoder.left_out | {line}

    return remove


_REMOVE: dict[str, Callable[[Any], None]] = {
    "persona_embedding": _persona_embedding,
    "context_attention": _context_attention,
    "cluster_memory": _cluster_memory,
    "style_embedding": _style_embedding,
    "text_persona": _text("persona"),
    "text_context": _text("context"),
}
