"""A remote teacher, whoever it is: what is asked, paid and kept. How one kind of server is reached, its module says.

`interpret` answers every request from the journal where it can, asks the rest with bounded concurrency, and repeats
what 429, 5xx and time-outs broke. Whatever kills the process, nothing that was answered is asked again.

    teacher = Teacher(Settings.load(env_file), Journal(path, write=True))
    print(teacher.estimate(asks))
    answers = teacher.interpret(asks)
"""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from aac.io import UserError
from aac.records import Context
from dataset.prepare.journal import Journal
from dataset.prepare.teachers.ask import Ask, Turn, messages, picture_digest, prompt_key
from dataset.prepare.teachers.openai_settings import Settings
from dataset.prepare.teachers.quality import explain, parse, problems
from dataset.prepare.teachers.reply import complaint, unbroken

log = logging.getLogger("aac")
LONGEST_PAUSE = 60.0  # seconds between two tries
HOPELESS = 10  # prompts refused, or answers without form, one after another: not the prompts are wrong
# Rules of thumb until the journal holds answers of the model: tokens a sign of Korean, a picture at low detail, an
# answer.
TOKENS_A_SIGN, TOKENS_A_PICTURE, TOKENS_AN_ANSWER = 0.8, 85, 160


@dataclass(frozen=True)
class Outcome:
    """What became of one try.

    Attributes:
        answer: the words, and the tokens of prompt and completion as the server says them; None: there are none.
        reason: why not, in a word for the ledger; an HTTP status decides whether trying again may help.
        said: what the server said instead, as it came.
        pause: how many seconds it asks to wait.
    """

    answer: tuple[str, tuple[Any, Any]] | None = None
    reason: str = ""
    said: str = ""
    pause: float = 0.0


@dataclass(frozen=True)
class Answer:
    """Three sentences and their situation; rejected where `reasons` stand: (sentence from 1, or 0 for all, code).
    `said`: the answer as it came."""

    sentences: list[str]
    context: Context
    reasons: tuple[tuple[int, str], ...] = ()
    asked: int = 1
    said: str = ""


@dataclass(frozen=True)
class Estimate:
    """What `interpret` would send. Bad answers and failures come on top."""

    requests: int
    known: int
    prompt_tokens: int
    completion_tokens: int
    basis: str
    uses: Counter[str]

    def __str__(self) -> str:
        text = f"{self.known} of {self.known + self.requests} answers are known already; {self.requests} requests"
        if not self.requests:
            return text
        counts = sorted(self.uses.values())
        most = ", ".join(f"{card} {count}" for card, count in self.uses.most_common(3))
        return (
            f"{text}, about {self.prompt_tokens} prompt + {self.completion_tokens} completion tokens ({self.basis}; "
            f"answers that are asked again come on top); "
            f"{len(counts)} cards are sent {self.uses.total()} times, one {counts[0]} to {counts[-1]} times, median "
            f"{counts[len(counts) // 2]} (most: {most})"
        )


class RemoteTeacher(ABC):
    """Asks a server, through a journal that is open for writing (`estimate` needs it open for reading only).

    `variables`: what the names of its settings begin with in the environment, so that a message can name them.
    """

    variables: ClassVar[str]

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self.settings = settings
        self.journal = journal
        self._refused = 0  # one after another
        self._formless = 0  # answers one after another
        self._weighed = self._kept = 0  # answers

    @abstractmethod
    def connect(self) -> AbstractAsyncContextManager[Any]:
        """What `send` sends through.

        Raises:
            UserError: proxies or certificates of the environment cannot be used.
        """

    @abstractmethod
    async def send(self, client: Any, ask: Ask, turns: Sequence[Turn]) -> Outcome:
        """One try of one prompt. Failures of the network and of the server are outcomes, too."""

    def estimate(self, asks: Sequence[Ask]) -> Estimate:
        """What these requests would cost; nothing is sent."""
        pending: dict[str, Ask] = {}
        known = 0
        for ask in asks:
            key, _, answer = self._replay(ask)
            known += answer is not None
            if answer is None:
                pending.setdefault(key, ask)
        known += len(asks) - known - len(pending)  # the same request twice is sent once
        prompt, completion, count = self.journal.mean_cost(self.settings.model)
        basis = f"mean of {count} answers in the journal"
        total = prompt * len(pending)
        if not count:
            basis, completion = "a rule of thumb: this model has not answered yet", TOKENS_AN_ANSWER
            total = sum(map(self._rough_tokens, pending.values()))
        uses = Counter(path.name for ask in pending.values() for path in ask.pictures)
        return Estimate(len(pending), known, round(total), round(completion * len(pending)), basis, uses)

    def interpret(self, asks: Sequence[Ask]) -> list[Answer]:
        """The answers, in the order of the requests; the same request twice is asked once.

        Raises:
            UserError: the key, the model or the address is refused, or no answer can be used; nothing can be answered
                until it is mended.
            ConnectionError: the teacher does not answer any more. What was answered stays in the journal.
        """
        distinct: dict[str, list[int]] = {}
        for place, ask in enumerate(asks):
            distinct.setdefault(self._replay(ask, first_only=True)[0], []).append(place)
        answers = finished(self._all([asks[places[0]] for places in distinct.values()]))
        if answers and not any(answer.sentences for answer in answers):
            raise self._useless(sum(answer.asked for answer in answers), answers[-1])
        by_place = {i: a for places, a in zip(distinct.values(), answers, strict=True) for i in places}
        return [by_place[place] for place in range(len(asks))]

    async def _all(self, asks: Sequence[Ask]) -> list[Answer]:
        from tqdm import tqdm

        answers: dict[int, Answer] = {}
        waiting = iter(enumerate(asks))
        async with self.connect() as client:
            with tqdm(total=len(asks), desc="teacher", unit="answer", leave=False) as bar:
                work = [self._work(client, waiting, answers, bar) for _ in range(self.settings.concurrency)]
                tasks = [asyncio.create_task(one) for one in work]
                try:
                    await asyncio.gather(*tasks)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        return [answers[place] for place in range(len(asks))]

    async def _work(
        self, client: Any, waiting: Iterator[tuple[int, Ask]], answers: dict[int, Answer], bar: Any
    ) -> None:
        for place, ask in waiting:
            while True:
                key, turns, answer = self._replay(ask)
                if answer is not None:
                    answers[place] = answer
                    break
                try:
                    await self._until_answered(client, key, ask, turns)
                except _NotThis:
                    answers[place] = Answer([], ask.context or Context(), ((0, "refused"),), asked=len(turns) + 1)
                    break
            bar.update()

    def _replay(self, ask: Ask, first_only: bool = False) -> tuple[str, list[Turn], Answer | None]:
        """Follow a request through the journal.

        Returns:
            The key of its next prompt, the turns before that, and the answer where the journal holds the last word.
        """
        settings, turns = self.settings, list[Turn]()
        while True:
            chat = messages(ask, settings.voice, turns, picture_digest)
            key = prompt_key(settings.model, settings.temperature, chat)
            content = None if first_only else self.journal.answer_to(key)
            if content is None:
                return key, turns, None
            answer = self._judged(content, ask, len(turns) + 1)
            if not answer.reasons or answer.asked == settings.rounds:
                return key, turns, answer
            turns.append(Turn(unbroken(content), explain(answer.reasons, answer.sentences, ask.keywords)))

    def _rough_tokens(self, ask: Ask) -> float:
        signs, pictures = 0, 0
        for message in messages(ask, self.settings.voice, (), lambda path: ""):
            parts = message["content"] if isinstance(message["content"], list) else [{"text": message["content"]}]
            signs += sum(len(part.get("text", "")) for part in parts)
            pictures += sum("image_url" in part for part in parts)
        return signs * TOKENS_A_SIGN + pictures * TOKENS_A_PICTURE

    def _judged(self, content: str, ask: Ask, asked: int) -> Answer:
        read = parse(content, ask)
        if read is None:
            code = "malformed" if content.strip() else "refused"
            return Answer([], ask.context or Context(), ((0, code),), asked, content)
        return Answer(*read, tuple(problems(*read, ask, self.settings.voice)), asked, content)

    def _stop_where_useless(self, answer: Answer) -> None:
        """Raise where more answers like this one would be money for nothing: without form one after another, or none
        of the first that may be kept."""
        self._formless = 0 if answer.sentences else self._formless + 1
        self._weighed += 1
        self._kept += not answer.reasons
        if self._formless >= HOPELESS:
            raise self._useless(self._formless, answer)
        if not self._kept and self._weighed >= 3 * HOPELESS:
            raise self._useless(self._weighed, answer)

    def _useless(self, count: int, answer: Answer) -> UserError:
        codes, said = ", ".join(dict.fromkeys(code for _, code in answer.reasons)), self._told(answer.said) or "empty"
        return UserError(
            f"{self.settings.host}: no answer can be used ({count} in a row; the last, {codes}: {said}); try another "
            f"{self.variables}_MODEL (it must answer in Korean, as JSON)"
        )

    async def _until_answered(self, client: Any, key: str, ask: Ask, turns: Sequence[Turn]) -> None:
        """One prompt, tried until its answer stands in the journal.

        Raises:
            _NotThis: the server will not answer this one prompt.
            UserError, ConnectionError: as in `interpret`.
        """
        settings, tried = self.settings, Outcome()
        for attempt in range(settings.tries):
            if attempt:
                backoff = min(settings.pause * 2 ** (attempt - 1), LONGEST_PAUSE)
                await asyncio.sleep(max(random.uniform(0.5, 1) * backoff, min(tried.pause, LONGEST_PAUSE)))
            self.journal.sent(key, ask.person)
            tried = await self.send(client, ask, turns)
            if tried.answer:
                self.journal.answered(key, ask.person, settings.model, *tried.answer)
                self._refused = 0
                self._stop_where_useless(self._judged(tried.answer[0], ask, len(turns) + 1))
                return
            self.journal.failed(key, ask.person, tried.reason)
            if tried.reason.isdecimal():
                self._stop_where_hopeless(int(tried.reason), tried.said)
        last = f"{tried.reason}: {self._told(tried.said)}".removesuffix(": ")
        raise ConnectionError(
            f"{settings.host}: {settings.tries} tries of one request failed (last: {last}); what was answered stands "
            f"in {self.journal.path}: run the same command again to go on"
        )

    def _told(self, body: str) -> str:
        """What may be shown of what a server sent: one line, and never the key, which it may quote."""
        text = "".join(sign if sign.isprintable() else "\ufffd" for sign in complaint(body))
        return (text.replace(self.settings.key, "***") if self.settings.key else text)[:200]

    def _stop_where_hopeless(self, status: int, body: str) -> None:
        """Raise where sending the same again cannot help."""
        settings, said = self.settings, self._told(body)
        if status in (401, 403):
            raise UserError(f"{settings.host}: the key was refused ({status}); see {self.variables}_API_KEY") from None
        if "insufficient_quota" in body:
            raise UserError(f"{settings.host}: the account's quota is used up; what was answered is kept") from None
        if status in (408, 409, 429) or status >= 500:
            return
        self._refused += 1
        if status in (400, 413, 422) and settings.model in self.journal.models and self._refused < HOPELESS:
            raise _NotThis
        raise UserError(
            f"{settings.host}: refused ({status}){f': {said}' if said else ''}; see {self.variables}_BASE_URL and "
            f"{self.variables}_MODEL (the model must take pictures and a JSON schema)"
        ) from None


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns; inside a running loop (a notebook) it runs in a thread, and Ctrl-C still stops it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    started: Future[tuple[asyncio.AbstractEventLoop, Any]] = Future()

    async def told() -> Any:
        started.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await work

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, told())
        try:
            return done.result()
        except KeyboardInterrupt:
            loop, task = started.result()
            loop.call_soon_threadsafe(task.cancel)
            raise


class _NotThis(Exception):
    """The server answers other prompts, and refuses this one (its content filter, a size)."""
