"""The board's page with its routes, in this process: the offline grammar writes the sentences, a test can hold them."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from aac.feedback import Feedback
from aac.persona import Context, Persona
from dataset.prepare.teachers.grammar import interpret
from tests.workshop import WORDS, draw_card
from train.interpreter.candidates import STYLE_NAMES, Candidate
from train.server.answers import Answer
from train.server.board import board_routes
from train.server.errors import ApiError
from train.server.question import Question
from train.server.shelf import Shelf


class Grammar:
    """What the routes ask for sentences. `held`: answers wait until it is set; `asked`: every question."""

    def __init__(self, words: dict[str, str]) -> None:
        self.words = words
        self.held = threading.Event()
        self.held.set()
        self.asked: list[Question] = []

    async def ask(self, question: Question, seconds: float = math.inf) -> Answer:
        self.asked.append(question)
        while not self.held.is_set():
            await asyncio.sleep(0.01)
        words = [card.word or self.words[card.id] for card in question.cards]
        three = interpret(words, question.persona, question.context)
        if question.seed:
            three = [f"{text[:-1]}, 응?" for text in three] if question.seed < 2 else three
        told = [Candidate(text, style, 0.9) for text, style in zip(three, STYLE_NAMES, strict=True)]
        return Answer(question, told, [(word, 1.0) for word in words], [], 9, [3, 3, 3])


def workspace(folder: Path) -> Path:
    """`dataset/` with sixteen cards, some of them core words, and one whose picture is lost."""
    home = folder / "dataset"
    (home / "images").mkdir(parents=True)
    (home / "processed").mkdir()
    entries = [
        {"file": f"{number}_{word}.png", "id": str(number), "keyword": word} for number, word in enumerate(WORDS, 1)
    ]
    for number, entry in enumerate(entries[:-1], start=1):
        draw_card(home / "images" / entry["file"], number)
    (home / "processed/cards.json").write_text(json.dumps({"cards": entries}), encoding="utf-8")
    return home


def application(home: Path) -> Starlette:
    async def health(_: Any) -> JSONResponse:
        return JSONResponse({})

    async def refused(_: Any, error: ApiError) -> Any:
        return error.response()

    app = Starlette(routes=[Route("/healthz", health), *board_routes()], exception_handlers={ApiError: refused})
    app.state.service = Grammar({str(number): word for number, word in enumerate(WORDS, 1)})
    app.state.shelf = Shelf(home, home / "processed/cards.json", home / "images")
    app.state.feedback = Feedback(home / "feedback")
    return app


class Site:
    """The application behind a socket; it can go and come back at the same address."""

    def __init__(self, home: Path) -> None:
        self.app = application(home)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        import uvicorn

        held = self._socket or socket.create_server(("127.0.0.1", self.port))
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [held]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.force_exit = self._server.should_exit = True
        self._thread.join(20)
        self._socket = None


@contextmanager
def serving(home: Path) -> Iterator[Site]:
    site = Site(home)
    site.app.state.shelf.drawn()  # dictionaries are read before a page waits for them
    interpret(["물", "주세요"], Persona(), Context())
    site.start()
    try:
        yield site
    finally:
        site.stop()
