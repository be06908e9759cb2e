"""Steps 7 and 8 watch what the teacher says: not the text of its code, and not less than that."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import data_prepare
from aac.io import read_json, write_json
from dataset.prepare import probe
from tests.test_teacher_remote import point_at
from tests.workshop import ALL, ROOT, content, draw_card, prepare


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the teacher says is asked once a process: here it changes within one."""
    for name, value in (("AAC_TEACHER_PAUSE", "0.01"), ("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    says = probe.says
    says.cache_clear()
    yield
    says.cache_clear()


def dry(home: Path, capsys: pytest.CaptureFixture[str], *more: str, steps: list[str] = ALL) -> dict[int, str]:
    """What `--dry-run` says about each step: empty where there is nothing to do, else why it would run."""
    capsys.readouterr()
    assert prepare(home, "--dry-run", *more, steps=steps) == 0
    return plan(capsys.readouterr().out)


def plan(shown: str) -> dict[int, str]:
    lines = [line.partition(": ") for line in shown.splitlines() if line.startswith("[")]
    return {int(title[1]): said.removeprefix("would run: ").removesuffix("nothing to do") for title, _, said in lines}


def only(**why: str) -> dict[int, str]:
    return {number: why.get(f"step{number}", "") for number in range(1, 9)}


SAYS = "what the teacher says changed"
JOINS = "which cards the teacher puts together changed"
FOLLOWS = "its inputs would change"


def test_a_comment_runs_nothing_and_an_ending_runs_step_8(home: Path, tmp_path: Path) -> None:
    """In a copy of the code, whose files are edited."""
    code = tmp_path / "code"
    for name in ("aac", "dataset/prepare"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data_prepare.py", "dataset/__init__.py"):
        shutil.copy(ROOT / name, code / name)
    line = [sys.executable, str(code / "data_prepare.py"), "--workspace", str(home), "--samples-per-persona", "12"]

    def planned() -> dict[int, str]:
        done = subprocess.run([*line, "--dry-run"], capture_output=True, text=True, check=True, cwd=tmp_path)
        return plan(done.stdout)

    assert prepare(home) == 0
    for name in ("dataset/prepare/teachers/acts.py", "aac/korean.py", "dataset/prepare/sampling.py"):
        (code / name).write_text((code / name).read_text(encoding="utf-8") + "\n# a comment\n", encoding="utf-8")
    assert planned() == only()
    korean = code / "aac/korean.py"
    text = korean.read_text(encoding="utf-8")
    korean.write_text(
        text.replace('("거에요", "거예요"),', '("거에요", "거예요"), ("싶어요", "싶네요"),'), encoding="utf-8"
    )
    assert korean.read_text(encoding="utf-8") != text
    assert planned() == only(step8=SAYS)


def test_what_may_stand_together_runs_step_7(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(home) == 0
    assert dry(home, capsys) == only()
    fits, joins = probe.plausible("grammar")
    monkeypatch.setattr(
        probe, "plausible", lambda _: (lambda words, word: "물" not in words and fits(words, word), joins)
    )
    assert dry(home, capsys) == only(step7=JOINS, step8=FOLLOWS)
    monkeypatch.setattr(probe, "plausible", lambda _: (fits, joins))
    assert dry(home, capsys) == only()
    with monkeypatch.context() as patched:
        first, *rest = probe.proposed("grammar")
        patched.setattr(probe, "proposed", lambda _: (replace(first, weight=first.weight + 1), *rest))
        assert dry(home, capsys) == only(step7=JOINS, step8=FOLLOWS)
    # Somebody else's cards are none of a remote teacher's business.
    monkeypatch.setenv("OPENAI_MODEL", "tiny-teacher")
    assert prepare(home, "--teacher", "openai", steps=["7"]) == 0
    monkeypatch.setattr(probe, "plausible", lambda _: (lambda words, word: False, joins))
    assert dry(home, capsys, "--teacher", "openai")[7] == ""


@pytest.mark.parametrize("part", ["place", "output"])
def test_another_context_or_sentence_runs_step_8(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    assert prepare(home) == 0
    complete = probe.complete

    def otherwise(row: dict[str, Any], *how: Any) -> None:
        complete(row, *how)
        if row["keywords"] == ["물"] and part == "output":
            row["output"][2] += "!"
        elif part == "place" and row["input"]["context"]["place"] == "공원":
            row["input"]["context"]["place"] = "놀이공원"

    monkeypatch.setattr(probe, "complete", otherwise)
    probe.says.cache_clear()
    assert dry(home, capsys) == only(step8=SAYS)
    assert prepare(home) == 0 and dry(home, capsys) == only()
    monkeypatch.setattr(probe, "complete", complete)
    probe.says.cache_clear()
    assert dry(home, capsys) == only(step8=SAYS)


def test_a_table_of_the_teacher_is_read_whole(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A word of a table that no probe meets."""
    assert prepare(home) == 0
    tables = tmp_path / "tables"
    shutil.copytree(probe.TABLES, tables)
    monkeypatch.setattr(probe, "TABLES", tables)
    probe.says.cache_clear()
    assert dry(home, capsys) == only()
    (tables / "endings.json").write_text("{}", encoding="utf-8")
    probe.says.cache_clear()
    assert dry(home, capsys) == only(step8=SAYS)
    (tables / "frames.json").write_text("{}", encoding="utf-8")
    assert dry(home, capsys) == only(step7=JOINS, step8=FOLLOWS)


def test_paid_answers_stay_where_the_question_changed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A new version that asks in other words must not spend money unasked; that it would is said."""
    from tests.chat_server import ChatServer, good_answer

    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        point_at(server, monkeypatch)
        assert prepare(home, "--teacher", "openai") == 0
        before, requests = content(home), server.requests
        monkeypatch.setattr("dataset.prepare.teachers.ask._RULES", "다른 말 {voice}")
        probe.says.cache_clear()
        assert dry(home, capsys, "--teacher", "openai") == only() and "--overwrite asks" in caplog.text
        assert prepare(home, "--teacher", "openai") == 0
        assert content(home) == before and server.requests == requests
        assert prepare(home, "--teacher", "openai", "--overwrite", steps=["8"]) == 0 and server.requests > requests
        caplog.clear()
        assert dry(home, capsys, "--teacher", "openai") == only() and "--overwrite asks" not in caplog.text


def as_before(home: Path) -> None:
    """The state as the version before wrote it: its steps 7 and 8 watched texts of the teacher."""
    folder, path = home / "dataset/processed", home / "dataset/processed/.state.json"
    state = read_json(path)
    reads = {
        7: ("dataset.json", "enhanced_persona.json", "cards.json", "clustering_results.json", "centroids.npy"),
        8: ("dataset_with_cards.json",),
    }
    for number, names in reads.items():
        lines = [f"{name}:{hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n" for name in names]
        lexicon = hashlib.sha256((ROOT / "aac/lexicon.csv").read_bytes()).hexdigest()
        text = json.dumps(state[str(number)]["settings"]) + "".join(lines) + f"lexicon.csv:{lexicon}\n"
        text += {7: f"teachers:{TEACHERS}\n", 8: f"teachers:{TEACHERS}\nregister.json:{REGISTER}\n"}[number]
        state[str(number)]["inputs"] = hashlib.sha256(text.encode()).hexdigest()
    for record in state.values():
        record.pop("version", None)
    write_json(path, state)


# Of the folder `teachers` and of register.json, as commit 0400ce3 had them.
TEACHERS = "16f4f0226cd4c02505bae94159cc62773a557dcc58e7ac01dbecb09f9c01aeb1"
REGISTER = "0c814a5e68fb9db12cdae365c13b74c519e3ac75900be31886a7dcf1e40fb6e2"
LAST = ["7", "8"]


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version before said what this one says."""
    monkeypatch.setitem(probe.BEFORE, ("joins", "grammar"), probe.joins("grammar"))
    monkeypatch.setitem(probe.BEFORE, ("says", "grammar"), probe.says("grammar"))


@pytest.mark.usefixtures("unchanged")
def test_a_data_set_of_the_version_before_is_understood(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Current where the teacher still says what that version's said, else made anew, and why is said."""
    assert prepare(home) == 0
    as_before(home)
    assert dry(home, capsys, steps=LAST) == {7: "", 8: ""}
    with monkeypatch.context() as patched:
        patched.setitem(probe.BEFORE, ("says", "grammar"), "other words")
        assert dry(home, capsys, steps=LAST) == {7: "", 8: SAYS}
        patched.setitem(probe.BEFORE, ("joins", "grammar"), "other hands")
        assert dry(home, capsys, steps=LAST) == {7: JOINS, 8: FOLLOWS}
        # Negative control: of another text nobody knows what it said.
        patched.setattr(probe, "TEXT_BEFORE", {7: "teachers:another\n", 8: "teachers:another\n"})
        assert dry(home, capsys, steps=LAST) == {7: "its inputs changed", 8: FOLLOWS}
    before = content(home)
    assert prepare(home) == 0 and dry(home, capsys) == only()
    assert {**content(home), ".state.json": b""} == {**before, ".state.json": b""}


@pytest.mark.usefixtures("unchanged")
def test_forgetting_and_appending_understand_it_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(home) == 0
    as_before(home)
    assert prepare(home, "--forget", "2") == 0
    assert dry(home, capsys, steps=LAST) == {7: "", 8: ""}
    as_before(home)
    draw_card(home / "dataset/images/60_우유.png", 60)
    assert data_prepare.main(["--workspace", str(home), "--append"]) == 0
    assert dry(home, capsys, steps=LAST) == {7: "", 8: ""}


def test_appending_does_not_hide_that_older_rows_are_stale(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(home) == 0
    monkeypatch.setattr(probe, "says", lambda _: "other words")
    draw_card(home / "dataset/images/60_우유.png", 60)
    assert data_prepare.main(["--workspace", str(home), "--append"]) == 0
    assert dry(home, capsys) == only(step8=SAYS)
