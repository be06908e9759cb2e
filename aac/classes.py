"""What kind of thing a word names: classes of everyday nouns (`classes.json`), beside the lexicon and under its names.

A word of a user's own takes its class from here, from the last word of a phrase (사과 주스: drink), or from what its
board or its label says (`named`). A homograph (배, 눈, 말) has several; its sense tells which.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from aac.lexicon import lookup

CLASSES_FILE = Path(__file__).with_name("classes.json")
# The part of speech of a class's words, where it is not a noun.
_PARTS = {"person": "person", "place": "place", "time": "time", "state": "adjective", "action": "verb"}
_PARTS |= {"question": "question", "social": "social", "manner": "function"}
# The last part of a compound in one word that tells what it is: 사과주스, 장난감차, 털모자.
_HEADS = {
    **dict.fromkeys(("주스", "쥬스", "우유", "음료", "에이드", "커피"), "drink"),
    **dict.fromkeys(("수프", "스프", "케이크", "과자", "김치", "찌개", "튀김", "샐러드", "국수", "빵", "밥"), "food"),
    **dict.fromkeys(("나무", "꽃"), "nature"),
    **dict.fromkeys(("병원", "학교", "교실", "가게", "시장", "공원", "식당", "센터", "사무실", "화장실"), "place"),
    **dict.fromkeys(("버스", "자동차", "비행기", "자전거", "트럭"), "vehicle"),
    **dict.fromkeys(("모자", "신발", "바지", "치마", "셔츠", "장갑", "양말", "가방", "안경"), "clothes"),
    **dict.fromkeys(("선생님", "의사", "기사", "치료사", "경찰", "친구", "아저씨", "할머니", "할아버지"), "person"),
    **dict.fromkeys(("통증", "두통"), "symptom"),
    **dict.fromkeys(("인형", "장난감", "놀이", "게임", "퍼즐"), "toy"),
    **dict.fromkeys(("침대", "의자", "상자", "수건", "약"), "thing"),
    **dict.fromkeys(("집", "방"), "place"), "옷": "clothes", "책": "study",
}  # fmt: skip


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return json.loads(CLASSES_FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _classes() -> dict[str, str]:
    """Every word of the table with its first class."""
    found: dict[str, str] = {}
    for name, words in _table()["words"].items():
        for word in words.split():
            found.setdefault(word.replace("_", " "), name)
    return found


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, names in _table()["names"].items():
        for word in (name, *names.split()):
            found.setdefault(word.replace("_", " "), name)
    return found


@lru_cache(maxsize=8192)
def classes_of(word: str) -> frozenset[str]:
    """All classes that a word may have."""
    card, key = lookup(word), word.replace(" ", "_")
    listed = {name for name, words in _table()["words"].items() if f" {key} " in f" {words} "}
    return frozenset(listed | set(_table()["homographs"].get(word, ())) | ({card.category} if card else set()))


def class_of(word: str) -> str:
    """The class of a noun; empty where no table knows it."""
    card = lookup(word)
    return card.category if card else _classes().get(word, "")


@lru_cache(maxsize=8192)
def class_of_phrase(words: tuple[str, ...]) -> str:
    """The class of a noun of one or several words, by its head, which stands last."""
    if found := class_of(" ".join(words)) or class_of(words[-1]):
        return found
    last = words[-1]
    endings = (last[start:] for start in range(1, len(last) - (len(last) < 3)))
    return next((_HEADS[ending] for ending in endings if ending in _HEADS), "")


def named(text: str) -> str:
    """The class that a person means by the name of a folder, a category or a sense: 음식, Food, 신체 부위; or empty."""
    text = " ".join(text.lower().replace("-", " ").split())
    names, last = _names(), text.rpartition(" ")[2]
    return names.get(text) or names.get(text.removesuffix("들")) or names.get(last, "")


def class_by_sense(word: str, sense: str) -> str:
    """The class that a sense tells: of a homograph (배, stomach), by a class's name (배, 과일), or by a word of it
    (배, 보트); or empty."""
    meant = sense.lower().replace(" ", "_")
    for name, told in _table()["homographs"].get(word, {}).items():
        if meant in told.split():
            return str(name)
    return named(sense) or (class_of_phrase(tuple(sense.split())) if sense else "")


def has_senses(word: str) -> bool:
    """Whether a word is a homograph of the table, so that only its sense tells its class."""
    return word in _table()["homographs"]


def title(name: str) -> str:
    """How a class is called in Korean: 과일 for fruit."""
    names = _table()["names"].get(name, "")
    return names.split()[0].replace("_", " ") if names else name


def part_of(name: str) -> str:
    """The part of speech of a class's words."""
    return _PARTS.get(name, "noun")
