"""From requests to three sentences each (`decoding.py` writes them), each through the gate.

A candidate that fails the gate is mended where only an ending is wrong, else decoded again from its least certain
step, then replaced by the offline grammar, then by the bare keywords; the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import torch

from aac import gate
from aac.fields import shown
from aac.io import UserError
from train.interpreter.batches import in_batches
from train.interpreter.candidates import STYLE_NAMES, Candidate, Source, judge, offer, settled, stand_in
from train.interpreter.decoding import Decoded, Prefilled
from train.interpreter.requests import Request, parse_requests, prompt_batch
from train.models.conditioning import STYLES

if TYPE_CHECKING:
    from train.models.network import Network

RETRIES = 2


def interpret_requests(
    model: Network, requests: Sequence[dict[str, Any]], temperature: float = 0.0, seed: int = 0
) -> list[list[Candidate]]:
    """Three candidates a request.

    Raises:
        UserError: an argument is not what it must be.
    """
    temperature = checked_temperature(temperature)
    return interpret_parsed(model, parse_requests(model, requests), temperature=temperature, seed=seed)


def checked_temperature(value: Any) -> float:
    """A temperature as given.

    Raises:
        UserError: it is none.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise UserError(f"temperature: a number from 0 (greedy) on is needed, not {shown(value)}")
    return float(value)


def interpret_parsed(
    model: Network,
    parsed: Sequence[Request],
    gated: bool = True,
    confidence: bool = True,
    temperature: float = 0.0,
    seed: int = 0,
    what: str = "",
) -> list[list[Candidate]]:
    """`interpret_requests` from parsed requests; without the gate the model's own first sentences.

    `what`: a word for a progress bar.
    """
    model.eval()
    threes = [(settled(request) if gated else None) or [] for request in parsed]

    def work(batch: list[int]) -> list[list[Candidate]]:
        return _interpret_batch(model, [parsed[i] for i in batch], gated, confidence, temperature, seed)

    for batch, told in in_batches(model, parsed, [i for i, three in enumerate(threes) if not three], work, what):
        for i, three in zip(batch, told, strict=True):
            threes[i] = three
    for request, three in zip(parsed, threes, strict=True):
        for candidate in three:
            candidate.told_less, candidate.cards = request.too_long, request.readings
            candidate.checked = gated and request.words is not None
    return threes


@torch.inference_mode()
def _interpret_batch(
    model: Network, parsed: Sequence[Request], gated: bool, confidence: bool, temperature: float, seed: int
) -> list[list[Candidate]]:
    ahead = parsed[0].ahead if len(parsed) == 1 else None
    session = Prefilled(model, *prompt_batch(model, parsed), ahead)
    decoded = session.decode({n: [] for n in range(STYLES * len(parsed))}, temperature, seed)
    # Candidates go by their number, request x 3 + style, as in `decoding.py`.
    told = [Candidate(model.encoder.decode(d.tokens), STYLE_NAMES[n % STYLES]) for n, d in decoded.items()]
    threes = [told[first : first + STYLES] for first in range(0, len(told), STYLES)]
    if gated:
        _through_the_gate(session, decoded, parsed, threes)
    scores = session.style_confidence([c.text for c in told]) if confidence else None
    for n, candidate in enumerate(told):
        candidate.style_confidence = round(float(scores[n, n % STYLES]) if scores is not None else 1 / STYLES, 4)
    return threes


def _through_the_gate(
    session: Prefilled,
    decoded: dict[int, Decoded],
    parsed: Sequence[Request],
    threes: Sequence[Sequence[Candidate]],
) -> None:
    """Judge all candidates, and replace those that may not be shown."""
    told = [candidate for three in threes for candidate in three]

    def where(n: int) -> tuple[Request, Sequence[Candidate], int]:
        return parsed[n // STYLES], threes[n // STYLES], n % STYLES

    def stopped() -> list[int]:
        return [n for n, candidate in enumerate(told) if candidate.stopped]

    for request, three in zip(parsed, threes, strict=True):
        judge(request, three)
    for n, candidate in enumerate(told):
        candidate.reasons += [] if decoded[n].finished else ["unfinished"]
    for n in stopped():
        if "particle_wrong" in told[n].reasons and decoded[n].finished:
            offer(*where(n), gate.mended(told[n].text), Source.MENDED)
    for _ in range(RETRIES):
        again = stopped()
        decoded |= session.decode({n: _second_thought(decoded[n]) for n in again}) if again else {}
        for n in again:
            if decoded[n].finished:
                offer(*where(n), session.model.encoder.decode(decoded[n].tokens), Source.AGAIN)
    for n in stopped():
        stand_in(*where(n))


def _second_thought(candidate: Decoded) -> list[int]:
    """The candidate up to its least certain step, and the runner-up there: deterministic, and where it most matters."""
    if not candidate.leads:
        return []
    step = min(range(len(candidate.leads)), key=lambda i: candidate.leads[i])
    return [*candidate.tokens[:step], candidate.seconds[step]]
