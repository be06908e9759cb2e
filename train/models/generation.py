"""From requests to three sentences each: one prefill, the three styles decoded together from the shared cache.

A candidate that fails the gate is decoded again from its least certain step, then replaced by the offline grammar, then
by the bare keywords; the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from dataset.prepare import gate
from dataset.prepare.records import Context, Persona, UserError
from train.data.dataset import Batch, Row, collate
from train.models import backbones
from train.models.attention import row_mask
from train.models.conditioning import NO_STYLE, STYLES

if TYPE_CHECKING:
    from train.models.aac_multimodal_model import AACMultimodalModel

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


@dataclass
class Decoded:
    """Tokens of one candidate, and at each step how far the best token led and which came second."""

    tokens: list[int] = field(default_factory=list)
    leads: list[float] = field(default_factory=list)
    seconds: list[int] = field(default_factory=list)


def parse_request(model: AACMultimodalModel, request: dict[str, Any]) -> Request:
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
    features, sizes = encode_pictures(model, images)
    return Request(
        features=features,
        sizes=sizes,
        persona=Persona.parse(request.get("persona_info")),
        context=Context.parse(request.get("context_info")),
        keywords=list(keywords) if keywords is not None else None,
    )


@torch.inference_mode()
def encode_pictures(model: AACMultimodalModel, images: Sequence[Any]) -> tuple[list[Tensor], list[tuple[int, int]]]:
    """PIL pictures to what `AACMultimodalModel.embed` takes of each (`backbones.encode_cards`), and their frames."""
    pixels, sizes = model.processor.images(images)
    frames = [(int(height), int(width)) for height, width in sizes.tolist()]
    return backbones.encode_cards(model.backbone, pixels.to(model.device), frames), frames


def interpret_requests(model: AACMultimodalModel, requests: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Three candidates a request, as dicts: `text`, `style`, `confidence`, `passed`, `source`, `reasons`."""
    parsed = [parse_request(model, request) for request in requests]
    return interpret_parsed(model, parsed)


@torch.inference_mode()
def interpret_parsed(
    model: AACMultimodalModel, parsed: Sequence[Request], gated: bool = True, confidence: bool = True
) -> list[list[dict[str, Any]]]:
    """`interpret_requests` from parsed requests; without the gate the model's own first sentences."""
    model.eval()
    batch, features, sizes = _prompt_batch(model, parsed)
    session = _Prefilled(model, batch, features, sizes)
    decoded = session.decode([[] for _ in range(STYLES * len(parsed))])
    texts = [model.encoder.decode(candidate.tokens) for candidate in decoded]
    results = []
    reasons = [_reasons(request, texts[i * STYLES : (i + 1) * STYLES]) for i, request in enumerate(parsed)]
    failed = {(i, k) for i, three in enumerate(reasons) for k, why in enumerate(three) if why} if gated else set()
    sources = ["model"] * len(texts)
    first_reasons = {(i, k): reasons[i][k] for i, k in failed}
    for _ in range(RETRIES if failed else 0):
        prefixes = [_second_thought(d) if divmod(n, STYLES) in failed else d.tokens for n, d in enumerate(decoded)]
        decoded = session.decode(prefixes)
        for i, k in sorted(failed):
            n = i * STYLES + k
            trial = texts[i * STYLES : (i + 1) * STYLES]
            trial[k] = model.encoder.decode(decoded[n].tokens)
            if not _reasons(parsed[i], trial)[k]:
                texts[n], sources[n] = trial[k], "model, decoded again"
        failed = {(i, k) for i, k in failed if sources[i * STYLES + k] == "model"}
    for i, k in sorted(failed):
        n = i * STYLES + k
        texts[n], sources[n] = _stand_in(parsed[i], texts[i * STYLES : (i + 1) * STYLES], k)
    scores = session.style_confidence(texts) if confidence else torch.full((len(texts), STYLES), 1 / STYLES)
    for i in range(len(parsed)):
        span = range(i * STYLES, (i + 1) * STYLES)
        results.append(
            [
                {
                    "text": texts[n],
                    "style": STYLE_NAMES[n - span.start],
                    "confidence": round(float(scores[n, n - span.start]), 4),
                    "passed": sources[n].startswith("model") and not (first_reasons and (i, n - span.start) in failed),
                    "source": sources[n],
                    "reasons": first_reasons.get((i, n - span.start), []),
                }
                for n in span
            ]
        )
    return results


def _reasons(request: Request, three: Sequence[str]) -> list[list[str]]:
    return gate.check(three, request.keywords, request.context)


def _second_thought(candidate: Decoded) -> list[int]:
    """The candidate up to its least certain step, and the runner-up there: deterministic, and where it most matters."""
    if not candidate.leads:
        return []
    step = min(range(len(candidate.leads)), key=lambda i: candidate.leads[i])
    return [*candidate.tokens[:step], candidate.seconds[step]]


def _stand_in(request: Request, three: Sequence[str], k: int) -> tuple[str, str]:
    """What replaces a candidate that failed twice: the offline grammar, then the keywords, unlike its siblings."""
    others = {text for place, text in enumerate(three) if place != k}
    words = request.keywords
    if words:
        from dataset.prepare.teachers.grammar import interpret

        written = interpret(list(words), request.persona, request.context)
        for sentence in (written[k], *written):
            if sentence not in others:
                return sentence, "grammar"
        return f"{', '.join(words)}{'.' * (k + 1)}", "keywords"
    if three[k] and three[k] not in others:
        return three[k], "model"
    return next(sentence for sentence in _WORDLESS if sentence not in others), "fixed"


def _prompt_batch(
    model: AACMultimodalModel, parsed: Sequence[Request]
) -> tuple[Batch, list[Tensor], list[tuple[int, int]]]:
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


class _Prefilled:
    """Requests whose prompts have been read once; candidates are decoded from the shared cache, three a request."""

    def __init__(
        self, model: AACMultimodalModel, batch: Batch, features: Sequence[Tensor], sizes: Sequence[Any]
    ) -> None:
        self.model = model
        self.core = model.backbone.model
        self.embeds = model.embed(batch, features, sizes)
        self.batch = batch
        self.lengths = (batch.segments == 0).sum(1).repeat_interleave(STYLES)
        self.visible = (batch.segments == 0).repeat_interleave(STYLES, 0)
        memory = model.memory(batch)
        self.memory = tuple(part.repeat_interleave(STYLES, 0) for part in memory)
        self.cache = model.hidden_states(batch, self.embeds, use_cache=True).past_key_values
        self.scale = self.core.embed_tokens.weight.detach().float().std()

    def _after_layer(self, layer: int, hidden: Tensor) -> Tensor:
        return self.model.context.attend(layer, hidden, self.memory)

    def _read(self, embeds: Tensor, cache: Any, mask: Tensor, done: int) -> Any:
        """The decoder on answer inputs (N, T, D) that start `done` tokens after the prompts."""
        steps = torch.arange(done, done + embeds.shape[1], device=embeds.device)
        return self.core(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=self.lengths[:, None] + steps,
            past_key_values=cache,
            use_cache=cache is not None,
            after_layer=self._after_layer,
        )

    def _fresh_cache(self) -> Any:
        import copy

        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(STYLES)
        return cache

    def _recompute(self, answers: Tensor) -> Any:
        """A row that crosses to the long rotary factors: cached keys are rotated already, so all are made again."""
        prompt = self.embeds.repeat_interleave(STYLES, 0)
        steps = torch.arange(answers.shape[1], device=answers.device)
        positions = torch.cat(
            [self.batch.position_ids.repeat_interleave(STYLES, 0), self.lengths[:, None] + steps], dim=1
        )
        segments = torch.cat([self.visible.long() - 1, self.visible.new_zeros(answers.shape[:2]).long() + 1], dim=1)
        return self.core(
            inputs_embeds=torch.cat([prompt, answers], dim=1),
            attention_mask=row_mask(segments),
            position_ids=positions,
            use_cache=True,
            after_layer=self._after_layer,
        ).past_key_values

    def decode(self, prefixes: Sequence[Sequence[int]]) -> list[Decoded]:
        """Greedy, each candidate opened by its style and forced along its prefix; a finished one is no longer run on.

        Steps stop when every candidate has ended, or at `max_new_tokens` (the last token is then the end).
        """
        encoder, limit = self.model.encoder, self.model.config["max_new_tokens"]
        switch = self.core.config.original_max_position_embeddings
        count = len(self.lengths)
        styles = torch.arange(STYLES, device=self.embeds.device).repeat(count // STYLES)
        inputs = self.model.styles.opening(styles, self.scale).to(self.embeds.dtype)[:, None]
        cache, said, past = self._fresh_cache(), [Decoded() for _ in range(count)], inputs[:, :0]
        open_rows = set(range(count))
        for step in range(limit):
            if step and (self.lengths + step == switch).any():
                cache = self._recompute(past)
            answer_part = torch.ones(count, step + 1, dtype=torch.bool, device=self.embeds.device)
            mask = torch.cat([self.visible, answer_part], dim=1)[:, None, None]
            hidden = self._read(inputs, cache, mask, step).last_hidden_state[:, -1]
            past = torch.cat([past, inputs], dim=1)
            chances = functional.softmax(self.model.backbone.lm_head(hidden).float(), dim=-1)
            top, best = chances.topk(2)
            chosen = best[:, 0].tolist()
            for n in sorted(open_rows):
                candidate, prefix = said[n], prefixes[n]
                forced = step < len(prefix)
                if forced:
                    chosen[n] = prefix[step]
                candidate.tokens.append(chosen[n])
                candidate.leads.append(1.0 if forced else float(top[n, 0] - top[n, 1]))
                candidate.seconds.append(int(best[n, 1]))
                if chosen[n] in encoder.stops:
                    open_rows.discard(n)
            if not open_rows:
                break
            inputs = self.core.embed_tokens(torch.tensor(chosen, device=self.embeds.device))[:, None]
        return said

    def style_confidence(self, texts: Sequence[str]) -> Tensor:
        """How sure the classifier is of each style, (N, 3), read from the text with no style told."""
        encoder, device = self.model.encoder, self.embeds.device
        ids = [encoder.answer(text)[:-1] for text in texts]
        width = max(1, *(len(i) for i in ids))
        table = torch.zeros(len(ids), width, dtype=torch.long)
        mask = torch.zeros(len(ids), width, dtype=torch.bool)
        for n, tokens in enumerate(ids):
            table[n, : len(tokens)], mask[n, : len(tokens)] = torch.tensor(tokens, dtype=torch.long), True
        opening = self.model.styles.opening(torch.full((len(ids),), NO_STYLE, device=device), self.scale)
        words = self.core.embed_tokens(table.to(device))
        embeds = torch.cat([opening.to(words.dtype)[:, None], words], dim=1)
        causal = torch.ones(width + 1, width + 1, dtype=torch.bool, device=device).tril()
        seen = self.visible[:, None, :].expand(-1, width + 1, -1)
        full = torch.cat([seen, causal.expand(len(ids), -1, -1)], dim=2)[:, None]
        hidden = self._read(embeds, self._fresh_cache(), full, 0).last_hidden_state[:, 1:]
        return functional.softmax(self.model.styles.logits(hidden, mask.to(device)).float(), dim=-1)
