"""As apps and terminals use it: imported, forked, printed to."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import fresh_model, pictures

ROOT = Path(__file__).resolve().parents[1]
VERBS = ("data_prepare",)
VERBS += tuple(f"train.{name}" for name in ("train", "evaluate", "interpret", "serve", "export", "demo"))

FORK = """
import multiprocessing, os, sys
import torch
from conftest import pictures
from train.config.train_config import TRAIN_CONFIG
from train.models.aac_multimodal_model import AACMultimodalModel

torch.set_num_threads(2)
model = AACMultimodalModel.load_model(sys.argv[1], {**TRAIN_CONFIG, "device": "cpu", "max_new_tokens": 8})
large = torch.ones(1500, 1500)

def answer():  # in the gate, too; and as large a product as a larger model's
    return model.generate_interpretation(pictures(2), {"age": 9}, "집에서", ["물", "공"]), float((large @ large).sum())

wanted = answer()
child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(0 if answer() == wanted else 3))
child.start()
child.join(240)
code = child.exitcode
child.kill()
sys.exit("the child hangs" if code is None else code)
"""


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    env = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, timeout=300, check=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are Unix's")
def test_a_process_forked_after_loading_answers_as_its_parent(tmp_path: Path) -> None:
    fresh_model().save_model(tmp_path / "model.pt")
    told = python("-c", FORK, str(tmp_path / "model.pt"))
    assert told.returncode == 0, told.stderr.decode()


def test_an_app_that_imports_the_verbs_keeps_its_path() -> None:
    code = "import sys; before = list(sys.path); import " + ", ".join(VERBS)
    told = python("-c", f"{code}; assert sys.path == before, sys.path")
    assert told.returncode == 0, told.stderr.decode()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_starts_from_anywhere(tmp_path: Path, verb: str) -> None:
    """Also where Python is told not to look beside the script, and on a terminal that knows no Hangul."""
    for flags in ((), ("-P",)):
        arguments = [*flags, str(ROOT / f"{verb.replace('.', '/')}.py"), "--help"]
        env = {**os.environ, "PYTHONIOENCODING": "ascii"}
        env.pop("PYTHONPATH", None)
        told = subprocess.run([sys.executable, *arguments], env=env, cwd=tmp_path, capture_output=True, check=False)
        assert told.returncode == 0 and told.stdout.startswith(b"usage"), told.stderr.decode()


def test_a_terminal_without_hangul_shows_answers_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train import interpret

    fresh_model().save_model(tmp_path / "model.pt")
    pictures(1)[0].save(tmp_path / "1_물.png")

    def said(*more: str) -> tuple[int, str]:
        screen = io.BytesIO()
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, io.TextIOWrapper(screen, "ascii", write_through=True))
        line = ["--cards", str(tmp_path / "1_물.png"), "--checkpoint", str(tmp_path / "model.pt"), *more]
        return interpret.main(line), screen.getvalue().decode("ascii")

    for more in ((), ("--json",)):
        code, shown = said(*more)
        assert code == 0 and "\\u" in shown
    code, shown = said("--context", "가" * 3000)
    assert code == 2 and shown.startswith("error: context_info: ") and "Traceback" not in shown
