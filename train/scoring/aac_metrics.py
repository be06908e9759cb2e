"""What an AAC user needs of a candidate: does it say the cards, as this person would say it, to this partner?

Each function scores one row: its sample and its three candidates (empty strings where fewer were given; an empty
candidate earns 0 everywhere). Scores lie in 0–1, higher is better; NaN means that the question does not arise.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from aac import content, gate, soundness
from aac.korean import (
    FRAGMENT,
    analyse,
    card_lemmas,
    content_lemmas,
    covers,
    is_question,
    seen_from_outside,
    speech_level,
)
from aac.lexicon import lookup
from aac.persona import LEVELS, Persona
from aac.records import Sample
from aac.refusal import REFUSING
from aac.register import levels
from train.scoring.functions import function_of
from train.scoring.senses import says
from train.scoring.titles import called_wrongly
from train.scoring.wording import wrong_forms

LEAST_CONTEXTS, MANY_CONTEXTS = 6, 21  # that tell context_relevance at all, and without a wider interval
AHEAD = frozenset({"내일", "나중에"})  # cards
QUESTION_CARDS = frozenset({"뭐", "어디", "누구", "왜", "언제"})
REFUSAL_CARDS = REFUSING | {"그만"}

# Polite to a teacher from a child too (aac_practice.md: 합쇼체 in fixed formulas only).
_FORMULA = re.compile(
    r"^((정말|너무|대단히) )?(감사|고맙|죄송|미안|축하|반갑|실례|안녕하|수고하|처음 뵙)[가-힣]*(니다|니까)\W*$"
)
# Words that complete a sentence and add nothing to what the cards say.
_COMPLETING = frozenset({
    "좀", "잘", "정말", "참", "아주", "너무", "그냥", "바로", "이제", "꼭", "한번", "또", "다", "안", "못", "있다",
    "가지다", "필요", "필요하다", "부탁", "부탁하다", "드리다", "같다", "되다", "알다", "그렇다", "이렇다", "어떻다",
    "때", "중",
})  # fmt: skip


def coverage(text: str, sample: Sample) -> float:
    """Share of the cards that a candidate says, each in its sense (`senses.py`); other words that mean it count."""
    return _said(text, sample.keywords, sample.keywords)


def _said(text: str, words: Sequence[str], cards: Sequence[str]) -> float:
    return sum(says(text, word, cards) for word in words) / len(words) if text else 0.0


def polarity(text: str, sample: Sample) -> float:
    """1 if the candidate denies what the cards deny and nothing else."""
    return float(bool(text) and gate.polarity_kept(text, sample.keywords))


def addition(text: str, sample: Sample) -> float:
    """1 without invented content; each content lemma and each person beyond the cards, the context and what completes
    a card (`aac/completions.json`) costs 1 / (cards + 1)."""
    if not text:
        return 0.0
    words, given = tuple(sample.keywords), tuple(part for part in sample.context.public().values() if part)
    extra = content.added(text, words, given, gate.persons()) | gate.added_persons(text, words, sample.context)
    return max(0.0, 1.0 - len(extra) / (len(sample.cards) + 1))


def grammatical(text: str, sample: Sample) -> float:
    """1 if every form of the candidate is Korean (the gate's forms, and no predicate twice)."""
    return float(bool(text) and not any(wrong_forms(text, sample.keywords)))


def tense(text: str, sample: Sample) -> float:
    """1 if what is to come is not told as over; NaN where no card says that it is to come."""
    if not AHEAD & set(sample.keywords):
        return float("nan")
    return float(bool(text) and not soundness.tense_wrong(text))


def title(text: str, sample: Sample) -> float:
    """1 if nobody is called but the partner; NaN where no partner is known."""
    partner = sample.context.interaction_partner
    if not partner:
        return float("nan")
    return float(bool(text) and not called_wrongly(text, partner))


def functions(three: Sequence[str], sample: Sample) -> float:
    """1 if the three candidates do three different things (`functions.py`).

    NaN without a verb among the cards, with a question card, beside which all three ask, and with one that refuses: all
    three refuse, and a question there would turn the refusal round.
    """
    cards = [card for word in sample.keywords if (card := lookup(word))]
    if (QUESTION_CARDS | REFUSAL_CARDS) & set(sample.keywords) or not any(card.pos == "verb" for card in cards):
        return float("nan")
    return float(all(three) and len({function_of(text) for text in three}) == len(three))


def illocution(three: Sequence[str], sample: Sample) -> float:
    """With a question card at least two of three candidates ask, without at most one does; else linearly less."""
    if not any(three):
        return 0.0
    asked = sum(map(is_question, three))
    return min(1.0, asked / 2) if QUESTION_CARDS & set(sample.keywords) else min(1.0, (3 - asked) / 2)


def register_accuracy(three: Sequence[str], references: Sequence[str]) -> float:
    """Share of the candidates whose speech level the references have, each reference counted once.

    The references of one row may differ in level (requests stay 주세요 where 합쇼체 leads), so levels are compared as
    a set with multiplicities, whatever their order.
    """
    wanted = Counter(speech_level(text) for text in references)
    own = Counter(speech_level(text) for text in three if text)
    return (own & wanted).total() / wanted.total()


def register(three: Sequence[str], sample: Sample) -> float:
    """Mean over the candidates: 1 for a level that the register table accepts, 0.5 for a fragment, else 0."""
    accepted = levels(sample.context.interaction_partner, sample.persona.age, sample.persona.speech_level)
    return float(np.mean([_accepted(text, accepted) for text in three]))


def _accepted(text: str, accepted: Sequence[str]) -> float:
    level = speech_level(text)
    if not text:
        return 0.0
    if level == FRAGMENT:
        return 0.5
    formula = "해요체" in accepted and _FORMULA.match(text) is not None
    request = "합쇼체" in accepted and text.rstrip(".!?").endswith("세요")  # requests stay 주세요 there
    return float(level in accepted or formula or request)


def level_recalls(three: Sequence[str], references: Sequence[str]) -> list[int]:
    """For macro-recall: for each of LEVELS how many references have it, then how many of those the candidates match."""
    wanted = Counter(speech_level(text) for text in references)
    own = Counter(speech_level(text) for text in three if text)
    return [wanted[level] for level in LEVELS] + [min(own[level], wanted[level]) for level in LEVELS]


def macro_recall(counts: np.ndarray) -> np.ndarray:
    """Of summed `level_recalls` [..., 6]: mean recall over the levels that occur [...]; a constant level earns
    1 / levels."""
    wanted, met = np.split(counts, 2, axis=-1)
    occurring = wanted > 0
    with np.errstate(invalid="ignore"):
        return (met / np.maximum(wanted, 1) * occurring).sum(axis=-1) / occurring.sum(axis=-1)


def voice(text: str, sample: Sample, person: str = "first") -> float:
    """1 if the person speaks for themselves, not somebody about them or about cards (`person="third"` inverts it)."""
    return float(bool(text) and seen_from_outside(text, sample.keywords) == (person == "third"))


def interest(three: Sequence[str], sample: Sample) -> float:
    """The share of the cards among the person's topics that is said. None chosen: NaN, or 0 where a topic intrudes."""
    topics = sample.persona.interesting_topics
    liked = {lemma for topic in topics for lemma in card_lemmas(topic)}
    chosen = [word for word in sample.keywords if card_lemmas(word) & liked]
    if chosen:
        return float(np.mean([_said(text, chosen, sample.keywords) for text in three]))
    given = _words(_context_text(sample)) | {lemma for word in sample.keywords for lemma in card_lemmas(word)}
    strange = liked - given - _COMPLETING
    return 0.0 if any(strange & _words(text) for text in three) else float("nan")


class Habits:
    """What training references look like: bands of complexity and vocabulary, by kind of person.

    The bands follow `utterance_length` where personas have it (how many cards a person picks says little about how
    long they speak), else `selection_complexity`; vocabulary follows the age group.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        sizes: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        self._vocabulary: dict[str, set[str]] = defaultdict(set)
        for sample in samples:
            for text in sample.output:
                sizes[_kind(sample.persona)].append(_size(text))
                self._vocabulary[sample.persona.age] |= _words(text)
        self._bands = {kind: np.percentile(np.array(rows), [5, 95], axis=0) for kind, rows in sizes.items()}

    def complexity(self, text: str, sample: Sample) -> float:
        """Eojeol, morphemes and clause links inside the middle 90 % of such persons' references; linear outside."""
        if not text:
            return 0.0
        if _kind(sample.persona) not in self._bands:
            return float("nan")
        low, high = self._bands[_kind(sample.persona)]
        size = np.array(_size(text))
        outside = np.maximum(0, np.maximum(low - size, size - high))
        return float(np.maximum(0, 1 - outside / np.maximum(high - low, 1)).mean())

    def vocabulary(self, text: str, sample: Sample) -> float:
        """Share of the content lemmas that the age group's references, the cards or the context hold."""
        if not text:
            return 0.0
        if sample.persona.age not in self._vocabulary or not (words := _words(text)):
            return float("nan")
        strange = words - self._vocabulary[sample.persona.age] - _words(_context_text(sample))
        return 1 - sum(not _given(word, tuple(sample.keywords)) for word in strange) / len(words)


def context_relevance(samples: Sequence[Sample], threes: Sequence[Sequence[str]]) -> np.ndarray | None:
    """How surely a row's own context is told from all others by what the candidates say, as AUC; chance is 0.5.

    Likeness is the TF-IDF cosine of content lemmas. A row most of whose content words stand in the context alone
    (not in the cards) copies, and earns 0, as does an empty one.

    Returns:
        [rows, 3]: a row's AUC, 1, and its share of its context (1 / rows that have it), so that sums tell how many
        different contexts there are. None with fewer than LEAST_CONTEXTS.
    """
    texts = [_context_text(sample) for sample in samples]
    often = Counter(texts)
    distinct = sorted(often)
    if len(distinct) < LEAST_CONTEXTS:
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer=lambda text: sorted(_words(text)))
    contexts = vectors.fit_transform(distinct)
    place = {text: number for number, text in enumerate(distinct)}
    likenesses = (vectors.transform([" ".join(three) for three in threes]) @ contexts.T).toarray()
    scores = np.zeros(len(samples))
    for row, (sample, three) in enumerate(zip(samples, threes, strict=True)):
        if not any(three) or _copies(sample, three):
            continue
        likeness = likenesses[row]
        own = likeness[place[texts[row]]]
        others = len(distinct) - 1
        scores[row] = ((likeness < own).sum() + ((likeness == own).sum() - 1) / 2) / others
    return np.stack([scores, np.ones(len(scores)), [1 / often[text] for text in texts]], axis=1)


def of_few_contexts(sums: np.ndarray) -> tuple[float, float] | None:
    """Wilson's 95 % interval of summed `context_relevance`, for a share seen in so many contexts; None from
    MANY_CONTEXTS on. Persons drawn again never meet other contexts, so a few that happen to be easy look certain."""
    number = sums[2] if len(sums) > 2 else MANY_CONTEXTS  # earlier files did not count them, and had as many
    if round(number) >= MANY_CONTEXTS:
        return None
    share, squared = sums[0] / sums[1], 1.96**2
    middle = (share + squared / (2 * number)) / (1 + squared / number)
    half = np.sqrt(squared * (share * (1 - share) / number + squared / (4 * number**2))) / (1 + squared / number)
    return float(middle - half), float(middle + half)


def _copies(sample: Sample, three: Sequence[str]) -> bool:
    said = set().union(*(_words(text) for text in three)) - _COMPLETING
    copied = {w for w in said & _words(_context_text(sample)) if not _given(w, tuple(sample.keywords))}
    return len(copied) > len(said) / 2


@lru_cache(maxsize=200_000)
def _words(text: str) -> frozenset[str]:
    """Content lemmas, each word once (필요하다, not also 필요)."""
    found = content_lemmas(text)
    return frozenset(word for word in found if not any(f"{word}{end}" in found for end in ("하다", "되다")))


@lru_cache(maxsize=200_000)
def _given(word: str, keywords: tuple[str, ...]) -> bool:
    """Whether a word stands for one of the cards, or for a part of one (Kiwi splits 감자튀김)."""
    stem = word[:-1] if word.endswith("다") and len(word) > 1 else word
    return any(stem in key or word in card_lemmas(key) or covers(word, key) for key in keywords)


def _context_text(sample: Sample) -> str:
    return " ".join(part for part in sample.context.public().values() if part)


def _kind(persona: Persona) -> str:
    return persona.utterance_length or persona.selection_complexity


@lru_cache(maxsize=200_000)
def _size(text: str) -> tuple[int, int, int]:
    """Eojeol, morphemes, clause links."""
    morphs = [m for m in analyse(text) if not m.tag.startswith("S")]
    return len(text.split()), len(morphs), sum(m.tag == "EC" for m in morphs)
