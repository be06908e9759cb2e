"""The journal of feedback: nothing without consent, whole lines or none, everything gone when it is to go."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import data_prepare
from aac.feedback import Consent, Feedback, needs_guardian, persona_of
from aac.io import UserError

ALL = Consent(keep=True, use=True, train=True)
ADULT = {"age": 30, "gender": "여성"}
SECRET = "별난표식"


def asked(number: int = 1, text: str = "물 주세요.") -> dict[str, Any]:
    context = {"interaction_partner": "우리 엄마", "place": SECRET}
    return {"event": "shown", "request": f"r{number}", "cards": ["물", "주세요"], "context": context, "offered": [text]}


def test_without_consent_there_is_no_file(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path / "feedback")
    assert not feedback.add(7, asked()) and feedback.consent(7) == Consent() and feedback.events(7) == []
    feedback.agree(7, Consent(use=True, train=True), ADULT)
    assert not feedback.add(7, {"event": "none", "request": "r1"})
    assert not list(tmp_path.rglob("*"))
    feedback.agree(7, ALL, ADULT)  # the control: with consent there is one
    assert feedback.add(7, asked()) and feedback.path(7).stat().st_size


def test_what_is_kept_is_what_was_allowed(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path)
    feedback.agree(7, Consent(keep=True), ADULT)
    feedback.add(7, asked())
    text = feedback.path(7).read_text(encoding="utf-8")
    assert SECRET not in text and feedback.events(7)[-1]["partner"] == "엄마·아빠"
    feedback.agree(7, ALL, ADULT)
    feedback.add(7, {**asked(2), "ip": "127.0.0.1"})
    assert feedback.events(7)[-1]["context"]["place"] == SECRET and "ip" not in feedback.events(7)[-1]
    assert persona_of(feedback.events(7)).gender == "여성" and feedback.consent(7) == ALL and feedback.people() == [7]
    assert feedback.path(7).stat().st_mode & 0o077 == 0
    feedback.agree(7, Consent(), ADULT)
    assert not feedback.path(7).exists() and not feedback.delete(7)


@pytest.mark.parametrize(("age", "needed"), [(13, True), (14, False), ("아동", True), ("청소년", True), ("16세", False),
                                             ("20대", False), ("성인", False), (70, False)])  # fmt: skip
def test_a_childs_guardian_consents(tmp_path: Path, age: Any, needed: bool) -> None:
    feedback = Feedback(tmp_path)
    assert needs_guardian(age) is needed
    if needed:
        with pytest.raises(UserError, match="guardian"):
            feedback.agree(1, ALL, {"age": age})
        assert not list(tmp_path.iterdir())
    feedback.agree(1, Consent(keep=True, guardian=needed), {"age": age})
    assert feedback.consent(1).keep
    with pytest.raises(UserError, match="age"):
        feedback.agree(2, ALL, {})


@pytest.mark.parametrize(
    "change",
    [
        {"event": "spoken"},
        {"request": ""},
        {"cards": []},
        {"cards": ["가"] * 5},
        {"offered": ["가" * 301]},
        {"offered": [3]},
        {"context": {"ip_address": "1"}},
        {"context": "집"},
        {"event": "chosen", "place": -1, "text": "물."},
        {"event": "chosen", "place": True, "text": "물."},
        {"event": "edited", "place": 1, "text": " "},
        {"event": "typed", "text": None},
    ],
)
def test_what_is_no_event_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    feedback = Feedback(tmp_path)
    feedback.agree(7, ALL, ADULT)
    before = feedback.path(7).read_bytes()
    with pytest.raises(UserError):
        feedback.add(7, {**asked(), **change})
    assert feedback.path(7).read_bytes() == before and feedback.add(7, asked())


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path)
    feedback.agree(7, ALL, ADULT)
    feedback.add(7, asked(1))
    damaged = [b"[]", b"5", b"\xff", b'{"event": []}', b'{"event": "typed", "request": "r"}', b'{"event": "consent"}']
    damaged += [b'{"event": "shown", "request": "r", "cards": %s, "offered": []}' % cards for cards in (b"5", b"[5]")]
    with feedback.path(7).open("ab") as file:
        file.write(b"".join(line + b"\n" for line in damaged))
        file.write(b'{"event": "shown", "requ')
    feedback.add(7, asked(2))
    assert [event.get("request") for event in feedback.events(7)] == [None, "r1", "r2"]


def _write_for_ever(folder: Path) -> None:
    feedback = Feedback(folder)
    for number in range(10**6):
        feedback.add(7, asked(number))


def test_a_killed_writer_loses_at_most_its_line(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path)
    feedback.agree(7, ALL, ADULT)
    writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(tmp_path,))
    writer.start()
    while len(feedback.events(7)) < 20:
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    lines = feedback.path(7).read_bytes().split(b"\n")
    events = feedback.events(7)
    assert len(lines) - 1 - len(events) <= 1
    assert [event["request"] for event in events[1:]] == [f"r{n}" for n in range(len(events) - 1)]
    assert feedback.add(7, asked(9)) and len(feedback.events(7)) == len(events) + 1


def test_a_full_disk_is_said_and_leaves_the_journal_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feedback = Feedback(tmp_path)
    feedback.agree(7, ALL, ADULT)
    before, real = feedback.path(7).read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:9]))
    for attempt in (lambda: feedback.add(7, asked()), lambda: feedback.agree(8, ALL, ADULT)):
        with pytest.raises(OSError) as error:
            attempt()
        assert error.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert feedback.path(7).read_bytes() == before and feedback.people() == [7] and feedback.add(7, asked())


def test_forget_takes_the_journal(home: Path) -> None:
    feedback = Feedback(home / "dataset/feedback")
    for person in (1, 41):
        feedback.agree(person, ALL, ADULT)
        feedback.add(person, asked())
    line = ["--workspace", str(home), "--forget"]
    assert data_prepare.main([*line, "41"]) == 0  # known here alone: no persona, no row
    assert data_prepare.main([*line, "1"]) == 0
    assert not [
        path for path in home.rglob("*") if path.is_file() and SECRET in path.read_bytes().decode("utf-8", "ignore")
    ]
    assert feedback.people() == [] and json.loads((home / "dataset/persona.json").read_text(encoding="utf-8"))
