"""A small server for tests: the tiny model with six known cards, in this process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import WORDS, fresh_model, pictures

from train.server.answers import Answerer
from train.server.app import create_app
from train.server.guard import Settings
from train.server.run import bound, stoppable
from train.server.service import Service

PERSONA = {"age": 9, "gender": "여성"}
CONTEXT = {"place": "집", "interaction_partner": "엄마"}


def small_answerer(folder: Path) -> Answerer:
    """Six cards with the ids 1 to 6 and the words of `conftest`; their files lie in `folder`."""
    from train.models.known_cards import KnownCards

    model = fresh_model()
    model.cards = KnownCards.of(pictures(), WORDS)
    entries = []
    for number, (word, image) in enumerate(zip(WORDS, pictures(), strict=True), start=1):
        entries.append({"file": f"{number}_{word}.png", "id": str(number), "keyword": word})
        image.save(folder / entries[-1]["file"])
    (folder / "cards.json").write_text(json.dumps({"cards": entries}), encoding="utf-8")
    answerer = Answerer(model, folder / "cards.json", folder)
    answerer.cost = lambda: 0.5  # timed once, in the test of a whole process
    return answerer


def application(answerer: Any, settings: Settings | None = None, shelf: Any = None, **service: Any) -> Any:
    return create_app(Service(answerer, **service), settings or Settings(), shelf)


@contextmanager
def client_of(answerer: Any, settings: Settings | None = None, **more: Any) -> Iterator[Any]:
    """Starlette's client of such a server; its Host is localhost."""
    from starlette.testclient import TestClient

    app = application(answerer, settings, **more)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=True) as client:
        yield client


@contextmanager
def listening(answerer: Any, settings: Settings | None = None, **service: Any) -> Iterator[str]:
    """The address of such a server behind a socket, as uvicorn serves it."""
    app = application(answerer, settings, **service)
    with bound("127.0.0.1", 0) as held:
        server = stoppable(app, app.state.service)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [held]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{held.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)
