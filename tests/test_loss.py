"""The loss is one function of named terms: each a sum, each logged, and one more is one more entry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import pictures
from run_process import arguments
from test_model import rows

from train.config import train_config
from train.models import checkpoint, loss, network
from train.models.batch import collate
from train.train import main


def terms_of(model: Any, some: list[Any]) -> tuple[dict[str, loss.Term], dict[str, int]]:
    features, sizes = model.encode_images(pictures())
    batch = collate(some, model.encoder, model.image_clusters(features), [True] * len(some))
    chosen = [features[i].clone() for i in batch.images]
    return model(batch, chosen, [sizes[i] for i in batch.images]), loss.counts(batch)


def test_every_term_is_a_sum_over_something_counted(model: Any) -> None:
    """Rows one by one add up to the batch: only then is a window's loss that of one big batch."""
    together, counted = terms_of(model, rows(model))
    alone = [terms_of(model, [row]) for row in rows(model)]
    for name, term in together.items():
        assert term.total.ndim == 0 and term.per in counted, name
        assert float(term.total.detach()) == pytest.approx(
            sum(float(one[name].total.detach()) for one, _ in alone), rel=1e-4
        ), name
    assert counted == {key: sum(each[key] for _, each in alone) for key in counted}


def test_the_weighted_loss_is_the_terms_means(model: Any) -> None:
    terms, counted = terms_of(model, rows(model))
    language, style = terms["loss"], terms["style_loss"]
    expected = language.total / counted["tokens"] + model.config["style_loss_weight"] * style.total / counted["styled"]
    assert loss.weighted(terms, counted).item() == pytest.approx(expected.item(), rel=1e-6)


def add_z_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """What CONTRIBUTING.md says of a new term: an entry in `loss_terms`, and a config key for its weight."""
    written = loss.loss_terms

    def with_z_loss(model: Any, batch: Any, hidden: torch.Tensor) -> dict[str, loss.Term]:
        terms = written(model, batch, hidden)
        logits = model.backbone.lm_head(hidden[batch.targets[:, batch.prefix :] >= 0])
        squared = logits.float().logsumexp(-1).square().sum()
        return terms | {"z_loss": loss.Term(squared, "tokens", model.config["z_loss_weight"])}

    monkeypatch.setattr(network, "loss_terms", with_z_loss)
    monkeypatch.setitem(train_config.TRAIN_CONFIG, "z_loss_weight", 0.0)


def test_a_term_that_is_added_is_trained_validated_and_logged(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def trained(weight: float | None) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
        settings = ["max_steps=4", "eval_steps=4", *([] if weight is None else [f"z_loss_weight={weight}"])]
        assert main(arguments(workspace, "--overwrite", "--set", *settings)) == 0
        log = (workspace / "train/logs/log.jsonl").read_text().splitlines()
        state = checkpoint.load(workspace / "train/checkpoints/checkpoint_step_4.pt")
        return state["model"], list(map(json.loads, log))

    without, log = trained(None)
    assert not any("z_loss" in record for record in log)
    add_z_loss(monkeypatch)
    watched, log = trained(0.0)
    assert all(torch.equal(watched[name], tensor) for name, tensor in without.items())  # weight 0 learns nothing
    updates = [record for record in log if "loss" in record]
    assert len(updates) == 4 and all(record["z_loss"] > 1 for record in updates)
    assert [record["val_z_loss"] > 1 for record in log if "val_loss" in record] == [True]
    assert re.search(r"  z \d+\.\d{4}  ", caplog.text), caplog.text
    learned, log = trained(3.0)
    assert not torch.equal(learned["backbone.model.embed_tokens.weight"], without["backbone.model.embed_tokens.weight"])
    pushed = [record["z_loss"] for record in log if "z_loss" in record]
    assert pushed[-1] < updates[-1]["z_loss"]
    # Its weight is a setting like any other: without the key in train_config.py it is refused.
    monkeypatch.undo()
    assert main(arguments(workspace, "--overwrite", "--set", "z_loss_weight=1.0")) == 2
