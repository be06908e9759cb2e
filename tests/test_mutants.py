"""Five hundred changed files; `python -m tests.mutants` tries as many as there is time for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset.prepare import journal
from tests.mutants import Readers, attack


def test_a_changed_file_is_read_or_refused(tmp_path: Path) -> None:
    counts, worst = attack(500, 1, tmp_path)
    assert {what for _, what in counts} == {"read", "refused"}, worst[0]
    assert len(counts) == 13, "each both reads on and refuses, and the journal leaves out what it cannot read"


def test_the_sound_files_are_read(tmp_path: Path) -> None:
    for name, (data, read) in Readers(tmp_path).of.items():
        path = tmp_path / f"sound.{name}"
        path.write_bytes(data)
        read(path)


def test_a_reader_that_breaks_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a journal that adds up whatever stands in it."""
    monkeypatch.setattr(journal, "_event", lambda raw: journal.json.loads(raw))
    counts, _ = attack(140, 1, tmp_path)
    assert any(name == "journal" and what not in ("read", "refused") for name, what in counts)
