"""The chat format: how a backbone was taught to be spoken to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ChatFormat:
    """The fixed pieces of a prompt, text in which the names of `control` stand for control tokens.

    `opening`, the persona's soft tokens, `user`, for each picture `before_picture`, its positions, `after_picture`, its
    word; persona, context, request; `reply`. An answer closes with `end`.

    With `cards_last` persona and context stand before the pictures, and nothing that stands before a picture knows of
    it: what has been read stays as it is when another card is tapped.
    """

    control: tuple[str, ...]  # a tokenizer trained from scratch gives them its first ids, in this order
    opening: str
    user: str
    before_picture: str
    after_picture: str
    reply: str
    end: str
    stops: tuple[str, ...]  # beside `end`: what ends an answer too
    cards_last: bool = False

    def split(self, piece: str) -> list[str]:
        """A piece in order: control tokens' names, and the text between them."""
        return [part for part in re.split(f"({'|'.join(map(re.escape, self.control))})", piece) if part]

    @property
    def needed(self) -> list[str]:
        """The control tokens that a tokenizer must know."""
        around = (self.opening, self.user, self.before_picture, self.after_picture, self.reply, self.end)
        pieces: Iterable[str] = (*around, *self.stops)
        return [name for name in self.control if any(name in self.split(piece) for piece in pieces)]
