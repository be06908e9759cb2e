"""The compatibility table (`frames.json`): which cards may meet in one utterance. A possible sentence is not yet a
plausible one, so every predicate names the cards that its slots take, and every noun the predicate it is heard with.

Words in the table are cards, separated by spaces; `@name` stands for a group of the table or a category of the lexicon,
a leading minus takes a card away. A place may name the objects that fit there (`공원:.+공`: with a ball, or, by the
dot, with no object at all); without such a list it fits all of them.

A verb or adjective that the table does not hold takes what `aac/verbs.json` says; one that is nowhere is told.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from aac.korean import join, kiwi, predicate_stem
from aac.labels import read_label
from aac.lexicon import load_lexicon, lookup
from aac.rules import spoken
from aac.verbs import UNKNOWN, UNWISHED, Valency, valency

FRAMES_FILE = Path(__file__).with_name("frames.json")
NO_OBJECT = "."


@dataclass(frozen=True)
class Frame:
    """What a predicate takes.

    `kind`: act (one's own deed), other (another's), state (of body or mind), quality (of a thing), love, unknown, wish,
    or what is told and never wished (`verbs.UNWISHED`).
    `objects`: {card: josa}. `places`: {card: (josa, the objects that fit there or None for all)}. `who` stands with the
    deed by the josa `role`. `ask`: it can be asked of the partner. `instant`: it has no course. `asked`: the objects
    that a question may hold, None for all. `needs`: an object must be named. `noun`: the noun of a 하다 verb.
    `honorific`: the stem for an elder's own deed. Of a verb that the table does not hold: what it takes as
    `aac/verbs.json` says (`own`), whether it is a deed for somebody (`serves`: 읽어 주다), and the words before its
    stem (`lead`: 손을 of 손을 씻다).
    """

    stem: str
    tag: str
    kind: str
    objects: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[str, frozenset[str] | None]] = field(default_factory=dict)
    who: frozenset[str] = frozenset()
    role: str = "이랑"
    adverbs: frozenset[str] = frozenset()
    questions: frozenset[str] = frozenset()
    ask: bool = False
    instant: bool = False
    asked: frozenset[str] | None = None
    needs: bool = False
    noun: str = ""
    honorific: str = ""
    own: Valency | None = None
    serves: bool = False
    lead: str = ""

    @property
    def words(self) -> str:
        """What of the predicate no ending changes, all in one: 손을 씻, 전화하."""
        return f"{self.lead} {self.noun}{self.stem}".lstrip()


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return json.loads(FRAMES_FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """The cards that a text of the table stands for."""
    found: list[str] = []
    for word in text.split():
        if word.startswith("@"):
            group = _table()["groups"].get(word[1:])
            category = [card.keyword for card in load_lexicon() if card.category == word[1:]]
            found += words(group) if group else category
        elif word.startswith("-") and word != "-":
            found.remove(word[1:])
        else:
            found.append(word)
    return tuple(found)


def group(name: str) -> frozenset[str]:
    """A named group of the table, or a category of the lexicon."""
    return frozenset(words(f"@{name}"))


def _objects(entry: str | dict[str, str], josa: str) -> dict[str, str]:
    by_josa = entry if isinstance(entry, dict) else {josa: entry}
    return {word: own for own, text in by_josa.items() for word in words(text)}


def _places(entry: str | dict[str, str], josa: str) -> dict[str, tuple[str, frozenset[str] | None]]:
    found: dict[str, tuple[str, frozenset[str] | None]] = {}
    for own, text in (entry if isinstance(entry, dict) else {josa: entry}).items():
        for item in text.split():
            names, _, only = item.partition(":")
            allowed = frozenset(words(only.replace("+", " "))) if only else None
            found.update(dict.fromkeys(words(names), (own, allowed)))
    return found


def _frame(kind: str, entry: dict[str, Any]) -> Frame:
    stem = entry["stem"]
    subject = kind in ("state", "quality")
    flags = {name: entry[name] for name in ("ask", "instant", "needs", "noun", "honorific") if name in entry}
    return Frame(
        stem,
        _table()["conjugation"].get(stem) or entry.get("tag") or ("VA" if subject else "VV"),
        kind,
        _objects(entry.get("objects", ""), "이" if subject else "을"),
        _places(entry.get("places", ""), "이" if subject else "에서"),
        frozenset(words(entry.get("who", ""))),
        entry.get("role") or ("이" if subject or kind == "other" else "이랑"),
        frozenset(words(entry.get("adverbs", "많이 조금" if kind == "state" else ""))),
        frozenset(words(entry.get("questions", ""))),
        asked=frozenset(words(entry["asked"])) if "asked" in entry else None,
        **({"needs": True} if kind == "quality" else {}) | flags,
    )


class _Frames(dict[str, Frame]):
    """The table, which also holds every predicate that the lexicon does not know; looked through, it is the table."""

    def __missing__(self, word: str) -> Frame:
        found = _own_frame(word)
        if found is None:
            raise KeyError(word)
        return found

    def __contains__(self, word: object) -> bool:
        return super().__contains__(word) or (isinstance(word, str) and _own_frame(word) is not None)

    def get(self, word: str, default: Any = None) -> Any:
        try:
            return self[word]
        except KeyError:
            return default


@lru_cache(maxsize=1)
def frames() -> dict[str, Frame]:
    """Every predicate with its slots; 신다, 치다, 날리다 and 여행가다 have no card and complete a noun only."""
    kinds = ("act", "other", "state", "quality", "love", "unknown", "wish")
    return _Frames({name: _frame(kind, entry) for kind in kinds for name, entry in _table()[kind].items()})


@lru_cache(maxsize=8192)
def _own_frame(word: str) -> Frame | None:
    """The frame of a predicate that the lexicon does not know; None for any other word."""
    if lookup(word) or len(word) < 2 or not re.search(r"다(?:\(|$)", word):
        return None
    if valency(word) is None and read_label(word).part_of_speech not in ("verb", "adjective"):
        return None  # 사이다
    word = spoken(word)
    known = valency(word)
    lead, stem, tag = predicate_stem(word)
    if known and known.kind == "serve":
        return _serving(word)
    if lead and known is None:  # TV를 시청하다; but 멍 들다 is nothing that one does
        known = valency(f"{stem}다")
        object_named = lead.endswith(("을", "를", "에", "로")) or stem.endswith("하")
        known = known if known and (object_named or known.kind in UNWISHED) else None
    done = stem != "하" or lead.endswith(("을", "를")) or lookup(lead)
    base = frames().get(f"{stem}다") if lead and done and known is None and f"{stem}다" in _table_words() else None
    if base:  # 손을 씻다
        return replace(base, objects={}, places={}, lead=lead, needs=False)
    known = known or (UNKNOWN if tag.startswith("VV") else Valency("state" if lead else "quality", objects=_ANYTHING))
    kind = "act" if known.kind == "ask" else known.kind
    if valency(word):  # the table knows better what it is: Kiwi takes the stem of 안다 for a denial
        tag = "-".join(["VA" if kind in ("state", "quality") else "VV", *tag.split("-")[1:]])
    noun, stem, tag = _parted(stem, tag) if kind in UNWISHED | {"act"} else ("", stem, tag)
    if kind in ("state", "quality"):
        return Frame(stem, tag, kind, role="이", adverbs=_MANNERS, questions=_WHY, own=known, lead=lead)
    role = known.person or ("이" if kind in UNWISHED else "이랑")
    return Frame(
        stem, tag, kind, role=role, adverbs=_MANNERS, questions=_ASKED, ask=known.kind == "ask",
        instant=known.told == "past", needs=bool(known.objects), noun=noun, own=known, lead=lead,
    )  # fmt: skip


_MANNERS = frozenset({"같이", "혼자", "더", "다시", "빨리", "천천히", "많이", "조금"})
_ANYTHING = frozenset("*")
_WHY, _ASKED = frozenset({"왜"}), frozenset({"왜", "언제", "어디", "누구", "뭐"})


@lru_cache(maxsize=1)
def _table_words() -> frozenset[str]:
    return frozenset(card.keyword for card in load_lexicon() if card.keyword in _table()["act"])


def _parted(stem: str, tag: str) -> tuple[str, str, str]:
    """A compound in its noun and its verb, between which 안 stands: 기침하 in 기침 and 하, 숨막히 in 숨 and 막히."""
    morphs = kiwi().tokenize(f"{stem}지 않아요")
    last = [morph for morph in morphs if morph.start < len(stem)][-1:]
    compound = morphs[0].tag in ("NNG", "NNP", "XR", "MAG") and last and last[0].start
    if compound and last[0].tag.startswith(("VV", "XSV")):
        return stem[: last[0].start], stem[last[0].start :], last[0].tag.replace("XSV", "VV")
    return "", stem, tag


def _serving(word: str) -> Frame | None:
    """읽어 주다: what one asks to be done, by the verb that is done; None for 주다, which names no deed."""
    morphs = [morph for morph in kiwi().tokenize(word) if morph.tag.startswith(("VV", "XSV"))]
    if not morphs or morphs[-1].form in ("주", "주다"):
        return None
    last = morphs[-1]
    lead = word[: last.start].rstrip() if last.tag.startswith("VV") else ""
    noun = word[: last.start].strip() if last.tag.startswith("XSV") else ""
    base = valency(f"{noun}{last.form}다") or Valency("ask", objects=_ANYTHING)
    if base.kind in UNWISHED:
        return _own_frame(f"{noun}{last.form}다")  # 때려 주다 is asked for as little as 때리다
    return Frame(
        last.form, last.tag.replace("XSV", "VV"), "act", role="한테", adverbs=_MANNERS, questions=_ASKED, ask=True,
        noun=noun, own=base, serves=True, lead=lead,
    )  # fmt: skip


@lru_cache(maxsize=1)
def defaults() -> dict[str, str]:
    """The predicate that a noun without one is completed with."""
    table = dict(_table()["defaults"])
    found: dict[str, str] = {}
    for predicate in table.pop("order").split():
        frame = frames()[predicate]
        for card in frame.places if predicate == "가다" else frame.objects:
            entry = lookup(card)
            if entry and entry.pos in ("noun", "place") and (predicate != "그리다" or card == "그림"):
                found[card] = predicate
    return found | table


@lru_cache(maxsize=1)
def _kits() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(words(text)) for text in _table()["together"])


def together(one: str, other: str) -> bool:
    """Whether two things are named in one breath: 밥이랑 국, 컵이랑 접시."""
    return any({one, other} <= kit for kit in _kits())


@cache
def takes(predicate: str) -> frozenset[str]:
    """The cards and categories that a predicate takes beside its slots: what one can draw, look for or use."""
    frame = frames().get(predicate)
    if frame and frame.own:
        return frame.own.objects | ({"study", "toy"} if "doing" in frame.own.objects else set())
    kinds = _table()["takes"].get(predicate, "").split()
    everything = [
        "food",
        "fruit",
        "drink",
        "place",
        "vehicle",
        "clothes",
        "thing",
        "media",
        "study",
        "toy",
        "animal",
        "nature",
        "body",
    ]
    return frozenset(everything if kinds == ["*"] else kinds)


@cache
def instruments(predicate: str) -> frozenset[str]:
    """What a deed is done with: 비누로 손을 씻다."""
    return frozenset(words(_table()["instruments"].get(predicate, "")))


@cache
def chain(card: str) -> str:
    """How a noun is said before another deed: 음악을 듣고, 버스를 타고; 때문에 for the body, else 가지고."""
    own = next((josa for josa, text in _table()["chains"].items() if card in words(text)), "")
    predicate = defaults().get(card)
    if own or predicate is None:
        return own or "을 가지고"
    frame = frames()[predicate]
    if frame.noun and frame.noun == card:
        return f"{frame.stem}고"  # 전화하고
    josa = frame.objects.get(card, "을")
    return f"{'을' if josa == '로' else josa} {frame.noun}{frame.stem}고"


@cache
def during(card: str) -> str:
    """What a noun is done with, as a time: 피아노 칠 때, 버스 탈 때."""
    frame = frames()[defaults().get(card, "하다")]
    ending = join(((frame.stem, frame.tag), ("을", "ETM"))) + " 때"
    if card in frame.places:
        return f"{frame.places[card][0]} {ending}"
    return ending if frame.stem == "하" else " " + ending


@cache
def company(card: str) -> frozenset[str] | None:
    """The persons that a place or thing goes with, or None for all: no football with grandmother."""
    text = _table()["company"].get(card)
    return None if text is None else frozenset(words(text))


@cache
def rides(vehicle: str) -> frozenset[str]:
    """Where one gets to by a vehicle."""
    return frozenset(words(_table()["rides"].get(vehicle, "")))


@lru_cache(maxsize=1)
def _closed() -> dict[str, tuple[str, ...]]:
    return {card: words(times) for names, times in _table()["closed"].items() for card in words(names)}


@cache
def timely(time: str, predicate: str, cards: tuple[str, ...]) -> bool:
    """Whether a deed with its cards has its hour: nobody buys at night, and the bank is closed at the weekend."""
    deeds = _table()["hours"].get(time)
    named = (predicate, *cards)
    return (deeds is None or predicate in words(deeds)) and not any(time in _closed().get(card, ()) for card in named)


@lru_cache(maxsize=1)
def _strangers() -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    return tuple((frozenset(words(kit)), frozenset(words(others))) for kit, others in _table()["apart"].items())


def apart(cards: frozenset[str]) -> bool:
    """Whether cards that each fit the predicate still never meet: nobody rides a wheelchair together with mother."""
    return any(kit <= cards and others & cards for kit, others in _strangers())


@cache
def follows(state: str) -> dict[str, frozenset[str] | None]:
    """What a state makes one do, and the objects that fit there or None for all: 배고프다 leads to 먹다."""
    return {deed: only for deed, (_, only) in _places(_table()["causes"].get(state, ""), "").items()}


def link(first: str, second: str) -> str:
    """The connective of two deeds in a row (씻고 먹다, 앉아서 쉬다), or an empty string."""
    return _table()["links"].get(first, {}).get(second, "")
