"""Is a sentence acceptable for a request of the suite? What a Korean editor who knows the cards would object to.

Rules of letters, common ones and the request's own: the gate judges by morphemes, so that what it overlooks is not
overlooked here, too. Only forms that are no Korean are asked of both (`forms.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aac.gate import comparable
from aac.korean import analyse
from aac.lexicon import lookup
from train.scoring.suite import Asked
from train.scoring.titles import called_wrongly, is_partner
from train.scoring.wording import START, people, said, strangers, table, wrong_forms

_DENIED = re.compile(
    rf"싫|{START}(?:안|못)(?=[ 돼되하해할한])|않|못[하해한할]|지는? ?(?:마|말)|마세요|마십|말(?:고|아)|그만"
    r"|아니|아뇨|아닙|없|괜찮|거절|됐"
)
# Denials that deny nothing: asking leave, an invitation, a body that is not well, longing.
_IDLE = re.compile(rf"면 안 ?[되돼될됩]|{START}안 [되돼될됩]\S*\?|안 좋아서|안 좋은데|못 [봐보]|지 않을?[^.!?]*\?|불편")
_REFUSED = re.compile(rf"싫|{START}(?:안|못) |지 않|지는? ?(?:마|말)|말고|필요 없|그만")
_WISH = re.compile(
    r"고 싶|[가-힣]래요?(?=[.,?!]|$)|[가-힣]게요?(?=[.!]|$)|거예요|거야|세요|실래|주실|줘|줄래|좋겠|좋아|될까"
    r"|[돼되]요?\?|려고|(?<!혼)자(?=[.!]|$)|겠습니다|할까"
)
_TURNED = re.compile(r"싫지 않|안 싫|싫(?:은|어하는) (?:걸|것|거|게)[^.,]*(?:래|싶|좋|할게|주세|줘)")
_UNABLE = re.compile(rf"{START}못|수가? ?없|수는 없|지 못|어려|어렵|힘들|힘든|안 (?:보|들|나|일어)|없어서")
_TWICE_UNABLE = re.compile(rf"{START}못 [^.,]*(?:수가? ?없|지 (?:못|않))")
_STOPPED = re.compile(rf"그만|멈|끝|됐|지 마|말|싫|않|{START}(?:안|못) |충분")
_GOES_ON = re.compile(rf"{START}더 (?:\S+ )?\S*(?:래|싶|주|줘|할|먹)|계속")
_ASKED = re.compile(r"\?|알려|말해|말씀해|궁금|가르쳐|모르겠|알고 싶|(?:어디|누구)(?:예요|야),")
_SENTENCE = re.compile(r"[.!?~]+\s*")
_POLITE = re.compile(r"(?:요|죠|니다만?|니까|시오)$")
_FORMAL = re.compile(r"(?:니다만?|니까|시오|시다)$")
_FORMULA = re.compile("감사|고맙|축하")


# The cards' words instead of a sentence.
_LISTED = re.compile("이 말이|라는 말이|이야기(?:예요|야|입니다| 좀|를 하고)")


class Fault(NamedTuple):
    """What is wrong with a sentence: a tag of `suite.TAGS`, and the words or the rule."""

    tag: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """On the three sentences of a request; `faults` one list a sentence."""

    faults: tuple[tuple[Fault, ...], ...]
    equal: bool = False

    @property
    def all_three(self) -> bool:
        """Whether each is acceptable, and they are not one and the same."""
        return not self.equal and not any(self.faults)

    @property
    def one_of_three(self) -> bool:
        return not all(self.faults)

    @property
    def tags(self) -> set[str]:
        return {fault.tag for found in self.faults for fault in found}


def judge(asked: Asked, three: Sequence[str]) -> Verdict:
    """The verdict on what is said for a request."""
    equal = len({comparable(text) for text in three}) == 1 < len(three)
    return Verdict(tuple(tuple(faults(asked, text)) for text in three), equal)


def faults(asked: Asked, text: str) -> list[Fault]:
    """Everything that is wrong with one sentence; empty: it is acceptable."""
    found = [Fault("missing", card) for card in asked.cards if not _says(asked, card, text)]
    if asked.must and not re.search(asked.must, text):
        found.append(Fault("missing", asked.must))
    found += [Fault(tag, m.group()) for tag, pattern in asked.never.items() if (m := re.search(pattern, text))]
    found += [Fault("reversed", why) for why in _turned(asked, text)]
    if "ask" in asked.means and not _ASKED.search(text):
        found.append(Fault("missing", "a question"))
    if "future" in asked.means and _past(text):
        found.append(Fault("wrong_tense", "past"))
    called = called_wrongly(text, asked.context.interaction_partner)
    found += [Fault("wrong_title", name) for name in sorted(called)]
    given = " ".join(asked.context.public().values())
    others = strangers(text, asked.cards, asked.may, given) | _other_people(asked, text, given)
    found += [Fault("added", word) for word in sorted(others - called - _partner(asked, text))]
    found += [Fault("ungrammatical", why) for why in (*wrong_forms(text, asked.cards), *_LISTED.findall(text))]
    return found + [Fault("wrong_register", why) for why in _wrong_level(asked.level, text)]


def _says(asked: Asked, card: str, text: str) -> bool:
    if card in asked.unsaid or said(card, len(asked.cards) > 1).search(text):
        return True
    # The partner is 너: by name, by 저기요, or by an honorific question.
    named = "저기요" in text or re.search(r"시\S*\?", text) is not None or _partner(asked, text)
    return card == "너" and bool(named)


def _turned(asked: Asked, text: str) -> Iterator[str]:
    """How the sentence says the opposite of what its cards say."""
    for one, other in (pair for both in table()["opposites"] for pair in (both, both[::-1])):
        if one in asked.cards and other not in asked.cards and not said(one).search(text) and said(other).search(text):
            yield f"{other} for {one}"
    for meaning in asked.means:
        word, _, only = meaning.partition(":")
        if word == "refuse":
            yield from _unrefused(asked, text, only)
        elif word == "want" and (m := _REFUSED.search(_IDLE.sub("", text))):
            yield m.group()
        elif word == "cannot" and (not _UNABLE.search(text) or _TWICE_UNABLE.search(text)):
            yield "able"
        elif word == "stop" and (_GOES_ON.search(text) or not _STOPPED.search(text)):
            yield "goes on"


def _unrefused(asked: Asked, text: str, only: str) -> Iterator[str]:
    """The clauses that wish for what is refused: `only` that card, or all."""
    if m := _TURNED.search(text):
        yield m.group()
    for clause in filter(None, re.split(r"[.,!?]+\s*", text)):
        concerned = not only or said(only, True).search(clause)
        if concerned and not _DENIED.search(clause) and _WISH.search(clause):
            yield clause
    deeds = [card for card in asked.cards if (word := lookup(card)) and word.pos == "verb"]
    if not _DENIED.search(text) and (only or any(said(card).search(text) for card in deeds)):
        yield "no denial"


def _past(text: str) -> bool:
    """Whether the last predicate is past."""
    morphs = analyse(text)
    ends = [place for place, morph in enumerate(morphs) if morph.tag == "EF"]
    return any(morphs[place - 1].tag == "EP" and "었" in morphs[place - 1].form for place in ends[-1:] if place)


def _partner(asked: Asked, text: str) -> set[str]:
    """What a sentence calls the partner."""
    return {
        name
        for name in (*people(), *asked.context.interaction_partner.split())
        if name in text and is_partner(name, asked.context.interaction_partner)
    }


def _other_people(asked: Asked, text: str, given: str) -> set[str]:
    """Persons beyond the lexicon whom neither cards nor situation know."""
    kin = {"형": "오빠", "누나": "언니"}
    known = {*asked.cards, *(kin[card] for card in asked.cards if card in kin)}
    named = {name for name in table()["people"] if re.search(START + re.escape(name), text)}
    return {name for name in named - known if name not in given}


def _wrong_level(level: str, text: str) -> Iterator[str]:
    """The sentences whose speech level is not the one asked for, and pronouns of the other level."""
    names = "|".join(map(re.escape, people()))
    parts = [re.sub(rf", (?:{names})(?:님| 선생님|아|야)?$", "", part) for part in _SENTENCE.split(text) if part]
    for place, part in enumerate(parts):
        polite = _POLITE.search(part) is not None or part in ("네", "예", "아뇨")
        exclaimed = place < len(parts) - 1 and " " not in part
        wrong = {
            "polite": not polite and not exclaimed,
            "plain": polite and part != "네",
            "easy": _FORMAL.search(part) is not None and not _FORMULA.search(part),
            "any": False,
        }
        if wrong[level]:
            yield part
    last = parts[-1] if parts else ""
    if re.search(rf"{START}(?:저는|제가|저도|저를) ", text) and not _POLITE.search(last):
        yield "저"
    if re.search(rf"{START}(?:나는|내가|나도|나를) ", text) and _FORMAL.search(last):
        yield "나"
