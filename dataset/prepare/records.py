"""The data contract: what a persona, a context and a sample are, on disk and in memory.

The files keep the public AAC format (`dataset/README.md`). This module reads both its spellings and ours, and is the
only place that knows them: the pipeline writes through it, the trainer reads through it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
FAILED_MARKS = ("오류", "Processing error")
INTERPRETATIONS = 3


class UserError(Exception):
    """A mistake that the user can mend: the message names the file, the field and the remedy. Verbs exit 2 on it."""


def nfc(text: str) -> str:
    """Hangul from macOS file names comes decomposed (NFD); everything here is compared composed."""
    return unicodedata.normalize("NFC", text).strip()


_AGES = {
    "child": "아동",
    "adolescent": "청소년",
    "teenager": "청소년",
    "adult": "성인",
    "senior": "노인",
    "elderly": "노인",
}
_GENDERS = {"female": "여성", "male": "남성", "여자": "여성", "남자": "남성", "f": "여성", "m": "남성"}
_COMPLEXITIES = {"단순": "simple", "보통": "moderate", "복잡": "complex"}


def _age_group(value: Any) -> str:
    """Years or a word to one of 아동 (≤12), 청소년 (≤18), 성인, 노인 (65+); unknown is empty."""
    text = nfc(str(value)) if value is not None else ""
    digits = text.removesuffix("세").removesuffix("살").strip()
    if digits.isdigit():
        years = int(digits)
        return "아동" if years <= 12 else "청소년" if years <= 18 else "성인" if years < 65 else "노인"
    return _AGES.get(text.lower(), text if text in _AGES.values() else "")


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", validate_assignment=False)


class Persona(_Record):
    """Who speaks. Every field may be empty: unknown is a valid answer."""

    id: int | None = None
    age: str = ""
    gender: str = ""
    disability_type: str = ""
    communication_characteristics: str = ""
    selection_complexity: str = ""
    interesting_topics: list[str] = Field(default_factory=list)
    preferred_category_types: list[int] = Field(default_factory=list)
    utterance_length: str = ""
    speech_level: str = ""

    @field_validator("age", mode="before")
    @classmethod
    def _age(cls, value: Any) -> str:
        return _age_group(value)

    @field_validator("gender", mode="before")
    @classmethod
    def _gender(cls, value: Any) -> str:
        text = nfc(str(value or ""))
        return _GENDERS.get(text.lower(), text)

    @field_validator("disability_type", mode="before")
    @classmethod
    def _disability(cls, value: Any) -> str:
        return nfc(str(value or "")).replace(" ", "")

    @field_validator("selection_complexity", mode="before")
    @classmethod
    def _complexity(cls, value: Any) -> str:
        text = nfc(str(value or "")).lower()
        return _COMPLEXITIES.get(text, text)

    @field_validator("communication_characteristics", "utterance_length", "speech_level", mode="before")
    @classmethod
    def _text(cls, value: Any) -> str:
        return nfc(str(value or ""))

    @classmethod
    def parse(cls, value: Persona | dict[str, Any] | None) -> Persona:
        """A persona from the public dict, or from `{'id': 3, 'persona': {...}}`; None is the unknown persona."""
        if isinstance(value, Persona):
            return value
        if value is None:
            return cls()
        if not isinstance(value, dict):
            raise UserError(f"persona_info must be a dict of fields, not {type(value).__name__}")
        fields = {"id": value.get("id"), **value["persona"]} if isinstance(value.get("persona"), dict) else value
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise UserError(f"persona: {_first_problem(error)}") from None

    def public(self) -> dict[str, Any]:
        """The fields as the files hold them (the id stands beside the persona there)."""
        return self.model_dump(exclude={"id"})


class Context(_Record):
    """Where and with whom. Every part may be absent (an empty string)."""

    time: str = ""
    place: str = ""
    interaction_partner: str = ""
    current_activity: str = ""

    @field_validator("*", mode="before")
    @classmethod
    def _text(cls, value: Any) -> str:
        return nfc(str(value or ""))

    @classmethod
    def parse(cls, value: Context | dict[str, Any] | str | None) -> Context:
        """A context from its four fields, some of them, one sentence (read as the activity), or nothing."""
        if isinstance(value, Context):
            return value
        if value is None:
            return cls()
        if isinstance(value, str):
            return cls(current_activity=value)
        if not isinstance(value, dict):
            raise UserError(f"context_info must be a sentence or a dict, not {type(value).__name__}")
        return cls.model_validate(value)

    def public(self) -> dict[str, str]:
        return self.model_dump()


class Sample(BaseModel):
    """One training row: cards, who, where, and three interpretations in the order of the styles."""

    id: int
    persona: Persona
    persona_id: int | None = None
    context: Context
    cards: list[str] = Field(min_length=1)
    output: list[str] = Field(min_length=INTERPRETATIONS)
    key: str = ""
    keywords: list[str] = Field(default_factory=list)

    def model_post_init(self, _: Any) -> None:
        self.keywords = self.keywords or [card_keyword(card) for card in self.cards]

    @property
    def split(self) -> Split:
        return split_of(self.cards)


def card_keyword(file_name: str) -> str:
    """`2462_사과.png` → `사과`; what follows the first underscore. No underscore: no keyword (empty)."""
    stem = nfc(Path(file_name).stem)
    return stem.partition("_")[2].strip()


def combination_key(cards: list[str]) -> str:
    """A hash of the set of cards, whatever their order: two rows of one combination share it."""
    joined = "\n".join(sorted(nfc(card) for card in cards))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def sample_key(persona_id: int | None, cards: list[str], row_id: int) -> str:
    """The content key of a row: journals and hand corrections find it by this, not by its place in the file."""
    return hashlib.sha256(f"{persona_id}|{combination_key(cards)}|{row_id}".encode()).hexdigest()[:16]


def split_of(cards: list[str]) -> Split:
    """80/10/10 by the combination's hash, so that no combination stands in two splits and adding data moves no row."""
    slot = int(combination_key(cards), 16) % 10
    return "train" if slot < 8 else "val" if slot == 8 else "test"


def read_json(path: str | Path, made_by: str = "") -> Any:
    """Parse a UTF-8 JSON file.

    Raises:
        UserError: it is missing (`made_by` says what makes it), not UTF-8, or not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found{f'; {made_by}' if made_by else ''}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write beside the target, flush, rename: a reader never sees half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: str | Path, value: Any, indent: int | None = 1) -> None:
    """Write JSON as UTF-8 (Hangul readable), atomically."""
    write_atomic(path, (json.dumps(value, ensure_ascii=False, indent=indent) + "\n").encode())


def load_samples(path: str | Path) -> tuple[list[Sample], Counter[str]]:
    """Read `dataset_completed.json`.

    Returns:
        The samples, and how many rows were left out by reason (`failed`: the teacher's error mark stands in the row;
        `incomplete`: the row was never processed).

    Raises:
        UserError: the file or a row is not of the public format; the message names the row and the field.
    """
    rows = read_json(path, "run `python data_prepare.py --steps 1 2 3 4 5 6 7 8`")
    if not isinstance(rows, list):
        raise UserError(f"{path}: expected a list of rows; see dataset/README.md for the format")
    samples: list[Sample] = []
    skipped: Counter[str] = Counter()
    for place, row in enumerate(rows):
        where = f"{path}: row {row.get('id', place + 1) if isinstance(row, dict) else place + 1}"
        if not isinstance(row, dict) or not isinstance(row.get("input"), dict):
            raise UserError(f"{where}: field 'input' is missing; see dataset/README.md for the format")
        reason = _unusable(row)
        if reason:
            skipped[reason] += 1
            continue
        samples.append(_sample(row, where))
    return samples, skipped


def _unusable(row: dict[str, Any]) -> str:
    output, context = row.get("output"), row["input"].get("context")
    marked = [*(output if isinstance(output, list) else [output])]
    marked += list(context.values()) if isinstance(context, dict) else []
    if any(isinstance(text, str) and text.strip() in FAILED_MARKS for text in marked):
        return "failed"
    return "" if output else "incomplete"


def _sample(row: dict[str, Any], where: str) -> Sample:
    source = row["input"]
    cards, output = source.get("AAC_card_combination"), row.get("output")
    if not isinstance(cards, list) or not 1 <= len(cards) <= 4 or not all(isinstance(c, str) and c for c in cards):
        raise UserError(f"{where}: 'input.AAC_card_combination' must list 1 to 4 file names, not {cards!r}")
    if unsafe := [card for card in cards if Path(card).name != card or card.startswith("..")]:
        raise UserError(f"{where}: card {unsafe[0]!r} must be a bare file name inside the images folder")
    good = isinstance(output, list) and all(isinstance(text, str) and text.strip() for text in output)
    if not good or len(output) < INTERPRETATIONS:
        raise UserError(f"{where}: 'output' must hold {INTERPRETATIONS} sentences, not {output!r}; rerun step 8")
    persona = Persona.parse(source.get("persona"))
    persona_id = row.get("persona_id", persona.id)
    return Sample(
        id=row.get("id", 0),
        persona=persona,
        persona_id=persona_id,
        context=Context.parse(source.get("context")),
        cards=[nfc(card) for card in cards],
        output=[nfc(text) for text in output[:INTERPRETATIONS]],
        key=row.get("key") or sample_key(persona_id, cards, row.get("id", 0)),
        keywords=[nfc(word) for word in row.get("keywords") or []],
    )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"field {'.'.join(map(str, problem['loc']))!r}: {problem['msg']} (got {problem['input']!r})"
