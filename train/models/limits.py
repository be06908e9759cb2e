"""How long what a model is told may be: about as long as what it was trained on. Beyond, it forgets the cards.

A checkpoint keeps the longest lines of persona and context of its training rows, in tokens. Measured on the demo's
model (longest context: 15 tokens), first sentences that say all cards, from pictures alone, by the length of a context
of unknown words: 0.61 at 14 tokens, 0.57 at 25, 0.51 at 32, 0.40 at 60, 0.31 at 76; without a context 0.71.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from aac.records import Context, Persona, Sample

if TYPE_CHECKING:
    from train.models.prompt import PromptEncoder

SLACK = 1.5  # times the longest line of the training rows
# As long as the shipped personas and the offline teacher's contexts get: for checkpoints that keep no lengths.
_PERSONA = Persona(
    age="청소년", gender="여성", disability_type="자폐스펙트럼장애", speech_level="합쇼체", utterance_length="자세히"
)
_CONTEXT = Context(
    time="오전 10시", place="치료실", interaction_partner="물리 치료사 선생님", current_activity="함께 시간을 보내는 중"
)


def longest_lines(encoder: PromptEncoder, samples: Iterable[Sample] = ()) -> dict[str, int]:
    """Tokens of the samples' longest lines of `persona` and `context`; without samples, of shipped ones."""
    lengths = [encoder.line_lengths(sample.persona, sample.context) for sample in samples]
    lengths = lengths or [encoder.line_lengths(_PERSONA, _CONTEXT)]
    return {name: max(length[name] for length in lengths) for name in lengths[0]}


def stored(state: dict[str, Any], where: str) -> dict[str, int] | None:
    """A checkpoint's record of them; None: it is older than such records.

    Raises:
        UserError: the record is malformed.
    """
    lengths = state.get("longest")
    good = isinstance(lengths, dict) and lengths.keys() == {"persona", "context"}
    if lengths is not None and not (good and all(type(n) is int and n >= 0 for n in lengths.values())):
        raise UserError(f"{where}: its record of the longest rows is malformed ('longest'); use an earlier checkpoint")
    return lengths


def shortened(
    encoder: PromptEncoder, longest: dict[str, int], persona: Persona, context: Context
) -> tuple[Persona, Context, dict[str, list[str]]]:
    """Persona and context, each without the longest texts while its line is longer than trained; and which were left
    out of `persona` and of `context`."""
    records: dict[str, Any] = {"persona": persona, "context": context}
    gone: dict[str, list[str]] = {}
    for name, record in records.items():
        most = SLACK * longest[name]
        fields = [field for field, value in record if value and isinstance(value, str)]
        while fields and encoder.line_lengths(**records)[name] > most:
            without = {field: records[name].model_copy(update={field: ""}) for field in fields}
            field = min(fields, key=lambda f: encoder.line_lengths(**{**records, name: without[f]})[name])
            records[name] = without[field]
            fields.remove(field)
            gone.setdefault(name, []).append(field)
    return records["persona"], records["context"], gone
