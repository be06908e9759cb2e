"""The model's side, in one thread: questions that go together to three sentences each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aac.io import UserError, read_json
from aac.persona import Context, Persona
from aac.pictures import open_picture
from aac.rules import spoken
from train.interpreter.answering import interpret_parsed
from train.interpreter.requests import EncodedCard, as_trained, check_known, encode_pictures, parse_request
from train.server.errors import ApiError, bad, failed, report
from train.server.longer import lengthen
from train.server.question import Card, Question

if TYPE_CHECKING:
    from train.interpreter.candidates import Candidate
    from train.interpreter.requests import Request
    from train.models.aac_multimodal_model import AACMultimodalModel

ENCODED_TOGETHER = 32


@dataclass
class Answer:
    """Three candidates and what stood behind them.

    Attributes:
        words: of each card the word that was told or read ("": unknown), and how like the known card it is (told: 1).
        unread: parts of the question that the model was not trained to read.
        prompt_tokens, tokens: positions of the prompt, and of each candidate.
    """

    question: Question
    candidates: list[Candidate]
    words: list[tuple[str, float]]
    unread: list[str]
    prompt_tokens: int
    tokens: list[int]

    @property
    def sources(self) -> list[str]:
        """Who wrote each sentence."""
        return [str(candidate.source) for candidate in self.candidates]


class Answerer:
    """A model with its known cards: `cards` by id, each encoded once.

    Args:
        model: ready to interpret; nothing in it trains any more, so that cards are kept as far encoded as can be.
        table: `cards.json` of step 1; where it is missing no card is known by id.
        images: the folder of its files.

    Attributes:
        known: by id, the word of each card and its picture, encoded.

    Raises:
        UserError: a card of the table is not in the folder, or is no picture.
    """

    def __init__(self, model: AACMultimodalModel, table: Path, images: Path) -> None:
        from PIL import Image

        self.model = model.requires_grad_(False)
        self.known: dict[str, tuple[str, EncodedCard]] = {}
        entries = read_json(table)["cards"] if table.exists() else []
        for first in range(0, len(entries), ENCODED_TOGETHER):
            some = entries[first : first + ENCODED_TOGETHER]
            pictures = [open_picture(images / entry["file"]) for entry in some]
            for entry, card in zip(some, encode_pictures(model, pictures), strict=True):
                kept = card._replace(features=card.features.cpu())
                self.known.setdefault(str(entry["id"]), (entry["keyword"], kept))
        # Of two cards with one word (배) neither stands for the word.
        words = Counter(word for word, _ in self.known.values())
        self._by_word = {card[0]: card for card in self.known.values() if words[card[0]] == 1}
        (self._blank,) = encode_pictures(model, [Image.new("RGB", (224, 224), "white")])

    def cost(self) -> float:
        """The seconds that an answer to three cards takes here."""
        trial = Question(tuple(Card(word=word) for word in ("물", "사과", "주세요")), Persona(), Context())
        self([trial])  # reads dictionaries
        started = time.perf_counter()
        self([trial])
        return time.perf_counter() - started

    def __call__(self, questions: Sequence[Question]) -> list[Answer | ApiError]:
        """An answer or an error to each; they share temperature and seed."""
        found: dict[int, Answer | ApiError] = {}
        requests: dict[int, Request] = {}
        for place, question in enumerate(questions):
            try:
                requests[place] = self._request(question)
            except ApiError as error:
                found[place] = error
            except Exception as error:
                report(error)
                found[place] = failed()
        places = list(requests)
        for place, three in zip(places, self._threes(questions, requests), strict=True):
            try:
                wrong = isinstance(three, ApiError)
                found[place] = three if wrong else self._answer(questions[place], requests[place], three)
            except Exception as error:
                report(error)
                found[place] = failed()
        return [found[place] for place in range(len(questions))]

    def _threes(self, questions: Sequence[Question], requests: dict[int, Request]) -> list[list[Candidate] | ApiError]:
        """The requests' candidates; where they fail together, each alone, so that one fault is one error."""
        if not requests:
            return []
        (temperature, seed), *_ = {questions[place].draw for place in requests}
        try:
            return list(interpret_parsed(self.model, list(requests.values()), temperature=temperature, seed=seed))
        except Exception as error:
            if len(requests) == 1:
                report(error)
                return [failed()]
        return [three for place, one in requests.items() for three in self._threes(questions, {place: one})]

    def _request(self, question: Question) -> Request:
        """Raises ApiError where a card is not known, or its picture is damaged."""
        images, words = [], []
        for place, card in enumerate(question.cards):
            word, image = self._card(card, f"cards[{place}]")
            words.append(word)
            images.append(image)
        given = {"persona_info": question.persona, "context_info": question.context}
        try:
            request = parse_request(self.model, {"images": images, "keywords": None, **given})
        except UserError:
            raise bad("cards", "a picture is damaged, or the request is not what it must be") from None
        read = request.readings or [None] * len(words)
        told = [word or (card.word if card and card.known else "") for word, card in zip(words, read, strict=True)]
        if any(words):
            if all(told):
                request.keywords = as_trained(self.model, told)
            elif not request.readings:
                raise bad("cards", "this model reads no words from pictures: give the word of every card, or of none")
        try:
            check_known(self.model, request)
        except UserError as error:
            raise bad("cards", str(error)) from None
        return request

    def _card(self, card: Card, where: str) -> tuple[str, Any]:
        """A card's word, where it is told, and its picture, encoded or not; of a word alone that of the known card
        with it, else a blank one."""
        if card.id and card.id not in self.known:
            raise bad(f"{where}.id", "no card of this server has this id; give its image or its word")
        if card.picture:
            return card.word, card.picture
        known = self.known.get(card.id) or self._by_word.get(card.word)
        if not known:
            return card.word, self._blank
        word, encoded = known
        return card.word or word, encoded._replace(features=encoded.features.to(self.model.device))

    def _answer(self, question: Question, request: Request, three: list[Candidate]) -> Answer:
        lengthen(request, three, question.least)
        encoder, processor = self.model.encoder, self.model.processor
        counts = [processor.num_tokens(size) for size in request.image_sizes]
        prompt = encoder.prompt(counts, request.persona, request.context, request.keywords)
        tokens = [len(encoder.answer(candidate.text)) for candidate in three]
        return Answer(question, three, _words(request), ["past"] if question.past else [], len(prompt), tokens)


def _words(request: Request) -> list[tuple[str, float]]:
    if request.keywords:
        return [(spoken(word), 1.0) for word in request.keywords]
    return [(spoken(reading.word) if reading.known else "", reading.similarity) for reading in request.readings]
