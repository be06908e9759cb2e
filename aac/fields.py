"""The kinds of fields of a persona or a context: what a value may be in all its spellings, and how it reads.

`persona.py` declares each field with one of them; files and requests are judged, read and corrected by the same kind.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral
from typing import Any, Literal

OLDEST = 120
LONGEST = 2000  # characters of a text; a prompt holds a few dozen
MOST = 100  # entries of a list
_DAMAGED = re.compile("[\ufffd\ud800-\udfff]")
_YEARS = re.compile(r"(?:만\s*)?(\d{1,6})\s*(?:세|살)?")
_DECADE = re.compile(r"(\d{1,2})0대")


def nfc(text: str) -> str:
    """Hangul from macOS file names comes decomposed (NFD); everything here is compared composed."""
    return unicodedata.normalize("NFC", text).strip()


def text_problem(value: Any) -> str:
    """Why a value is no text that can be read and written again (empty: it is one, or nothing is known)."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return "a text in quotes"
    if len(value) > LONGEST:
        return f"at most {LONGEST} characters, not {len(value)}"
    if _DAMAGED.search(value):
        return "damaged characters: the text was read in a wrong encoding; restore it"
    return ""


@dataclass(frozen=True)
class Text:
    """A text of any words.

    Attributes:
        label: its Korean name: a remote teacher reads it, and a request may use it as the key.
        also: further keys that a request may use.
        origin: of the public format, whose files hold it, empty or not; ours from the first; or later: then a record is
            written with it where it is filled, so that digests made before stay.
        spellings: what else a value is called; where there are any, spaces do not count.
        prompt: its rank in its line of the prompt and its words there, "{}" being the value; None: it is not there.
        embedded: whether the persona embedding and the context attention read it.
        leaves: whether a remote teacher may be told it: of nobody, of people for whom it is listed
            (`--send-personas`), or of the shipped, synthetic people unasked, too.
    """

    label: str
    also: tuple[str, ...] = ()
    origin: Literal["public", "first", "later"] = "later"
    _: KW_ONLY
    spellings: Mapping[str, str] = field(default_factory=dict)
    prompt: tuple[int, str] | None = None
    embedded: bool = False
    leaves: Literal["never", "listed", "shipped"] = "listed"

    def problem(self, value: Any) -> str:
        """What is wrong with a value, as its remedy; empty where nothing is."""
        return text_problem(value)

    def read(self, value: Any) -> Any:
        """A good value as records hold it."""
        text = nfc(value or "")
        if self.spellings:
            text = text.replace(" ", "")
        return self.spellings.get(text, text)


@dataclass(frozen=True)
class Word(Text):
    """One of `values`, or a spelling of one."""

    values: tuple[str, ...] = ()

    def problem(self, value: Any) -> str:
        if value is None or (isinstance(value, str) and (not value.strip() or self._known(value))):
            return ""
        return f"one of {', '.join(dict.fromkeys((*self.spellings, *self.values)))}; empty where unknown"

    def read(self, value: Any) -> str:
        return self._known(value or "")

    def _known(self, text: str) -> str:
        text = nfc(text).lower()
        return text if text in self.values else self.spellings.get(text, "")


@dataclass(frozen=True)
class Age(Word):
    """Years ("만 25세", 25.0), tens of years ("20대") or a word, to an age group: child to 12, adolescent to 18, adult,
    elder from 65."""

    def problem(self, value: Any) -> str:
        years = years_of(value)
        if (years is None and not super().problem(value)) or (years is not None and years <= OLDEST):
            return ""
        return f"years (0 to {OLDEST}) or one of {', '.join(self.values)}; empty where unknown"

    def read(self, value: Any) -> str:
        years = years_of(value)
        if years is None:
            return super().read(value)
        return self.values[0 if years <= 12 else 1 if years <= 18 else 2 if years < 65 else 3]


@dataclass(frozen=True)
class Texts(Text):
    """A list of words."""

    def problem(self, value: Any) -> str:
        words = [] if value is None else value
        if isinstance(words, list | tuple) and len(words) > MOST:
            return f"at most {MOST} words, not {len(words)}"
        good = isinstance(words, list | tuple) and all(isinstance(word, str) and word.strip() for word in words)
        return "" if good and not any(map(text_problem, words)) else "a list of words; [] where unknown"

    def read(self, value: Any) -> list[str]:
        return list(value or ())


@dataclass(frozen=True)
class Numbers(Text):
    """A list of whole numbers, of clusters."""

    def problem(self, value: Any) -> str:
        numbers = [] if value is None else value
        if isinstance(numbers, list | tuple) and len(numbers) > MOST:
            return f"at most {MOST} clusters, not {len(numbers)}"
        good = isinstance(numbers, list | tuple) and all(
            re.fullmatch(r"\d{1,6}", str(number)) and not isinstance(number, bool) for number in numbers
        )
        return "" if good else "a list of cluster numbers; [] where unknown"

    def read(self, value: Any) -> list[int]:
        return [int(number) for number in value or ()]


def years_of(value: Any) -> int | None:
    """Years of age, of tens of years the middle; None where a value speaks of none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral) or (isinstance(value, float) and value.is_integer()):
        return int(value) if value >= 0 else OLDEST + 1
    text = nfc(value) if isinstance(value, str) else ""
    if tens := _DECADE.fullmatch(text):
        return int(tens[1]) * 10 + 5
    years = _YEARS.fullmatch(text)
    return int(years[1]) if years else None


def field_named(key: Any, fields: Mapping[str, Text]) -> str:
    """The field that a key means, by its name, label or another of its keys, however written; empty: none."""
    return _keys_of(fields).get(_plain(key), "")


def no_field(key: Any, fields: Mapping[str, Text]) -> str:
    """The error on a key that names none of the fields, with the one that it was perhaps meant to name."""
    keys = _keys_of(fields)
    like = difflib.get_close_matches(_plain(key), keys, 1, 0.5)
    hint = f"did you mean {keys[like[0]]!r}?" if like else f"choose among {', '.join(fields)}"
    return f"no field {shown(key)}; {hint}"


def _keys_of(fields: Mapping[str, Text]) -> dict[str, str]:
    return {_plain(key): name for name, kind in fields.items() for key in (name, kind.label, *kind.also)}


def _plain(key: Any) -> str:
    """A key without what writers differ in: `speechLevel`, `speech-level` and `Speech_Level` are one."""
    return re.sub(r"[\s_-]", "", nfc(str(key))).casefold()


def shown(value: Any) -> str:
    """A value in an error: short, and printable whatever it holds."""
    try:
        text = repr(value).encode("utf-8", "backslashreplace").decode()
    except ValueError:  # Python writes no number of thousands of digits
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."
