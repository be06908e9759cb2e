"""Rows are read in pieces and kept on disk: the same rows, the same messages, whatever the size of a piece."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from aac import stream
from aac.io import UserError, read_json, write_json
from aac.records import load_samples
from train.data import loading
from train.data.sample_file import SampleFile


@pytest.fixture
def file(workspace: Path) -> Path:
    return workspace / "dataset/processed/dataset_completed.json"


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 1 << 20])
def test_pieces_of_any_size_read_as_the_whole(tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_PIECE", piece)
    path = tmp_path / "list.json"
    numbers = [0, -1, 12.5, 1e-9, 1.5e300, -2e5]
    lists: list[Any] = [[], numbers, [True, None, "]", ",", '"\\', "각"], [{"a": [{"b": "}"}]}, [[]], {}]]
    for value in lists:
        for indent in (None, 2):
            path.write_text(f" \n{json.dumps(value, indent=indent, ensure_ascii=False)}\n ", encoding="utf-8-sig")
            assert list(stream.json_items(path)) == value


@pytest.mark.parametrize("piece", [1, 5, 1 << 20])
def test_damage_is_never_read_past(tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a character is lost or added, either both readers refuse the file or both read the same."""
    monkeypatch.setattr(stream, "_PIECE", piece)
    path, draw = tmp_path / "list.json", random.Random(0)
    whole = json.dumps([{"id": 1, "x": [1.5, True]}, {"id": 22, "y": "물, 공"}], ensure_ascii=False)
    refused = 0
    for _ in range(300):
        place = draw.randrange(len(whole) + 1)
        text = whole[:place] + draw.choice(["", ",", "x", "[", "}", '"', "1"]) + whole[place + draw.randint(0, 1) :]
        path.write_text(text, encoding="utf-8")
        try:
            wanted = json.loads(text)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError):
                list(stream.json_items(path))
        else:
            assert list(stream.json_items(path)) == wanted
    assert 100 < refused < 300


def test_a_fault_far_in_is_named_as_before(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_PIECE", 50)
    text = file.read_text(encoding="utf-8")
    place = text.index('"output"', 3 * len(text) // 4)
    file.write_text(text[:place] + "oops" + text[place:], encoding="utf-8")
    with pytest.raises(UserError) as whole:
        read_json(file)
    with pytest.raises(UserError, match=r"not JSON at line \d+, column \d+.*record \d+") as streamed:
        load_samples(file)
    assert str(streamed.value) == str(whole.value)
    file.write_text('{"rows": []}', encoding="utf-8")
    with pytest.raises(UserError, match="expected a list of rows, not dict"):
        load_samples(file)


def test_samples_come_back_from_disk_as_they_were(file: Path) -> None:
    samples, _ = load_samples(file)
    kept = SampleFile()
    for sample in samples:
        kept.append(sample)
    assert len(kept) == len(samples) and list(kept) == samples
    assert kept[-1] == samples[-1] and kept[2:9:3] == samples[2:9:3] and kept[:0] == []
    with pytest.raises(IndexError):
        kept[len(samples)]


def test_a_fork_reads_without_moving_its_parent(file: Path) -> None:
    samples, _ = load_samples(file)
    kept = SampleFile()
    for sample in samples:
        kept.append(sample)
    child = os.fork()
    if not child:
        os._exit(0 if list(kept) == samples else 1)
    assert list(kept) == samples
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_digest_is_that_of_the_whole_list(file: Path) -> None:
    """Checkpoints hold it: read in pieces it must name the same rows as before."""
    import hashlib

    samples = [sample for sample in load_samples(file)[0] if sample.split == "train"]
    rows = [[s.id, s.cards, s.output, s.persona.public(), s.context.public()] for s in samples]
    wanted = hashlib.sha256(json.dumps(rows, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
    read = loading.load_splits(file, 6)
    assert read.digest == wanted and list(read.splits["train"]) == samples
    changed = read_json(file)
    row = next(row for row in changed if row["id"] == samples[-1].id)
    row["output"][2] += "."
    write_json(file, changed)
    assert loading.load_splits(file, 6).digest != wanted


def test_an_edited_data_file_changes_nothing_of_a_run(file: Path) -> None:
    rows = loading.load_splits(file, 6).splits["train"]
    before = list(rows)
    file.write_text("[]", encoding="utf-8")
    assert list(rows) == before
