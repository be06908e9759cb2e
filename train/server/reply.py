"""An answer in the forms of OpenAI's chat completions: whole, or as a stream of finished sentences."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.server.answers import Answer
    from train.server.chat import Chat

MODEL = "aac-interpreter"  # the one model there is; requests may call it anything


class Reply:
    """A chat's answer; `answer` is None where a template is.

    Beside OpenAI's fields each object that ends an answer holds `aac`: the temperature used, who wrote each sentence
    ("template": nobody was asked), and what was not read.
    """

    def __init__(self, chat: Chat, answer: Answer | None) -> None:
        self.chat, self.head = chat, {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL}
        if answer is None:
            self.contents, self.counts, sources = [chat.template] * chat.choices, (0, 0), ["template"]
        elif chat.array:
            texts = [candidate.text for candidate in answer.candidates]
            self.contents = [json.dumps({chat.array: texts}, ensure_ascii=False)]
            self.counts, sources = (answer.prompt_tokens, sum(answer.tokens)), answer.sources
        else:
            self.contents = [candidate.text for candidate in answer.candidates[: chat.choices]]
            self.counts = answer.prompt_tokens, sum(answer.tokens[: chat.choices])
            sources = answer.sources[: chat.choices]
        temperature = answer.question.temperature if answer else 0.0
        self.aac = {"temperature": temperature, "sources": sources, "unread": chat.unread}

    def whole(self) -> dict[str, Any]:
        """A `chat.completion`."""
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
            for index, content in enumerate(self.contents)
        ]
        return {**self.head, "object": "chat.completion", "choices": choices, "usage": self._usage(), "aac": self.aac}

    def events(self) -> Iterator[str]:
        """A stream: the choices' roles, each choice whole (every sentence has passed the gate as a whole), its end."""
        roles = [_choice(index, {"role": "assistant", "content": ""}) for index in range(len(self.contents))]
        yield self._event(roles)
        for index, content in enumerate(self.contents):
            yield self._event([_choice(index, {"content": content})])
        for index in range(len(self.contents)):
            yield self._event([_choice(index, {}, "stop")], aac=self.aac)
        if self.chat.usage:
            yield self._event([], usage=self._usage())
        yield "data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> str:
        return event({**self.head, "object": "chat.completion.chunk", "choices": choices, **more})

    def _usage(self) -> dict[str, int]:
        prompt, completion = self.counts
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def event(value: dict[str, Any]) -> str:
    """An object as a server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
