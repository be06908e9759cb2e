"""`--forget`: a person is gone from every file, everybody else's rows stay byte for byte."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

import data_prepare
from aac.io import read_json
from aac.records import load_samples
from dataset.prepare.journal import Journal, forget_person
from tests.chat_server import ChatServer, good_answer
from tests.test_teacher_remote import home, line, point_at, settings
from tests.workshop import prepare

__all__ = ["home", "settings"]


def test_a_person_is_forgotten_and_the_others_stay(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    people = read_json(home / "dataset/persona.json")
    people[0]["persona"]["communication_characteristics"] = "별난 표식"
    (home / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        point_at(server, monkeypatch)
        run = line(home, "--send-personas", "communication_characteristics")
        assert data_prepare.main(run) == 0
        data = home / "dataset/processed/dataset_completed.json"
        rows, sent = read_json(data), server.requests
        ledger = Journal(home / "dataset/teacher_journal.jsonl").ledger
        lost = [row for row in rows if row["persona_id"] == 1]
        corrections = home / "dataset/corrections.jsonl"
        entries = [{"key": row["key"], "output": ["가요.", "갈래요.", "가고 싶어요."]} for row in (rows[0], rows[-1])]
        corrections.write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in entries), encoding="utf-8")
        assert data_prepare.main(run) == 0
        rows = read_json(data)
        logs = home / "train/logs/evaluation"
        logs.mkdir(parents=True)
        told = [{"id": row["id"], "interpretations": row["output"]} for row in rows]
        told[0]["interpretations"] = [
            "물\u2028주세요.",
            "물\u2029있어요?",
            "물\x85좋아요.",
        ]  # a line of JSON all the same
        told[-1]["interpretations"] = told[0]["interpretations"]
        lines = "\ufeff" + "".join(json.dumps(t, ensure_ascii=False) + "\n" for t in told)
        (logs / "predictions.jsonl").write_text(lines, encoding="utf-8")
        (logs / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n', encoding="utf-8")
        (logs / "index.html").write_text("사용자 1", encoding="utf-8")
        sheet = [["row", "sentence"], *([f"{row['id']}-ab", f"{row['output'][0]}, 네"] for row in rows)]
        with (logs / "rating_sheet.csv").open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows(sheet)
        (logs / "events.out.tfevents.1").write_bytes(b"\0\x89PNG\0")
        (logs / "events.out.tfevents.2").write_bytes(b"\0 numbers")
        (home / "train/checkpoints").mkdir()
        (home / "train/checkpoints/best_model.pt").touch()
        for leftover in (data.parent / ".dataset.json.x1.tmp", home / "dataset/.persona.json.x1.tmp"):
            leftover.write_text("별난", encoding="utf-8")
        shutil.copy(data, data.with_name("dataset_completed.edited.json"))
        assert len(lost) == 6 and prepare(home, "--forget", "77") == 2
        assert "nobody has this id" in capsys.readouterr().err

        caplog.clear()
        assert prepare(home, "--forget", "1") == 0
        assert "best_model.pt" in caplog.text and "train again" in caplog.text
        assert read_json(data) == [row for row in rows if row["persona_id"] != 1]
        assert [e["id"] for e in read_json(home / "dataset/persona.json")] == [2]
        assert [json.loads(text)["key"] for text in corrections.read_text(encoding="utf-8").splitlines()] == [
            rows[-1]["key"]
        ]
        for path in home.rglob("*"):
            if path.is_file() and path.suffix in (".json", ".jsonl", ".html", ".tmp"):
                text = path.read_text(encoding="utf-8")
                assert "별난" not in text and '"persona_id": 1,' not in text and '"person": 1' not in text, path
                assert not any(row["key"] in text for row in lost), path
        assert (logs / "predictions.jsonl").read_text(encoding="utf-8").split("\n") == lines.split("\n")[6:]
        with (logs / "rating_sheet.csv").open(encoding="utf-8-sig", newline="") as file:
            assert list(csv.reader(file)) == [sheet[0], *sheet[7:]]
        left = {path.name for path in logs.iterdir()}
        assert left == {"predictions.jsonl", "log.jsonl", "rating_sheet.csv", "events.out.tfevents.2"}
        # What was paid stays in the sums.
        assert vars(Journal(home / "dataset/teacher_journal.jsonl").ledger) == vars(ledger)
        # Nothing is asked, numbered or drawn again, and nothing counts as edited by hand.
        caplog.clear()
        assert data_prepare.main(run) == 0
        assert sum("unchanged, skipped" in text for text in caplog.messages) == 8
        assert data_prepare.main([*run, "--steps", "8", "--overwrite"]) == 0
        assert server.requests == sent and read_json(data) == [row for row in rows if row["persona_id"] != 1]
        samples, skipped = load_samples(data)
        assert {sample.persona_id for sample in samples} == {2} and not skipped


def test_the_projects_own_personas_stay_where_a_workspace_borrows_them(home: Path) -> None:
    from dataset.prepare.forget import SHIPPED_PERSONAS

    (home / "dataset/persona.json").unlink()
    before = SHIPPED_PERSONAS.read_bytes()
    assert data_prepare.main(["--workspace", str(home), "--samples-per-persona", "2"]) == 0
    assert data_prepare.main(["--workspace", str(home), "--forget", "3"]) == 0
    assert SHIPPED_PERSONAS.read_bytes() == before
    samples, _ = load_samples(home / "dataset/processed/dataset_completed.json")
    assert {sample.persona_id for sample in samples} == {n for n in range(1, 29) if n != 3}


def test_answers_are_forgotten_where_the_journal_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, write=True) as journal:
        journal.sent("a", 1)
        journal.answered("a", 1, "m", "비밀", (1, 2))
        journal.answered("b", 2, "m", "남는다", (1, 2))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]) + lines[1][:-9])  # no `sent`, and half an answer at the end
    assert forget_person(path, 1) == 1
    assert "비밀" not in path.read_text(encoding="utf-8") and Journal(path).answer_to("b") == "남는다"


@pytest.mark.parametrize(
    ("content", "part"), [("row\n물".encode("cp949"), "UTF-8"), (b"row\n" + b"a" * 200_000, "CSV")]
)
def test_a_table_that_cannot_be_read_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], content: bytes, part: str
) -> None:
    assert prepare(home) == 0
    (home / "train/logs").mkdir(parents=True)
    (home / "train/logs/rating_sheet.csv").write_bytes(content)
    assert prepare(home, "--forget", "1") == 2
    error = capsys.readouterr().err
    assert "rating_sheet.csv" in error and part in error
