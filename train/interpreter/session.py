"""What somebody is about to say, read while they choose: after the last card only the answers are left to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from aac.io import UserError
from aac.pictures import given_picture
from aac.rules import MOST_CARDS
from train.interpreter.answering import checked_temperature, interpret_parsed
from train.interpreter.decoding import Prefilled
from train.interpreter.requests import (
    Ahead,
    EncodedCard,
    check_known,
    checked_word,
    encode_pictures,
    prompt_batch,
    with_cards,
    without_cards,
)

if TYPE_CHECKING:
    from train.models.network import Network


class Session:
    """One utterance of a person in a situation, card by card.

    Persona and context are read at once and each card when it is tapped, where the backbone's format puts cards last
    (`ChatFormat`); elsewhere the tower alone works ahead. What `candidates` gives is what `generate_interpretation`
    gives.

    Args:
        model: as `load_model` gives it.
        persona_info, context_info: as of `generate_interpretation`.

    Raises:
        UserError: as of `generate_interpretation`.
    """

    def __init__(self, model: Network, persona_info: Any = None, context_info: Any = None) -> None:
        self.model = model.eval()
        self.cards: list[EncodedCard] = []
        self._words: list[str] = []
        self._nothing = without_cards(model, persona_info, context_info)
        self._cache: Any = None
        self._read: list[int] = []  # positions read with 0, 1, ... cards
        self._read_ahead()

    def add_card(self, image: Any, keyword: str | None = None) -> None:
        """A card is tapped: a picture as of `generate_interpretation`, and its word where the app knows it.

        Raises:
            UserError: no picture, a card too many, or a word for some of the cards alone.
        """
        if len(self.cards) == MOST_CARDS:
            raise UserError(f"session: {MOST_CARDS} cards at most; remove_card() takes the last one back")
        if self.cards and (keyword is None) == bool(self._words):
            raise UserError("keyword: give the word of every card of a session, or of none")
        words = [*self._words, *([] if keyword is None else [checked_word(keyword, "keyword")])]
        picture = given_picture(image, f"picture {len(self.cards) + 1}")
        self.cards += encode_pictures(self.model, [picture])
        self._words = words
        self._read_ahead()

    def remove_card(self) -> None:
        """The last card is taken back.

        Raises:
            UserError: there is none.
        """
        if not self.cards:
            raise UserError("session: there is no card to take back")
        self.cards.pop()
        self._words, self._read = self._words[: len(self.cards)], self._read[: len(self.cards) + 1]

    def candidates(self, return_details: bool = False, temperature: float = 0.0, seed: int = 0) -> list[Any]:
        """Three sentences for the cards so far, as of `generate_interpretation`. More cards may follow.

        Raises:
            UserError: no card yet, a temperature below 0, a picture that the config refuses.
        """
        if not self.cards:
            raise UserError("session: there is no card to speak of; add_card() first")
        request, temperature = self._request(), checked_temperature(temperature)
        check_known(self.model, request)
        (three,) = interpret_parsed(self.model, [request], temperature=temperature, seed=seed)
        return [c.public() if return_details else c.text for c in three]

    def _request(self) -> Any:
        ahead = Ahead(self._cache, self._read[-1]) if self._read else None
        request = with_cards(self.model, self._nothing, self.cards, self._words or None)
        request.ahead = ahead
        return request

    @torch.inference_mode()
    def _read_ahead(self) -> None:
        """Read what no later card changes: all but the request for an answer."""
        if not self.model.encoder.chat.cards_last:
            return
        request = self._request()
        batch, features, sizes = prompt_batch(self.model, [request])
        steady = batch.input_ids.shape[1] - len(self.model.encoder.closing)
        self._cache = Prefilled(self.model, batch.first(steady), features, sizes, request.ahead).cache
        self._read.append(steady)
