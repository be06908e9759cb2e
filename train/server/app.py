"""The server as an ASGI application: its routes, and what stands around them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from aac.feedback import Feedback
from train.server.board import board_routes
from train.server.errors import ApiError
from train.server.guard import Guard, Settings, Watch
from train.server.routes import routes
from train.server.service import Service
from train.server.shelf import Shelf


def create_app(service: Service, settings: Settings, shelf: Shelf | None = None) -> Starlette:
    """The application; while it runs, `service` answers. With a shelf the board is served, too."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(service.run())
        yield
        service.line.close()
        running.cancel()

    around = [Middleware(Watch, metrics=service.metrics)]
    if settings.origins:
        allowed = {"allow_methods": ["GET", "POST", "DELETE"], "allow_headers": ["*"]}
        around.append(Middleware(CORSMiddleware, allow_origins=list(settings.origins), **allowed))
    around.append(Middleware(Guard, settings=settings))
    handlers: dict[Any, Any] = {ApiError: _refused, HTTPException: _no_route, ClientDisconnect: _left}
    there = [*routes(), *(board_routes() if shelf else ())]
    app = Starlette(routes=there, middleware=around, exception_handlers=handlers, lifespan=lifespan)
    app.state.service = service
    if shelf:
        app.state.shelf, app.state.feedback = shelf, Feedback(shelf.home / "feedback")
    return app


async def _refused(request: Request, error: ApiError) -> Response:
    return error.response()


async def _no_route(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        return ApiError(405, "This route does not know that method.", "bad_method").response()
    return ApiError(404, "There is no such route; the README lists those there are.", "no_route").response()


async def _left(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=499)  # nobody reads it
