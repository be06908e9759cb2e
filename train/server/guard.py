"""What stands before every route: who may ask, from where, and how much. Deny by default."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import ipaddress
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from train.server.errors import ApiError, failed, report

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from train.server.metrics import Metrics

log = logging.getLogger("aac")
MOST_BYTES = 8 * 2**20  # of a body
OPEN = frozenset({"/healthz"})  # the one route that asks for no key
# Of a refused body, so that its sender reads why.
_DRAINED, _DRAIN_SECONDS = 4 * MOST_BYTES, 10


@dataclass(frozen=True)
class Settings:
    """Who may ask.

    Attributes:
        key: what `Authorization` must hold; empty: a server that only this machine reaches.
        names: hosts that requests may call the server, beside addresses and localhost.
        origins: pages of other hosts that may ask.
    """

    key: str = ""
    names: Collection[str] = ()
    origins: Collection[str] = ()


class Guard:
    """Judges every request by its headers before a route sees it, and counts the bytes of its body.

    ASGI itself: behind starlette's BaseHTTPMiddleware a route never learns that its client left.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # a websocket: there is none here
            return await send({"type": "websocket.close", "code": 1008})
        error = self._problem(scope)
        if error is None:
            return await self.app(scope, _counted(receive), send)
        await _drain(receive)
        await error.response()(scope, receive, send)

    def _problem(self, scope: Scope) -> ApiError | None:
        from starlette.datastructures import Headers

        headers = Headers(scope=scope)
        if not _own_host(headers.get("host", ""), self.settings.names):
            return ApiError(400, "Host: the server is not known by this name (--name NAME makes it known).", "bad_host")
        if not self._own_page(headers):
            return ApiError(403, "Origin: pages of this origin may not ask (--origin URL lets them).", "bad_origin")
        if self.settings.key and scope["path"] not in OPEN and not _holds_key(headers, self.settings.key):
            return ApiError(401, "Authorization: Bearer with the server's key is needed.", "invalid_api_key")
        if scope["method"] in ("POST", "PUT", "PATCH"):
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return ApiError(415, "Content-Type: application/json is needed.", "bad_content_type")
            length = headers.get("content-length", "0")
            if not length.isdigit() or int(length[:20]) > MOST_BYTES:
                return _too_large()
        return None

    def _own_page(self, headers: Headers) -> bool:
        """Whether a page that asks is the server's own, or a listed one; programs send no Origin."""
        origin = headers.get("origin")
        return origin is None or origin in self.settings.origins or urlsplit(origin).netloc == headers.get("host")


def _own_host(host: str, names: Collection[str]) -> bool:
    """Whether a Host is an address, localhost or a name given: a name that somebody else's DNS points here is none."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        _ = urlsplit(f"//{host}").port
    except ValueError:
        return False
    if name in ("localhost", *names):
        return True
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _holds_key(headers: Headers, key: str) -> bool:
    """`Bearer KEY`; or, as browsers ask a person for it, `Basic` with the key as the password."""
    kind, _, text = headers.get("authorization", "").partition(" ")
    value = text.encode("latin-1").strip()  # headers are bytes, read as Latin-1, where \xa0 is a space
    if kind.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(value, key.encode())


def _counted(receive: Receive) -> Receive:
    """Raises ApiError in the route that reads a body beyond the limit, whatever its headers said."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            if message.get("more_body"):
                await _drain(receive)
            raise _too_large()
        return message

    return counted


async def _drain(receive: Receive) -> None:
    """Read what a client still sends: one whose connection closes in the middle never sees the answer."""
    seen, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while more and seen < _DRAINED:
                message = await receive()
                seen += len(message.get("body", b""))
                more = message.get("more_body", False)


def _too_large() -> ApiError:
    return ApiError(413, f"The body is larger than {MOST_BYTES // 2**20} MiB.", "too_large")


class Watch:
    """Outermost: counts and times every answer, and logs a line of it: method, route, status, seconds. Paths that are
    no route, queries, headers and bodies are never written down."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status, started = 0, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:  # left to the layers around, its text would be logged
            report(error)
            if not status:
                await failed().response()(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in ("GET", "POST", "OPTIONS", "DELETE") else "other"
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            log.info("%s %s %d %.3f s", method, route, status, seconds)
