"""What a sentence says beyond its cards: nouns, verbs and adjectives that no card, no context and no completion holds.

`completions.json` is the reviewed table of what a card may be completed by (물: 마시다, 화장실: 가다): lemma -> cards
(잘_자요 for 잘 자요) and `@category`; `always` are the words of help and manner that complete any card.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from aac.korean import Morph, analyse, begins_with, card_lemmas, with_synonyms
from aac.lexicon import lookup

COMPLETIONS_FILE = Path(__file__).with_name("completions.json")
_ASKED = frozenset({"누구", "언제", "왜"})  # 어디 and 뭐 may ask for what a card names
_NOUNS, _PREDICATES = ("NNG", "NNP", "XR"), ("VV", "VA")


def added(sentence: str, keywords: tuple[str, ...], given: tuple[str, ...], persons: frozenset[str]) -> set[str]:
    """The lemmas (predicates end in 다) that a sentence adds; persons are judged apart.

    Args:
        given: the texts of the context, whose words may stand in the sentence.
    """
    allowed = _card_words(keywords).union(*map(_words, given))
    texts = " ".join([*keywords, *given])
    asked = {form for form, _ in analyse(sentence) if form in _ASKED and form not in texts}
    extra = {lemma for lemma in _words(sentence) - allowed - persons if not _within(lemma, texts, keywords)}
    if any(lookup(word) is None for word in keywords):  # a word of the user's own is completed by who knows what
        extra = {lemma for lemma in extra if lookup(lemma) is not None and not lemma.endswith("다")}
        asked = set()  # 크리스마스가 언제예요?
    return {lemma for lemma in extra if not _misread(lemma, sentence, keywords)} | asked


def _within(lemma: str, texts: str, keywords: tuple[str, ...]) -> bool:
    """Whether a noun is a piece of what is given (감자 of 감자튀김), or a table's completion of a card."""
    if _completes(lemma, keywords):
        return True
    glued = any(lemma.startswith(word) and len(lemma) == len(word) + 1 for word in keywords)  # 코야, 기타야
    return glued or (not lemma.endswith("다") and lemma in texts)


def _misread(lemma: str, sentence: str, keywords: tuple[str, ...]) -> bool:
    """Whether Kiwi made the lemma of a word that is a card's own form (걸어요 of 걷다, 산 책 of 산책)."""
    stem, read = lemma.removesuffix("다"), _words(sentence)
    lost = [word for word in keywords if word in sentence and word not in read]
    if (len(stem) == 1 or stem != lemma) and any(_open(stem[:1]) in map(_open, word) for word in lost):
        return True
    cards = [word for word in keywords if word.endswith("다")]
    words = [word for word in sentence.split() if any(begins_with(word, card) for card in cards)]
    return any(lemma in _words(word) or word.startswith(lemma.removesuffix("다")) for word in words)


def _open(syllable: str) -> str:
    """A syllable without its coda: 산 → 사."""
    code = ord(syllable or " ") - ord("가")
    return chr(ord(syllable) - code % 28) if 0 <= code < 11172 else syllable


@lru_cache(maxsize=20_000)
def _card_words(keywords: tuple[str, ...]) -> set[str]:
    """Every lemma that shows a card, with its register synonyms and the stem of a compound (춤 of 춤추다)."""
    found = set(keywords)
    for word in keywords:
        found |= card_lemmas(word) | _words(word)
        if word.endswith("다") and len(word) > 1:
            found |= _words(f"{word[:-1]}지 않아요")
    return with_synonyms(found)


@lru_cache(maxsize=100_000)
def _words(text: str) -> frozenset[str]:
    return frozenset(_content(analyse(text)))


def _content(morphs: Sequence[Morph]) -> list[str]:
    """Nouns and the dictionary forms of predicates, without 오다 of 먹고 왔어요, 길 of 가는 길이에요, 지 of 가는지."""
    found = []
    for place, (form, tag) in enumerate(morphs):
        before = morphs[place - 1] if place else Morph("", "")
        if tag in _NOUNS and not (form in ("길", "지") and before.tag == "ETM"):
            found.append(form)
        elif tag in _PREDICATES and not (form == "오" and before.form in ("고", "그리고", "다가", "다")):
            found.append(form + "다")
    return found


@lru_cache(maxsize=1)
def _table() -> dict[str, frozenset[str]]:
    read = json.loads(COMPLETIONS_FILE.read_text(encoding="utf-8"))
    return {lemma: frozenset(card.replace("_", " ") for card in cards.split()) for lemma, cards in read.items()}


@lru_cache(maxsize=8192)
def _marks(keyword: str) -> frozenset[str]:
    card = lookup(keyword)
    return frozenset({keyword, f"@{card.category}"} if card else {keyword})


def _completes(lemma: str, keywords: tuple[str, ...]) -> bool:
    table = _table()
    fits = table.get(lemma, frozenset())
    return lemma in table["always"] or any(_marks(word) & fits for word in keywords)
