"""What `--labels` reads: a table of ours (CSV), or ARASAAC's own list of pictograms (JSON, or CSV by number).

Whoever has labels from elsewhere (a board's importer) hands `Labels` the same fields.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aac import classes
from aac.io import UserError, read_text
from aac.rules import card_word, nfc

log = logging.getLogger("aac")
FIELDS = ("id", "keyword", "sense", "part_of_speech", "category", "folder", "synonyms", "licence")
Fields = dict[str, str]
_ARASAAC = "CC BY-NC-SA 4.0, ARASAAC"
# What ARASAAC's kinds of words tell of a Korean one; the others hold too many things.
_KINDS = {3: "verb"}
# Columns of a table by number (ARASAAC's in a spreadsheet), and ours.
_BY_NUMBER = {
    **{"_id": "id", "idpictogram": "id", "keywords": "keyword", "meaning": "sense"},
    **{"categories": "folder", "license": "licence"},
}


@dataclass
class Labels:
    """Labels of cards by file name, or by the number that a file's name begins with."""

    by_file: dict[str, Fields] = field(default_factory=dict)
    by_number: dict[str, Fields] = field(default_factory=dict)

    def of(self, name: str) -> Fields:
        """What a table says of a file; empty: nothing."""
        number = re.match(r"0*(\d+)", name)
        return self.by_file.get(name) or self.by_number.get(number[1] if number else "", {})

    def astray(self, names: Iterable[str]) -> list[str]:
        """The files that the table names and that are not there."""
        return sorted(set(self.by_file) - set(names))


def read_labels(path: Path) -> Labels:
    """The labels of a file.

    Raises:
        UserError: it is neither a table nor a list, its header is wrong, or a file or a column stands in it twice.
    """
    if path.suffix.lower() == ".json":
        return Labels(by_number=_arasaac(path))
    return _table(path)


def _arasaac(path: Path) -> dict[str, Fields]:
    """The list that `api.arasaac.org/v1/pictograms/all/ko` gives."""
    try:
        entries = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    entries = entries if isinstance(entries, list) else [entries]
    found = {}
    for place, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or "_id" not in entry or not isinstance(entry.get("keywords"), list):
            raise UserError(f"{path}: entry {place}: expected a pictogram of ARASAAC with _id and keywords")
        words = [
            word for word in entry["keywords"] if isinstance(word, dict) and card_word(str(word.get("keyword", "")))
        ]
        if words:
            found[str(entry["_id"])] = _pictogram(entry, words)
    return found


def _pictogram(entry: dict[str, Any], words: Sequence[dict[str, Any]]) -> Fields:
    keyword, *others = dict.fromkeys(card_word(str(word["keyword"])) for word in words)
    groups = [name for name in entry.get("categories") or () if isinstance(name, str)]
    return {
        "id": str(entry["_id"]),
        "keyword": keyword,
        "part_of_speech": _KINDS.get(words[0].get("type"), ""),
        "folder": next((group for group in groups if classes.named(group)), ""),
        "synonyms": ", ".join(others),
        "licence": _ARASAAC,
    }


def _table(path: Path) -> Labels:
    text = read_text(path)
    first = text.partition("\n")[0]
    sign = max(",;\t", key=first.count)
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=sign)
    try:
        columns = [_column(name or "", table.fieldnames or ()) for name in table.fieldnames or ()]
        table.fieldnames = columns
        rows = [(table.line_num, row) for row in table]
    except csv.Error as error:
        raise UserError(f"{path}: line {table.line_num + 1}: not CSV ({error})") from None
    key = "file" if "file" in columns else "id"
    if not {key, "keyword"} <= set(columns):
        raise UserError(f"{path}: the first line must name the columns file and keyword (also {', '.join(FIELDS)})")
    if twice := [name for name in ("file", *FIELDS) if columns.count(name) > 1]:
        raise UserError(f"{path}: the column {twice[0]} stands twice; keep one of them")
    if unknown := [name for name in columns if name not in ("file", *FIELDS)]:
        log.warning("      %s: columns that are not used: %s", path, ", ".join(unknown))
    labels: dict[str, Fields] = {}
    for line, row in rows:
        if None in row:
            raise UserError(f"{path}: line {line}: more fields than columns; put a text with commas in quotes")
        name, keyword = nfc(row[key] or ""), card_word(row["keyword"] or "")
        if not name or not keyword:
            raise UserError(f"{path}: line {line}: {key} and keyword must both be filled")
        name = name.lstrip("0") if key == "id" else name
        if name in labels:
            raise UserError(f"{path}: line {line}: {name} is listed twice")
        labels[name] = {column: nfc(row.get(column) or "") for column in FIELDS} | _words(keyword, row, key)
    return Labels(by_file=labels) if key == "file" else Labels(by_number=labels)


def _column(name: str, all_names: Sequence[str]) -> str:
    name = nfc(name).strip()
    if "file" in all_names or "\ufefffile" in all_names:
        return "licence" if name == "license" else name
    return _BY_NUMBER.get(name.lower(), name)


def _words(keyword: str, row: dict[str, str], key: str) -> Fields:
    """The word of a line; in a table by number the first of several, which may stand in one cell."""
    if key == "file":
        return {"keyword": keyword}
    first, *others = [card_word(word) for word in re.split(r"[,;|]", keyword) if card_word(word)]
    groups = re.split(r"[,;|]", row.get("folder") or "")
    folder = next((group for group in groups if classes.named(group)), "")
    return {"keyword": first, "folder": folder, "synonyms": ", ".join([*others, *filter(None, [row.get("synonyms")])])}
