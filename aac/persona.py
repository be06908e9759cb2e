"""Who speaks, and where: every field of a persona and of a context, declared once.

What depends on a field follows from its declaration: how files and requests may spell it (`fields.py`, `rules.py`),
whether the prompt and the embeddings read it (`train/models/reading.py`), whether it may leave the machine
(`dataset/prepare/privacy.py`) and what a remote teacher is told it is (`teachers/ask.py`).
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_serializer

from aac.fields import Age, Numbers, Text, Texts, Word, field_named, no_field, shown
from aac.io import UserError
from aac.register import AGES, ALWAYS, LEVELS, named_in

LENGTHS = ("짧게", "보통", "자세히")
_AGES = {"child": "아동", "adolescent": "청소년", "teenager": "청소년", "adult": "성인", "senior": "노인"}
_AGES |= {"elderly": "노인"}
_GENDERS = {"female": "여성", "male": "남성", "여자": "여성", "남자": "남성", "f": "여성", "m": "남성"}
_GENDERS |= {"other": "기타", "여": "여성", "남": "남성"}
_COMPLEXITIES = {"단순": "simple", "보통": "moderate", "복잡": "complex"}

PERSONA: dict[str, Text] = {
    "age": Age(
        "나이", ("연령", "연령대", "age group"), "public",
        values=AGES, spellings=_AGES, prompt=(1, "{}"), embedded=True, leaves="shipped",
    ),
    "gender": Word(
        "성별", ("sex",), "public",
        values=("여성", "남성", "기타"), spellings=_GENDERS, prompt=(2, "{}"), embedded=True,
    ),
    "disability_type": Text(
        "장애 유형", ("장애", "disability"), "public",
        spellings={"자폐스펙트럼": "자폐스펙트럼장애"}, prompt=(3, "{}"), embedded=True,
    ),
    "communication_characteristics": Text(
        "소통 특성", ("의사소통 특성", "characteristics"), "public", embedded=True, leaves="shipped",
    ),
    "selection_complexity": Word(
        "카드 고르는 방식", ("복잡도", "complexity"), "public",
        values=("simple", "moderate", "complex"), spellings=_COMPLEXITIES, embedded=True,
    ),
    "interesting_topics": Texts("관심사", ("관심 주제", "topics", "interests"), "public", embedded=True),
    "preferred_category_types": Numbers("선호 카테고리", (), "public", leaves="never"),
    "utterance_length": Word(
        "말 길이", ("길이", "발화 길이", "length"), "first",
        values=LENGTHS, prompt=(5, "길이 {}"), embedded=True, leaves="shipped",
    ),
    "speech_level": Word(
        "말투", ("높임", "register"), "first",
        values=(*LEVELS, *(ALWAYS + level for level in LEVELS)), prompt=(4, "말투 {}"), embedded=True, leaves="shipped",
    ),
}  # fmt: skip
CONTEXT: dict[str, Text] = {
    "time": Text("시간", ("때",), "public", prompt=(1, "시간 {}"), embedded=True),
    "place": Text("장소", ("곳", "location"), "public", prompt=(2, "장소 {}"), embedded=True),
    "interaction_partner": Text("대화 상대", ("상대", "partner"), "public", prompt=(4, "상대 {}"), embedded=True),
    "current_activity": Text("지금 하는 일", ("활동", "activity"), "public", prompt=(3, "활동 {}"), embedded=True),
}


class _Record(BaseModel):
    """Fields of a table, each of which may be empty: unknown is a valid answer.

    Digests of records stand in checkpoints, scores and the list of shipped personas. So that they outlive a new field,
    a record is written without the later ones (`Text.origin`) that are empty.
    """

    model_config = ConfigDict(extra="ignore")
    table: ClassVar[dict[str, Text]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if astray := set(cls.table) ^ (set(cls.model_fields) - {"id"}):
            raise TypeError(f"{cls.__name__}.{min(astray)}: a field stands both in the table and in the class")

    @field_validator("*", mode="before")
    @classmethod
    def _by_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.table.get(info.field_name or "")
        if kind and (remedy := kind.problem(value)):
            raise ValueError(remedy)
        return kind.read(value) if kind else value

    @model_serializer(mode="wrap")
    def _without_later_empty_ones(self, serialize: Any) -> dict[str, Any]:
        later = {name for name, kind in self.table.items() if kind.origin == "later"}
        return {name: value for name, value in serialize(self).items() if value or name not in later}

    @classmethod
    def _made(cls, values: dict[str, Any], where: str) -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = error.errors()[0]
            remedy = wrong.get("ctx", {}).get("error", wrong["msg"])
            name = ".".join(map(str, wrong["loc"]))
            raise UserError(f"{where}: field {name!r}: {shown(wrong['input'])}: {remedy}") from None

    @classmethod
    def _named(cls, values: dict[Any, Any], where: str) -> dict[str, Any]:
        """The values by their fields' names, whichever keys a request uses for them."""
        found: dict[str, Any] = {}
        for key, value in values.items():
            name = key if key in cls.model_fields else field_named(key, cls.table)
            if not name:
                raise UserError(f"{where}: {no_field(key, cls.table)}")
            if name in found:
                raise UserError(f"{where}: field {name!r} stands twice, once as {shown(key)}; keep one of them")
            found[name] = value
        return found


class Persona(_Record):
    """Who speaks."""

    table: ClassVar[dict[str, Text]] = PERSONA

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

    @classmethod
    def parse(cls, value: Persona | dict[str, Any] | None) -> Persona:
        """A persona of a request: the public dict, or `{'id': 3, 'persona': {...}}`; None is the unknown persona.

        Raises:
            UserError: a field is unknown (the nearest is named), or a value is none of its field.
        """
        if isinstance(value, Persona):
            return value
        if value is not None and not isinstance(value, dict):
            raise UserError(f"persona_info must be a dict of fields, not {type(value).__name__}")
        values = dict(value or {})
        if isinstance(values.get("persona"), dict):
            values |= values.pop("persona")
        return cls._made(cls._named(values, "persona_info"), "persona_info")

    @classmethod
    def read(cls, value: dict[str, Any]) -> Persona:
        """A persona of a file that the rules found good: further keys in it are somebody's own, and left alone.

        Raises:
            UserError: a value is none of its field.
        """
        inner = value.get("persona")
        return cls._made({"id": value.get("id"), **inner} if isinstance(inner, dict) else value, "persona")

    def public(self) -> dict[str, Any]:
        """The fields as the files hold them (the id stands beside the persona there)."""
        return self.model_dump(exclude={"id"})


class Context(_Record):
    """Where, and with whom."""

    table: ClassVar[dict[str, Text]] = CONTEXT

    time: str = ""
    place: str = ""
    interaction_partner: str = ""
    current_activity: str = ""

    @classmethod
    def parse(cls, value: Context | dict[str, Any] | str | None) -> Context:
        """A context of a request: its fields, some of them, one sentence, or nothing.

        A sentence is the activity; the partner, the place and the time that it names are heard.

        Raises:
            UserError: a field is unknown (the nearest is named), or a value is no text.
        """
        if isinstance(value, Context):
            return value
        if isinstance(value, str):
            value = {**named_in(value), "current_activity": value}
        if value is not None and not isinstance(value, dict):
            raise UserError(f"context_info must be a sentence or a dict, not {type(value).__name__}")
        return cls._made(cls._named(value or {}, "context_info"), "context_info")

    @classmethod
    def read(cls, value: dict[str, Any]) -> Context:
        """A context of a file that the rules found good: further keys in it are left alone.

        Raises:
            UserError: a value is no text.
        """
        return cls._made(value, "context")

    def public(self) -> dict[str, str]:
        return self.model_dump()
