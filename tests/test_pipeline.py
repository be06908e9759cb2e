"""The eight steps on a few plain cards: skipping, rerunning, killing, hand edits, appending. No network."""

from __future__ import annotations

import asyncio
import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import data_prepare
from aac.io import read_json
from aac.records import load_samples, split_of
from dataset.prepare import embed, personas, pipeline
from dataset.prepare.options import Options
from dataset.prepare.pipeline import STEPS
from tests.workshop import ROOT, WORDS, content, draw_card, prepare


def test_all_steps_make_a_data_set_that_training_reads(home: Path) -> None:
    assert prepare(home) == 0
    folder = home / "dataset/processed"
    samples, skipped = load_samples(folder / "dataset_completed.json")
    assert len(samples) == 24 and not skipped
    assert Counter(sample.persona_id for sample in samples) == {1: 12, 2: 12}
    for sample in samples:
        assert len(set(sample.output)) == 3 and len(set(sample.cards)) == len(sample.cards) == len(sample.keywords)
    # The public format's fields, as they are.
    row = read_json(folder / "dataset_completed.json")[0]
    assert {"id", "input", "output"} <= set(row)
    assert set(row["input"]) == {"persona", "context", "past_interpretation", "AAC_card_combination"}
    assert set(row["input"]["context"]) == {"time", "place", "interaction_partner", "current_activity"}
    results = read_json(folder / "clustering_results.json")
    assert sorted(name for names in results["clustered_files"].values() for name in names) == results["filenames"]
    assert set(read_json(folder / "cluster_tags.json")) == set(results["clustered_files"])
    assert all(isinstance(n, int) for p in read_json(folder / "enhanced_persona.json")
               for n in p["persona"]["preferred_category_types"])  # fmt: skip
    for name in ("image_embeddings.npy", "text_embeddings.npy"):
        rows = np.load(folder / name)
        assert rows.shape == (16, embed.WIDTH)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_again_nothing_runs_and_a_change_runs_only_what_depends_on_it(
    home: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert prepare(home) == 0
    before = content(home)
    caplog.clear()
    assert prepare(home) == 0
    assert content(home) == before
    assert sum("unchanged, skipped" in line for line in caplog.messages) == len(STEPS)
    caplog.clear()
    people = read_json(home / "dataset/persona.json")
    people[0]["persona"]["interesting_topics"] = ["학교"]
    (home / "dataset/persona.json").write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
    assert prepare(home, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert shown.count("nothing to do") == 4 and shown.count("would run") == 4
    assert prepare(home) == 0
    skipped = [line[1] for line in caplog.messages if "unchanged, skipped" in line]
    assert skipped == ["1", "2", "3", "5"]
    caplog.clear()
    draw_card(home / "dataset/images/1_물.png", 40)
    assert prepare(home) == 0
    assert "[4/8] rows: unchanged, skipped" in caplog.messages


def test_one_seed_one_result_another_seed_another(home: Path, tmp_path: Path) -> None:
    assert prepare(home) == 0
    other = tmp_path / "twin"
    shutil.copytree(home / "dataset/images", other / "dataset/images")
    shutil.copy(home / "dataset/persona.json", other / "dataset/persona.json")
    assert prepare(other) == 0
    name = "dataset_completed.json"
    assert content(home)[name] == content(other)[name]
    assert prepare(other, "--seed", "7") == 0
    assert content(home)[name] != content(other)[name]


def test_overwriting_the_last_step_touches_no_other_file(home: Path) -> None:
    assert prepare(home) == 0
    before = content(home)
    assert prepare(home, "--overwrite", steps=["8"]) == 0
    assert content(home) == before
    changed = {**before, ".state.json": b""}
    (home / "dataset/processed/dataset_completed.json").unlink()
    assert prepare(home, steps=["8"]) == 0
    assert {**content(home), ".state.json": b""} == changed


def test_a_hand_edit_is_never_lost(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(home) == 0
    path = home / "dataset/processed/dataset_completed.json"
    edited = path.read_text(encoding="utf-8") + " "
    path.write_text(edited, encoding="utf-8")
    assert prepare(home, "--seed", "3") == 2
    assert "--overwrite" in capsys.readouterr().err and path.read_text(encoding="utf-8") == edited
    assert prepare(home, "--seed", "3", "--overwrite", steps=["8"]) == 0
    assert path.with_name("dataset_completed.edited.json").read_text(encoding="utf-8") == edited
    assert path.read_text(encoding="utf-8") != edited


@pytest.mark.slow
def test_killed_at_twenty_moments_and_rerun_it_gives_the_same_bytes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time from an empty folder: killed at a random moment, run again to its end, compared."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    forks = multiprocessing.get_context("forkserver")  # its children have loaded everything: they start at once
    forks.set_forkserver_preload(["tests.warm"])
    processed = home / "dataset/processed"

    draw = random.Random(0)

    def begun() -> int:
        state = processed / ".state.json"
        return len(read_json(state)) if state.exists() else 0

    def run(steps: int | None = None) -> None:
        """To the end; or killed shortly after so many steps had begun (by the clock alone all could fall behind it)."""
        process = forks.Process(target=prepare, args=(home,))
        process.start()
        while steps is not None and process.is_alive() and begun() < steps:
            time.sleep(0.001)
        process.join(120 if steps is None else draw.uniform(0.0, 0.05))
        process.kill()
        process.join()
        assert steps is not None or process.exitcode == 0

    run()
    undisturbed = content(home)
    reached: set[int] = set()
    for _ in range(20):
        shutil.rmtree(processed)
        run(draw.randrange(9))
        reached.add(begun())
        run()
        left = {name: data for name, data in content(home).items() if not name.endswith(".tmp")}
        assert left == undisturbed
    assert len(reached) >= 3, reached  # the moments fell into different steps


def test_limit_leaves_the_other_rows_unprocessed(home: Path) -> None:
    assert prepare(home, "--start", "4", "--limit", "5") == 0
    samples, skipped = load_samples(home / "dataset/processed/dataset_completed.json")
    assert [sample.id for sample in samples] == [5, 6, 7, 8, 9] and skipped == {"incomplete": 19}


def test_missing_input_names_the_step_that_makes_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(home, steps=["7"]) == 2
    assert "--steps 4" in capsys.readouterr().err
    assert prepare(home, "--dry-run", steps=["7"]) == 0
    shown = capsys.readouterr().out
    assert "would run: but cannot" in shown and "--steps 4" in shown
    assert prepare(home, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert shown.count("would run") == 8 and "cannot" not in shown
    assert [path.name for path in (home / "dataset/processed").iterdir()] == [".lock"]
    assert prepare(home, "--personas", "없다.json", steps=["4"]) == 2
    assert "없다.json" in capsys.readouterr().err


def test_split_is_by_combination(home: Path) -> None:
    assert prepare(home) == 0
    samples, _ = load_samples(home / "dataset/processed/dataset_completed.json")
    seen: dict[frozenset[str], set[str]] = {}
    for sample in samples:
        seen.setdefault(frozenset(sample.cards), set()).add(sample.split)
        by_hash = split_of(list(reversed(sample.cards)), sample.persona)
        assert sample.split == by_hash or (sample.pinned and len(sample.cards) == 1)
    seen = {cards: splits for cards, splits in seen.items() if len(cards) > 1}
    assert all(len(splits) == 1 for splits in seen.values())


def test_help_answers_at_once_and_bad_arguments_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    line = [sys.executable, "-X", "importtime", str(ROOT / "data_prepare.py"), "--help"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "--samples-per-persona" in done.stdout
    assert not any(f" {heavy}\n" in done.stderr for heavy in ("numpy", "sklearn", "kiwipiepy", "torch", "PIL"))
    for wrong in (["--steps", "9"], ["--samples-per-persona", "0"], ["--nonsense"]):
        with pytest.raises(SystemExit) as stopped:
            data_prepare.main(wrong)
        assert stopped.value.code == 2


def test_a_second_run_on_the_same_data_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While step 4 of one runs: another one, an append and a forgetting are refused, a look is not."""
    codes: list[int] = []
    write = personas.write_schema

    def meanwhile(options: Options) -> str:
        for more in (["--steps", "1"], ["--append"], ["--forget", "1"], ["--steps", "1", "--dry-run"]):
            codes.append(data_prepare.main(["--workspace", str(home), *more]))
        return write(options)

    steps = tuple(replace(step, run=meanwhile) if step.number == 4 else step for step in STEPS)
    monkeypatch.setattr(pipeline, "STEPS", steps)
    assert prepare(home) == 0 and codes == [2, 2, 2, 0]
    shown = capsys.readouterr().err
    assert shown.count(f"{home / 'dataset/processed/.lock'}: another run is writing") == 3
    assert prepare(home, "--seed", "3") == 0 and codes[4:] == []  # the first has ended: the folder is free


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_a_mount_without_locks_is_named_and_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    """NFS and some FUSE mounts refuse every lock."""

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    assert prepare(home, steps=["1"]) == 0
    assert f"{home / 'dataset/processed'}: no locks" in caplog.text


def test_a_disk_that_is_only_read_is_no_fault_where_nothing_is_to_be_done(home: Path) -> None:
    (home / "dataset/processed/.lock").mkdir(parents=True)  # it cannot be opened, as nothing can on such a disk
    assert prepare(home, steps=["1"]) == 0


def test_what_handled_signals_before_handles_them_after(home: Path) -> None:
    ours, theirs = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)], lambda *_: None
    try:
        signal.signal(signal.SIGTERM, theirs)
        signal.signal(signal.SIGINT, theirs)
        for line in (["--steps", "1"], ["--steps", "7"], ["--check"]):
            data_prepare.main(["--workspace", str(home), *line])
            assert signal.getsignal(signal.SIGTERM) is theirs and signal.getsignal(signal.SIGINT) is theirs, line
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), ours, strict=True):
            signal.signal(number, handler)


def test_a_signal_stops_with_its_own_exit_code(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        stop = replace(STEPS[0], run=lambda _, number=number: signal.raise_signal(number))
        monkeypatch.setattr(pipeline, "STEPS", (stop, *STEPS[1:]))
        assert prepare(home, steps=["1"]) == code


def test_it_starts_where_python_adds_no_folder_of_the_script(home: Path) -> None:
    line = [sys.executable, "-P", str(ROOT / "data_prepare.py"), "--workspace", str(home), "--steps", "4"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=home)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"id": 1, "persona": {%s, "age": "노인"}}]', ("persona 1", "persona.age", "twice")),
        ('[{"id": 1, "id": 2, "persona": {%s}}]', ("entry 1", "'id'", "twice")),
        ('[{"id": 1, "persona": {%s}, "persona": {}}]', ("entry 1", "'persona'", "twice")),
    ],
)
def test_a_key_twice_in_the_persona_file_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], text: str, words: tuple[str, ...]
) -> None:
    """JSON keeps the last one without a word: an age of 9 and of 노인 is a mistake of whoever wrote the file."""
    path = home / "dataset/persona.json"
    fields = json.dumps(read_json(path)[0]["persona"], ensure_ascii=False)[1:-1]
    path.write_text(text % fields, encoding="utf-8")
    assert prepare(home, steps=["4"]) == 2
    shown = capsys.readouterr().err
    assert str(path) in shown and all(word in shown for word in words), shown
    path.write_text(f'[{{"id": 1, "persona": {{{fields}}}}}]', encoding="utf-8")
    assert prepare(home, steps=["4"]) == 0


def test_a_remote_teacher_is_asked_from_within_a_running_loop(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a notebook runs it; an interruption there stops the requests, too."""
    from dataset.prepare.teachers.ask import Ask
    from tests.chat_server import ChatServer, good_answer
    from tests.test_teacher_remote import teach

    def interrupt(server: ChatServer) -> None:
        while not server.held:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    async def inside(server: ChatServer, *words: str) -> list[Any]:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio's own waits for the loop
        asks = [Ask((home / f"dataset/images/{WORDS.index(word) + 1}_{word}.png",), (word,)) for word in words]
        return teach(home, server, asks)[0]

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ChatServer(lambda chat: ("ok", good_answer(chat))) as server:
        answers = asyncio.run(inside(server, "물", "사과"))
        assert [len(answer.sentences) for answer in answers] == [3, 3]
        server.freeze_at = server.requests
        Thread(target=interrupt, args=(server,), daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(inside(server, "밥", "공"))
