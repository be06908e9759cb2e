"""The board's routes: its page, its cards, sentences with a person's own among them, and their journal."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from aac.feedback import SWITCHES, Consent, Feedback, consent_of, persona_of
from aac.io import UserError
from aac.persona import Persona
from train.interpreter.memory import said, with_memory
from train.server.errors import ApiError, bad
from train.server.question import read_question, read_record
from train.server.shelf import Shelf
from train.server.wire import body_of, patience, while_connected

if TYPE_CHECKING:
    from train.server.answers import Answer

log = logging.getLogger("aac")
PAGE = Path(__file__).resolve().parents[1] / "pages/board"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
# The page asks this server alone, runs its own modules alone, and stands in nobody's frame.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def board_routes() -> list[BaseRoute]:
    person = "/v1/board/people/{person}"
    return [
        Route("/", page),
        Route("/board/{name}", page),
        Route("/v1/board", board),
        Route("/v1/board", import_board, methods=["POST"]),
        Route("/v1/board", drop_board, methods=["DELETE"]),
        Route("/v1/board/export", export_board),
        Route("/v1/board/sentences", sentences, methods=["POST"]),
        Route("/v1/board/people", people),
        Route(person, one_person),
        Route(person, agree, methods=["POST"]),
        Route(person, forget, methods=["DELETE"]),
        Route(f"{person}/events", note, methods=["POST"]),
    ]


async def page(request: Request) -> Response:
    path = PAGE / request.path_params.get("name", "index.html")
    if path.parent != PAGE or path.suffix not in _TYPES or not path.is_file():
        raise ApiError(404, "There is no such file of the page.", "no_route")
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=_HEADERS)


async def board(request: Request) -> Response:
    return await _drawn(request.app.state.shelf)


async def _drawn(shelf: Shelf) -> Response:
    return Response(await asyncio.to_thread(shelf.drawn), media_type="application/json")


async def import_board(request: Request) -> Response:
    shelf: Shelf = request.app.state.shelf
    body = await body_of(request)
    try:
        data = base64.b64decode(body.get("data", ""), validate=True)
        await asyncio.to_thread(shelf.take, data)
    except (TypeError, ValueError, binascii.Error):
        raise bad("data", "the content of an .obf or .obz in base64 is needed") from None
    except UserError as error:
        raise ApiError(400, str(error), "no_board", "data") from None
    except OSError:
        raise _full() from None
    return await _drawn(shelf)


async def drop_board(request: Request) -> Response:
    shelf: Shelf = request.app.state.shelf
    shelf.drop()
    return await _drawn(shelf)


async def export_board(request: Request) -> Response:
    data = await asyncio.to_thread(request.app.state.shelf.exported)
    named = {"content-disposition": 'attachment; filename="board.obz"'}
    return Response(data, media_type="application/zip", headers=named)


async def sentences(request: Request) -> Response:
    """As `/v1/aac/interpretations`; with `person` their own earlier sentence may stand among the three, and what is
    shown is kept where they said so. `kept`: yes, no, or failed (the disk)."""
    from train.server.routes import shown

    body = await body_of(request)
    person = body.pop("person", None)
    if person is not None and (not isinstance(person, int) or isinstance(person, bool) or not 0 <= person < 10**9):
        raise bad("person", "a person's number")
    question = read_question(body)
    answer = await while_connected(request, request.app.state.service.ask(question, patience(request)))
    told = {**shown(answer), "kept": "no"}
    if person is not None:
        remember = partial(_with_person, request.app.state.feedback, person, answer, told)
        told = await asyncio.to_thread(remember)
    return JSONResponse(told)


def _with_person(feedback: Feedback, person: int, answer: Answer, told: dict[str, Any]) -> dict[str, Any]:
    """The answer with the person's own sentence in it, and in their journal, as far as they allow."""
    words = [word for word, _ in answer.words]
    events = feedback.events(person)
    consent = consent_of(events)
    if not consent.keep or not all(words):
        return told
    question = answer.question
    if consent.use and not question.seed:
        told["candidates"] = with_memory(told["candidates"], said(events), words, question.context)
    texts = [candidate["text"] for candidate in told["candidates"]]
    event = {"event": "shown", "request": told["id"], "cards": words, "context": question.context.public()}
    try:
        kept = feedback.add(person, {**event, "offered": texts})
    except (OSError, UserError) as error:
        log.warning("a journal could not be written: %s", type(error).__name__)
        return {**told, "kept": "failed"}
    return {**told, "kept": "yes" if kept else "no"}


async def people(request: Request) -> Response:
    return JSONResponse({"people": [{"id": person} for person in request.app.state.feedback.people()]})


async def one_person(request: Request) -> Response:
    feedback: Feedback = request.app.state.feedback
    person = _number(request)
    events = await asyncio.to_thread(feedback.events, person)
    if not events:
        raise ApiError(404, "Nothing is kept of this person.", "no_person")
    consent, persona = consent_of(events), persona_of(events)
    told = {name: getattr(consent, name) for name in SWITCHES}
    return JSONResponse({"id": person, "consent": told, "persona": persona.public(), "events": events})


async def agree(request: Request) -> Response:
    """What a person allows: `{"consent": {"keep": true, ...}, "persona": {"age": 30}}`; `new` gives them a number."""
    feedback: Feedback = request.app.state.feedback
    body = await body_of(request)
    told, persona = body.get("consent"), body.get("persona", {})
    if not isinstance(told, dict) or not all(isinstance(value, bool) for value in told.values()):
        raise bad("consent", "an object of keep, use, train and guardian, each true or false, is needed")
    read_record(Persona, persona, "persona")
    person = (
        request.app.state.shelf.new_person(feedback) if request.path_params["person"] == "new" else _number(request)
    )
    consent = Consent(**{name: told.get(name, False) for name in (*SWITCHES, "guardian")})
    try:
        await asyncio.to_thread(feedback.agree, person, consent, persona)
    except UserError:
        raise bad("consent", "an age is needed, and under 14 years a guardian") from None
    except OSError:
        raise _full() from None
    return JSONResponse({"id": person})


async def forget(request: Request) -> Response:
    deleted = await asyncio.to_thread(request.app.state.feedback.delete, _number(request))
    return JSONResponse({"deleted": deleted})


async def note(request: Request) -> Response:
    """What became of three sentences: chosen, edited, typed, none, undone."""
    body = await body_of(request)
    if body.get("event") == "shown":
        raise bad("event", "what is shown the server notes itself")
    try:
        kept = await asyncio.to_thread(request.app.state.feedback.add, _number(request), body)
    except UserError:
        raise bad("event", "chosen, edited (with place and text), typed (with text), none or undone") from None
    except OSError:
        raise _full() from None
    return JSONResponse({"kept": kept})


def _number(request: Request) -> int:
    told = request.path_params["person"]
    if not (told.isascii() and told.isdigit() and len(told) < 10):
        raise ApiError(404, "A person is called by their number.", "no_person")
    return int(told)


def _full() -> ApiError:
    return ApiError(507, "It could not be written: the disk is full, or may not be written to.", "disk_full")
