"""The generative evaluation inside training: scores, a picture, and no trace in the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from aac.records import load_samples, nfc
from train.data.dataset import find_images
from train.data.features import CardFeatures
from train.loop import generation_samples


@pytest.fixture
def run(workspace: Path, model, tmp_path: Path) -> SimpleNamespace:
    samples = load_samples(workspace / "dataset/processed/dataset_completed.json")[0]
    pictures = find_images(samples, workspace / "dataset/images")
    features = CardFeatures(model, pictures, tmp_path / "features")
    index = {nfc(path.name): index for index, path in enumerate(pictures)}
    return SimpleNamespace(samples=samples, features=features, index=index, images=workspace / "dataset/images")


def test_scores_and_samples_without_a_trace(run: SimpleNamespace, model) -> None:
    rows = generation_samples.drawn(run.samples, 6, seed=42)
    assert [row.id for row in rows] == [row.id for row in generation_samples.drawn(run.samples, 6, seed=42)]
    assert [row.id for row in rows] != [row.id for row in generation_samples.drawn(run.samples, 6, seed=43)]
    model.train()
    try:
        before = torch.get_rng_state()
        numbers, items = generation_samples.evaluate_samples(model, rows, run.features, run.index)
        assert model.training and torch.equal(before, torch.get_rng_state())
    finally:
        model.eval()
    assert {"val_bleu4", "val_card_coverage", "val_style_accuracy", "val_not_from_model"} <= numbers.keys()
    assert all(key.startswith("val_") and isinstance(value, float) for key, value in numbers.items())
    assert [len(item.candidates) for item in items] == [3] * 6
    alone, single = generation_samples.evaluate_samples(model, rows[:1], run.features, run.index)
    assert single[0].candidates == items[0].candidates
    assert (
        "val_style_accuracy"
        not in generation_samples.evaluate_samples(model, rows[:1], run.features, run.index, False)[0]
    )
    assert alone.keys() <= numbers.keys()


def test_the_picture_reaches_tensorboard_and_wandb(run: SimpleNamespace, model, tmp_path: Path, monkeypatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    _, items = generation_samples.evaluate_samples(model, run.samples[:5], run.features, run.index)
    logged: list[dict] = []
    board = SummaryWriter(str(tmp_path / "board"))
    wandb_run = SimpleNamespace(log=lambda record, step: logged.append({**record, "step": step}))
    run_log = SimpleNamespace(board=board, wandb=wandb_run, folder=tmp_path)
    generation_samples.log_picture(run_log, 7, items, run.images)
    assert (tmp_path / "samples_7.png").exists()
    board.close()
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [event.step for event in events.Images("samples")] == [7]
    assert logged[0]["step"] == 7 and type(logged[0]["samples"]).__name__ == "Image"


def test_without_a_font_training_goes_on(run: SimpleNamespace, model, tmp_path: Path, monkeypatch, caplog) -> None:
    from aac import fonts

    _, items = generation_samples.evaluate_samples(model, run.samples[:1], run.features, run.index)
    monkeypatch.setattr(fonts, "_fonts", lambda: iter([]))
    assert generation_samples.draw_samples(tmp_path / "samples.png", items, run.images) is None
    assert "no picture of samples" in caplog.text
