"""The loss of a batch: its terms, what each is a mean over, and how much it weighs.

An update learns from the mean over a whole window, so terms stay sums until the window's counts divide them: the
micro-batches and processes of a window then add up to the gradient of one big batch. The counts come from the labels
alone and are known before the first forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from train.models.batch import IGNORE, Batch


class Term(NamedTuple):
    """A sum over a batch, of things that `counts` counts."""

    total: Tensor  # scalar
    per: str  # the key of `counts` that it is a mean over
    weight: float = 1.0  # in what is trained; 0: told in the log, not learned from


def counts(batch: Batch) -> dict[str, int]:
    """What terms can be means over: samples, answer tokens, answers that the style classifier learns from."""
    return {
        "samples": len(batch.records),
        "tokens": batch.label_tokens,
        "styled": int((batch.style_labels != IGNORE).sum()),
    }


def loss_terms(model: nn.Module, batch: Batch, hidden: Tensor) -> dict[str, Term]:
    """Every term of the loss, by the name under which the log tells its mean (of validation rows: `val_` before it).

    Names that end in `loss` stand in the console's line and in `curves.png`. A term is summed, never averaged, and of
    a batch without anything to learn from it is a sum of nothing, still on the graph: every process has the same
    gradients to share.

    Args:
        model: a `Network`.
        hidden: (B, L - prefix, D), the decoder's last states after the first `batch.prefix` positions.
    """
    # The language loss. Logits (labelled positions, vocabulary) exist only where there is a label.
    targets = batch.targets[:, batch.prefix :].flatten()
    labelled = (targets != IGNORE).nonzero()[:, 0]
    logits = model.backbone.lm_head(hidden.flatten(0, 1).index_select(0, labelled)).float()
    language = functional.cross_entropy(logits, targets[labelled], reduction="sum")

    # The style of each answer, read from its text: answers (n, A, D) to scores (n, 3).
    learn = batch.style_labels != IGNORE
    rows, indices = batch.style_indices[learn, :1], batch.answer_indices[learn]
    scores = model.styles.logits(hidden[rows, (indices - batch.prefix).clamp(min=0)], indices >= 0)
    labels = batch.style_labels[learn]
    style = functional.cross_entropy(scores, labels, reduction="sum")

    return {
        "loss": Term(language, "tokens"),
        "style_loss": Term(style, "styled", model.config["style_loss_weight"]),
        "style_accuracy": Term((scores.argmax(-1) == labels).sum(), "styled", 0.0),
    }


def weighted(terms: Mapping[str, Term], counts: Mapping[str, float]) -> Tensor:
    """The scalar that is trained: the terms' means by their weights, over counts of as many batches as are learned
    from together."""
    return sum(term.weight * term.total / max(1.0, counts[term.per]) for term in terms.values())
