"""Personas and contexts of requests: what people write is understood or refused by name, never silently unknown."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from aac import register
from aac.io import UserError, read_json, write_json
from aac.persona import AGES, LEVELS, PERSONA
from aac.records import Context, Persona, read_rows
from dataset.prepare.sampling import COUNTS


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"나이": 8}, "age", "아동"),
        ({"Age": 8}, "age", "아동"),
        ({" AGE ": "8세"}, "age", "아동"),
        ({"age": 25.0}, "age", "성인"),
        ({"age": np.int64(70)}, "age", "노인"),
        ({"age": "만 25세"}, "age", "성인"),
        ({"age": "만70세"}, "age", "노인"),
        ({"age": "20대"}, "age", "성인"),
        ({"age": "10대"}, "age", "청소년"),
        ({"age": " Adult "}, "age", "성인"),
        ({"성별": "여자"}, "gender", "여성"),
        ({"sex": "F"}, "gender", "여성"),
        ({"gender": "other"}, "gender", "기타"),
        ({"장애 유형": "지적 장애"}, "disability_type", "지적장애"),
        ({"speechLevel": "반말"}, "speech_level", "반말"),
        ({"말투": "해요체"}, "speech_level", "해요체"),
        ({"utterance-length": "짧게"}, "utterance_length", "짧게"),
        ({"관심사": ("공", "물")}, "interesting_topics", ["공", "물"]),
        ({"id": 3, "persona": {"나이": 9}}, "age", "아동"),
        ({"age": None}, "age", ""),
        ({"age": ""}, "age", ""),
    ],
)
def test_what_people_write_of_a_person_is_understood(given: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(Persona.parse(given), field) == value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"age": 999}, ("age", "999", "0 to 120")),
        ({"age": -1}, ("age", "-1")),
        ({"age": 25.5}, ("age", "25.5")),
        ({"age": float("nan")}, ("age", "nan")),
        ({"age": True}, ("age", "True")),
        ({"age": "어른이"}, ("age", "어른이", "성인")),
        ({"age": "200대"}, ("age", "200대")),
        ({"age": "9" * 5000}, ("age", "999")),
        ({"age": [8]}, ("age", "[8]")),
        ({"age": 10**5000}, ("age", "int", "0 to 120")),
        ({"age": Fraction(10**400, 3)}, ("age", "Fraction")),
        ({"gender": "?"}, ("gender", "여성")),
        ({"speech_level": "존댓말"}, ("speech_level", "해요체")),
        ({"selection_complexity": "hard"}, ("selection_complexity", "moderate")),
        ({"interesting_topics": "공"}, ("interesting_topics", "list")),
        ({"preferred_category_types": [1.5]}, ("preferred_category_types", "list")),
        ({"disability_type": 3}, ("disability_type", "text")),
        ({"disability_type": "지적\ud800"}, ("disability_type", "damaged")),
        ({"communication_characteristics": "\udcff"}, ("communication_characteristics", "damaged")),
        ({"interesting_topics": ["공\udfff"]}, ("interesting_topics", "list")),
        ({"aeg": 8}, ("aeg", "'age'")),
        ({"나의": 8}, ("나의", "'age'")),
        ({"gendr": "여성"}, ("gendr", "'gender'")),
        ({"speech_levle": "반말"}, ("speech_levle", "'speech_level'")),
        ({"혈액형": "A"}, ("혈액형", "age, gender")),
        ({"\ud800": 1}, ("ud800", "age, gender")),
        ({7: 8}, ("7", "age, gender")),
        ({"age": 8, "나이": 9}, ("'age'", "twice", "나이")),
        ({"id": 3, "persona": {"age": 9}, "gendr": "여성"}, ("gendr", "'gender'")),
        ({"persona": "성인"}, ("'persona'", "age, gender")),
        ({"id": "셋"}, ("id", "셋")),
        ("성인", ("dict",)),
        ([("age", 8)], ("dict",)),
    ],
)
def test_what_no_field_holds_is_refused_by_name(given: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as refused:
        Persona.parse(given)
    assert all(word in str(refused.value) for word in ("persona_info", *words)), refused.value
    str(refused.value).encode()  # printable, whatever was given


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"장소": "집"}, "place", "집"),
        ({"Place": "집"}, "place", "집"),
        ({"partner": "친구"}, "interaction_partner", "친구"),
        ({"대화 상대": "친구"}, "interaction_partner", "친구"),
        ({"상대": "친구"}, "interaction_partner", "친구"),
        ({"활동": "쉬는 중"}, "current_activity", "쉬는 중"),
        ({"시간": None}, "time", ""),
        ("식당에서", "current_activity", "식당에서"),
        (None, "place", ""),
    ],
)
def test_what_people_write_of_a_situation_is_understood(given: Any, field: str, value: str) -> None:
    assert getattr(Context.parse(given), field) == value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"palce": "집"}, ("palce", "'place'")),
        ({"interaction_parner": "친구"}, ("interaction_parner", "'interaction_partner'")),
        ({"날씨": "비"}, ("날씨", "time, place")),
        ({"time": 9}, ("time", "text")),
        ({"place": "집\ud800"}, ("place", "damaged")),
        ("식당\udcff에서", ("damaged",)),
        (b"home", ("sentence or a dict", "bytes")),
    ],
)
def test_a_situation_of_no_field_is_refused_by_name(given: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as refused:
        Context.parse(given)
    assert all(word in str(refused.value) for word in ("context_info", *words)), refused.value


def test_a_file_names_the_key_that_a_field_is_missed_by(workspace: Any) -> None:
    """The public format's own keys stand in files; what a request would understand is named there."""
    path = workspace / "dataset/processed/dataset_completed.json"
    rows = read_json(path)
    first, second, third = (row["input"] for row in rows[:3])
    first["persona"] = {key if key != "age" else "나이": value for key, value in first["persona"].items()}
    second["persona"] = {**second["persona"], "speech_lvl": "반말"}  # not of the public format, and still no silence
    third["persona"] = {**third["persona"], "blood type": "A"}
    third["context"] = {**third["context"], "weather": "비"}
    write_json(path, rows)
    found = read_rows(path)
    told = {(problem.field, problem.remedy, problem.fatal) for problem in found.problems}
    assert ("input.persona.age", "did you mean it by '나이'?", True) in told
    assert ("input.persona.speech_level", "did you mean it by 'speech_lvl'?", True) in told
    assert {field for field, _, fatal in told if not fatal} >= {"input.persona.blood type", "input.context.weather"}
    assert found.statuses["defective"] == 2  # somebody's own further fields harm nothing


def test_what_goes_by_a_vocabulary_knows_all_of_it() -> None:
    """Tables by age, level and complexity: a value that is added to the table of fields is missed here."""
    table = read_json(register.REGISTER_FILE)["table"]
    assert {len(row) for row in table.values()} == {len(AGES)}
    assert {level for row in table.values() for accepted in row for level in accepted} <= set(LEVELS)
    assert tuple(COUNTS) == PERSONA["selection_complexity"].values
