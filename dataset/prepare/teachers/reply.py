"""What an endpoint sent back: its words and what they cost, or its complaint. Servers differ; none may break a run."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any


def unbroken(text: str) -> str:
    """Half a surrogate pair, which no encoding takes, becomes the sign that stands for damage."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def read_reply(body: str) -> tuple[str, tuple[Any, Any]] | None:
    """The answer in a chat completion, and its tokens of prompt and completion as the server says them; None: there is
    no answer in it."""
    reply = _parsed(body)
    match reply:
        case {"choices": [{"message": {**message}}, *_]}:
            words = _words(message.get("content")) or _words(message.get("refusal"))
        case {"choices": [{"message": message}, *_]}:
            words = _words(message)
        case _:
            return None
    usage = reply.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return unbroken(words), (usage.get("prompt_tokens"), usage.get("completion_tokens"))


def complaint(body: str) -> str:
    """What a server says about what is wrong, in one line: its error message, or whatever came instead."""
    said = _parsed(body)
    while isinstance(said, dict):
        inner = next((said[name] for name in ("error", "message", "detail") if said.get(name)), None)
        if inner is None:
            break
        said = inner
    return " ".join((said if isinstance(said, str) else body).split())


def _parsed(body: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(body)
    return None


def _words(content: Any) -> str:
    """A message's content: a text, parts of one, or the answer as an object; thoughts and what is no text are empty."""
    match content:
        case str():
            return content
        case list():
            return "".join(map(_words, content))
        case {"text": str(text)} if content.get("type", "text") in ("text", "output_text"):
            return text
        case {"interpretations": _}:
            return json.dumps(content)
    return ""
