"""An app's chat message, read line by line: cards in their order, who speaks, where, and which of its calls this is.

What apps of this field write: a block `페르소나:` and a block `현재 상황:` of lines `- 나이: 9`, before each picture
`카드 1:`, and where a card has no picture its number and word: `카드 1: 2462 사과 (이미지 파일 없음)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aac.fields import Numbers, Text, Texts, field_named
from aac.persona import CONTEXT, PERSONA, Context, Persona
from train.server.errors import bad
from train.server.question import Card, read_picture, read_word

MOST_MESSAGES = 100
MOST_TEXT = 20_000  # characters of a part
# Of lines without a run of spaces: on one of those, patterns like these would take minutes.
_CARD = re.compile(r"카드 ?\d+ ?(?:[:.] ?(.*))?")
_WORD = re.compile(r"(?:\d+ )?(.*?) ?(?:\([^()]*\))?")  # 2462 사과 (이미지 파일 없음)
_BLOCK = re.compile(r"(페르소나|사용자|현재 상황|상황) ?: ?(.*)")
_FIELD = re.compile(r"[-*•] ?([^:]{1,40}?) ?: ?(.*)")
_FINAL = re.compile(r"최종 (?:해석|문장) ?:")
_UNKNOWN = frozenset({"", "none", "null", "없음", "모름", "미상"})


@dataclass
class Message:
    """What a user's message says.

    Attributes:
        final: whether it holds the sentence that was chosen in the end.
        unread: what of it was not understood, by names of ours.
    """

    cards: list[Card] = field(default_factory=list)
    persona: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    final: bool = False
    unread: set[str] = field(default_factory=set)
    _block: str = ""
    _awaits_picture: bool = False

    def picture(self, data: bytes) -> None:
        """A picture: that of the card announced before it, or of one more."""
        announced = self.cards.pop() if self._awaits_picture else Card()
        self.cards.append(Card(picture=data, word=announced.word))
        self._block, self._awaits_picture = "", False

    def line(self, text: str, where: str) -> None:
        """Raises ApiError where a card's word is none."""
        if card := _CARD.fullmatch(text):
            said = _WORD.fullmatch(card[1] or "")
            word = read_word(said[1], where) if said and said[1] else ""
            self.cards.append(Card(word=word))
            self._block, self._awaits_picture = "", True
        elif block := _BLOCK.fullmatch(text):
            self._block = "context" if "상황" in block[1] else "persona"
            if block[2] and self._block == "context":
                self.context |= {"sentence": block[2]}
            elif block[2]:
                self.unread.add("text")
        elif _FINAL.match(text):
            self._block, self.final = "", True
        elif (entry := _FIELD.fullmatch(text)) and self._block:
            self._field(entry[1], entry[2])
        elif text:
            self._block = ""
            self.unread.add("text")

    def _field(self, label: str, value: str) -> None:
        table: Mapping[str, Text] = CONTEXT if self._block == "context" else PERSONA
        name = field_named(label, table) or field_named(label.removeprefix("현재").strip(), table)
        if value.lower() in _UNKNOWN:
            return
        kind = table.get(name)
        entry: Any = [word for word in map(str.strip, value.split(",")) if word] if isinstance(kind, Texts) else value
        if kind is None or isinstance(kind, Numbers) or kind.problem(entry):
            self.unread.add(f"{self._block}.{name}" if name else self._block)
        else:
            getattr(self, self._block)[name] = entry

    def who(self) -> Persona:
        return Persona.parse(self.persona)

    def situation(self) -> Context:
        """Its fields; what a sentence names beside them counts where no field does."""
        fields = dict(self.context)
        sentence = fields.pop("sentence", "")
        return Context.parse({**Context.parse(sentence).public(), **fields} if sentence else fields)


def read_message(messages: Any) -> Message:
    """The last message of a user. What others say in a chat, and instructions, are not read.

    Raises:
        ApiError: there is none, or a part of it cannot be read.
    """
    if not isinstance(messages, list) or not 1 <= len(messages) <= MOST_MESSAGES:
        raise bad("messages", f"a list of 1 to {MOST_MESSAGES} messages is needed")
    of_users = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    if not of_users:
        raise bad("messages", "there is no message of a user")
    content = of_users[-1].get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise bad("messages", "the last user message: content is a text or a list of parts")
    message = Message()
    for place, part in enumerate(parts):
        where = f"messages: part {place + 1} of the last user message"
        if part.get("type") == "image_url":
            address = part.get("image_url")
            message.picture(read_picture(address.get("url") if isinstance(address, dict) else address, where))
        elif part.get("type") == "text" and isinstance(part.get("text"), str) and len(part["text"]) <= MOST_TEXT:
            for line in part["text"].splitlines():
                message.line(" ".join(line.split()), where)
        else:
            raise bad("messages", f"{where}: a text of at most {MOST_TEXT} characters, or an image_url, is needed")
    return message
