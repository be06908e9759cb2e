"""Rows made ahead by other processes are the rows made here, whatever a machine or container lacks."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable
from dataclasses import fields
from multiprocessing import synchronize
from typing import Any

import pytest
import torch
from test_model import rows

from train.data import workers
from train.models.batch import Batch, collate
from train.models.tensors import Tensors

GROUPS = [[0, 1], [2], [1, 2], [0]]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensors):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.fixture
def batched(model: Any) -> Callable[[list[Any]], Batch]:
    return lambda some: collate(some, model.encoder, torch.arange(6) % 5)


def check(model: Any, collator: Any, count: int) -> None:
    """`count` workers make what no worker makes."""
    ahead = list(workers.Loader(rows(model), collator, count)(GROUPS))
    assert len(ahead) == len(GROUPS)
    for one, other in zip(ahead, workers.Loader(rows(model), collator)(GROUPS), strict=True):
        assert same(one, other)


def full(*_: Any) -> None:
    raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")


def test_batches_need_no_shared_memory(
    model: Any, batched: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", full)
    monkeypatch.setattr(workers, "PATIENCE", 20)
    check(model, batched, 2)
    assert not caplog.text
    # Negative control: bare tensors would go through it, and never arrive. The run goes on without the workers.
    monkeypatch.setattr(workers, "PATIENCE", 1)
    check(model, lambda some: torch.tensor([row.record for row in some]), 2)
    assert "num_workers 2: DataLoader timed out" in caplog.text and "--shm-size" in caplog.text


def no_semaphore(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("place", "name", "value", "reason"),
    [
        (synchronize.SemLock, "__init__", no_semaphore, "No space left on device"),
        (multiprocessing, "get_all_start_methods", lambda: ["spawn"], "cannot fork"),
        (os, "fork", no_semaphore, "No space left on device"),
    ],
)
def test_without_workers_it_goes_on(
    model: Any,
    batched: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: Any,
    name: str,
    value: Any,
    reason: str,
) -> None:
    monkeypatch.setattr(place, name, value)
    check(model, batched, 2)
    assert "num_workers 2: " in caplog.text and reason in caplog.text


def test_what_the_rows_are_guilty_of_is_raised(model: Any) -> None:
    def broken(some: list[Any]) -> None:
        raise OSError("row 7 is gone")

    with pytest.raises(OSError, match="row 7"):
        list(workers.Loader(rows(model), broken, 1)(GROUPS))


def test_a_batch_is_pickled_by_value(model: Any, batched: Any) -> None:
    batch = batched(rows(model))
    assert same(pickle.loads(pickle.dumps(batch)), batch)
