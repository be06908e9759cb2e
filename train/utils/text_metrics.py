"""How near the candidates come to the references: BLEU, chrF, ROUGE, the set of three, diversity.

Everything is counted on Kiwi morphemes (`dataset.prepare.korean.tokens`), since the usual tools fail on Korean:
`rouge_score` drops every Hangul letter, white-space BLEU punishes a missing space. Corpus scores are kept as counts per
row, so that a bootstrap only adds up rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from dataset.prepare.gate import comparable
from dataset.prepare.korean import tokens
from dataset.prepare.records import nfc

BLEU_COUNTS = 10  # candidate length, reference length, 4 matches, 4 totals
CHRF_COUNTS = 18  # for each order 1..6: candidate's, reference's and common n-grams
_CHRF_BETA = 2


class KoreanTokenizer:
    """The tokenizer object that `rouge_score` takes: Kiwi morphemes."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


def bleu_counts(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Sufficient statistics of corpus BLEU-4, int [rows, 10], on morphemes."""
    from sacrebleu.metrics import BLEU

    bleu = BLEU(tokenize="none", force=True, smooth_method="exp", effective_order=False)
    return _counts(bleu, [_spaced(text) for text in candidates], [[_spaced(r) for r in refs] for refs in references])


def chrf_counts(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Sufficient statistics of corpus chrF2 (six orders, no white space), int [rows, 18]."""
    from sacrebleu.metrics import CHRF

    return _counts(CHRF(), [_plain(text) for text in candidates], [[_plain(r) for r in refs] for refs in references])


def _counts(metric: Any, candidates: list[str], references: list[list[str]]) -> np.ndarray:
    # sacrebleu's own bootstrap starts from these counts too; row by row, since rows may differ in their references.
    rows = [
        metric._extract_corpus_statistics([text], [[r] for r in refs])[0]
        for text, refs in zip(candidates, references, strict=True)
    ]
    return np.array(rows, dtype=np.int64)


def bleu(counts: np.ndarray) -> np.ndarray:
    """Corpus BLEU-4 (0–100, exponential smoothing) of summed counts [..., 10] → [...]."""
    length, wanted = counts[..., 0], counts[..., 1]
    matches, totals = counts[..., 2:6], counts[..., 6:10]
    missing = matches == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        smoothed = 1.0 / (2.0 ** np.cumsum(missing, axis=-1) * totals)
        precision = np.where(missing, smoothed, matches / totals)
        brevity = np.exp(np.minimum(0.0, 1.0 - wanted / length))
        score = 100.0 * brevity * np.exp(np.log(precision).mean(axis=-1))
    return np.where(missing.all(axis=-1) | (totals == 0).any(axis=-1), 0.0, score)


def chrf(counts: np.ndarray) -> np.ndarray:
    """Corpus chrF2 (0–100) of summed counts [..., 18] → [...]."""
    orders = counts.reshape(*counts.shape[:-1], CHRF_COUNTS // 3, 3)
    own, wanted, common = orders[..., 0], orders[..., 1], orders[..., 2]
    counted = (own > 0) & (wanted > 0)
    number = np.maximum(counted.sum(axis=-1), 1)
    precision = (common / np.maximum(own, 1) * counted).sum(axis=-1) / number
    recall = (common / np.maximum(wanted, 1) * counted).sum(axis=-1) / number
    weight = _CHRF_BETA**2
    below = weight * precision + recall
    return 100.0 * (1 + weight) * precision * recall / np.where(below > 0, below, 1.0)


def rouge(candidate: str, references: Sequence[str]) -> dict[str, float]:
    """ROUGE-1/2/L of one candidate: F1, and the recall, of the reference with the highest F1."""
    best = _scorer("rouge1", "rouge2", "rougeL").score_multi(list(references), candidate)
    scores = {kind: score.fmeasure for kind, score in best.items()}
    return scores | {f"{kind}_recall": score.recall for kind, score in best.items()}


def set_scores(candidates: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """ROUGE-L F1 of the whole set.

    `set_score` pairs candidates and references one to one as well as possible (three copies of one reference earn one
    third); `rougeL_best_of_3` is the best pair alone: what a user could pick.
    """
    from scipy.optimize import linear_sum_assignment

    scorer = _scorer("rougeL")
    table = np.array([[scorer.score(r, text)["rougeL"].fmeasure for r in references] for text in candidates])
    paired = table[linear_sum_assignment(table, maximize=True)].sum() / len(references)
    return {"set_score": float(paired), "rougeL_best_of_3": float(table.max())}


def diversity(candidates: Sequence[str]) -> dict[str, float]:
    """`distinct3`: whether all candidates differ by letters or question mark (and none is empty); `self_bleu`: the mean
    sentence BLEU of each against the others, 0–100, lower is more diverse."""
    from sacrebleu.metrics import BLEU

    kinds = {comparable(text) for text in candidates}
    scorer = BLEU(tokenize="none", force=True, smooth_method="exp", effective_order=True)
    spaced = [_spaced(text) for text in candidates]
    own = [scorer.sentence_score(text, spaced[:i] + spaced[i + 1 :]).score for i, text in enumerate(spaced)]
    return {"distinct3": float(len(kinds) == len(candidates) and "" not in kinds), "self_bleu": float(np.mean(own))}


def signatures(references: int) -> dict[str, str]:
    """What was computed, in sacrebleu's manner, for `references` a row."""
    kiwi = f"kiwi{version('kiwipiepy')}-model{version('kiwipiepy_model')}-cong-form-nopunct+q"
    sacrebleu = version("sacrebleu")
    return {
        "bleu4": f"BLEU4|lvl:corpus|cand:top1|nrefs:{references}|case:mixed|norm:nfc-ws|tok:{kiwi}|eff:no|smooth:exp"
        f"|sacrebleu:{sacrebleu}",
        "rouge": f"ROUGE{{1,2,L}}|F1|refs:max|agg:mean|tok:{kiwi}|rouge-score:{version('rouge-score')}",
        "chrf": f"chrF2|nrefs:{references}|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu}",
    }


@lru_cache(maxsize=4)
def _scorer(*kinds: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(kinds), tokenizer=KoreanTokenizer())


def _spaced(text: str) -> str:
    return " ".join(tokens(text))


def _plain(text: str) -> str:
    return " ".join(nfc(text).split())
