"""What every route does with its client: read the body, learn how long it waits, notice that it left."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from train.server.errors import ApiError

Result = TypeVar("Result")
MOST_VALUES = 20_000  # of a body's JSON: a request needs a few dozen
BODY_SECONDS = 60.0  # for a client to send its body


async def body_of(request: Request) -> dict[str, Any]:
    """A request's JSON object.

    Raises:
        ApiError: it is none, or a bomb; it is too large, or comes too slowly.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            data = await request.body()
    except TimeoutError:
        raise ApiError(408, "The body did not come in time.", "slow_body") from None
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ApiError(400, "The body holds more values than any request needs.", "too_many_values")
    try:
        body = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError):  # also where it is not UTF-8, or a number has thousands of digits
        raise ApiError(400, "The body is not JSON.", "bad_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body is not a JSON object.", "bad_json")
    return body


def _no_number(name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def patience(request: Request) -> float:
    """For how many seconds the client waits, as the `openai` client says; else for ever."""
    try:
        seconds = float(request.headers.get("x-stainless-read-timeout", "inf"))
    except ValueError:
        return math.inf
    return seconds if seconds > 0 else math.inf


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns; it is cancelled when the client leaves.

    Raises:
        ClientDisconnect: it left.
    """
    working = asyncio.create_task(work)
    if await finished(request, working):
        return working.result()
    raise ClientDisconnect


async def finished(request: Request, working: asyncio.Task[Any], seconds: float | None = None) -> bool:
    """Wait until a task is done; False where the client left first, and the task is cancelled, or where it takes longer
    than so many seconds."""
    leaving = asyncio.create_task(_leaves(request))
    try:
        await asyncio.wait({working, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done() and not working.done():
            working.cancel()
    except asyncio.CancelledError:
        working.cancel()
        raise
    finally:
        leaving.cancel()
    return working.done()


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
