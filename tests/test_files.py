"""The files of the project: whole or not at all, readable by whom the umask allows, and never written unreadable."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aac.io import UserError, hold, read_json, read_text, write_atomic, write_json
from tests.workshop import prepare


@pytest.fixture
def strict() -> Iterator[None]:
    """Files for their owner alone."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def for_others(folder: Path) -> list[str]:
    """The files that anybody but their owner may read."""
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_mode & 0o077]


def test_the_umask_is_honoured(tmp_path: Path, strict: None) -> None:
    write_json(tmp_path / "persona.json", [])
    assert for_others(tmp_path) == []
    os.umask(0o022)
    write_json(tmp_path / "open.json", [])
    assert for_others(tmp_path) == ["open.json"]


def test_a_new_version_is_no_wider_than_the_old_one_nor_than_the_umask(tmp_path: Path, strict: None) -> None:
    path = tmp_path / "persona.json"
    for before, mask, after in ((0o600, 0o022, 0o600), (0o644, 0o077, 0o600), (0o640, 0o022, 0o640)):
        path.write_text("[]", encoding="utf-8")
        path.chmod(before)
        os.umask(mask)
        write_json(path, [1])
        assert path.stat().st_mode & 0o777 == after and read_json(path) == [1]


def test_what_the_eight_steps_write_is_the_owners_alone(home: Path, strict: None) -> None:
    shared = set(for_others(home))
    assert prepare(home) == 0
    assert set(for_others(home)) <= shared


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "a.json", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(tmp_path / "a.json", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.json", b"old")]


def test_whatever_is_written_can_be_read(tmp_path: Path) -> None:
    odd = ["\ud800", "가\udcff나", "\u2028", "\x85", "\x00", "\ufeff", {"\udfff": None}]
    write_json(tmp_path / "odd.json", odd)
    assert read_json(tmp_path / "odd.json") == odd


def test_a_text_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "cp949.csv").write_bytes("물".encode("cp949"))
    for name, part in (("cp949.csv", "not UTF-8 at byte 0"), ("none", "not found; make it"), (".", "cannot be read")):
        with pytest.raises(UserError, match=part):
            read_text(tmp_path / name, "make it")


def test_a_held_file_is_refused_to_another(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("a") as mine, (tmp_path / "lock").open("a") as other:
        hold(mine.fileno(), tmp_path / "lock")
        with pytest.raises(UserError, match="lock: another run"):
            hold(other.fileno(), tmp_path / "lock")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_folder_without_locks_is_named_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    def none(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", none)
    with (tmp_path / "lock").open("a") as file:
        hold(file.fileno(), tmp_path / "lock")
    assert str(tmp_path) in caplog.text and "no locks" in caplog.text
