"""A remote teacher: any endpoint that speaks OpenAI's chat completions.

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
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from aac.records import Context
from dataset.prepare.journal import Journal
from dataset.prepare.teachers.ask import Ask, Turn, answer_format, data_url, messages, picture_digest, prompt_key
from dataset.prepare.teachers.openai_settings import Settings
from dataset.prepare.teachers.quality import explain, parse, problems
from dataset.prepare.teachers.reply import complaint, read_reply, unbroken

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger("aac")
LONGEST_PAUSE = 60.0  # seconds between two tries
HOPELESS = 10  # prompts refused, or answers without form, one after another: not the prompts are wrong
# Rules of thumb until the journal holds answers of the model: tokens a sign of Korean, a picture at low detail, an
# answer.
TOKENS_A_SIGN, TOKENS_A_PICTURE, TOKENS_AN_ANSWER = 0.8, 85, 160


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


class Teacher:
    """Asks an endpoint, through a journal that is open for writing (`estimate` needs it open for reading only)."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self.settings = settings
        self.journal = journal
        self._refused = 0  # one after another
        self._formless = 0  # answers one after another
        self._weighed = self._kept = 0  # answers

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

        for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)  # their debug lines hold whole requests
        answers: dict[int, Answer] = {}
        waiting = iter(enumerate(asks))
        async with _client(self.settings) as client:
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
        self, client: AsyncOpenAI, waiting: Iterator[tuple[int, Ask]], answers: dict[int, Answer], bar: Any
    ) -> None:
        for place, ask in waiting:
            while True:
                key, turns, answer = self._replay(ask)
                if answer is not None:
                    answers[place] = answer
                    break
                try:
                    await self._send(client, key, ask, turns)
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
        codes = ", ".join(dict.fromkeys(code for _, code in answer.reasons))
        return UserError(
            f"{self.settings.host}: no answer can be used ({count} in a row; the last, {codes}: "
            f"{self._told(answer.said) or 'empty'}); try another OPENAI_MODEL (it must answer in Korean, as JSON)"
        )

    async def _send(self, client: AsyncOpenAI, key: str, ask: Ask, turns: Sequence[Turn]) -> None:
        """One prompt, tried until its answer stands in the journal.

        Raises:
            _NotThis: the server will not answer this one prompt.
            UserError, ConnectionError: as in `interpret`.
        """
        settings = self.settings
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": messages(ask, settings.voice, turns, data_url),
            "response_format": answer_format(ask),
        }
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        reason, asked_for = "", 0.0
        for attempt in range(settings.tries):
            if attempt:
                backoff = min(settings.pause * 2 ** (attempt - 1), LONGEST_PAUSE)
                await asyncio.sleep(max(random.uniform(0.5, 1) * backoff, asked_for))
            self.journal.sent(key, ask.person)
            reason, asked_for = await self._once(client, key, ask, body)
            if not reason:
                content = self.journal.answer_to(key)
                assert content is not None
                self._stop_where_useless(self._judged(content, ask, len(turns) + 1))
                return
        raise ConnectionError(
            f"{settings.host}: {settings.tries} tries of one request failed (last: {reason}); what was answered stands "
            f"in {self.journal.path}: run the same command again to go on"
        )

    async def _once(self, client: AsyncOpenAI, key: str, ask: Ask, body: dict[str, Any]) -> tuple[str, float]:
        """One try: why it failed (empty: it did not), and how many seconds the server asks to wait."""
        import openai

        reason, said, pause = "broken body", "", 0.0
        try:
            reply = await client.chat.completions.with_raw_response.create(**body)
            said = reply.text
            if found := read_reply(said):
                self.journal.answered(key, ask.person, self.settings.model, *found)
                self._refused = 0
                return "", 0.0
        except openai.APITimeoutError:
            reason = "time-out"
        except openai.APIConnectionError as error:
            reason, said = "no connection", str(error.__cause__ or error)
        except openai.APIStatusError as error:
            reason, said = str(error.status_code), error.response.text
            pause = _retry_after(error.response.headers.get("retry-after"))
        except (openai.APIError, ValueError) as error:  # a header that cannot be sent, a body of no encoding
            said = str(error)
        self.journal.failed(key, ask.person, reason)
        if reason.isdecimal():
            self._stop_where_hopeless(int(reason), said)
        return f"{reason}: {self._told(said)}".removesuffix(": "), pause

    def _told(self, body: str) -> str:
        """What may be shown of what a server sent: one line, and never the key, which it may quote."""
        text = "".join(sign if sign.isprintable() else "\ufffd" for sign in complaint(body))
        return (text.replace(self.settings.key, "***") if self.settings.key else text)[:200]

    def _stop_where_hopeless(self, status: int, body: str) -> None:
        """Raise where sending the same again cannot help."""
        settings, said = self.settings, self._told(body)
        if status in (401, 403):
            raise UserError(f"{settings.host}: the key was refused ({status}); see OPENAI_API_KEY") from None
        if "insufficient_quota" in body:
            raise UserError(f"{settings.host}: the account's quota is used up; what was answered is kept") from None
        if status in (408, 409, 429) or status >= 500:
            return
        self._refused += 1
        if status in (400, 413, 422) and settings.model in self.journal.models and self._refused < HOPELESS:
            raise _NotThis
        raise UserError(
            f"{settings.host}: refused ({status}){f': {said}' if said else ''}; see OPENAI_BASE_URL and OPENAI_MODEL "
            f"(the model must take pictures and a JSON schema)"
        ) from None


def _client(settings: Settings) -> AsyncOpenAI:
    """
    Raises:
        UserError: the environment leads through a proxy or trusts certificates that cannot be used.
    """
    from openai import AsyncOpenAI

    try:
        return AsyncOpenAI(api_key=settings.key, base_url=settings.base_url, timeout=settings.timeout, max_retries=0)
    except ImportError:
        raise UserError("ALL_PROXY: a SOCKS proxy needs one package more: pip install socksio; or unset it") from None
    except OSError as error:  # an SSLError is one
        raise UserError(f"SSL_CERT_FILE: holds no certificates that can be read ({error}); mend or unset it") from None
    except Exception:  # the libraries' own kinds; their text may hold a proxy's password
        raise UserError(
            "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: no address of a proxy (http://host:port); mend or unset it"
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


def _retry_after(header: str | None) -> float:
    try:
        return min(max(float(header or 0), 0.0), LONGEST_PAUSE)
    except ValueError:  # a date
        return 0.0
