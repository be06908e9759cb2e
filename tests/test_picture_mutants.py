"""Three hundred changed pictures; `python -m tests.picture_mutants` tries as many as there is time for."""

from __future__ import annotations

from pathlib import Path

import pytest

from aac import pictures
from tests.picture_mutants import attack, readers, sound_files


def test_a_changed_picture_is_read_or_refused_by_name(tmp_path: Path) -> None:
    counts, slowest = attack(300, 1, tmp_path)
    assert {what for _, what in counts} == {"read", "refused"}, slowest


def test_the_sound_pictures_are_read(tmp_path: Path) -> None:
    for read in readers(tmp_path).values():
        for data in sound_files():
            read(data)


def test_a_reader_that_leaks_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without the one net under PIL's decoders their own errors come through."""
    from contextlib import nullcontext

    monkeypatch.setattr(pictures, "_faults", lambda name: nullcontext())
    counts, _ = attack(300, 1, tmp_path)
    assert any(what not in ("read", "refused") for _, what in counts)
