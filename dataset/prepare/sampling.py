"""Step 7: which cards each row holds.

The public rules, mended: every persona has its own complexity and clusters, draws are seeded row by row, and with the
grammar teacher only cards that still make one plausible utterance stand together.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset.prepare.records import UserError, read_json, sample_key, write_json

if TYPE_CHECKING:
    from dataset.prepare.pipeline import Options

# Cards a row by selection complexity, with their shares. One card is a whole turn, but seldom the task of a model.
COUNTS: dict[str, dict[int, float]] = {
    "simple": {1: 0.4, 2: 0.6},
    "moderate": {1: 0.14, 2: 0.43, 3: 0.43},
    "complex": {2: 0.3, 3: 0.35, 4: 0.35},
}
PREFERENCE = 0.9
NEAR, NEAR_CLUSTERS = 0.7, 3
FAR, FAR_COSINE = 0.5, 0.5
Fits = Callable[[list[str], str], bool]


@dataclass
class Deck:
    """The cards, their clusters, and how often each was dealt: the least used are the likeliest."""

    keyword_of: dict[str, str]
    clusters: dict[int, list[str]]
    centroids: Any
    fits: Fits
    used: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.cluster_of = {card: number for number, cards in self.clusters.items() for card in cards}
        likeness = self.centroids @ self.centroids.T
        order = np.argsort(-likeness, axis=1, kind="stable")
        self.near = [[int(c) for c in row if c != number][:NEAR_CLUSTERS] for number, row in enumerate(order)]
        self.far = [np.flatnonzero(row < FAR_COSINE).tolist() for row in likeness]

    def by_need(self, cards: Sequence[str], draw: random.Random) -> list[str]:
        """The cards in a random order in which one used less often tends to stand before one used more often.

        A use more halves the weight (the public rules' 10, 5, 1/(1+n) leave a card that few others go with three
        times rarer); ordered by exponential keys, which draws without replacement by weight (Efraimidis and Spirakis
        2006).
        """
        least = min((self.used[card] for card in cards), default=0)
        return sorted(cards, key=lambda card: draw.expovariate(0.5 ** min(self.used[card] - least, 60)))

    def take(self, cards: Iterable[str], chosen: list[str], draw: random.Random) -> bool:
        """Add the first card by need that goes with the chosen ones. False: none does."""
        words = [self.keyword_of[card] for card in chosen]
        for card in self.by_need([card for card in cards if card not in chosen], draw):
            word = self.keyword_of[card]
            if word not in words and self.fits(words, word):
                chosen.append(card)
                return True
        return False

    def deal(self, count: int, preferred: Sequence[int], draw: random.Random) -> list[str]:
        """`count` cards (fewer where nothing plausible is left), counted as used."""
        # What a person likes comes first only while the rest does not lag behind: no card stays rare.
        least = min(self.used[card] for card in self.keyword_of)
        enough = (least + self.used.total() / len(self.keyword_of)) / 2
        liked = [c for number in preferred for c in self.clusters.get(number, []) if self.used[c] <= enough]
        first = self.by_need(liked if liked and draw.random() < PREFERENCE else list(self.keyword_of), draw)[0]
        base = self.cluster_of[first]
        chosen: list[str] = []
        wanted = {1: 1, 2: draw.randint(1, 2), 3: draw.randint(1, 3), 4: draw.randint(1, 2)}[count]
        self.take([first], chosen, draw)
        while len(chosen) < wanted and self.take(self.clusters[base], chosen, draw):
            pass
        if len(chosen) < count and draw.random() < NEAR:
            near = self.clusters.get(draw.choice(self.near[base]), []) if self.near[base] else []
            for _ in range(min(draw.randint(0, 2), count - len(chosen))):
                self.take(near, chosen, draw)
        if len(chosen) < count and self.far[base] and draw.random() < FAR:
            self.take(self.clusters.get(draw.choice(self.far[base]), []), chosen, draw)
        while len(chosen) < count and self.take(self.keyword_of, chosen, draw):
            pass
        self.used.update(chosen)
        return chosen


def write_cards(options: Options) -> str:
    """Write `dataset_with_cards.json`, and `coverage.json`: how often each card, cluster and length occurs."""
    from tqdm import tqdm

    rows = read_json(options.file("dataset.json"))
    people = {e["id"]: e["persona"] for e in read_json(options.file("enhanced_persona.json"))}
    results = read_json(options.file("clustering_results.json"))
    cards = {card["file"]: card["keyword"] for card in read_json(options.file("cards.json"))["cards"]}
    clusters = {int(number): names for number, names in results["clustered_files"].items() if names}
    deck = Deck(cards, clusters, np.load(options.file("centroids.npy")), plausible(options.teacher))
    # Row by row through the personas in turn, so that no person gets what the others left over.
    order = sorted(range(len(rows)), key=lambda place: (place % options.samples_per_persona, place))
    for place in tqdm(order, desc="combinations", unit="row", leave=False):
        row = rows[place]
        if row["persona_id"] not in people:
            raise UserError(
                f"{options.file('dataset.json')}: row {row['id']}: no persona {row['persona_id']}; run step 4"
            )
        persona = people[row["persona_id"]]
        draw = random.Random(f"cards|{options.seed}|{row['id']}")
        shares = COUNTS.get(persona.get("selection_complexity", ""), COUNTS["moderate"])
        count = draw.choices(list(shares), list(shares.values()))[0]
        chosen = deck.deal(min(count, len(cards)), persona["preferred_category_types"], draw)
        row["input"] = {**row["input"], "persona": persona, "AAC_card_combination": chosen}
        row["key"] = sample_key(row["persona_id"], chosen, row["id"])
        row["keywords"] = [cards[card] for card in chosen]
    write_json(options.file("dataset_with_cards.json"), rows, None)
    lengths = Counter(len(row["keywords"]) for row in rows)
    by_cluster = Counter(deck.cluster_of[card] for card in deck.used.elements())
    report = {
        "rows_by_number_of_cards": {str(n): lengths[n] for n in sorted(lengths)},
        "uses_by_cluster": {str(n): by_cluster[n] for n in sorted(clusters)},
        "uses_by_card": {card: deck.used[card] for card in sorted(cards, key=lambda c: (deck.used[c], c))},
    }
    write_json(options.file("coverage.json"), report)
    uses = sorted(deck.used[card] for card in cards)
    return (
        f"{len(rows)} rows, a card stands in {uses[0]} to {uses[-1]} of them (median {uses[len(uses) // 2]}), "
        f"rows by number of cards {dict(sorted(lengths.items()))} -> dataset_with_cards.json, coverage.json"
    )


def plausible(teacher: str) -> Fits:
    """Whether a word may join the words chosen so far: what the grammar can say; a remote teacher takes anything."""
    if teacher != "grammar":
        return lambda words, word: True
    from dataset.prepare.teachers.grammar import next_cards

    return lambda words, word: not words or bool(next_cards(words, [word]))
