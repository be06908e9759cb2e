"""Step 7: which cards each row holds.

The public rules, mended: every persona has its own complexity and clusters, draws are seeded row by row, and with the
grammar teacher only cards that still make one plausible utterance stand together.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aac.io import UserError, read_json, write_json
from aac.records import Persona, read_clusters, sample_key
from dataset.prepare.options import Options
from dataset.prepare.personas import read_personas
from dataset.prepare.teachers.registry import TEACHERS
from dataset.prepare.themes import Theme, meant, themes
from dataset.prepare.training_rows import secure

log = logging.getLogger("aac")
# Cards a row by selection complexity, with their shares. One card is a whole turn: of real rows about 40 % are one.
COUNTS: dict[str, dict[int, float]] = {
    "simple": {1: 0.55, 2: 0.45},
    "moderate": {1: 0.38, 2: 0.32, 3: 0.3},
    "complex": {1: 0.24, 2: 0.26, 3: 0.27, 4: 0.23},
}
LONE = 3  # rows in which a card should stand alone at least, to be learned as a message of its own
PURPOSE = 0.75  # of the rows of several cards, dealt by a theme instead of by clusters
IN_ORDER = 0.7  # of those, with the cards in the theme's order
PREFERENCE = 0.9
NEAR, NEAR_CLUSTERS = 0.7, 3
TRIES = 6  # at a theme's cards before they are dealt by clusters
HANDS = 4  # dealt of which the rarest combination is taken: more tell fewer things twice, and take longer
FAR, FAR_COSINE = 0.5, 0.5
Fits = Callable[[list[str], str], bool]
Beside = Callable[[str], frozenset[str] | None]
Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass
class Deck:
    """The cards, their clusters, and how often each was dealt: the least used are the likeliest.

    Inside, a card is its place in `keyword_of`. A card whose word is not in `joins` always stands alone, and one whose
    word has words `beside` it, with these alone (None: with any that fits).
    """

    keyword_of: dict[str, str]
    clusters: dict[int, list[str]]
    centroids: Any
    fits: Fits
    joins: Callable[[str], bool] = lambda word: True
    themes: Sequence[Theme] = ()
    beside: Beside = lambda word: None
    like: Callable[[str], tuple[str, ...]] = lambda word: ()

    def __post_init__(self) -> None:
        self.cards, self.words = list(self.keyword_of), list(self.keyword_of.values())
        self.place_of = {card: place for place, card in enumerate(self.cards)}
        self.uses = np.zeros(len(self.cards), np.int64)
        self.lone = np.zeros(len(self.cards), np.int64)
        self.dealt: Counter[frozenset[int]] = Counter()
        places: dict[str, list[int]] = {}
        for place, word in enumerate(self.words):
            for meant_as in (word, *self.like(word)):
                places.setdefault(meant_as, []).append(place)
        # The themes whose every slot the cards can fill, by length: (weight, places of each slot).
        self.themed: dict[int, list[tuple[int, list[Places]]]] = {}
        for theme in self.themes:
            slots = [
                np.array([p for word in sorted(slot) for p in places.get(word, ())], np.int64) for slot in theme.slots
            ]
            if all(map(len, slots)):
                self.themed.setdefault(len(slots), []).append((theme.weight, slots))
        self.everything = np.arange(len(self.cards))
        self.alone = np.array([not self.joins(word) for word in self.words])
        company = [None if alone else self.beside(word) for word, alone in zip(self.words, self.alone, strict=True)]
        self.circles = list(dict.fromkeys(company))  # few, however many cards: so many searches in vain are saved
        self.circle_of = np.array([self.circles.index(words) for words in company])
        self.within = [np.array([words is None or word in words for word in self.words]) for words in self.circles]
        self.cluster_of = {card: number for number, cards in self.clusters.items() for card in cards}
        self.members = {n: np.array([self.place_of[c] for c in cards]) for n, cards in self.clusters.items()}
        likeness = self.centroids @ self.centroids.T
        order = np.argsort(-likeness, axis=1, kind="stable")
        self.near = [[int(c) for c in row if c != number][:NEAR_CLUSTERS] for number, row in enumerate(order)]
        self.far = [np.flatnonzero(row < FAR_COSINE).tolist() for row in likeness]

    def use(self, cards: Iterable[str]) -> None:
        """Count a row's cards as dealt together."""
        places = [self.place_of[card] for card in cards]
        self.uses[places] += 1
        if len(places) == 1:
            self.lone[places] += 1
        self.dealt[frozenset(places)] += 1

    def by_need(self, places: Places, draw: random.Random, counts: Places | None = None) -> Iterator[int]:
        """The cards in a random order in which one used less often tends to stand before one used more often.

        Args:
            counts: how often each card was used; None: in all rows.

        A use more halves the weight (the public rules' 10, 5, 1/(1+n) leave a card that few others go with three
        times rarer); ordered by exponential keys, which draws without replacement by weight (Efraimidis and Spirakis
        2006).
        """
        if not len(places):
            return
        uses = (self.uses if counts is None else counts)[places]
        keys = np.ldexp(-np.log(1.0 - uniform(draw, len(places))), np.minimum(uses - uses.min(), 60))
        first = int(keys.argmin())
        yield int(places[first])  # mostly the first one goes: the rest is put in order only where it does not
        for place in np.argsort(keys, kind="stable"):
            if place != first:
                yield int(places[place])

    def take(self, places: Places, chosen: list[int], draw: random.Random) -> bool:
        """Add the first card by need that goes with the chosen ones. False: none does."""
        if self.alone[chosen].any():
            return False
        words = [self.words[place] for place in chosen]
        rest = places
        if chosen:
            meets = np.array([circle is None or circle.issuperset(words) for circle in self.circles])
            open_to = np.logical_and.reduce([self.within[self.circle_of[place]] for place in chosen])
            rest = rest[~(np.isin(rest, chosen) | self.alone[rest]) & meets[self.circle_of[rest]] & open_to[rest]]
        for place in self.by_need(rest, draw):
            word = self.words[place]
            if word not in words and self.fits(words, word):
                chosen.append(place)
                return True
        return False

    def deal(
        self, count: int, preferred: Sequence[int], draw: random.Random, among: Sequence[str] | None = None
    ) -> list[str]:
        """`count` cards (fewer where nothing plausible is left), counted as used.

        Of a few hands the one is dealt whose combination came up least so far: a combination that comes a hundred
        times teaches once. A card alone is the one that stood alone least often.

        Args:
            preferred: clusters that the person likes.
            among: the first card is one of these, whatever the person likes.
        """
        if count == 1:
            pool = self.everything if among is None else np.array([self.place_of[card] for card in among])
            hands = iter([[next(self.by_need(pool, draw, self.lone))]])
        elif among is None and count in self.themed and draw.random() < PURPOSE:
            hands = (self._themed_hand(count, draw) for _ in range(HANDS))
        else:
            hands = (self._hand(count, preferred, draw, among) for _ in range(HANDS))
        chosen = next(hands) or self._hand(count, preferred, draw, among)
        for other in hands if self.dealt[frozenset(chosen)] else ():
            if not self.dealt[frozenset(chosen)]:
                break
            if (-len(other), self.dealt[frozenset(other)]) < (-len(chosen), self.dealt[frozenset(chosen)]):
                chosen = other
        cards = [self.cards[place] for place in chosen]
        self.use(cards)
        return cards

    def _themed_hand(self, count: int, draw: random.Random) -> list[int]:
        """Cards of one theme that a person could mean together; empty where a few tries find none."""
        weights, slots_of = zip(*self.themed[count], strict=True)
        slots = draw.choices(slots_of, weights)[0]
        for _ in range(TRIES):
            chosen: list[int] = []
            for slot in slots:
                chosen += [next(self.by_need(slot[~np.isin(slot, chosen)], draw), -1)]
            order = chosen if draw.random() < IN_ORDER else draw.sample(chosen, count)
            if -1 not in chosen and meant(tuple(self.words[place] for place in order)):
                return order
        return []

    def _hand(
        self, count: int, preferred: Sequence[int], draw: random.Random, among: Sequence[str] | None
    ) -> list[int]:
        # What a person likes comes first only while the rest does not lag behind: no card stays rare.
        enough = (int(self.uses.min()) + int(self.uses.sum()) / len(self.cards)) / 2
        groups = [self.members[number] for number in preferred if number in self.members]
        liked = np.concatenate(groups) if groups else self.everything[:0]
        liked = liked[self.uses[liked] <= enough]
        pool = liked if len(liked) and draw.random() < PREFERENCE else self.everything
        if among is not None:
            pool = np.array([self.place_of[card] for card in among])
        first = next(self.by_need(pool, draw))
        base = self.cluster_of[self.cards[first]]
        chosen: list[int] = []
        wanted = {1: 1, 2: draw.randint(1, 2), 3: draw.randint(1, 3), 4: draw.randint(1, 2)}[count]
        nothing = self.everything[:0]
        self.take(self.everything[first : first + 1], chosen, draw)
        while len(chosen) < wanted and self.take(self.members[base], chosen, draw):
            pass
        if len(chosen) < count and draw.random() < NEAR:
            near = self.members.get(draw.choice(self.near[base]), nothing) if self.near[base] else nothing
            for _ in range(min(draw.randint(0, 2), count - len(chosen))):
                self.take(near, chosen, draw)
        if len(chosen) < count and self.far[base] and draw.random() < FAR:
            self.take(self.members.get(draw.choice(self.far[base]), nothing), chosen, draw)
        while len(chosen) < count and self.take(self.everything, chosen, draw):
            pass
        return chosen


_TWIN = np.random.RandomState(0)


def uniform(draw: random.Random, count: int) -> Any:
    """`count` calls of `draw.random()`, at once: NumPy's legacy generator runs on the same Mersenne Twister."""
    if count < 64:
        return np.array([draw.random() for _ in range(count)])
    version, state, spare = draw.getstate()
    twin = _TWIN
    twin.set_state(("MT19937", np.array(state[:-1], np.uint32), state[-1]))
    drawn = twin.random_sample(count)
    _, key, place, *_ = twin.get_state(legacy=True)
    draw.setstate((version, (*map(int, key), int(place)), spare))
    return drawn


def write_cards(options: Options) -> str:
    """Write `dataset_with_cards.json`, and `coverage.json`: how often each card, cluster and length occurs."""
    from tqdm import tqdm

    rows = read_json(options.file("dataset.json"))
    people = preferring(options)
    table = read_json(options.file("cards.json"))["cards"]
    deck = deck_of(table, options)
    # Row by row through the personas in turn, so that no person gets what the others left over.
    order = sorted(range(len(rows)), key=lambda place: (place % options.samples_per_persona, place))
    for place in tqdm(order, desc="combinations", unit="row", leave=False):
        fill_row(rows[place], deck, people, options)
    if pinned := secure(rows, people):
        log.info("      %d rows of one card are kept for training, so that every card is learned", pinned)
    write_json(options.file("dataset_with_cards.json"), rows, None)
    write_json(options.file("coverage.json"), coverage(rows, deck, table))
    uses = sorted(deck.uses.tolist())
    lengths = Counter(len(row["keywords"]) for row in rows)
    if strangers := int(deck.alone.sum()):
        log.warning(
            "      %d of %d cards have labels that the grammar joins with no other: it deals them alone; a remote "
            "teacher (--teacher) combines them too",
            *(strangers, len(deck.cards)),
        )
    if seldom := [card for card in deck.cards if deck.lone[deck.place_of[card]] < LONE]:
        log.warning(
            "      %d of %d cards stand alone in fewer than %d rows (%s): a message of one card is learned from such "
            "rows; give more --samples-per-persona",
            *(len(seldom), len(deck.cards), LONE, ", ".join(map(deck.keyword_of.__getitem__, seldom[:5]))),
        )
    return (
        f"{len(rows)} rows, {lengths[1] / max(1, len(rows)):.0%} of one card, "
        f"a card stands in {uses[0]} to {uses[-1]} of them (median {uses[len(uses) // 2]}), "
        f"rows by number of cards {dict(sorted(lengths.items()))} -> dataset_with_cards.json, coverage.json"
    )


def preferring(options: Options) -> dict[int, dict[str, Any]]:
    """The personas of step 6 by id, as the file holds them."""
    path = options.file("enhanced_persona.json")
    return {entry["id"]: entry["persona"] for entry in read_personas(path)}


def deck_of(table: Sequence[dict[str, Any]], options: Options) -> Deck:
    """The cards of `cards.json` in the clusters of step 3, none dealt yet.

    Raises:
        UserError: the two files do not hold the same cards.
    """
    path = options.file("clustering_results.json")
    keyword_of, clusters = {card["file"]: card["keyword"] for card in table}, read_clusters(path).files
    if astray := {card for cards in clusters.values() for card in cards} ^ set(keyword_of):
        raise UserError(f"{path}: {min(astray)} is not in both this file and cards.json; run steps 2 and 3 again")
    centroids, teacher = np.load(options.file("centroids.npy")), options.teacher
    return Deck(keyword_of, clusters, centroids, *plausible(teacher), proposed(teacher), *company(teacher))


def fill_row(
    row: dict[str, Any], deck: Deck, people: dict[int, dict[str, Any]], options: Options, among: Any = None
) -> None:
    """Deal a row its cards, by its person's complexity and clusters and its own draw.

    Raises:
        UserError: the row's persona is not among the people.
    """
    if row["persona_id"] not in people:
        raise UserError(f"{options.file('dataset.json')}: row {row['id']}: no persona {row['persona_id']}; run step 4")
    person = Persona.read(people[row["persona_id"]])
    draw = random.Random(f"cards|{options.seed}|{row['id']}")
    shares = COUNTS.get(person.selection_complexity, COUNTS["moderate"])
    count = draw.choices(list(shares), list(shares.values()))[0]
    chosen = deck.deal(min(count, len(deck.cards)), person.preferred_category_types, draw, among)
    row["input"] = {**row["input"], "persona": people[row["persona_id"]], "AAC_card_combination": chosen}
    row["key"] = sample_key(row["persona_id"], chosen, row["id"])
    row["keywords"] = [deck.keyword_of[card] for card in chosen]


def coverage(rows: Sequence[dict[str, Any]], deck: Deck, table: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often each length, cluster and card occurs, and under which licences the cards stand, where labels say so."""
    lengths = Counter(len(row["input"]["AAC_card_combination"]) for row in rows)
    uses = dict(zip(deck.cards, deck.uses.tolist(), strict=True))
    alone = dict(zip(deck.cards, deck.lone.tolist(), strict=True))
    by_cluster: Counter[int] = Counter()
    for card, count in uses.items():
        by_cluster[deck.cluster_of[card]] += count
    report: dict[str, Any] = {
        "rows_by_number_of_cards": {str(n): lengths[n] for n in sorted(lengths)},
        "uses_by_cluster": {str(n): by_cluster[n] for n in sorted(deck.clusters)},
        "uses_by_card": {card: uses[card] for card in sorted(uses, key=lambda c: (uses[c], c))},
        "alone_by_card": {card: alone[card] for card in sorted(alone, key=lambda c: (alone[c], c))},
    }
    if any(card.get("licence") for card in table):
        report["cards_by_licence"] = dict(Counter(card.get("licence") or "not stated" for card in table).most_common())
    return report


def plausible(teacher: str) -> tuple[Fits, Callable[[str], bool]]:
    """Whether a word may join the words chosen so far, and whether it ever joins any: what the teacher can say; a
    remote one takes anything."""
    if TEACHERS[teacher].remote:
        return lambda words, word: True, lambda word: True
    module = TEACHERS[teacher].load()
    return module.fits, module.joins


def company(teacher: str) -> tuple[Beside, Callable[[str], tuple[str, ...]]]:
    """Which words alone may stand beside a word, None where any that fits may, and for which others it is dealt on
    purpose: of a teacher on this machine that tells."""
    module = None if TEACHERS[teacher].remote else TEACHERS[teacher].load()
    return getattr(module, "beside", lambda word: None), getattr(module, "like", lambda word: ())


def proposed(teacher: str) -> Sequence[Theme]:
    """What is dealt on purpose: for a teacher on this machine what it names itself, since it may not say the rest."""
    if TEACHERS[teacher].remote:
        return themes()
    module = TEACHERS[teacher].load()
    return module.themes() if hasattr(module, "themes") else ()
