"""What needs no trained model: whoever cannot beat these has learned nothing from the cards, the person, the context.

- `keywords`: the cards' words as they stand, three times.
- `grammar_cards_only`: the offline teacher, told the cards and neither the person nor the context.
- `nearest_neighbour`: the references of the training row whose cards, then person and context, are most alike.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from aac.records import INTERPRETATIONS, Context, Persona, Sample


def baselines(samples: Sequence[Sample], learned: Sequence[Sample]) -> dict[str, list[list[str]]]:
    """Candidates of each baseline by name; `nearest_neighbour` is absent without training rows."""
    from dataset.prepare.teachers.grammar import interpret

    found = {
        "keywords": [[" ".join(sample.keywords)] * INTERPRETATIONS for sample in samples],
        "grammar_cards_only": [interpret(sample.keywords, Persona(), Context()) for sample in samples],
    }
    if learned:
        found["nearest_neighbour"] = nearest(samples, learned)
    return found


def nearest(samples: Sequence[Sample], learned: Sequence[Sample]) -> list[list[str]]:
    """The references of the nearest training row: first by shared cards (Jaccard), then by equal fields; then by id."""
    holders: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(learned):
        for card in set(row.cards):
            holders[card].append(place)
    traits = [_traits(row) for row in learned]
    sizes = [len(set(row.cards)) for row in learned]
    answers = []
    for sample in samples:
        own, mine = set(sample.cards), _traits(sample)
        common = Counter(place for card in own for place in holders[card])
        shared = {place: count / (len(own) + sizes[place] - count) for place, count in common.items()}
        most = max(shared.values(), default=0.0)
        near = [place for place, share in shared.items() if share == most] or range(len(learned))

        def likeness(place: int, mine: tuple[str, ...] = mine) -> tuple[int, int]:
            alike = sum(a == b and a != "" for a, b in zip(mine, traits[place], strict=True))
            return alike, -learned[place].id

        answers.append(list(learned[max(near, key=likeness)].output))
    return answers


def _traits(sample: Sample) -> tuple[str, ...]:
    persona, context = sample.persona, sample.context
    return (persona.age, persona.speech_level, persona.utterance_length, *context.public().values())
