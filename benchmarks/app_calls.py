"""What a public AAC app sends to OpenAI's API, in words of our own: its three calls, and the rules that it reads by."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

MODEL = "gpt-4o-2024-08-06"
_SYSTEM = "카드를 보고 세 가지로 풀이한다. JSON으로만 답한다."
WHO = {"나이": 9, "성별": "여성", "장애유형": None, "관심 주제": "공룡, 물놀이"}
WHERE = {"시간": None, "장소": "집", "대화 상대": "엄마", "현재 활동": "쉬는 중"}


def png(image: Any) -> bytes:
    """A PIL picture as a file's content."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def interpret_call(
    cards: Sequence[bytes | None],
    words: Sequence[str] = (),
    who: Mapping[str, Any] = WHO,
    where: Mapping[str, Any] = WHERE,
    **more: Any,
) -> dict[str, Any]:
    """The first: who, where, and each card's picture, or where it has none (None) its number and word."""
    parts: list[dict[str, Any]] = [_text("페르소나", who), _text("현재 상황", where)]
    for place, card in enumerate(cards, start=1):
        if card is None:
            parts.append({"type": "text", "text": f"카드 {place}: 2462 {words[place - 1]} (이미지 파일 없음)"})
        else:
            parts += [{"type": "text", "text": f"카드 {place}:"}, _picture(card, "high")]
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": parts}]
    limits = {"temperature": 0.8, "max_tokens": 400, "response_format": {"type": "json_object"}}
    return {"model": MODEL, "messages": messages, **limits, **more}


def analyse_call(cards: Sequence[bytes], chosen: str) -> dict[str, Any]:
    """The second: why this sentence was chosen."""
    parts = [*(_picture(card, "low") for card in cards), {"type": "text", "text": f"최종 해석: {chosen}"}]
    messages = [{"role": "system", "content": ""}, {"role": "user", "content": parts}]
    return {"model": MODEL, "messages": messages, "max_tokens": 100}


def summarise_call() -> dict[str, Any]:
    """The third: text alone."""
    messages = [{"role": "user", "content": "지금까지 고른 해석을 한 문단으로 간추린다."}]
    return {"model": MODEL, "messages": messages, "max_completion_tokens": 200}


def as_the_app_reads(content: str) -> list[str]:
    """Three sentences of at least five characters from bare JSON.

    Raises:
        ValueError: anything else.
    """
    three = json.loads(content)["interpretations"]
    if len(three) != 3 or not all(isinstance(text, str) and len(text.strip()) >= 5 for text in three):
        raise ValueError(f"{len(three)} interpretations, or one too short")
    return three


def _text(title: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    lines = [f"{title}:", *(f"- {label}: {value}" for label, value in fields.items())]
    return {"type": "text", "text": "\n".join(lines)}


def _picture(card: bytes, detail: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(card), "detail": detail}}
