"""A server process: its model, its socket, its signals."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aac.io import UserError
from train.config.train_config import at_root, load_config
from train.server.answers import Answerer
from train.server.guard import Settings
from train.server.service import Service
from train.server.shelf import Shelf

if TYPE_CHECKING:
    import argparse

    import uvicorn
    from starlette.applications import Starlette

log = logging.getLogger("aac")
LAST_SECONDS = 300  # for what runs when the server is told to stop


def serve(args: argparse.Namespace, key: str) -> None:
    """Answer until a signal.

    Raises:
        UserError: no model, no such address, or an open one without a key.
    """
    from train.server.app import create_app

    if not loopback(args.host) and not key:
        raise UserError(f"--host {args.host}: others can reach it: set a key in AAC_SERVER_KEY, or use 127.0.0.1")
    with bound(args.host, args.port) as held:
        answerer = load(args)
        service = Service(answerer, args.line, args.temperature)
        app = create_app(service, Settings(key, [*args.name, args.host], args.origin), shelf(args))
        log.info("An answer takes %.2f s here; %d cards are known by id.", service.line.seconds, len(answerer.known))
        stoppable(app, service).run(sockets=[held])


def load(args: argparse.Namespace) -> Answerer:
    """The model and the known cards of the workspace."""
    import torch

    from train.models.aac_multimodal_model import AACMultimodalModel

    config: dict[str, Any] = load_config(args.config)
    if not args.config:
        config["device"] = "cuda" if torch.cuda.is_available() else "cpu"
    workspace = args.workspace.resolve()
    checkpoint = args.checkpoint or at_root(config["checkpoint_dir"], workspace) / "best_model.pt"
    model = AACMultimodalModel.load_model(checkpoint, config)
    cards = at_root(config["processed_data"], workspace).with_name("cards.json")
    return Answerer(model, cards, at_root(config["images_folder"], workspace))


def shelf(args: argparse.Namespace) -> Shelf:
    """The board of the workspace."""
    config, workspace = load_config(args.config), args.workspace.resolve()
    cards = at_root(config["processed_data"], workspace).with_name("cards.json")
    return Shelf(workspace / "dataset", cards, at_root(config["images_folder"], workspace))


def loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound(host: str, port: int) -> socket.socket:
    """A socket for an address, before the model is loaded: a port in use is said at once.

    Raises:
        UserError: it cannot be had.
    """
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((host, port))
    except (OSError, OverflowError) as error:
        held.close()
        raise UserError(f"--host {host} --port {port}: cannot be served on ({error}); choose another --port") from None
    return held


def stoppable(app: Starlette, service: Service) -> uvicorn.Server:
    """A server that finishes on SIGTERM and Ctrl-C what it computes, turns away what waits, and returns."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for held in sockets or ():
                host, port = held.getsockname()[:2]
                name = f"[{host}]" if ":" in host else host
                log.info("Serving on http://%s:%d: open it for the board; Ctrl-C stops it.", name, port)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Uvicorn's own raises the signal again in the end: the exit code would not be 0."""
            main = threading.current_thread() is threading.main_thread()  # in another one signals are the application's
            numbers = (signal.SIGINT, signal.SIGTERM) if main else ()
            before = {number: signal.signal(number, self.handle_exit) for number in numbers}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def handle_exit(self, number: int, frame: Any) -> None:
            super().handle_exit(number, frame)
            service.stop()

    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="on",
        timeout_graceful_shutdown=LAST_SECONDS, ws="none", log_level="warning",
    )  # fmt: skip
    return Server(config)
