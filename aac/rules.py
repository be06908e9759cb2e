"""The rules of the public format: what each field of a row may hold, in all its spellings, and what is wrong with one.

`records.py` refuses by these rules and `check.py` reports by them: there is no second set. A field that is not there
is a defect; an empty one (`""`, `null`, `[]`) says that nothing is known, which is allowed in persona and context.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from aac.fields import Text, field_named, nfc, shown, text_problem
from aac.persona import CONTEXT, PERSONA

FAILED_MARKS = ("오류", "Processing error")
INTERPRETATIONS = 3
MOST_CARDS = 4
# What other people's files hold of where and with whom, and what teachers make up.
CONTEXT_FIELDS = tuple(name for name, kind in CONTEXT.items() if kind.origin == "public")
# What a reader of the file's text marks when the same key stands twice in one object.
TWICE = "\0twice"
_HANGUL = re.compile("[가-힣]")
_SIZE = re.compile(r"[\d\s_.,xX×*-]*(px|pt)?")
_SIZED = re.compile(r"(?:[ _.-]+(?:\d{2,5}\s?[xX×*]\s?\d{2,5}|\d{3,5})(?:px|pt)?|[ _.-]+\d{2,5}(?:px|pt)|@\dx)$")
SENSE = re.compile(r"\s*[(\[（]([^()\[\]（）]*)[)\]）]\s*$")  # 배(과일)
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".svg")


@dataclass(frozen=True)
class Problem:
    """One thing wrong: where, with what value, and what mends it. `fatal`: training would be wrong."""

    record: int | str
    field: str
    value: str
    remedy: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"record {self.record}: {self.field}: {self.value}: {self.remedy}"


Found = Iterator[tuple[str, Any, str]]


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON file (`hook` of its reader); a key that stands twice in it is remembered for the rules."""
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        value[TWICE] = next(key for key in keys if keys.count(key) > 1)
    return value


def card_keyword(file_name: str) -> str:
    """`2462_사과.png` → `사과`; what follows the first underscore, without a picture's size (`2462_사과_500.png`). A
    Korean name without a number is the word itself (`사과.png`). Empty where a name holds no word (`2462_500.png`):
    such a card gets it from a label."""
    stem = nfc(PurePosixPath(file_name).stem)
    number, _, rest = stem.partition("_")
    named = rest if not _HANGUL.search(number) else stem
    word = card_word(_SIZED.sub("", f"_{named}"))
    return "" if _SIZE.fullmatch(word) else word


def card_word(label: str) -> str:
    """A label as a sentence can hold it: signs that nobody sees (zero width, direction) gone, `_` a space."""
    seen = "".join(sign for sign in label if unicodedata.category(sign) != "Cf")
    return " ".join(nfc(seen).replace("_", " ").split())


def spoken(keyword: str) -> str:
    """What one hears of a card's word, without what it means: 배 of 배(과일) (`labels.py`)."""
    return SENSE.sub("", keyword) or keyword


def card_name_problem(name: str) -> str:
    """Why a text cannot be a card's file name (empty: it can)."""
    if name.startswith(".") or any(sign in name for sign in "/\\:") or any(ord(sign) < 32 for sign in name):
        return "a bare file name inside the images folder: no path, no control characters"
    if not name.lower().endswith(PICTURES):
        return f"a picture: {', '.join(PICTURES)}"
    return text_problem(name)


def row_problems(row: Any, place: int, clusters: int | None = None) -> tuple[str, list[Problem]]:
    """Check one row of `dataset_completed.json`.

    Args:
        row: what the JSON holds at that place.
        place: its place in the file, from 1; names the record where its id does not.
        clusters: how many clusters there are, where that is known.

    Returns:
        `complete`, `failed` (the teacher's error mark stands in it), `incomplete` (never processed) or `defective`,
        and what is wrong with it. A failed or incomplete row is looked at no further: it is left out anyway.
    """
    if not isinstance(row, dict):
        return "defective", [Problem(f"no. {place}", "row", _shown(row), "a row is an object; see dataset/README.md")]
    known = isinstance(row.get("id"), int) and not isinstance(row["id"], bool)
    name: int | str = row["id"] if known else f"no. {place}"
    problems = [Problem(name, field, _shown(value), remedy) for field, value, remedy in _id_and_parts(row)]
    source = row.get("input")
    if isinstance(source, dict) and not problems:
        status = _unfinished(row)
        if status:
            return status, []
        problems += [Problem(name, field, _shown(value), remedy) for field, value, remedy in _fields(row, clusters)]
    fatal = bool(problems)
    problems += [Problem(name, field, _shown(value), remedy, False) for field, value, remedy in _doubts(row)]
    return "defective" if fatal else "complete", problems


def persona_problems(persona: Any, prefix: str = "persona", clusters: int | None = None) -> Found:
    """(field, value, remedy) for all that is wrong with a persona of a file."""
    bad = False
    for field, value, remedy in _record_problems(persona, PERSONA, prefix):
        bad = True
        yield field, value, remedy
    field = "preferred_category_types"
    if not bad and clusters is not None and any(int(number) >= clusters for number in persona[field] or ()):
        remedy = f"clusters go from 0 to {clusters - 1} (clustering_results.json): rerun step 6"
        yield f"{prefix}.{field}", persona[field], remedy


def _record_problems(record: Any, fields: Mapping[str, Text], prefix: str) -> Found:
    """What is wrong with a persona or a context of a file, by the declarations of its fields."""
    public = [name for name, kind in fields.items() if kind.origin == "public"]
    if not isinstance(record, dict):
        yield prefix, record, f"an object with {', '.join(public)}"
        return
    yield from _keys(record, public, prefix, fields)
    for name, kind in fields.items():
        if name in record and (remedy := kind.problem(record[name])):
            yield f"{prefix}.{name}", record[name], remedy


def _id_and_parts(row: dict[str, Any]) -> Found:
    yield from _keys(row, ("id", "input", "output"), "")
    identity = row.get("id")
    if "id" in row and (not isinstance(identity, int) or isinstance(identity, bool) or identity < 0):
        yield "id", identity, "a whole number of its own"
    if "input" in row and not isinstance(row["input"], dict):
        yield "input", row["input"], "an object with persona, context and AAC_card_combination"
    elif "input" in row:
        yield from _keys(row["input"], ("persona", "context", "AAC_card_combination"), "input")


def _unfinished(row: dict[str, Any]) -> str:
    output, context = row["output"], row["input"]["context"]
    marked = [*(output if isinstance(output, list) else [output])]
    marked += list(context.values()) if isinstance(context, dict) else []
    if any(isinstance(text, str) and text.strip() in FAILED_MARKS for text in marked):
        return "failed"
    return "incomplete" if output in ("", None, []) else ""


def _fields(row: dict[str, Any], clusters: int | None) -> Found:
    source = row["input"]
    yield from persona_problems(source["persona"], "input.persona", clusters)
    yield from _record_problems(source["context"], CONTEXT, "input.context")
    if remedy := text_problem(source.get("past_interpretation")):
        yield "input.past_interpretation", source["past_interpretation"], remedy
    yield from _cards(row, source["AAC_card_combination"])
    yield from sentence_problems(row["output"])
    person = row.get("persona_id")
    if person is not None and (not isinstance(person, int) or isinstance(person, bool)):
        yield "persona_id", person, "the persona's number, or no such field"
    if remedy := text_problem(row.get("key")):
        yield "key", row["key"], remedy
    if row.get("split") is not None and (row["split"] != "train" or len(source["AAC_card_combination"] or ()) != 1):
        yield "split", row["split"], "'train' in a row of one card, or no such field: other rows are split by a hash"


def _cards(row: dict[str, Any], cards: Any) -> Found:
    field = "input.AAC_card_combination"
    if not isinstance(cards, list) or not 1 <= len(cards) <= MOST_CARDS:
        yield field, cards, f"a list of 1 to {MOST_CARDS} file names"
        return
    for place, card in enumerate(cards):
        if not isinstance(card, str) or not card.strip():
            yield f"{field}[{place}]", card, "a file name such as 2462_사과.png"
        elif remedy := card_name_problem(card):
            yield f"{field}[{place}]", card, remedy
        elif not row.get("keywords") and not card_keyword(card):
            yield f"{field}[{place}]", card, "no keyword in the name: list the cards' words in 'keywords' (--labels)"
    words = row.get("keywords")
    if words is None or words == []:
        return
    if not isinstance(words, list) or len(words) != len(cards):
        yield "keywords", words, f"a list of {len(cards)} words, one a card, or no such field"
    else:
        for place, word in enumerate(words):
            if not isinstance(word, str) or not word.strip() or text_problem(word):
                yield f"keywords[{place}]", word, "the card's word"


def sentence_problems(output: Any) -> Found:
    """(field, value, remedy) for all that is wrong with a row's sentences."""
    remedy = "rerun step 8, or delete the row"
    if not isinstance(output, list) or len(output) < INTERPRETATIONS:
        yield "output", output, f"a list of {INTERPRETATIONS} sentences: {remedy}"
        return
    for place, text in enumerate(output[:INTERPRETATIONS]):
        if not isinstance(text, str) or not text.strip():
            yield f"output[{place}]", text, f"a sentence: {remedy}"
        elif broken := text_problem(text):
            yield f"output[{place}]", text, broken
        elif not _HANGUL.search(nfc(text)):
            yield f"output[{place}]", text, f"a Korean sentence: {remedy}"


def _doubts(row: dict[str, Any]) -> Found:
    """What training can live with, and a person should see."""
    source, output = row.get("input"), row.get("output")
    for part, fields in (("persona", PERSONA), ("context", CONTEXT)):
        record = source.get(part) if isinstance(source, dict) else None
        for key in record if isinstance(record, dict) else ():
            if key not in fields and key != TWICE:
                yield f"input.{part}.{key}", record[key], "no field of ours: it is not read"
    if isinstance(output, list) and all(isinstance(text, str) for text in output):
        if len(output) > INTERPRETATIONS:
            yield "output", output, f"only the first {INTERPRETATIONS} sentences are used"
        if len(set(map(nfc, output[:INTERPRETATIONS]))) < len(output[:INTERPRETATIONS]):
            yield "output", output, "the same sentence twice: the styles do not differ here"
    cards = source.get("AAC_card_combination") if isinstance(source, dict) else None
    if isinstance(cards, list) and len({str(card) for card in cards}) < len(cards):
        yield "input.AAC_card_combination", cards, "the same card twice"


def _keys(value: dict[str, Any], wanted: Sequence[str], prefix: str, fields: Mapping[str, Text] | None = None) -> Found:
    """Keys that are missing (a like one is named), or stand twice; a field that need not be there is missed where a
    key seems to mean it."""
    fields, lead = fields or {}, f"{prefix}." if prefix else ""
    spare = [other for other in value if isinstance(other, str) and other not in (*wanted, *fields)]
    for key in dict.fromkeys((*wanted, *fields)):
        if key in value:
            continue
        like = [other for other in spare if field_named(other, fields) == key]
        like += difflib.get_close_matches(key, spare, 1, 0.75) if spare else []
        if like or key in wanted:
            yield f"{lead}{key}", "missing", f"did you mean it by {like[0]!r}?" if like else "add the field"
    if TWICE in value:
        yield f"{lead}{value[TWICE]}", "twice", "the same key stands twice in one object; keep one of them"


def _shown(value: Any) -> str:
    return value if value in ("missing", "twice") else shown(value)
