"""Questions wait in line; up to eight that go together are answered at once, by one thread beside the event loop.

The line belongs to the event loop: it needs no locks. Whoever waits for an answer is a task; a task that is cancelled
(its client left) gives its place back, and a question that nobody waits for is never computed. Equal questions share
one computation, also with one that is running.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from train.server.errors import ApiError, failed, report
from train.server.question import Question

if TYPE_CHECKING:
    from train.server.answers import Answer
    from train.server.metrics import Metrics

TOGETHER = 8


@dataclass
class Job:
    """A question in line or being answered; `waiting`: how many want its answer; `latest`: until when any of them."""

    question: Question
    answer: asyncio.Future[Answer | ApiError]
    waiting: int = 0
    latest: float = 0.0


class Line:
    """Questions to answers.

    Args:
        compute: from questions that go together to an answer or an error each; called in the thread, one at a time.
        longest: questions that may wait; more are turned away.
        seconds: what one answer costs here, to tell those that are turned away when to come again.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Question]], Sequence[Answer | ApiError]],
        metrics: Metrics,
        longest: int,
        seconds: float,
    ) -> None:
        self.compute, self.metrics, self.longest, self.seconds = compute, metrics, longest, seconds
        self.thread = ThreadPoolExecutor(1, "model")
        self.closed = False
        self._line: list[Job] = []
        self._jobs: dict[str, Job] = {}  # in line or running
        self._news = asyncio.Event()

    async def ask(self, question: Question, seconds: float = math.inf) -> Answer:
        """The answer; `seconds`: after so many nobody wants it any more.

        Raises:
            ApiError: the line is full or closed, the answer came too late, or the question has none.
        """
        job = self._jobs.get(question.key) or self._enter(question)
        self.metrics.shared.inc(job.waiting > 0)
        job.waiting += 1
        job.latest = max(job.latest, time.monotonic() + seconds)
        try:
            answer = await asyncio.shield(job.answer)
        finally:
            job.waiting -= 1
            if not job.waiting and job in self._line:
                self._line.remove(job)
                self._drop(job, "gone")
        if isinstance(answer, ApiError):
            raise answer
        return answer

    async def serve(self) -> None:
        """Answer what comes, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            jobs = self._next()
            if not jobs:
                self._news.clear()
                continue
            self.metrics.together.observe(len(jobs))
            try:
                answers = await loop.run_in_executor(self.thread, self.compute, [job.question for job in jobs])
            except Exception as error:
                report(error)
                answers = [failed()] * len(jobs)
            for job, answer in zip(jobs, answers, strict=True):
                self._settle(job, answer)

    def close(self) -> None:
        """Answer those in line that the server stops; what runs is finished."""
        self.closed = True
        waiting, self._line = self._line, []
        for job in waiting:
            self._settle(job, _stopping())

    def __len__(self) -> int:
        return len(self._line)

    def _enter(self, question: Question) -> Job:
        if self.closed:
            raise _stopping()
        if len(self._line) >= self.longest:
            self.metrics.dropped.labels("full").inc()
            pause = max(1, math.ceil(self.seconds * len(self._line) / TOGETHER))
            raise ApiError(429, "Too many requests are waiting; try again later.", "queue_full", retry_after=pause)
        job = Job(question, asyncio.get_running_loop().create_future())
        self._jobs[question.key] = job
        self._line.append(job)
        self._news.set()
        return job

    def _next(self) -> list[Job]:
        """The first in line, and those behind it that can be decoded with it; late ones are let go."""
        now = time.monotonic()
        for job in [job for job in self._line if job.latest < now]:
            self._line.remove(job)
            self._drop(job, "late")
        first = self._line[0].question.draw if self._line else None
        jobs = [job for job in self._line if job.question.draw == first][:TOGETHER]
        self._line = [job for job in self._line if job not in jobs]
        return jobs

    def _drop(self, job: Job, why: str) -> None:
        self.metrics.dropped.labels(why).inc()
        self._settle(job, ApiError(503, "The answer would have come later than the client waits.", "late"))

    def _settle(self, job: Job, answer: Answer | ApiError) -> None:
        del self._jobs[job.question.key]
        if not job.answer.done():
            job.answer.set_result(answer)


def _stopping() -> ApiError:
    return ApiError(503, "The server stops; ask again.", "stopping", retry_after=1)
