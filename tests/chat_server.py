"""A chat-completions endpoint on 127.0.0.1 for tests: counts what it is asked, and misbehaves where told to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONTEXT = {"time": "오후", "place": "집", "interaction_partner": "선생님", "current_activity": "쉬는 중"}
_ONE_KIWI = threading.Lock()
# An answer: what the HTTP layer does, and the words of the message.
Behave = Callable[["Chat"], tuple[str, str]]


class Chat:
    """One request as the server sees it."""

    def __init__(self, body: dict[str, Any], number: int, seen: int, headers: dict[str, str]) -> None:
        self.body, self.number, self.seen, self.headers = body, number, seen, headers
        parts = body["messages"][1]["content"]
        self.text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        self.pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        self.words = re.findall(r"^카드 \d+: (.+)$", self.text, re.MULTILINE)
        self.again = len(body["messages"]) > 2
        self.prompt = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
        self.wants_context = "context" in body["response_format"]["json_schema"]["schema"]["properties"]


class ChatServer:
    """Use by `with`. `behave(chat)` returns ("ok" | "429" | "500" | … | "silent" | "broken", content), or ("body" |
    "body 404" | …, the whole body of the reply).

    Every good answer costs as many completion tokens as its serial number, so that a ledger tells which ones arrived.
    After `freeze_at` requests every further one is held without an answer; `held` tells how many wait.
    """

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.lock = threading.Lock()
        self.requests = 0
        self.prompts: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.good: dict[str, list[int]] = {}  # serials of the good answers to each prompt
        self.chats: list[Chat] = []
        self.freeze_at: int | None = None
        self.held = 0
        self.thaw = threading.Event()
        self.frozen = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw.set()
        self.frozen.set()
        self.http.shutdown()
        self.http.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        assert handler.path == "/v1/chat/completions", handler.path
        sent = handler.rfile.read(int(handler.headers["Content-Length"]))
        try:
            body = json.loads(sent)
        except ValueError:  # the process was killed while it sent
            handler.close_connection = True
            return
        with self.lock:
            self.requests += 1
            chat = Chat(body, self.requests, 0, {name.lower(): text for name, text in handler.headers.items()})
            chat.seen = self.prompts[chat.prompt]
            self.prompts[chat.prompt] += 1
            self.chats.append(chat)
            hold = self.freeze_at is not None and self.requests > self.freeze_at
            self.held += hold
            if hold:
                self.frozen.set()
        if hold:
            self.thaw.wait(30)
            handler.close_connection = True
            return
        kind, content = self.behave(chat)
        if kind == "silent":
            self.frozen.wait(30)
            handler.close_connection = True
        else:
            self._send(handler, chat, kind, content)
        with self.lock:
            self.outcomes[kind] += 1

    def _send(self, handler: BaseHTTPRequestHandler, chat: Chat, kind: str, content: str) -> None:
        status, reply = 200, b""
        if kind == "broken":
            reply = b'{"id": "x", "choices": [{"mess'
        elif kind.startswith("body"):
            status, reply = int(kind.removeprefix("body") or 200), content.encode()
        elif kind != "ok":
            status = int(kind)
            error = {"message": f"no {chat.headers.get('authorization')}", "code": None}
            reply = json.dumps({"error": error}).encode()
        else:
            with self.lock:
                serial = sum(map(len, self.good.values())) + 1
                self.good.setdefault(chat.prompt, []).append(serial)
            message = {"role": "assistant", "content": content}
            usage = {"prompt_tokens": 100, "completion_tokens": serial, "total_tokens": 100 + serial}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            about = {"id": str(serial), "object": "chat.completion", "created": 0, "model": chat.body["model"]}
            reply = json.dumps({**about, "choices": choices, "usage": usage}, ensure_ascii=False).encode()
        with suppress(OSError):  # nobody listens any more
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(reply)))
            handler.end_headers()
            handler.wfile.write(reply)


def good_answer(chat: Chat, sentences: list[str] | None = None) -> str:
    """What a good teacher writes: the grammar's sentences for the cards, to a teacher in the afternoon."""
    from aac.records import Context, Persona
    from dataset.prepare.teachers.grammar import interpret

    with _ONE_KIWI:
        three = sentences or interpret(chat.words, Persona(), Context.parse(CONTEXT))
    context = {"context": CONTEXT} if chat.wants_context else {}
    return json.dumps({**context, "interpretations": three}, ensure_ascii=False)
