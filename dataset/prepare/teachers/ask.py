"""What a remote teacher is asked, and how: the request, its prompt in Korean, and the form of the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from aac.io import UserError
from aac.persona import CONTEXT, PERSONA, Context
from aac.rules import CONTEXT_FIELDS, INTERPRETATIONS

_VOICES = {
    "first": "카드를 고른 사람이 직접 하는 말로 쓴다. 그 사람을 밖에서 설명하거나 카드 이야기를 하지 않는다.",
    "third": "그 사람을 '소통이'라고 부르며 뜻을 전하는 삼인칭 문장으로 쓴다.",
}
_LONGEST_TURN = 2000  # signs of a bad answer that are sent back: a runaway is not paid twice
_RULES = """\
AAC 그림 카드를 고른 사람의 말을 한국어 문장으로 옮긴다. 고른 카드가 곧 그 사람의 말이다.

- 서로 다른 문장 세 개를 쓴다. 첫째는 카드를 가장 짧게 이은 말이다. 둘째는 쓰임(요청, 물음, 알림)이나 사람 카드의
  역할을, 셋째는 모양을 바꾼 말이다. 담은 뜻은 셋 다 카드의 뜻 그대로이다.
- 모든 카드의 뜻이 문장마다 들어간다. 카드와 상황에 없는 사람, 수, 부정, 감정, 사실을 더하지 않는다.
- 카드의 부정은 지킨다.
- {voice}
- 높임은 대화 상대와 나이에 맞춘다. 성별이나 장애로 말투를 바꾸지 않는다.
- 묻는 카드(뭐, 어디, 누구, 왜, 언제)가 있으면 둘 이상을, 없으면 많아야 하나를 물음으로 쓴다.
- 한글 문장만 쓴다. 번호, 제목, 따옴표, 설명을 붙이지 않는다."""
_MAKE_CONTEXT = (
    "카드에 어울리는 평범한 상황을 짧은 한국어로 짓는다: "
    + ", ".join(f"{name}({CONTEXT[name].label})" for name in CONTEXT_FIELDS)
    + ". 네 칸을 모두 채운다."
)


@dataclass(frozen=True)
class Ask:
    """One card combination to interpret.

    Attributes:
        pictures: files of the 1 to 4 cards, in the order chosen.
        keywords: the cards' words, where known.
        persona: the fields that may leave the machine (`privacy.may_leave`), by their names in the files.
        context: the situation, or None where the teacher shall make one up.
        occasion: how many earlier requests are the same; another number asks for another situation.
        person: the persona's id. It is never sent.
    """

    pictures: tuple[Path, ...]
    keywords: tuple[str, ...] = ()
    persona: dict[str, Any] = field(default_factory=dict)
    context: Context | None = None
    occasion: int = 0
    person: int | None = None


@dataclass(frozen=True)
class Turn:
    """An answer that was sent back, and why, one line a problem."""

    content: str
    problems: tuple[str, ...]


def messages(ask: Ask, voice: str, turns: Sequence[Turn], picture: Callable[[Path], str]) -> list[dict[str, Any]]:
    """The chat of a request: rules, cards and who speaks where, then what was answered and is wrong with it.

    `picture` turns a file into the address that stands in the message.
    """
    parts: list[dict[str, Any]] = []
    for place, path in enumerate(ask.pictures):
        name = f": {ask.keywords[place]}" if ask.keywords else ""
        parts.append({"type": "text", "text": f"카드 {place + 1}{name}"})
        parts.append({"type": "image_url", "image_url": {"url": picture(path), "detail": "low"}})
    lines = [f"{kind.label}: {_shown(ask.persona[name])}" for name, kind in PERSONA.items() if ask.persona.get(name)]
    if ask.context is None:
        lines.append(_MAKE_CONTEXT)
    else:
        known = ask.context.public()
        may = [(name, kind.label) for name, kind in CONTEXT.items() if kind.leaves != "never"]
        lines += [f"{label}: {known[name]}" for name, label in may if known.get(name)]
    if ask.occasion:
        lines.append(f"같은 카드로 벌써 {ask.occasion}번 지었다. 앞의 것과 다른 상황과 문장을 쓴다.")
    if lines:
        parts.append({"type": "text", "text": "\n".join(lines)})
    chat: list[dict[str, Any]] = [
        {"role": "system", "content": _RULES.format(voice=_VOICES[voice])},
        {"role": "user", "content": parts},
    ]
    for turn in turns:
        wrong = "\n".join(f"- {problem}" for problem in turn.problems)
        chat.append({"role": "assistant", "content": turn.content[:_LONGEST_TURN] or "(빈 답)"})
        chat.append({"role": "user", "content": f"다음을 고쳐 처음부터 다시 쓴다.\n{wrong}"})
    return chat


def prompt_key(model: str, temperature: float | None, chat: list[dict[str, Any]]) -> str:
    """The content key of a prompt: what was asked, of whom. The address and the person are no part of it."""
    return hashlib.sha256(json.dumps([model, temperature, chat], ensure_ascii=False).encode()).hexdigest()[:32]


def answer_format(ask: Ask) -> dict[str, Any]:
    """The JSON schema of an answer, as `response_format` wants it."""
    three = {"type": "array", "items": {"type": "string"}, "description": f"{INTERPRETATIONS} Korean sentences"}
    properties: dict[str, Any] = {}
    if ask.context is None:
        fields = {name: {"type": "string"} for name in CONTEXT_FIELDS}
        properties["context"] = _closed(fields)
    properties["interpretations"] = three
    schema = {"name": "interpretation", "strict": True, "schema": _closed(properties)}
    return {"type": "json_schema", "json_schema": schema}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@lru_cache(maxsize=100_000)
def picture_digest(path: Path) -> str:
    """Stands for a picture in the key of its prompt.

    Raises:
        UserError: there is no such file.
    """
    from dataset.prepare.embed import card_file

    try:
        return f"sha256:{hashlib.sha256(card_file(path).read_bytes()).hexdigest()}"
    except FileNotFoundError:
        raise UserError(f"{path}: a row holds this card, but the picture is not there (--images)") from None


@lru_cache(maxsize=512)
def data_url(path: Path) -> str:
    """A picture as it is sent: RGB on white (transparency shows as black elsewhere), at most 512 pixels a side."""
    import base64
    import io

    from dataset.prepare.embed import open_card

    image = open_card(path)
    image.thumbnail((512, 512))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
