"""The line of questions: what is decoded together, shared, turned away, let go. No model: an answer is its question."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from aac.persona import Context, Persona
from train.server.batches import TOGETHER, Line
from train.server.errors import ApiError
from train.server.metrics import Metrics
from train.server.question import Card, Question


def question(word: str, **more: Any) -> Question:
    return Question((Card(word=word),), Persona(), Context(), **more)


class Compute:
    """Answers each question with itself; holds its thread while `go` is not set."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go, self.started = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, questions: Sequence[Question]) -> list[Any]:
        self.batches.append([q.cards[0].word for q in questions])
        self.started.set()
        assert self.go.wait(30)
        if self.batches[-1] == ["fault"]:
            raise RuntimeError("물")
        return [ApiError(400, "no") if q.cards[0].word == "bad" else q for q in questions]


def run(story: Callable[[Line, Compute], Awaitable[Any]], longest: int = 64) -> tuple[Any, Compute, Metrics]:
    compute, metrics = Compute(), Metrics()

    async def told() -> Any:
        line = Line(compute, metrics, longest, seconds=2.0)
        serving = asyncio.create_task(line.serve())
        try:
            return await asyncio.wait_for(story(line, compute), 60)
        finally:
            compute.go.set()
            serving.cancel()

    return asyncio.run(told()), compute, metrics


async def held(line: Line, compute: Compute) -> asyncio.Task[Any]:
    """A question that is being computed until `compute.go` is set."""
    compute.go.clear()
    first = asyncio.create_task(line.ask(question("first")))
    while not compute.started.is_set():
        await asyncio.sleep(0.001)
    return first


async def several(line: Line, *questions: Question, **more: Any) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(line.ask(q, **more)) for q in questions]
    await asyncio.sleep(0)
    return tasks


def test_what_waits_is_computed_together_in_its_order() -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        first = await held(line, compute)
        tasks = await several(line, *(question(str(number)) for number in range(11)))
        compute.go.set()
        return await asyncio.gather(first, *tasks)

    answers, compute, metrics = run(story)
    assert [a.cards[0].word for a in answers] == ["first", *map(str, range(11))]
    assert compute.batches == [["first"], [str(n) for n in range(TOGETHER)], ["8", "9", "10"]]
    assert b"aac_batch_size_sum 12.0" in metrics.text()


def test_other_draws_wait_for_a_batch_of_their_own() -> None:
    async def story(line: Line, compute: Compute) -> None:
        first = await held(line, compute)
        draws = [question("a"), question("b", temperature=0.8, seed=1), question("c"), question("d", temperature=0.8)]
        tasks = await several(line, *draws)
        compute.go.set()
        await asyncio.gather(first, *tasks)

    assert run(story)[1].batches == [["first"], ["a", "c"], ["b"], ["d"]]


def test_equal_questions_share_one_computation_waiting_or_running() -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        first = await held(line, compute)
        same = await several(line, question("first"), question("물"), question("물"), question("물"))
        compute.go.set()
        return await asyncio.gather(first, *same)

    answers, compute, metrics = run(story)
    assert compute.batches == [["first"], ["물"]] and len({id(a) for a in answers}) == 2
    assert b"aac_shared_total 3.0" in metrics.text()
    # Negative control: another word, another computation.
    assert question("물").key == question("물").key != question("불").key
    assert question("물").key != question("물", least=5).key


def test_a_full_line_turns_away_and_says_when_to_come_again() -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        first = await held(line, compute)
        tasks = await several(line, *(question(str(number)) for number in range(200)))
        compute.go.set()
        return await asyncio.gather(first, *tasks, return_exceptions=True)

    answers, compute, metrics = run(story)
    refused = [a for a in answers if isinstance(a, ApiError)]
    assert len(refused) == 200 - 64 and {(a.status, a.retry_after) for a in refused} == {(429, 16)}
    assert sum(map(len, compute.batches)) == 65 and b'aac_dropped_total{why="full"} 136.0' in metrics.text()


def test_a_client_that_left_frees_its_place_and_costs_nothing() -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        first = await held(line, compute)
        left, stays = await several(line, question("gone"), question("stays"))
        left.cancel()
        await asyncio.sleep(0.01)
        (later,) = await several(line, question("later"))
        compute.go.set()
        return await asyncio.gather(first, left, stays, later, return_exceptions=True)

    answers, compute, metrics = run(story, longest=2)
    assert compute.batches == [["first"], ["stays", "later"]]
    assert isinstance(answers[1], asyncio.CancelledError) and b'aac_dropped_total{why="gone"} 1.0' in metrics.text()


def test_one_of_two_who_ask_the_same_leaves_and_the_other_is_answered() -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        first = await held(line, compute)
        left, stays = await several(line, question("물"), question("물"))
        left.cancel()
        await asyncio.sleep(0.01)
        compute.go.set()
        return await asyncio.gather(first, stays)

    answers, compute, _ = run(story)
    assert compute.batches == [["first"], ["물"]] and answers[1].cards[0].word == "물"


def test_late_questions_are_let_go() -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        first = await held(line, compute)
        (late,) = await several(line, question("late"), seconds=0.01)
        (patient,) = await several(line, question("patient"), seconds=60)
        await asyncio.sleep(0.05)
        compute.go.set()
        return await asyncio.gather(first, late, patient, return_exceptions=True)

    answers, compute, _ = run(story)
    assert compute.batches == [["first"], ["patient"]]
    assert (answers[1].status, answers[1].code) == (503, "late")


def test_one_error_is_one_requests_and_a_fault_ends_nothing() -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        first = await held(line, compute)
        tasks = await several(line, question("a"), question("bad"), question("b"))
        compute.go.set()
        answers = await asyncio.gather(first, *tasks, return_exceptions=True)
        fault = await asyncio.gather(line.ask(question("fault")), return_exceptions=True)
        return [*answers, *fault, await line.ask(question("next"))]

    answers, _, _ = run(story)
    kinds = [a.status if isinstance(a, ApiError) else a.cards[0].word for a in answers]
    assert kinds == ["first", "a", 400, "b", 500, "next"]
    assert "물" not in answers[4].message


def test_a_closed_line_finishes_what_runs_and_turns_away_what_waits() -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        first = await held(line, compute)
        tasks = await several(line, question("a"))
        line.close()
        tasks += await several(line, question("b"))
        compute.go.set()
        return await asyncio.gather(first, *tasks, return_exceptions=True)

    answers, compute, _ = run(story)
    assert compute.batches == [["first"]] and answers[0].cards[0].word == "first"
    assert [a.code for a in answers[1:]] == ["stopping"] * 2


@pytest.mark.parametrize("count", [1, 8, 9])
def test_no_answer_is_anothers(count: int) -> None:
    async def story(line: Line, compute: Compute) -> list[Any]:
        return await asyncio.gather(*(line.ask(question(str(n))) for n in range(count)))

    assert [a.cards[0].word for a in run(story)[0]] == [str(n) for n in range(count)]
