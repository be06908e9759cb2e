"""How near a candidate's meaning comes to the references': by a sentence model, or, without one, by shared words.

A number is comparable only within its backend, so each has a key of its own: `semantic_similarity[<model>]` is the
cosine of Sentence-BERT embeddings, `semantic_similarity[lemma-tfidf]` is lexical (which content words are shared) and
knows no synonyms. A candidate's score is that of the nearest reference.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from aac.io import UserError
from aac.korean import content_lemmas, tokens
from aac.records import nfc

log = logging.getLogger("aac")
LEXICAL = "lemma-tfidf"
UNREADABLE = 0.05  # share of the references' words beyond which a model's cosine means nothing


class Similarity(Protocol):
    """What `measure` takes: a name for the key, a signature, and one score a candidate."""

    name: str
    signature: str

    def scores(self, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray: ...


class LemmaTfidf:
    """Cosine of TF-IDF over Kiwi content lemmas; idf as in scikit-learn, from `texts`, unknown lemmas as the rarest.

    Lexical, and so called: on KorSTS about 0.69 against human judgement, where a Korean sentence model has 0.86.
    """

    name = LEXICAL

    def __init__(self, texts: Iterable[str]) -> None:
        documents = [_lemmas(text) for text in dict.fromkeys(texts)]
        number = 1 + len(documents)
        often = Counter(lemma for lemmas in documents for lemma in lemmas)
        self._idf = {lemma: math.log(number / (1 + count)) + 1 for lemma, count in often.items()}
        self._rarest = math.log(number) + 1
        self.signature = f"cosine|lexical:kiwi-content-lemma-tfidf|documents:{len(documents)}|cand:top1|refs:max"

    def scores(self, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """[rows]: each candidate's cosine with the nearest of its references, 0–1."""
        rows = zip(candidates, references, strict=True)
        return np.array([max(self._cosine(text, reference) for reference in several) for text, several in rows])

    def _cosine(self, one: str, other: str) -> float:
        first, second = _lemmas(one), _lemmas(other)
        below = self._weight(first) * self._weight(second)
        return self._weight(first & second) / math.sqrt(below) if below else 0.0

    def _weight(self, lemmas: frozenset[str]) -> float:
        return math.fsum(self._idf.get(lemma, self._rarest) ** 2 for lemma in lemmas)


def _lemmas(text: str) -> frozenset[str]:
    return frozenset(content_lemmas(text) or tokens(text))  # 네. has no content word, and still equals itself


class SentenceModel:
    """Cosine of the embeddings of a sentence-transformers model: a hub id, `id@revision`, or a local folder.

    Raises:
        UserError: it is not on this machine (and `download` is false, or the download failed), or it is no such model.
    """

    def __init__(self, model: str, download: bool = False) -> None:
        from sentence_transformers import SentenceTransformer

        folder = Path(model).expanduser()
        self.name = folder.resolve().name if folder.is_dir() else model
        source, _, revision = (str(folder), "", "") if folder.is_dir() else model.partition("@")
        try:
            self._model = SentenceTransformer(source, revision=revision or None, local_files_only=not download)
        except Exception as error:  # its libraries raise many kinds for a model that is absent or damaged
            reason = str(error).strip().splitlines()
            raise UserError(
                f"similarity model {model!r} could not be loaded ({reason[0] if reason else type(error).__name__}); "
                "give a local folder or a sentence-transformers id"
            ) from None
        self._vectors: dict[str, np.ndarray] = {}
        config = getattr(getattr(self._model[0], "auto_model", None), "config", None)
        pinned = getattr(config, "_commit_hash", None) or revision or "local"
        self.signature = f"cosine|model:{self.name}@{pinned}|cand:top1|refs:max"

    def scores(self, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """[rows]: each candidate's cosine with the nearest of its references; below 0 counts as 0, as does empty."""
        self._must_read({text for several in references for text in several})
        self._encode([*candidates, *(reference for several in references for reference in several)])
        known = self._vectors
        nearest = [
            max(float(known[text] @ known[reference]) for reference in several) if text else 0.0
            for text, several in zip(candidates, references, strict=True)
        ]
        return np.clip(nearest, 0.0, 1.0)

    def _encode(self, texts: Iterable[str]) -> None:
        """Each text once: references come again with every ablation."""
        new = sorted(set(texts) - self._vectors.keys())
        if new:
            vectors = self._model.encode(
                new, batch_size=64, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
            )
            self._vectors.update(zip(new, vectors, strict=True))

    def _must_read(self, texts: Iterable[str]) -> None:
        words = sorted({word for text in texts for word in nfc(text).split()})
        lost = sum(map(self._unknown, words))
        if lost > UNREADABLE * len(words):
            raise UserError(
                f"similarity model {self.name!r} cannot read Hangul: its tokenizer does not know {lost} of the "
                f"references' {len(words)} words, so opposite sentences look alike; use a Korean or multilingual model"
            )

    def _unknown(self, word: str) -> bool:
        """Whether a word reaches the model as nothing, or in part as [UNK]."""
        tokenizer: Any = self._model.tokenizer
        ids = tokenizer(word, add_special_tokens=False)["input_ids"]
        return not ids or tokenizer.unk_token_id in ids


def choose(model: str, explicit: bool, texts: Iterable[str]) -> Similarity:
    """The backend: `lemma-tfidf` by name, a sentence model where it can be had, else the lexical fallback, said aloud.

    Args:
        model: `lemma-tfidf`, a hub id or a folder.
        explicit: somebody asked for this very model: it may be downloaded, and its absence is an error. Otherwise only
            what is on this machine is read.
        texts: references from which the lexical fallback learns how rare words are.

    Raises:
        UserError: an explicit model is not to be had, or one on this machine is damaged or cannot read Hangul.
    """
    if model == LEXICAL:
        return LemmaTfidf(texts)
    if explicit or Path(model).expanduser().is_dir() or _cached(model):
        return SentenceModel(model, download=explicit)
    log.warning(
        "%s is not on this machine: semantic_similarity[%s] compares shared words instead, which is lexical and no "
        "Sentence-BERT score; `--similarity-model %s` downloads it",
        model,
        LEXICAL,
        model,
    )
    return LemmaTfidf(texts)


def _cached(model: str) -> bool:
    """Whether the hub's cache holds the model: asked before sentence-transformers is loaded, which takes seconds."""
    from huggingface_hub import try_to_load_from_cache

    name, _, revision = model.partition("@")
    return isinstance(try_to_load_from_cache(name, "config.json", revision=revision or None), str)
