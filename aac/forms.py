"""Forms that nobody says, seen by their letters: particles, stems, repetitions, things that feel, lists of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from aac.lexicon import load_lexicon, lookup

START = r"(?<![가-힣])"  # of a word

_BROKEN = re.compile(
    "|".join((
        r"(?:을를|를을|은는|에서를)(?=[\s.,?!]|$)|^(?:은|는|을|를|에서) |고[를을] (?:싶|원)|(?:^| )지 ?[마말]",
        r"뭘(?:이|을)|뭘(?:예요|이에요|이야)|(?:누구|어디|뭐|여기)이(?:야|에요)|서이(?:야|에요)|(?<!바)다요[.?!]",
        r"[을를] (?:어디|누구|뭐|언제)(?:예요|야|입니까)|[을를] (?:아니(?:에|야|라)|예쁘|예뻐|아프(?!게)|아파)",
        rf"{START}(?:이게|이거|그게) (?:이게|이거|그게)|싶지? ?싶|{START}안 싫|싫 않|이랑(?:이에요|예요|이야)",
        rf"{START}아닙(?=[ .,]|$)|^주세요, |는지는지|(?:나|아|해|려|와)서는 걸|고 원[하해]|기다려는",
        r"(?:섭|춥|덥|맙|(?<!유)럽|롭)[어은]|[.,?!](?=[가-힣,])|[{}<>|]",
        r"(?<!는 )(?<!은 )(?<!한 )(?:것|걸) (?:좀 )?도와",
        rf"{START}([가-힣]+?)이?랑 \1(?=[을를이가은는 ]|$)|[^가마노]을기[를는도] |{START}와는 그만|{START}이게 \S+ 좀 ",
        r"^(?:저는|나는) [가-힣 ]+, (?:저는|나는) ",
        r"어디서 (?:가(?:요|고|는|면|려)|갈(?!아)|[가-힣]+(?:이에요|예요|이야)(?=[?.]))",
    ))
)  # fmt: skip
_REPEATED = {"더", "빨리", "많이", "천천히", "조금", "네", "응", "아니", "아니요", "안녕", "정말", "너무", "잘", "제발"}
# Particles that do not follow a coda, or nothing but one.
_NOT_CLOSED = ("를", "가", "는", "와", "랑", "예요")
_NOT_OPEN = ("을", "이", "은", "과", "이랑", "으로", "이에요", "이야")
# Two particles that one noun does not bear.
_TWO = ("가를", "를가", "랑을", "랑이", "이랑을", "이랑이", "한테를", "도를", "에를", "요를", "를요", "요을")
CODA_L = 8
# Nouns that begin other words, and nouns that end like an object.
_OTHERWISE = ("이", "말", "소", "차", "배", "새", "눈")
_SEASONS = ("가을", "마을", "노을", "고을")
_FELT = "아프|아파|아픈|배고|배가 고|목마|목말|졸리|졸려|피곤|심심|외로|어지|추워|추운|춥|더워|더운|덥"
_THINGS = ("food", "fruit", "drink", "clothes", "thing", "media", "study", "vehicle")
_HANDLED = ("벗", "입", "쓰", "찾", "읽", "켜", "끄", "열고", "열어", "닫")
_FELT_FOR = ("무서", "무섭", "좋", "싫", "예쁘", "예뻐", "화나", "화났", "아프", "아파", "속상", "미안")
_HELPED = ("person", "study", "toy")


def misshapen(text: str, cards: Sequence[str]) -> Iterator[str]:
    """The places of a sentence that are no Korean."""
    if m := _BROKEN.search(text):
        yield m.group()
    words = [word.strip(".,?!~") for word in text.split()]
    yield from (" ".join(pair) for pair in pairwise(words) if _unlike_neighbours(*pair))
    yield from (" ".join(pair) for pair, times in Counter(pairwise(words)).items() if times > 1)
    yield from (word for word in words if _wrong_particle(word) or word in _bare_stems())
    yield from _dictionary_forms(text)
    yield from _things_that_feel(text)
    parts = [part.strip(" .?!") for part in text.split(",")]
    verbal = any(part.endswith("다") for part in parts)
    if len(parts) > (1 if verbal else 2) and all(part in cards for part in parts):
        yield "a list"


def coda(word: str) -> int:
    """The number of the last syllable's coda; 0: none, or no Hangul."""
    return (ord(word[-1]) - ord("가")) % 28 if word and "가" <= word[-1] <= "힣" else 0


def _unlike_neighbours(one: str, other: str) -> bool:
    """Two words that do not stand beside each other."""
    noun, stem = _category(one), lookup(f"{one}다")
    return (
        (one == other and one not in _REPEATED)
        or (re.fullmatch("수[가는]?", other) is not None and coda(one) != CODA_L)
        or (other in ("것", "걸") and noun != "")
        or (_object(one) and _object(other))
        or (other.startswith("때문") and not noun and (coda(one) == CODA_L or _category(one[:-1]) != ""))
        or (other.startswith("중") and one.endswith("는") and _category(one[:-1]) != "")
        or (stem is not None and stem.pos == "verb" and other.startswith(("싫", "무서", "무섭", "좀")))
        or (one.endswith("는") and _verb(one[:-1]) and other.startswith(("싫", "좋", "무서", "무섭")))
        or _wrong_case(one, other)
    )


def _category(word: str) -> str:
    """Of a noun's card; empty: it is none."""
    card = lookup(word)
    return card.category if card and card.pos in ("noun", "person", "place", "time") else ""


def _verb(stem: str) -> bool:
    card = lookup(f"{stem}다")
    return card is not None and card.pos == "verb"


def _wrong_case(one: str, other: str) -> bool:
    """아빠랑 무서워요, 모자랑 벗어요, 손이 반창고 주세요, 학교에서 가요."""
    if one.endswith("랑"):
        base = _category(one[:-1]) or _category(one[:-2])
        thing = base in ("clothes", "thing", "media", "study") and other.startswith(_HANDLED)
        return thing or ((base == "person" or one == "너랑") and other.startswith(_FELT_FOR))
    if one.endswith("에서") and _category(one[:-2]) == "place":
        return re.match(r"갈|가고|가$", other) is not None
    thing = _category(other) or _category(other[:-1])
    return one[-1:] in ("이", "가") and _category(one[:-1]) == "body" and thing in _THINGS


def _object(word: str) -> bool:
    card = lookup(word[:-1])
    return word[-1:] in ("을", "를") and (word[:-1] in ("나", "저", "너") or (card is not None and card.pos == "noun"))


def _wrong_particle(word: str) -> bool:
    """Whether a particle does not fit the syllable before it: 물를, 사과을, 목도리이랑."""
    if word[-1:] == "를" and coda(word[:-1]):
        return True
    if len(word) > 1 and word[-1] == "을" and not coda(word[:-1]) and not word.endswith(_SEASONS):
        return True
    for length in range(len(word) - 1, 0, -1):
        noun, rest = word[:length], word[length:]
        card = lookup(noun)
        if card and card.pos in ("noun", "person", "place") and noun not in _OTHERWISE:
            closing = coda(noun)
            if rest in ("로", "으로"):
                return (rest == "으로") != (closing not in (0, CODA_L))
            return rest in (_NOT_CLOSED if closing else _NOT_OPEN) or rest.startswith("으면") or rest in _TWO
    return False


@lru_cache(maxsize=1)
def _bare_stems() -> frozenset[str]:
    """Stems that no word ends with: 벗, 피곤하."""
    stems = (card.keyword[:-1] for card in load_lexicon() if card.keyword.endswith("다"))
    bare = (stem for stem in stems if coda(stem) not in (0, CODA_L) or stem.endswith(("하", "프", "시", "르")))
    return frozenset(bare) - {"있", "없"}


def _dictionary_forms(text: str) -> Iterator[str]:
    """Of a verb anywhere, of an adjective where the sentence goes on (예쁘다. is a sentence)."""
    for found in re.finditer(r"([가-힣]+다)(?=([\s,.?!]|$))", text):
        card = lookup(found[1])
        if card and (card.pos == "verb" or (card.pos == "adjective" and found[2] in (" ", ","))):
            yield found[1]


def _things_that_feel(text: str) -> Iterator[str]:
    """약이 아파요, 화장실을 도와주세요."""
    for found in re.finditer(rf"{START}([가-힣]+?)[이가]? (?:{_FELT})", text):
        card = lookup(found[1])
        if card and card.category in _THINGS and card.keyword != "배":
            yield found.group()
    for found in re.finditer(rf"{START}([가-힣]+?)[을를] (?:좀 )?도와", text):
        card = lookup(found[1])
        if card and card.category not in _HELPED:
            yield found.group()
