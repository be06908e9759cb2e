"""One prompt's keys and values for all its candidates: the same tokens as without, held once, in batches that fit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import fresh_model
from published import tuned_model, write_published
from test_model import request

from train.interpreter import batches, decoding
from train.interpreter.requests import parse_request, prompt_batch

Session = decoding.Prefilled


@pytest.fixture(scope="module")
def keen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model whose weights are so large that its tokens depend on all that it sees."""
    return tuned_model(write_published(tmp_path_factory.mktemp("published")), max_new_tokens=10)


def session(model: Any, *numbers: int) -> Session:
    parsed = [parse_request(model, request(n, keywords=None)) for n in numbers]
    return Session(model, *prompt_batch(model, parsed))


# Tokens before the end: the second request is done first, the others at different steps.
FORCED = {0: 1, 1: 6, 2: 2, 3: 1, 4: 2, 5: 1, 6: 4, 7: 8, 8: 3}


def prefixes(model: Any, numbers: Any) -> dict[int, list[int]]:
    return {n: [40 + 7 * n + i for i in range(FORCED[n])] + [model.encoder.end] for n in numbers}


@torch.inference_mode()
def test_shared_equals_unshared_equals_recomputed(keen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Token for token, while candidates end, requests change places and decoding starts again from the same prompts."""
    shared = session(keen, 0, 1, 2)
    free, odd = {n: [] for n in range(9)}, [1, 3, 6, 8]
    told = [shared.decode(given) for given in (prefixes(keen, free), free, {n: [50 + n] for n in odd}, free)]
    assert shared.cache.standing != [0, 1, 2]  # they did
    for number in range(9):
        alone = session(keen, number // 3)
        for given, said in zip((prefixes(keen, [number])[number], [], [50 + number], []), told, strict=True):
            if number in said:
                single = alone.decode({number % 3: given})[number % 3]
                assert single.tokens == said[number].tokens and single.seconds == said[number].seconds
                assert single.leads == pytest.approx(said[number].leads, abs=1e-4)
    anew = session(keen, 0, 1, 2)
    monkeypatch.setattr(Session, "_step", lambda self, live, inputs: live.said.append(inputs) or self._again(live))
    for given, said in zip((prefixes(keen, free), free), told, strict=False):
        assert {n: d.tokens for n, d in anew.decode(given).items()} == {n: d.tokens for n, d in said.items()}


@torch.inference_mode()
def test_candidates_that_see_each_other_would_differ(keen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with each other's columns in sight they say other things."""
    free = {n: [] for n in range(9)}
    right = {n: d.tokens for n, d in session(keen, 0, 1, 2).decode(free).items()}
    own = decoding.SharedCache.mask
    monkeypatch.setattr(decoding.SharedCache, "mask", lambda self, *steps: torch.ones_like(own(self, *steps)))
    assert right != {n: d.tokens for n, d in session(keen, 0, 1, 2).decode(free).items()}


@torch.inference_mode()
def test_a_prompt_is_held_once(model: Any) -> None:
    made = session(model, 0, 1, 2)
    made.decode({n: [] for n in range(9)})
    length = made.visible.shape[1]
    room = 3 * (model.config["max_new_tokens"] + 1)
    for keys, values in made.cache.layers:
        assert keys.shape == values.shape and keys.shape[::2] == (3, length + room)
    texts = ["물을 마시고 싶어요. " * 20] * 9  # more than there is room for
    alone = [session(model, n).style_confidence(texts[:3]) for n in range(3)]
    assert torch.allclose(made.style_confidence(texts), torch.cat(alone), atol=1e-5)


@torch.inference_mode()
def test_prompts_of_one_length_are_read_without_empty_attention(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries behind a shared prefix that is all there is: CUDA would take its slowest kernel for them."""
    import train.models.attention as attention

    queries, inner = [], attention.attend
    monkeypatch.setattr(attention, "attend", lambda q, *given, **more: queries.append(q) or inner(q, *given, **more))
    session(model, 1)
    assert len(queries) >= 3 and all(query.shape[2] for query in queries)


# --- batches ----------------------------------------------------------------------------------------------------------


def asked(*cards: int) -> list[Any]:
    return [SimpleNamespace(features=[None] * count) for count in cards]


CPU = SimpleNamespace(device=torch.device("cpu"))


def test_a_batch_that_does_not_fit_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    requests, tried = asked(2, 1, 1, 2, 1, 3, 1, 1, 1), []

    def work(batch: list[int]) -> list[int]:
        tried.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")
        return [10 * i for i in batch]

    done = list(batches.in_batches(CPU, requests, range(9), work))
    assert tried == [9, 4, 2, 2, 2, 2, 1]
    assert sorted(i for batch, _ in done for i in batch) == list(range(9))
    assert all(told == [10 * i for i in batch] for batch, told in done)
    assert [len(requests[i].features) for batch, _ in done for i in batch] == [1] * 6 + [2, 2, 3]
    assert "out of memory with 9 requests together; going on with 4" in caplog.text


def test_one_request_that_does_not_fit_ends_in_the_remedy() -> None:
    def work(batch: list[int]) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")

    with pytest.raises(MemoryError, match=r"one request of 4 cards: .*2\.00 GiB\. Free memory") as told:
        list(batches.in_batches(CPU, asked(4, 4), range(2), work))
    assert "\n" not in str(told.value)


def test_what_fits_follows_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fresh_model()
    requests = [parse_request(model, request(n % 3, keywords=None)) for n in (0, 0, 0, 2, 2, 2)]
    assert batches.fitting(model, requests) == 6  # a CPU takes what it is given
    small, large = (batches._bytes(model, requests[n]) for n in (0, -1))
    assert small < large
    monkeypatch.setattr(type(model), "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 10)
    for free, count in ((0, 1), (2 * 2 * small, 2), (2 * 3 * small, 3), (2 * 4 * large, 4), (2 * 9 * large, 6)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free - 20, 0))
        assert batches.fitting(model, requests) == count, free
