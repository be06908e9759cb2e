"""A chat completion as the `openai` client asks for it: which of an app's calls it is, and what form its answer has.

An app of this field makes three kinds of call. The first holds cards and wants their interpretation. The others (why
was this sentence chosen; sum it up) want any text: they are answered from templates, because the app keeps what its
user chose only after both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from train.server.errors import bad
from train.server.message import read_message
from train.server.question import Question, read_cards, read_seed

MOST_CHOICES = 3
LEAST_LETTERS = 5  # of a sentence in a JSON object: an app of this field takes a shorter one for an error
ARRAY = "interpretations"
ANALYSED = "고른 카드의 뜻을 그대로 담은 해석입니다. 그림과 상황을 함께 보고 고른 문장입니다."
SUMMARISED = "고른 해석을 확인했습니다. 다음에도 카드의 뜻을 그대로 담아 말합니다."
_READ = frozenset({"model", "messages", "n", "stream", "stream_options", "response_format", "seed", "temperature"})
# What a client may ask for in vain: the answer names it. Other keys are named "other", since a name can hold anything.
_NAMED = frozenset({
    "max_tokens", "max_completion_tokens", "top_p", "stop", "presence_penalty", "frequency_penalty", "logit_bias",
    "logprobs", "top_logprobs", "user", "store", "metadata", "service_tier", "reasoning_effort", "verbosity",
    "parallel_tool_calls", "tool_choice", "prediction", "modalities", "safety_identifier", "prompt_cache_key",
})  # fmt: skip
_OF_A_TEXT = frozenset({"type", "title", "description", "minLength"})


@dataclass
class Chat:
    """A call, read.

    Attributes:
        question: what the model is asked; None: `template` is the answer.
        choices: how many sentences are wanted, each a choice of its own.
        array: the name of the three sentences in the one JSON object that is wanted instead; empty: plain text.
        usage: whether a stream ends with its usage.
        unread: what was sent and not read, by names of ours.
    """

    question: Question | None
    template: str
    choices: int
    array: str
    stream: bool
    usage: bool
    unread: list[str]


def read_chat(body: Mapping[str, Any], highest: float) -> Chat:
    """The body of a chat completion. `highest`: the temperature that a request gets at most.

    Raises:
        ApiError: a part is not what it must be, or asks for what this server cannot do.
    """
    if body.get("tools") or body.get("functions"):
        raise bad("tools", "this server calls no functions")
    array, least = _format(body.get("response_format"))
    choices = _whole(body.get("n", 1), "n", 1, MOST_CHOICES)
    if array and choices > 1:
        raise bad("n", "1 with a JSON format, whose one object holds all three sentences")
    temperature = min(_temperature(body.get("temperature")), highest)
    seed = read_seed(body.get("seed")) if temperature else 0
    message = read_message(body.get("messages"))
    question = None
    if message.cards and not message.final:
        cards = read_cards(message.cards)
        question = Question(cards, message.who(), message.situation(), "", temperature, seed, least)
    elif array:
        raise bad("messages", "the last user message holds no card to interpret")
    options = body.get("stream_options")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    unread = message.unread | {name if name in _NAMED else "other" for name in body.keys() - _READ}
    template = ANALYSED if message.final else SUMMARISED
    return Chat(question, template, choices, array, body.get("stream") is True, usage, sorted(unread))


def _format(value: Any) -> tuple[str, int]:
    """The name under which a JSON object holds the three sentences (empty: plain text), and their least letters.

    Raises:
        ApiError: a schema of another form.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    if value is None or kind == "text":
        return "", 0
    if kind == "json_object":
        return ARRAY, LEAST_LETTERS
    schema = _inside(_inside(value, "json_schema"), "schema") if kind == "json_schema" else {}
    properties = _inside(schema, "properties")
    for name, array in properties.items() if len(properties) == 1 else ():
        items = _inside(array, "items")
        plain = items.get("type") == "string" and not items.keys() - _OF_A_TEXT
        if plain and array.get("type") == "array" and _holds_three(array):
            return name, _whole(items.get("minLength", 0), "response_format", 0, LEAST_LETTERS)
    raise bad("response_format", "text, json_object, or a json_schema of one object with one array of three strings")


def _inside(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _holds_three(array: Mapping[str, Any]) -> bool:
    least, most = array.get("minItems", MOST_CHOICES), array.get("maxItems", MOST_CHOICES)
    return isinstance(least, int) and isinstance(most, int) and least <= MOST_CHOICES <= most


def _whole(value: Any, where: str, least: int, most: int) -> int:
    if value is None:
        return least
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise bad(where, f"a whole number from {least} to {most}")
    return value


def _temperature(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and 0 <= value <= 2):
        raise bad("temperature", "a number from 0 to 2")
    return float(value or 0)
