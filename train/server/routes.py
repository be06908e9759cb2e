"""The server's routes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from train.server.chat import Chat, read_chat
from train.server.errors import ApiError
from train.server.question import read_question
from train.server.reply import MODEL, Reply, event
from train.server.wire import body_of, finished, patience, while_connected

if TYPE_CHECKING:
    from train.server.answers import Answer
    from train.server.service import Service

KEEP_ALIVE = 5.0  # seconds after which a stream that has nothing to say yet says so


def routes() -> list[BaseRoute]:
    """All there are; the guard stands before each, so that a new one is closed to whom the others are closed."""
    return [
        Route("/healthz", health),
        Route("/readyz", ready),
        Route("/metrics", metrics),
        Route("/v1/models", models),
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/aac/interpretations", interpretations, methods=["POST"]),
    ]


async def health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    service: Service = request.app.state.service
    if service.line.closed:
        raise ApiError(503, "The server stops.", "not_ready", retry_after=5)
    return JSONResponse({"status": "ready", "seconds_per_answer": round(service.line.seconds, 3)})


async def metrics(request: Request) -> Response:
    service: Service = request.app.state.service
    service.metrics.waiting.set(len(service.line))
    return PlainTextResponse(service.metrics.text())


async def models(request: Request) -> Response:
    created = request.app.state.service.started
    model = {"id": MODEL, "object": "model", "created": created, "owned_by": "this machine"}
    return JSONResponse({"object": "list", "data": [model]})


async def interpretations(request: Request) -> Response:
    """Three sentences with all that is known of them."""
    service: Service = request.app.state.service
    question = read_question(await body_of(request))
    return JSONResponse(shown(await while_connected(request, service.ask(question, patience(request)))))


def shown(answer: Answer) -> dict[str, Any]:
    """An answer as `/v1/aac/interpretations` gives it."""
    candidates = []
    for candidate in answer.candidates:
        details = candidate.public()
        candidates.append({key: details[key] for key in ("text", "style", "style_confidence", "source", "reasons")})
    return {
        "id": f"aac-{uuid.uuid4().hex}",
        "candidates": candidates,
        "cards": [{"word": word, "known": bool(word), "similarity": like} for word, like in answer.words],
        "temperature": answer.question.temperature,
        "unread": answer.unread,
    }


async def chat_completions(request: Request) -> Response:
    """What an app asks OpenAI's API for."""
    service: Service = request.app.state.service
    chat = read_chat(await body_of(request), service.highest)
    working = asyncio.create_task(_reply(service, chat, patience(request)))
    # A stream says 200 before it knows: what fails sooner than its first comment still gets a status of its own.
    if await finished(request, working, KEEP_ALIVE if chat.stream else None):
        reply = working.result()
        if not chat.stream:
            return JSONResponse(reply.whole())
    elif working.cancelled() or working.cancelling():
        raise ClientDisconnect
    return StreamingResponse(_events(working), media_type="text/event-stream")


async def _reply(service: Service, chat: Chat, seconds: float) -> Reply:
    return Reply(chat, await service.ask(chat.question, seconds) if chat.question else None)


async def _events(working: asyncio.Task[Reply]) -> AsyncIterator[str]:
    """The reply's events, and comments while it is not there; a client that leaves cancels it."""
    try:
        while not working.done():
            await asyncio.wait({working}, timeout=KEEP_ALIVE)
            if not working.done():
                yield ": the model is at work\n\n"
        for text in working.result().events():
            yield text
    except ApiError as error:
        yield event(error.body())
    finally:
        working.cancel()
