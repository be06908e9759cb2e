"""Hand corrections outlive every run of step 8; mistakes in them are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aac.io import UserError, read_json
from aac.records import load_samples
from dataset.prepare.corrections import overlay, read_corrections
from tests.workshop import content, prepare

THREE = ["이렇게 말해 주세요.", "이렇게 말할까요?", "이 말이에요."]


def completed(home: Path) -> list[dict[str, Any]]:
    return read_json(home / "dataset/processed/dataset_completed.json")


def correct(home: Path, entries: list[dict[str, Any]]) -> Path:
    path = home / "dataset/corrections.jsonl"
    path.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), encoding="utf-8")
    return path


def test_twenty_corrected_rows_survive(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert prepare(home) == 0
    before = completed(home)
    entries = [{"key": row["key"], "output": [f"{n}번. {text}" for text in THREE]} for n, row in enumerate(before[:20])]
    entries[3]["context"] = {"place": "바닷가"}
    correct(home, [*entries, {"key": "nobody", "output": THREE}])
    wanted = [{**row, "output": entry["output"]} for row, entry in zip(before[:20], entries, strict=True)] + before[20:]
    wanted[3]["input"]["context"]["place"] = "바닷가"
    assert prepare(home) == 0  # the file is an input: step 8 alone runs
    assert completed(home) == wanted
    assert "      20 rows corrected by hand; 1 corrections match no row" in caplog.messages
    caplog.clear()
    assert prepare(home) == 0
    assert "[8/8] interpretations: unchanged, skipped" in caplog.messages
    for line in (["--overwrite"], ["--seed", "42", "--overwrite"]):
        assert prepare(home, *line, steps=["8"]) == 0
        assert completed(home) == wanted
    assert prepare(home, "--seed", "9", steps=["8"]) == 0
    assert [row["output"] for row in completed(home)[:20]] == [entry["output"] for entry in entries]
    assert completed(home)[20:] != wanted[20:]  # another draw of contexts, elsewhere
    samples, _ = load_samples(home / "dataset/processed/dataset_completed.json")
    assert samples[3].context.place == "바닷가"


def test_without_the_corrections_the_teacher_speaks_again(home: Path) -> None:
    assert prepare(home) == 0
    before = content(home)["dataset_completed.json"]
    path = correct(home, [{"key": completed(home)[0]["key"], "output": THREE}])
    assert prepare(home) == 0
    assert content(home)["dataset_completed.json"] != before
    path.unlink()
    assert prepare(home) == 0
    assert content(home)["dataset_completed.json"] == before


def test_an_edit_of_the_output_points_to_the_corrections(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(home) == 0
    path = home / "dataset/processed/dataset_completed.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert prepare(home, "--seed", "3") == 2
    assert "corrections.jsonl, by their row's key" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('{"key": "a", "output": ["가", "나", "다"]', "not JSON: Expecting ',' delimiter"),
        ('["a"]', "'key'"),
        ('{"key": "", "output": ["가", "나", "다"]}', "'key'"),
        ('{"key": 5, "output": ["가", "나", "다"]}', "'key'"),
        ('{"key": "a"}', "'output' must hold 3 different sentences"),
        ('{"key": "a", "output": ["가", "나"]}', "'output'"),
        ('{"key": "a", "output": ["가", "나", "나"]}', "'output'"),
        ('{"key": "a", "output": ["가", "나", " "]}', "'output'"),
        ('{"key": "a", "output": ["가", "나", "오류"]}', "'output'"),
        ('{"key": "a", "output": ["가", "나", 3]}', "'output'"),
        ('{"key": "a", "output": ["가", "나", "다"], "context": "집"}', "'context' must hold texts"),
        ('{"key": "a", "output": ["가", "나", "다"], "context": {"palce": "집"}}', "no field 'palce'; did you mean"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, line: str, part: str) -> None:
    path = tmp_path / "corrections.jsonl"
    path.write_text(json.dumps({"key": "z", "output": THREE}) + "\n\n" + line + "\n", encoding="utf-8")
    with pytest.raises(UserError) as refused:
        read_corrections(path)
    assert "line 3: " in str(refused.value) and part in str(refused.value)


def test_a_line_of_json_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    output = ["물\u2028주세요.", "물\u2029있어요?", "물\x85좋아요."]
    assert {"z", "y"} == set(read_corrections(correct(tmp_path, [{"key": key, "output": output} for key in "zy"])))


def test_the_later_line_holds(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    later = {"key": "z", "output": ["가", "나", "다"]}
    path.write_text(f"\ufeff{json.dumps({'key': 'z', 'output': THREE})}\n{json.dumps(later)}", encoding="utf-8")
    row = {"key": "z", "input": {"context": {"time": None, "place": "집"}}, "output": ""}
    assert overlay([row, {"key": "y", "input": {}}], read_corrections(path)) == 1
    assert row["output"] == later["output"] and row["input"]["context"] == {"time": None, "place": "집"}


@pytest.mark.parametrize("sentence", ["Water please.", "물 \\ud800 주세요.", "물 \ufffd 주세요."])
def test_what_training_would_refuse_is_refused_here(tmp_path: Path, sentence: str) -> None:
    path = tmp_path / "corrections.jsonl"
    path.write_text(f'{{"key": "a", "output": ["가", "나", "{sentence}"]}}', encoding="utf-8")
    with pytest.raises(UserError, match=r"line 1: field 'output\[2\]'"):
        read_corrections(path)


@pytest.mark.parametrize("place", ["오류", "\ud800", "\ufffd", 5])
def test_a_context_that_no_row_can_hold_is_refused(tmp_path: Path, place: Any) -> None:
    path = tmp_path / "corrections.jsonl"
    path.write_text(json.dumps({"key": "a", "output": THREE, "context": {"place": place}}), encoding="utf-8")
    with pytest.raises(UserError, match="'context' must hold texts"):
        read_corrections(path)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"key": ' + "9" * 5000 + "}"])
def test_json_that_no_parser_reads_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "corrections.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(UserError, match="line 1: not JSON"):
        read_corrections(path)
