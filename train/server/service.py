"""What the routes share: a model behind a line of questions, and what is counted."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from train.server.batches import Line
from train.server.metrics import Metrics

if TYPE_CHECKING:
    from train.server.answers import Answer, Answerer
    from train.server.question import Question


class Service:
    """A model that answers, one line of questions at a time.

    Args:
        longest_line: questions that may wait.
        highest: the temperature that a chat gets at most.
    """

    def __init__(self, answerer: Answerer, longest_line: int = 64, highest: float = 0.0) -> None:
        self.answerer, self.highest = answerer, highest
        self.metrics, self.started = Metrics(), int(time.time())
        self.line = Line(answerer, self.metrics, longest_line, answerer.cost())

    async def run(self) -> None:
        """Answer what comes, for ever."""
        self.loop = asyncio.get_running_loop()
        await self.line.serve()

    def stop(self) -> None:
        """Turn away what waits; may be called from a signal's handler."""
        self.loop.call_soon_threadsafe(self.line.close)

    async def ask(self, question: Question, patience: float = math.inf) -> Answer:
        """The answer to a question that is wanted within so many seconds.

        Raises:
            ApiError: as of `Line.ask`.
        """
        answer = await self.line.ask(question, patience)
        for source in answer.sources:
            self.metrics.sentences.labels(source).inc()
        return answer
