"""A teacher is a module and an entry of the registry: here two are added so, and every entry is checked."""

from __future__ import annotations

import inspect
import random
from importlib import import_module
from pathlib import Path

import pytest

import data_prepare
from aac.gate import check
from aac.io import read_json
from aac.records import Context, Persona, load_samples
from dataset.prepare import probe
from dataset.prepare.journal import Journal
from dataset.prepare.teachers import registry
from dataset.prepare.teachers.registry import TEACHERS, Entry
from dataset.prepare.teachers.remote import RemoteTeacher
from tests.other_teacher import PLACE, Teacher
from tests.workshop import prepare
from train import evaluate
from train.scoring.teacher_row import teacher_candidates


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """`reader` on this machine, `clerk` by post."""
    monkeypatch.setitem(TEACHERS, "reader", Entry("tests.other_teacher"))
    monkeypatch.setitem(TEACHERS, "clerk", Entry("tests.other_teacher", remote=True, voices=("first", "third")))
    probe.says.cache_clear()
    Teacher.letters = 0


def test_a_teacher_on_this_machine_is_added_by_its_entry(
    home: Path, added: None, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert prepare(home, "--teacher", "reader", "--voice", "third") == 2
    assert "use one that does: openai, clerk" in capsys.readouterr().err
    assert prepare(home, "--teacher", "reader") == 0
    rows = read_json(home / "dataset/processed/dataset_completed.json")
    assert {len(row["keywords"]) for row in rows} <= {1, 2}  # what it can join
    assert all(row["input"]["context"]["place"] == PLACE for row in rows)
    assert all(row["output"][0] == ", ".join(row["keywords"]) + "." for row in rows)
    caplog.set_level("INFO")
    assert prepare(home, "--teacher", "reader") == 0 and caplog.text.count("unchanged, skipped") == 8


def test_a_remote_teacher_is_added_by_its_entry(home: Path, added: None, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("--teacher", "clerk", "--samples-per-persona", "4")
    assert prepare(home, *line, steps=list("1234567")) == 0
    assert prepare(home, *line, "--dry-run") == 0
    assert "to office, model clerk: 0 of 8 answers are known already" in capsys.readouterr().out
    assert Teacher.letters == 0
    assert prepare(home, *line) == 0
    asked = Teacher.letters
    ledger = Journal(home / "dataset/teacher_journal.jsonl").ledger
    assert 0 < asked == ledger.answered and ledger.completion_tokens == 3 * asked
    samples, skipped = load_samples(home / "dataset/processed/dataset_completed.json")
    assert len(samples) + skipped["incomplete"] == 8 and {sample.context.place for sample in samples} == {PLACE}
    assert prepare(home, *line, "--overwrite", steps=["8"]) == 0 and Teacher.letters == asked
    # It can be scored beside a model, too: a request of its own, which names the situation.
    assert evaluate.parse_args(["--predictions", "p.jsonl", "--teacher", "clerk"]).teacher == "clerk"
    threes = teacher_candidates("clerk", samples[:2], home / "dataset/images", home, "first")
    assert [len(set(three)) for three in threes] == [3, 3] and asked < Teacher.letters <= asked + 2


def test_both_are_choices(added: None, capsys: pytest.CaptureFixture[str]) -> None:
    for main, names in ((data_prepare.main, "grammar,openai,reader,clerk"), (evaluate.main, "openai,clerk")):
        with pytest.raises(SystemExit):
            main(["--help"])
        assert f"--teacher {{{names}}}" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        evaluate.parse_args(["--predictions", "p.jsonl", "--teacher", "reader"])


# ------------------------------------------------------------------ what was forgotten
@pytest.mark.parametrize("name", TEACHERS)
def test_an_entry_keeps_its_promises(name: str) -> None:
    entry = TEACHERS[name]
    module = entry.load()
    assert entry.voices and set(entry.voices) <= {"first", "third"}
    if entry.remote:
        assert issubclass(module.Teacher, RemoteTeacher) and not inspect.isabstract(module.Teacher)
        assert module.Teacher.variables and callable(module.Settings.load)
        return
    for hand in (["물"], ["물", "주세요"], ["엄마", "밥", "먹다"]):
        assert all(module.joins(word) for word in hand) and module.fits(hand[:-1], hand[-1])
        context = module.sample_context(Persona(), hand, random.Random("1"))
        three = module.interpret(hand, Persona(), context, random.Random("1"))
        assert three == module.interpret(hand, Persona(), context, random.Random("1"))
        assert check(three, hand, Context.parse(context)) == [[], [], []]


def forgotten() -> list[str]:
    """Modules beside the registry that are teachers, and that no entry names."""
    named, found = {entry.module for entry in TEACHERS.values()}, []
    for path in sorted(Path(registry.__file__).parent.glob("*.py")):
        module = import_module(f"dataset.prepare.teachers.{path.stem}")
        remote = issubclass(getattr(module, "Teacher", int), RemoteTeacher)
        if (remote or {"interpret", "sample_context"} <= vars(module).keys()) and module.__name__ not in named:
            found.append(path.stem)
    return found


def test_no_teacher_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forgotten() == []
    for name, stem in (("openai", "openai_teacher"), ("grammar", "grammar")):
        with monkeypatch.context() as patch:
            patch.delitem(TEACHERS, name)
            assert forgotten() == [stem]
