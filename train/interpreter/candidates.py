"""From requests to three sentences each (`decoding.py` writes them), each through the gate.

A candidate that fails the gate is mended where only an ending is wrong, else decoded again from its least certain
step, then replaced by the offline grammar, then by the bare keywords; the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aac import gate
from aac.io import UserError
from aac.records import Context, Persona
from train.interpreter.decoding import Decoded, Prefilled
from train.models.batch import Batch, Row, collate
from train.models.conditioning import STYLES

if TYPE_CHECKING:
    from train.models.network import Network

STYLE_NAMES = ("기본", "다른 기능", "다른 형태")
RETRIES = 2
# What can always be said of cards whose words nobody knows.
_WORDLESS = ("이 카드예요.", "이 카드를 봐 주세요.", "이 카드로 말하고 싶어요.")


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
    features, sizes = model.encode_pictures(images)
    return Request(
        features=features,
        sizes=sizes,
        persona=Persona.parse(request.get("persona_info")),
        context=Context.parse(request.get("context_info")),
        keywords=list(keywords) if keywords is not None else None,
    )


def interpret_requests(
    model: Network, requests: Sequence[dict[str, Any]], temperature: float = 0.0, seed: int = 0
) -> list[list[dict[str, Any]]]:
    """Three candidates a request, as dicts: `text`, `style`, `confidence`, `passed`, `source`, `reasons`."""
    if temperature < 0:
        raise UserError(f"temperature must be at least 0 (greedy), not {temperature}")
    parsed = [parse_request(model, request) for request in requests]
    return interpret_parsed(model, parsed, temperature=temperature, seed=seed)


@torch.inference_mode()
def interpret_parsed(
    model: Network,
    parsed: Sequence[Request],
    gated: bool = True,
    confidence: bool = True,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[list[dict[str, Any]]]:
    """`interpret_requests` from parsed requests; without the gate the model's own first sentences."""
    model.eval()
    batch, features, sizes = prompt_batch(model, parsed)
    session = Prefilled(model, batch, features, sizes)
    decoded = session.decode({n: [] for n in range(STYLES * len(parsed))}, temperature, seed)
    texts = [model.encoder.decode(candidate.tokens) for candidate in decoded.values()]
    # Candidates go by their number, request x 3 + style, as in `decoding.py`.
    reasons: dict[int, list[str]] = {}
    for i, request in enumerate(parsed) if gated else ():
        why = _reasons(request, texts[i * STYLES : (i + 1) * STYLES])
        reasons |= {i * STYLES + k: codes for k, codes in enumerate(why) if codes}
    sources = ["model"] * len(texts)

    def failing() -> list[int]:
        return [n for n in reasons if sources[n] == "model"]

    def three_of(n: int) -> list[str]:
        first = n - n % STYLES
        return texts[first : first + STYLES]

    def offer(n: int, sentence: str, source: str) -> None:
        trial, k = three_of(n), n % STYLES
        trial[k] = sentence
        if not _reasons(parsed[n // STYLES], trial)[k] and _unlike_siblings(sentence, trial, k):
            texts[n], sources[n] = sentence, source

    for n in failing():
        if "particle_wrong" in reasons[n]:
            offer(n, gate.mended(texts[n]), "model, ending mended")
    for _ in range(RETRIES):
        again = failing()
        decoded |= session.decode({n: _second_thought(decoded[n]) for n in again}) if again else {}
        for n in again:
            offer(n, model.encoder.decode(decoded[n].tokens), "model, decoded again")
    for n in failing():
        texts[n], sources[n] = _stand_in(parsed[n // STYLES], three_of(n), n % STYLES)
    scores = session.style_confidence(texts) if confidence else torch.full((len(texts), STYLES), 1 / STYLES)
    candidates = [
        {
            "text": text,
            "style": STYLE_NAMES[n % STYLES],
            "confidence": round(float(scores[n, n % STYLES]), 4),
            "passed": sources[n].startswith("model"),
            "source": sources[n],
            "reasons": reasons.get(n, []),
        }
        for n, text in enumerate(texts)
    ]
    return [candidates[first : first + STYLES] for first in range(0, len(candidates), STYLES)]


def _reasons(request: Request, three: Sequence[str]) -> list[list[str]]:
    return gate.check(three, request.keywords, request.context)


def _unlike_siblings(sentence: str, three: Sequence[str], k: int) -> bool:
    """Whether it may stand at place k: of two equal ones the gate blames the later, which may be shown already."""
    return gate.comparable(sentence) not in {gate.comparable(text) for place, text in enumerate(three) if place != k}


def _second_thought(candidate: Decoded) -> list[int]:
    """The candidate up to its least certain step, and the runner-up there: deterministic, and where it most matters."""
    if not candidate.leads:
        return []
    step = min(range(len(candidate.leads)), key=lambda i: candidate.leads[i])
    return [*candidate.tokens[:step], candidate.seconds[step]]


def _stand_in(request: Request, three: Sequence[str], k: int) -> tuple[str, str]:
    """What replaces a candidate that failed twice: the offline grammar, then the keywords, unlike its siblings."""
    words = request.keywords
    if words:
        from dataset.prepare.teachers.grammar import interpret

        written = interpret(list(words), request.persona, request.context)
        for sentence in (written[k], *written):
            if _unlike_siblings(sentence, three, k):
                return sentence, "grammar"
        return f"{', '.join(words)}{'.' * (k + 1)}", "keywords"
    return next(sentence for sentence in _WORDLESS if _unlike_siblings(sentence, three, k)), "fixed"


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
