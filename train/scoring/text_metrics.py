"""How near the candidates come to the references: BLEU, chrF, ROUGE, the set of three, diversity.

Everything is counted on Kiwi morphemes (`aac.korean.tokens`), since the usual tools fail on Korean:
`rouge_score` drops every Hangul letter, white-space BLEU punishes a missing space. BLEU on syllables and on white space
stand beside it under their own names, to compare with papers that report them. Corpus scores are kept as counts per
row, so that a bootstrap only adds up rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

from aac.gate import comparable
from aac.korean import tokens
from aac.records import nfc

CHRF_COUNTS = 18  # for each order 1..6: candidate's, reference's and common n-grams
_CHRF_BETA = 2


class KoreanTokenizer:
    """The tokenizer object that `rouge_score` takes: Kiwi morphemes."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


def bleu_counts(candidates: Sequence[str], references: Sequence[Sequence[str]], key: str = "bleu4") -> np.ndarray:
    """Sufficient statistics of corpus BLEU-4, int [rows, 10], on the tokens that `key` of BLEUS names: the candidate's
    and the reference's length, 4 matches, 4 totals."""
    return _counts(key, candidates, references)


def chrf_counts(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Sufficient statistics of corpus chrF2 (six orders, no white space), int [rows, 18]."""
    return _counts("chrf", candidates, references)


def _counts(key: str, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    # sacrebleu's own bootstrap starts from these counts too; row by row, since rows may differ in their references.
    metric, rows = _metric(key), []
    for text, several in zip(candidates, references, strict=True):
        metric._ref_cache = _reference_counts(key, tuple(several))
        rows += metric._extract_corpus_statistics([_prepared(key, text)], None)
    return np.array(rows, dtype=np.int64)


@lru_cache(maxsize=8)
def _metric(key: str) -> Any:
    from sacrebleu.metrics import BLEU, CHRF

    if key == "chrf":
        return CHRF()
    return BLEU(tokenize="none", force=True, smooth_method="exp", effective_order=key == "sentence_bleu")


@lru_cache(maxsize=100_000)
def _reference_counts(key: str, references: tuple[str, ...]) -> list[Any]:
    """One row's references, counted once: they come again with every baseline and ablation."""
    found: list[Any] = _metric(key)._cache_references([[_prepared(key, text)] for text in references])
    return found


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


@lru_cache(maxsize=100_000)
def rouge(candidate: str, references: tuple[str, ...]) -> dict[str, Any]:
    """`rouge1`, `rouge2`, `rougeL` of one candidate (`fmeasure`, `recall`), each of the reference with the best F1."""
    each = [_rouge(reference, candidate) for reference in references]
    return {kind: max((scores[kind] for scores in each), key=lambda score: score.fmeasure) for kind in each[0]}


def set_score(candidates: Sequence[str], references: Sequence[str]) -> float:
    """ROUGE-L F1 of the whole set, candidates and references paired one to one as well as possible: three copies of one
    reference earn one third."""
    table = _similar(candidates, references)
    return float(table[_pairs(table)].sum() / len(references))


def best_of_three(candidates: Sequence[str], references: Sequence[str]) -> float:
    """ROUGE-L F1 of the best pair alone: what a user could pick."""
    return float(_similar(candidates, references).max())


def in_place(candidates: Sequence[str], references: Sequence[str]) -> list[str]:
    """For each reference the candidate that `set_score` pairs with it; empty where there are too few."""
    mine, theirs = _pairs(_similar(candidates, references))
    found = dict(zip(theirs.tolist(), mine.tolist(), strict=True))
    return [candidates[found[place]] if place in found else "" for place in range(len(references))]


def _similar(candidates: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """ROUGE-L F1, [candidates, references]."""
    return np.array([[_rouge(r, text)["rougeL"].fmeasure for r in references] for text in candidates])


def _pairs(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    return rows, columns


def distinct(candidates: Sequence[str]) -> float:
    """1 if all candidates differ by letters or question mark, and none is empty."""
    kinds = {comparable(text) for text in candidates}
    return float(len(kinds) == len(candidates) and "" not in kinds)


def self_bleu(candidates: Sequence[str]) -> float:
    """The mean sentence BLEU of each candidate against the others, 0–100; lower is more diverse."""
    return _self_bleu(tuple(candidates))


@lru_cache(maxsize=100_000)
def _self_bleu(candidates: tuple[str, ...]) -> float:
    scorer = _metric("sentence_bleu")
    spaced = [_spaced(text) for text in candidates]
    own = [scorer.sentence_score(text, spaced[:i] + spaced[i + 1 :]).score for i, text in enumerate(spaced)]
    return float(np.mean(own))


def signatures(references: int) -> dict[str, str]:
    """What was computed, in sacrebleu's manner, for `references` a row."""
    kiwi = f"kiwi{version('kiwipiepy')}-model{version('kiwipiepy_model')}-cong-form-nopunct+q"
    sacrebleu = version("sacrebleu")
    told = {
        key: f"BLEU4|lvl:corpus|cand:top1|nrefs:{references}|case:mixed|norm:nfc-ws|tok:{tok or kiwi}|eff:no|smooth:exp"
        f"|sacrebleu:{sacrebleu}{remark}"
        for key, (_, tok, remark) in BLEUS.items()
    }
    return told | {
        "rouge": f"ROUGE{{1,2,L}}|F1|refs:max|agg:mean|tok:{kiwi}|rouge-score:{version('rouge-score')}",
        "chrf": f"chrF2|nrefs:{references}|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu}",
    }


@lru_cache(maxsize=200_000)
def _rouge(reference: str, candidate: str) -> Any:
    """rouge1, rouge2 and rougeL of a pair; ablations say much the same again."""
    return _scorer().score(reference, candidate)


@lru_cache(maxsize=1)
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=KoreanTokenizer())


def _plain(text: str) -> str:
    return " ".join(nfc(text).split())


def _spaced(text: str) -> str:
    return " ".join(tokens(text))


def _syllables(text: str) -> str:
    return " ".join(_plain(text).replace(" ", ""))


# The BLEUs: how each cuts a text (into morphemes; syllables; what stands between white space), the name of that in
# sacrebleu's signature, and a remark.
BLEUS: dict[str, tuple[Callable[[str], str], str, str]] = {
    "bleu4": (_spaced, "", ""),
    "bleu4_syllable": (_syllables, "char", ""),
    "bleu4_whitespace": (_plain, "none", "|legacy: punishes a missing space"),
}


def _prepared(key: str, text: str) -> str:
    return BLEUS[key][0](text) if key in BLEUS else _plain(text)
