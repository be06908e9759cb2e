"""evaluate.py --teacher openai against a local server: the same rows, the same journal, nothing leaves unasked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aac.io import read_json
from aac.records import load_samples
from tests.chat_server import Chat, ChatServer, good_answer
from train.evaluate import main
from train.scoring.predictions import read_predictions, write_predictions


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    def behave(chat: Chat) -> tuple[str, str]:
        return "ok", good_answer(chat)

    for name in [name for name in os.environ if name.startswith(("OPENAI_", "AAC_TEACHER_"))]:
        monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with ChatServer(behave) as running:
        for name, value in (("BASE_URL", running.url), ("MODEL", "tiny-teacher"), ("API_KEY", "sk-secret")):
            monkeypatch.setenv(f"OPENAI_{name}", value)
        yield running


def test_the_teacher_is_a_row_of_the_table(workspace: Path, server: ChatServer, capsys, caplog) -> None:
    samples = load_samples(workspace / "dataset/processed/dataset_completed.json")[0]
    own = workspace / "own.jsonl"
    write_predictions(own, samples, [s.output for s in samples])
    common = ["--workspace", str(workspace), "--output", str(workspace / "out"), "--split", "all", "--limit", "6"]
    line = [*common, "--predictions", str(own), "--similarity-model", "lemma-tfidf", "--teacher", "openai"]

    assert main(line) == 2  # the workspace's personas are a user's own
    assert "--send-personas" in capsys.readouterr().err
    assert main([*line, "--send-personas", "aeg"]) == 2
    assert "'aeg'" in capsys.readouterr().err
    with caplog.at_level("INFO", "aac"):
        assert main([*line, "--send-personas", "age", "--dry-run"]) == 0
    assert "6 requests" in caplog.text and "persona fields: age" in caplog.text
    assert server.requests == 0 and not (workspace / "out").exists()

    assert main([*line, "--send-personas", "age"]) == 0
    sent = server.requests
    assert 0 < sent <= 6
    scores = read_json(workspace / "out/metrics.json")
    assert {"keywords", "grammar_cards_only", "nearest_neighbour", "teacher"} == scores["baselines"].keys()
    teacher = scores["baselines"]["teacher"]
    assert teacher["card_coverage"] == 1 and teacher["set_score"] < 1
    assert teacher["gaps"]["set_score"] == pytest.approx(scores["set_score"] - teacher["set_score"])
    assert all("성별" not in chat.text and "친구" in chat.text for chat in server.chats)

    assert main([*line, "--send-personas", "age"]) == 0  # again: the journal knows every answer
    assert server.requests == sent
    assert read_json(workspace / "out/metrics.json")["baselines"]["teacher"] == teacher
    told = workspace / "out/teacher.jsonl"
    assert main([*common, "--predictions", str(told), "--similarity-model", "lemma-tfidf"]) == 0
    ids = {json_line["id"] for json_line in map(read_line, told.read_text(encoding="utf-8").splitlines())}
    assert len(read_predictions(told, [s for s in samples if s.id in ids])) == 6


def read_line(line: str) -> dict:
    import json

    return json.loads(line)


def test_rows_that_the_teacher_refuses_earn_nothing(workspace: Path, server: ChatServer, caplog) -> None:
    samples = load_samples(workspace / "dataset/processed/dataset_completed.json")[0]
    own = workspace / "own.jsonl"
    write_predictions(own, samples, [s.output for s in samples])
    server.behave = lambda chat: ("ok" if chat.number == 1 or "공" not in chat.words else "400", good_answer(chat))
    line = ["--workspace", str(workspace), "--output", str(workspace / "out"), "--split", "all", "--limit", "6"]
    line += ["--predictions", str(own), "--similarity-model", "lemma-tfidf", "--teacher", "openai"]
    with caplog.at_level("WARNING", "aac"):
        assert main([*line, "--send-personas", "age"]) == 0
    assert "would not pass the gate" in caplog.text
    told = [
        read_line(text) for text in (workspace / "out/teacher.jsonl").read_text(encoding="utf-8").split("\n") if text
    ]
    assert len(told) == 6 and any(entry["interpretations"] == ["", "", ""] for entry in told)
