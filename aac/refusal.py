"""Refusal turned round: a sentence that wishes, asks for, permits or promises what the cards refuse.

The worst that a sentence can do to somebody who cannot object. Counting the denials of the whole sentence does not
see "휠체어를 타고 싶어요. 다리를 가는 게 싫어요.": every clause is judged by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from aac.korean import Morph, analyse, card_lemmas
from aac.lexicon import lookup

REFUSING = frozenset({"싫다", "하지 마세요", "안", "못", "아니요"})
_STOPPING = frozenset({"그만"})
# Cards that ask for something themselves: beside them only the refused card's own clause is judged.
_ASKING = frozenset({"주세요", "도와주세요", "원하다", "더", "다시", "네", "좋다", "나중에", "고마워요"})

_WISH = re.compile(
    r"고/EC 싶/"
    r"|(?:^| )(?:ᆯ|을)(?:래|게|까)\S*/EF|(?:^| )(?:ᆯ|을)/ETM (?:거|것|생각|예정)/NN|려고/EC"
    r"|(?:어|아|여)?도/EC (?:되|괜찮|좋)/|(?:^| )주/V[VX] "
    r"|(?:^| )(?:ᆯ|을)/ETM 수/NNB (?:\S+/J\w+ )?있/|면/EC 좋/"
    r"|(?:^| )(?:자|ᆸ시다|읍시다|세요|으세요|십시오|으십시오)/EF"
    r"|야/EC (?:하|되)/|필요/NNG (?:하|이|\S+/J\w+ 하)|허락/"
)
_LIKES = re.compile(r"(?:^| )(?:좋|좋아하)/V")
_GO_ON = re.compile(r"(?:멈추|그만두|그만하|그치)지 ?(?:마|말)|계속")
_MORE = re.compile(r"더 (?:\S+ )?\S*(?:래|게|고 싶|주세|줘|거예|거야)")
_LIKED = re.compile(r"싫\S*/.*(?:것|거)/NNB .*(?:^| )(?:좋|괜찮)/V")  # 싫어하는 게 좋아요
_DENIAL = re.compile(
    r"(?:^| )(?:안|못|그만)/MAG"
    r"|지/EC (?:\S+/J\w+ )?(?:않|못하|말|마)/"
    r"|(?:^| )(?:싫|싫어하|없|모르|못하|말)/V|아니/(?:VCN|IC)"
    r"|말고|그만두|그만하"
)
# Asking to be told is no wish for the thing itself: 왜 안 가는지 알려 주세요.
_TELL = re.compile(r"(?:^| )(?:알리|말하|가르치|돕|도와주)/V|(?:^| )말/NNG|말씀/|부탁/")
_PERMISSION = re.compile(r"면/EC (?:안|못)/MAG (?:되|하)/")
_LINKED = re.compile(r"^(?:VX|XS\w|J\w+|VCP)$")
_AFTER = frozenset({"되", "괜찮", "좋", "싫", "않", "말", "못하", "하", "싶", "있", "주", "보", "안", "못"})
_POSTPONED = re.compile(r"(?:나중|이따가|내일|다음)/")


def turned_round(sentence: str, keywords: Sequence[str]) -> bool:
    """Whether any clause of the sentence wishes for what the cards refuse."""
    refusing = REFUSING & set(keywords)
    clauses = _clauses(sentence)
    stopped = refusing & {"하지 마세요"} or _STOPPING & set(keywords)
    if stopped and (_GO_ON.search(sentence) or ("더" not in keywords and _MORE.search(sentence))):
        return True
    if refusing:
        return any(_against(clause, keywords, refusing, sentence.endswith("?")) for clause in clauses)
    if _STOPPING & set(keywords):
        parts = [part for part in re.split(r"[.!?]+", sentence) if part.strip()]
        return any(map(_wishes_on, parts)) or _goes_on(sentence, keywords)
    return False


def _wishes_on(part: str) -> bool:
    """Whether a sentence wishes for anything but an end (a clause beside may: 그만하고 집에 갈래요)."""
    said = " ".join(_clauses(part))
    return bool(_WISH.search(said)) and not (_DENIAL.search(said) or re.search("그만|끝|멈", part))


def _goes_on(sentence: str, keywords: Sequence[str]) -> bool:
    """Whether a part before a comma tells the deed that is to stop: 와요, 그만할래요."""
    deeds = [lemma.removesuffix("다") for word in keywords if _pos(word) == "verb" for lemma in card_lemmas(word)]
    for part in sentence.split(",")[:-1]:
        said = " ".join(_clauses(part))
        own = any(re.search(rf"(?:^| ){re.escape(deed)}/V", said) for deed in deeds)
        if own and "그만" not in part and re.search("[요야어아네]$", part) and not _DENIAL.search(said):
            return True
    return False


def _against(clause: str, keywords: Sequence[str], refusing: frozenset[str], asks: bool) -> bool:
    acts = [word for word in keywords if _pos(word) == "verb" and word not in _ASKING]
    if refusing <= {"안", "못"} and any(_pos(word) == "adjective" for word in keywords):
        return False  # 안 + 춥다 + 가다: the state is denied, not the deed
    target = _refused(keywords)
    if "싫다" in refusing and _LIKED.search(clause):
        return True
    wish = _WISH.search(clause) or (refusing & {"싫다", "하지 마세요"} and _LIKES.search(clause))
    own = any(f"{lemma.removesuffix('다')}/" in clause for word in target for lemma in card_lemmas(word))
    if _PERMISSION.search(clause):
        return bool(asks and not _DENIAL.search(_PERMISSION.sub("", clause)) and own)
    told = (
        own
        and any(word in acts for word in target)
        and re.search(r"/EF|요/(?:EC|JX)", clause)
        and "지/EC" not in clause
    )
    if not (wish or told) or _DENIAL.search(clause) or _TELL.search(clause):
        return False
    if set(keywords) & _ASKING or len(acts) > 1 or _parted(keywords):
        return own and not _POSTPONED.search(clause)
    return True


def _refused(keywords: Sequence[str]) -> list[str]:
    """The card nearest to the refusal (a deed before a thing, the earlier of two equally near), which it refuses; of
    two utterances (버스, 싫다; 택시, 타다) the first one's."""
    if _parted(keywords):
        return [keywords[0]]
    place = next(index for index, word in enumerate(keywords) if word in REFUSING)
    others = [
        (abs(index - place), index > place, _pos(word) == "verb", word)
        for index, word in enumerate(keywords)
        if word not in REFUSING | _ASKING and _pos(word) in ("verb", "noun", "place", "person")
    ]
    deeds = [other for other in others if other[2]]
    return [min(deeds or others)[-1]] if others else []


def _parted(keywords: Sequence[str]) -> bool:
    """Whether one thing is refused and then another one asked for, with what is to be done with it."""
    if len(keywords) < 4 or keywords[1] != "싫다":
        return False
    first, *kinds = (_pos(word) for word in (keywords[0], *keywords[2:]))
    things = {"noun", "place", "person"}
    return first in things and kinds.count("verb") == 1 and not things.isdisjoint(kinds)


def _pos(word: str) -> str:
    card = lookup(word)
    return card.pos if card else ("verb" if word.endswith("다") and len(word) > 1 else "noun")


@lru_cache(maxsize=50_000)
def _clauses(sentence: str) -> tuple[str, ...]:
    """The clauses as "form/TAG form/TAG": an ending that carries an auxiliary (고 싶다, 지 않다) ends none."""
    morphs = analyse(sentence)
    clauses: list[list[Morph]] = [[]]
    for place, morph in enumerate(morphs):
        after = morphs[place + 1] if place + 1 < len(morphs) else Morph("", "SF")
        clauses[-1].append(morph)
        carries = _LINKED.match(after.tag) or after.form in _AFTER or morph.form in ("지", "려고", "으려고")
        but = morph == ("데", "NNB") and not after.tag.startswith("J")  # 싫은데, read as a noun
        if but or morph.tag in ("SF", "SP", "EF") or (morph.tag == "EC" and not carries):
            clauses.append([])
    return tuple(" ".join(f"{form}/{tag}" for form, tag in clause) for clause in clauses if clause)
