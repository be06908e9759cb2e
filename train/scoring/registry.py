"""Every metric, declared once. Tables, intervals, comparisons, the leave-one-out line, pages and the training log are
derived from these declarations, in their order; a number that nobody declared is an error.

A metric is kept as counts, a row each, so that scores, resamples and differences only add rows up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, Literal

import numpy as np

from aac.records import Sample
from train.interpreter.candidates import Source
from train.scoring import aac_metrics, text_metrics
from train.scoring.row import Prediction
from train.scoring.similarity import LEXICAL, Similarity


class Shown(IntEnum):
    """How far up a metric is shown; each place shows what stands further up, too."""

    FILES = 0  # metrics.json and comparisons
    PAGES = 1  # the report page
    BRIEF = 2  # the demo's page, the log of a training
    HEADLINE = 3  # the table in the terminal


FILES, PAGES, BRIEF, HEADLINE = Shown


class Material:
    """The rows that metrics are asked about, and what they may consult.

    Args:
        predictions: in any order.
        habits: what training rows look like; None: metrics that consult it are absent.
        voice: `first`, or `third` for notes about the person.
        similarity: the backend of `semantic_similarity[...]`, absent without one.
    """

    def __init__(
        self,
        predictions: Sequence[Prediction],
        habits: aac_metrics.Habits | None = None,
        voice: str = "first",
        similarity: Similarity | None = None,
    ) -> None:
        self.predictions, self.habits, self.voice, self.similarity = predictions, habits, voice, similarity
        self.firsts = [p.three[0] for p in predictions]
        self.references = [p.sample.output for p in predictions]
        self._made: dict[str, np.ndarray | None] = {}

    def counts(self, metric: Metric) -> np.ndarray | None:
        """A metric's counts, [rows, m], made once; None where these rows cannot tell it."""
        if metric.key not in self._made:
            self._made[metric.key] = metric.counts(self) if metric.counts else None
        return self._made[metric.key]

    def key(self, metric: Metric) -> str:
        """The metric's key in files: numbers of two similarities are not the same metric."""
        return (
            f"{metric.key}[{self.similarity.name}]" if metric.counts is _similarity and self.similarity else metric.key
        )


Counts = Callable[[Material], "np.ndarray | None"]


def mean(sums: np.ndarray) -> np.ndarray:
    """Of summed (values, rows that count) [..., 2 or more]: the mean [...]."""
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


@dataclass(frozen=True)
class Metric:
    """One number about a set of predictions.

    Attributes:
        key: its name in files; of a similarity, the backend's name follows in brackets.
        name: in Korean, for pages.
        counts: of the rows, [rows, m]; None: whoever has them adds them (the model its own, people theirs).
        value: what counts say once they are summed, [..., m] to [...].
        against: what candidates are compared with: `nothing` but their row, the row's `references`, or `each` of them,
            so that a reference can be scored against the others.
        shown: how far up.
        judged: what a good row reaches; the report begins with the rows that lack most. 0: rows are not judged by it.
        better: which end is the good one.
        scale: the highest value.
        least: what an interval holds at least, of summed counts: where resamples alone would be too sure of few rows.
    """

    key: str
    name: str = ""
    counts: Counts | None = None
    value: Callable[[np.ndarray], np.ndarray] = mean
    against: Literal["nothing", "references", "each"] = "nothing"
    shown: Shown = PAGES
    judged: float = 0.0
    better: Literal["high", "low"] = "high"
    scale: int = 1
    least: Callable[[np.ndarray], tuple[float, float] | None] = lambda sums: None

    def __post_init__(self) -> None:
        if self.shown > FILES and not self.name:
            raise ValueError(f"metric {self.key!r}: pages need its Korean name")


def column(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """A mean's values [rows], NaN where the question does not arise, as counts [rows, 2]."""
    numbers = np.asarray(values, dtype=float)
    known = ~np.isnan(numbers)
    return np.stack([np.where(known, numbers, 0.0), known.astype(float)], axis=1)


def of_first(score: Callable[[str, Sample], float]) -> Counts:
    """The first candidate's score."""
    return lambda m: column([score(p.three[0], p.sample) for p in m.predictions])


def of_each(score: Callable[[str, Sample], float]) -> Counts:
    """The mean over the three candidates, since a user may pick any."""
    return lambda m: column([float(np.mean([score(text, p.sample) for text in p.three])) for p in m.predictions])


def of_worst(score: Callable[[str, Sample], float]) -> Counts:
    """The lowest of the three candidates."""
    return lambda m: column([min(score(text, p.sample) for text in p.three) for p in m.predictions])


def of_three(score: Callable[[Sequence[str], Sample], float]) -> Counts:
    """The three candidates together."""
    return lambda m: column([score(p.three, p.sample) for p in m.predictions])


def with_references(score: Callable[[Sequence[str], Sequence[str]], float]) -> Counts:
    """The three candidates beside the row's references."""
    return lambda m: column([score(p.three, p.sample.output) for p in m.predictions])


def mean_of(*keys: str) -> Counts:
    """The mean of other metrics of the row, of those whose question arises."""

    def counts(m: Material) -> np.ndarray | None:
        parts = [part for key in keys if (part := m.counts(METRICS[key])) is not None]
        return column(mean(np.sum(parts, axis=0))) if len(parts) == len(keys) else None

    return counts


def _bleu(key: str) -> Counts:
    return lambda m: text_metrics.bleu_counts(m.firsts, m.references, key)


def _chrf(m: Material) -> np.ndarray:
    return text_metrics.chrf_counts(m.firsts, m.references)


def _rouge(kind: str, part: str = "fmeasure") -> Counts:
    return of_first(lambda text, sample: getattr(text_metrics.rouge(text, tuple(sample.output))[kind], part))


def _similarity(m: Material) -> np.ndarray | None:
    return column(m.similarity.scores(m.firsts, m.references)) if m.similarity else None


def _levels(m: Material) -> np.ndarray:
    return np.array([aac_metrics.level_recalls(p.three, p.sample.output) for p in m.predictions])


def _voice(m: Material) -> np.ndarray | None:
    return of_each(partial(aac_metrics.voice, person=m.voice))(m)


def _habit(name: str) -> Counts:
    return lambda m: of_each(getattr(m.habits, name))(m) if m.habits else None


def _context_relevance(m: Material) -> np.ndarray | None:
    return aac_metrics.context_relevance([p.sample for p in m.predictions], [p.three for p in m.predictions])


def written_by(source: Source) -> str:
    """The key of the share of sentences that a source wrote."""
    return f"from_{source.name.lower()}"


_RARE = (Source.FIXED, Source.UNKNOWN)
_SOURCES = tuple(
    Metric(
        written_by(source),
        source.korean,
        shown=FILES if source in _RARE else PAGES,
        better="high" if source is Source.MODEL else "low",
    )
    for source in Source
)

_ALL: tuple[Metric, ...] = (
    # The first candidate beside the references.
    Metric("bleu4", "BLEU-4", _bleu("bleu4"), text_metrics.bleu, "each", HEADLINE, scale=100),
    Metric("bleu4_syllable", "BLEU-4(음절)", _bleu("bleu4_syllable"), text_metrics.bleu, "references", scale=100),
    Metric(
        "bleu4_whitespace",
        "BLEU-4(띄어쓰기)",
        _bleu("bleu4_whitespace"),
        text_metrics.bleu,
        "references",
        PAGES,
        scale=100,
    ),
    Metric("chrf", "chrF", _chrf, text_metrics.chrf, "each", scale=100),
    Metric("rouge1", "", _rouge("rouge1"), against="each", shown=FILES),
    Metric("rouge2", "", _rouge("rouge2"), against="each", shown=FILES),
    Metric("rougeL", "ROUGE-L", _rouge("rougeL"), against="each", shown=BRIEF),
    Metric("rouge1_recall", "", _rouge("rouge1", "recall"), against="references", shown=FILES),
    Metric("rouge2_recall", "", _rouge("rouge2", "recall"), against="references", shown=FILES),
    Metric("rougeL_recall", "", _rouge("rougeL", "recall"), against="references", shown=FILES),
    Metric("semantic_similarity", "의미 유사도", _similarity, against="each"),
    # All three.
    Metric(
        "set_score",
        "세 문장 ROUGE-L",
        with_references(text_metrics.set_score),
        against="references",
        shown=HEADLINE,
        judged=0.5,
    ),
    Metric("rougeL_best_of_3", "", with_references(text_metrics.best_of_three), against="references", shown=FILES),
    Metric(
        "distinct3",
        "서로 다른 세 문장",
        of_three(lambda three, _: text_metrics.distinct(three)),
        shown=HEADLINE,
        judged=1,
    ),
    Metric("functions3", "서로 다른 세 기능", of_three(aac_metrics.functions), shown=HEADLINE),
    Metric(
        "self_bleu", "", of_three(lambda three, _: text_metrics.self_bleu(three)), shown=FILES, better="low", scale=100
    ),
    # What the cards say.
    # The person may choose any of the three: the worst is what counts.
    Metric("card_coverage_worst", "카드 반영", of_worst(aac_metrics.coverage), shown=HEADLINE, judged=1),
    Metric("card_coverage", "카드 반영(첫 문장)", of_first(aac_metrics.coverage), shown=HEADLINE),
    Metric("polarity", "긍정·부정 유지", of_each(aac_metrics.polarity), shown=HEADLINE, judged=1),
    Metric("polarity_worst", "", of_worst(aac_metrics.polarity), shown=FILES),
    Metric("addition", "덧붙인 내용 없음", of_each(aac_metrics.addition), shown=BRIEF, judged=1),
    Metric("addition_worst", "", of_worst(aac_metrics.addition), shown=FILES),
    Metric("grammatical", "문법에 맞음", of_each(aac_metrics.grammatical), shown=BRIEF, judged=1),
    Metric("tense", "때에 맞음", of_each(aac_metrics.tense), judged=1),
    Metric("illocution", "묻기와 말하기", of_three(aac_metrics.illocution), shown=BRIEF, judged=1),
    # As this person says it, to this partner.
    Metric(
        "register_accuracy",
        "말투 일치",
        with_references(aac_metrics.register_accuracy),
        against="references",
        shown=HEADLINE,
        judged=1,
    ),
    Metric("register_macro", "", _levels, aac_metrics.macro_recall, "references", FILES),
    Metric("register", "말투 적절", of_three(aac_metrics.register), shown=HEADLINE, judged=1),
    Metric("title", "부르는 말", of_each(aac_metrics.title), judged=1),
    Metric("voice", "말하는 사람", _voice, shown=BRIEF, judged=1),
    Metric("complexity", "문장 길이", _habit("complexity")),
    Metric("vocabulary", "낱말", _habit("vocabulary")),
    Metric("interest", "관심사", of_three(aac_metrics.interest)),
    Metric("persona_consistency", "페르소나 일관성", mean_of("complexity", "voice", "interest", "vocabulary")),
    Metric("context_relevance", "상황 관련", _context_relevance, shown=BRIEF, least=aac_metrics.of_few_contexts),
    # What only the model can tell.
    Metric("style_accuracy", "문체 구별", against="references"),
    Metric("not_from_model", "모델이 만들지 않은 문장", better="low"),
    *_SOURCES,
    # What the suite of requests says: of how many requests all three sentences are acceptable, or one; what is wrong.
    Metric("all_three", "세 문장 모두 알맞음"),
    Metric("one_of_three", "한 문장은 알맞음"),
    Metric("missing", "빠진 카드", better="low"),
    Metric("ungrammatical", "문법에 어긋남", better="low"),
    Metric("wrong_title", "호칭이 맞지 않음", better="low"),
    Metric("wrong_tense", "때가 맞지 않음", better="low"),
    Metric("wrong_role", "누가 하는지 바뀜", better="low"),
    # What people say on a rating sheet, and partly the suite.
    Metric("same", "같은 뜻", shown=FILES),
    Metric("reversed", "반대되는 뜻", better="low"),
    Metric("added", "없는 내용을 덧붙임", better="low"),
    Metric("other", "다른 뜻", shown=FILES, better="low"),
    Metric("wrong_register", "말투가 맞지 않음", better="low"),
    Metric("would_offer", "이 사람에게 보여 주겠음", shown=FILES),
)
METRICS = {metric.key: metric for metric in _ALL}


def find(key: str) -> Metric:
    """The declaration of a number in metrics.json.

    Raises:
        LookupError: nobody declared it.
    """
    if metric := METRICS.get(key.partition("[")[0]):
        return metric
    raise LookupError(f"{key!r} is no metric: declare it in train/scoring/registry.py")


def shown_keys(scores: Mapping[str, Any], shown: Shown = PAGES) -> list[str]:
    """The metrics among the scores that are shown at least so far up, in the order of their declarations."""
    order = list(METRICS)
    keys = [key for key in scores if key.partition("[")[0] in METRICS and find(key).shown >= shown]
    return sorted(keys, key=lambda key: order.index(find(key).key))


def title(key: str) -> str:
    """In Korean, for pages; a similarity says whether it compares meaning or words, and by what."""
    backend = key.partition("[")[2].removesuffix("]")
    if not backend:
        return find(key).name
    return f"{'낱말 겹침' if backend == LEXICAL else find(key).name} ({backend})"
