"""Where Python lacks what only Unix has (Windows), every verb works: in processes from which it is taken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Runs a script as Python would, without these modules and functions.
WITHOUT = """
import os, runpy, sys
import psutil  # of transformers: on Linux it wants them itself
scripts, arguments = sys.argv[1].split(), sys.argv[2:]
for name in ("fcntl", "resource"):
    sys.modules[name] = None
for name in ("pread", "sysconf", "fork", "setpgid", "killpg"):
    delattr(os, name)
for script in scripts:
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(script)
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        if stop.code:
            raise
"""


def run(scripts: list[str], *arguments: str) -> str:
    """What the scripts print, one after another in one process."""
    line = [sys.executable, "-c", WITHOUT, " ".join(str(ROOT / script) for script in scripts), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"})
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_every_verb_tells_its_help() -> None:
    verbs = ["data_prepare.py", *(f"train/{verb}.py" for verb in ("train", "evaluate", "interpret", "export", "demo"))]
    told = run(verbs, "--help")
    assert told.count("usage: ") == len(verbs)


@pytest.mark.slow
def test_data_is_made_and_a_person_forgotten(home: Path) -> None:
    """The same bytes as with everything at hand; the folder that has no locks is named."""
    from tests.workshop import content, prepare

    line = ["--workspace", str(home), "--samples-per-persona", "12"]
    told = run(["data_prepare.py"], *line)
    assert f"{home / 'dataset/processed'}: no locks here" in told
    made = content(home)
    assert prepare(home, "--overwrite") == 0
    assert {name: data for name, data in made.items() if name != ".state.json"}.items() <= content(home).items()
    assert "Persona 1 is removed." in run(["data_prepare.py"], *line, "--forget", "1")


@pytest.mark.slow
def test_a_model_answers(tmp_path: Path, model: Any, cards: list[Path]) -> None:
    model.save_model(tmp_path / "best_model.pt")
    line = ["--checkpoint", str(tmp_path / "best_model.pt"), "--cards", str(cards[0]), "--keywords", "물"]
    assert run(["train/interpret.py"], *line).startswith("1. ")
