"""`--append`: new cards join a finished data set, and nothing that exists changes."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import data_prepare
from aac.io import read_json
from aac.records import load_samples
from dataset.prepare import append, teach
from tests.workshop import ROOT, content, draw_card, prepare


def add(home: Path, *more: str) -> int:
    return data_prepare.main(["--workspace", str(home), "--append", *more])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the rows that the teacher is asked for."""
    rows: list[int] = []
    complete = teach.complete

    def counted(row: dict[str, Any], *how: Any) -> None:
        rows.append(row["id"])
        complete(row, *how)

    monkeypatch.setattr(teach, "complete", counted)
    return rows


def nothing_old_changed(before: dict[str, bytes], home: Path) -> None:
    folder = home / "dataset/processed"
    for name in ("dataset.json", "dataset_with_cards.json", "dataset_completed.json"):
        # Byte for byte: the old list, without its closing bracket, opens the new one.
        assert (folder / name).read_bytes().startswith(before[name].rstrip()[:-1]), name
    for name in ("cluster_tags.json", "enhanced_persona.json", "centroids.npy"):
        assert (folder / name).read_bytes() == before[name]
    for name in ("image_embeddings.npy", "text_embeddings.npy"):
        old = np.load(io.BytesIO(before[name]))
        assert np.array_equal(np.load(folder / name)[: len(old)], old)
    old, new = json.loads(before["clustering_results.json"]), read_json(folder / "clustering_results.json")
    count = len(old["filenames"])
    assert new["filenames"][:count] == old["filenames"] and new["cluster_labels"][:count] == old["cluster_labels"]
    assert all(new["clustered_files"][k][: len(v)] == v for k, v in old["clustered_files"].items())
    old_cards = json.loads(before["cards.json"])["cards"]
    assert read_json(folder / "cards.json")["cards"][: len(old_cards)] == old_cards


@pytest.mark.slow
def test_a_card_joins_4800_rows(home: Path, asked: list[int], caplog: pytest.LogCaptureFixture) -> None:
    people = read_json(ROOT / "dataset/persona.json")[:24]
    (home / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    line = ["--samples-per-persona", "200"]
    assert prepare(home, *line) == 0
    before = content(home)
    rows = read_json(home / "dataset/processed/dataset_completed.json")
    rows[9]["output"][0] = "손으로 고친 문장이에요."  # a hand edit is kept too
    text = json.dumps(rows, ensure_ascii=False) + "\n"
    (home / "dataset/processed/dataset_completed.json").write_text(text, encoding="utf-8")
    before["dataset_completed.json"] = text.encode()
    splits = {s.id: s.split for s in load_samples(home / "dataset/processed/dataset_completed.json")[0]}
    assert len(splits) == len(asked) == 4800
    asked.clear()

    draw_card(home / "dataset/images/0_우유.png", 77)  # its name sorts before all others
    assert add(home) == 0
    nothing_old_changed(before, home)
    samples, skipped = load_samples(home / "dataset/processed/dataset_completed.json")
    assert not skipped and {s.id: s.split for s in samples if s.id <= 4800} == splits
    new = [s for s in samples if s.id > 4800]
    assert asked == [s.id for s in new] == list(range(4801, 4801 + len(new)))
    assert all("우유" in s.keywords for s in new) and 200 <= len(new) < 200 + 24
    assert {s.persona_id for s in new} == set(range(1, 25))
    assert read_json(home / "dataset/processed/coverage.json")["uses_by_card"]["0_우유.png"] == len(new)

    # Neither another --append nor a plain run finds anything to do.
    after = content(home)
    asked.clear()
    caplog.clear()
    caplog.set_level("INFO")
    assert prepare(home, *line) == 0 and content(home) == after
    assert sum("unchanged, skipped" in line for line in caplog.messages) == 8
    assert add(home) == 0 and content(home) == after and not asked


def test_as_many_rows_as_asked_for_and_failed_rows_again(home: Path, asked: list[int]) -> None:
    assert prepare(home) == 0
    path = home / "dataset/processed/dataset_completed.json"
    rows = read_json(path)
    rows[4]["output"] = ["Processing error"]
    path.write_text(json.dumps(rows, ensure_ascii=False) + "\n", encoding="utf-8")
    asked.clear()
    for number, word in ((60, "우유"), (61, "바나나")):
        draw_card(home / f"dataset/images/{number}_{word}.png", number)
    assert add(home, "--samples-per-persona", "3") == 0
    samples, skipped = load_samples(path)
    assert len(samples) == 24 + 6 and not skipped and asked == [5, *range(25, 31)]
    uses = read_json(home / "dataset/processed/coverage.json")["uses_by_card"]
    assert {uses["60_우유.png"], uses["61_바나나.png"]} <= {2, 3, 4, 5, 6}


@pytest.mark.parametrize("part", ["_embeddings", "_clusters", "_rows", "_schema"])
def test_an_interrupted_append_is_done_again_and_not_run_over(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    assert prepare(home) == 0
    before = content(home)
    draw_card(home / "dataset/images/60_우유.png", 60)
    twin = tmp_path / "twin"
    shutil.copytree(home, twin)
    assert add(twin) == 0

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(append, part, killed)
        assert add(home) == 130
    assert prepare(home) == 2 and "run it again with --append" in capsys.readouterr().err
    assert add(home) == 0
    assert content(home) == content(twin)
    nothing_old_changed(before, home)


def test_what_cannot_be_appended_to_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(home) == 2 and "run steps 1 to 8 first" in capsys.readouterr().err
    assert prepare(home) == 0
    before = content(home)
    draw_card(home / "dataset/images/60_우유.png", 60)
    assert add(home, "--dry-run") == 0 and "1 new pictures 60_우유.png" in capsys.readouterr().out
    assert content(home) == before
    old = (home / "dataset/images/1_물.png").read_bytes()
    draw_card(home / "dataset/images/1_물.png", 33)
    assert add(home) == 2 and "1_물.png: its picture changed" in capsys.readouterr().err
    (home / "dataset/images/1_물.png").unlink()
    assert add(home) == 2 and "1_물.png: it is gone" in capsys.readouterr().err
    (home / "dataset/images/1_물.png").write_bytes(old)
    assert add(home) == 0
    with pytest.raises(SystemExit):
        add(home, "--overwrite")


def test_what_had_changed_before_is_still_made_anew_by_a_plain_run(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert prepare(home) == 0
    people = read_json(home / "dataset/persona.json")
    people[0]["persona"]["interesting_topics"] = ["학교"]
    (home / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    draw_card(home / "dataset/images/60_우유.png", 60)
    assert add(home) == 0
    assert "[4/8] rows: had changed before" in caplog.text
    caplog.clear()
    assert prepare(home) == 0
    assert [line[1] for line in caplog.messages if "unchanged, skipped" in line] == ["1", "2", "3", "5"]


def test_a_remote_teacher_is_asked_for_the_new_rows_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.chat_server import ChatServer, good_answer

    for name, value in (("AAC_TEACHER_PAUSE", "0.01"), ("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        for name, value in (("BASE_URL", server.url), ("MODEL", "tiny-teacher"), ("API_KEY", "sk-test")):
            monkeypatch.setenv(f"OPENAI_{name}", value)
        assert prepare(home, "--teacher", "openai") == 0
        path, before, requests = home / "dataset/processed/dataset_completed.json", content(home), server.requests
        rows = read_json(path)
        fixed = {"key": rows[3]["key"], "output": ["물을 줘요.", "물 있어요?", "물이 좋아요."]}
        (home / "dataset/corrections.jsonl").write_text(json.dumps(fixed) + "\n", encoding="utf-8")
        assert prepare(home, "--teacher", "openai") == 0 and server.requests == requests
        before["dataset_completed.json"] = content(home)["dataset_completed.json"]
        draw_card(home / "dataset/images/60_우유.png", 60)
        assert add(home, "--teacher", "openai") == 0
        nothing_old_changed(before, home)
        rows = read_json(path)
        assert rows[3]["output"] == fixed["output"] and len(rows) > 24
        assert server.requests == requests + len(rows) - 24
        assert all("우유" in chat.words for chat in server.chats[requests:])
        assert prepare(home, "--teacher", "openai", "--overwrite", steps=["8"]) == 0
        assert server.requests == requests + len(rows) - 24 and read_json(path) == rows
