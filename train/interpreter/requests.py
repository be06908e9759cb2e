"""What is asked: a request, checked, and many of them as one batch of prompts."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from aac.fields import shown, text_problem
from aac.gate import control_text
from aac.io import UserError
from aac.labels import read_label
from aac.pictures import given_picture
from aac.records import Context, Persona
from aac.rules import MOST_CARDS, card_word, spoken
from train.models.batch import Batch, Row, collate
from train.models.known_cards import CardReading
from train.models.limits import shortened

if TYPE_CHECKING:
    from PIL.Image import Image

    from train.models.network import Network

log = logging.getLogger("aac")
ARGUMENTS = ("images", "persona_info", "context_info", "keywords")
LONGEST_WORD = 60  # characters of a card's word


class Ahead(NamedTuple):
    """What was read of a request's prompt before: keys and values of its first positions, and of how many."""

    cache: Any
    length: int


class EncodedCard(NamedTuple):
    """A picture as a request keeps it, encoded once: its features and size (`Network.encode_images`), and the known
    card that it was taken for, where the model has a table of them."""

    features: Tensor
    image_size: tuple[int, int]
    reading: CardReading | None


@dataclass
class Request:
    """One request, checked: features of its cards instead of pictures.

    `too_long`: `persona` and `context` as far as texts longer than trained were left out of them. `readings`: the card
    each picture was taken for; empty where the model has no table of known cards. `voice`: of a note about the person
    (`third`) the speech level is not the person's. `ahead`: of its prompt, where a session read it card by card.
    """

    features: list[Tensor]
    image_sizes: list[tuple[int, int]]
    persona: Persona
    context: Context
    keywords: list[str] | None
    too_long: list[str] = field(default_factory=list)
    readings: list[CardReading] = field(default_factory=list)
    voice: str = "first"
    ahead: Ahead | None = None

    @property
    def words(self) -> list[str] | None:
        """The cards' words, told or read from the pictures with confidence; None where one is not known.

        What a sentence is checked against and what may stand in its place; the prompt holds `keywords` alone.
        """
        if self.keywords:
            return self.keywords
        known = bool(self.readings) and all(reading.known for reading in self.readings)
        return [reading.word for reading in self.readings] if known else None

    @property
    def strange(self) -> bool:
        """Whether a picture is none of the known cards: the model has nothing to say of it."""
        return any(not reading.known for reading in self.readings)


def parse_requests(model: Network, requests: Any) -> list[Request]:
    """Check requests and encode their pictures.

    Raises:
        UserError: names the request, the argument and what it must be.
    """
    if not isinstance(requests, list | tuple) or not requests:
        raise UserError("requests: a list of one or more dicts is needed, each with the arguments of a request")
    parsed = []
    for number, request in enumerate(requests, start=1):
        try:
            parsed.append(parse_request(model, request))
            check_known(model, parsed[-1])
        except UserError as error:
            raise UserError(f"request {number}: {error}" if len(requests) > 1 else str(error)) from None
    return parsed


def parse_request(model: Network, request: Mapping[str, Any]) -> Request:
    """Check a request's arguments and encode its pictures. What is longer than the model was trained on is left out.

    Raises:
        UserError: names the argument and what it must be.
    """
    if not isinstance(request, Mapping):
        raise UserError(f"requests: a dict with {', '.join(ARGUMENTS)} is needed, not {type(request).__name__}")
    if unknown := [name for name in request if name not in ARGUMENTS]:
        near = difflib.get_close_matches(str(unknown[0]), ARGUMENTS, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ARGUMENTS)}"
        raise UserError(f"no argument {shown(unknown[0])}; {hint}")
    images = _images(request.get("images"))
    keywords = _keywords(request.get("keywords"), len(images))
    nothing = without_cards(model, request.get("persona_info"), request.get("context_info"))
    return with_cards(model, nothing, _encoded(model, images), keywords)


def without_cards(model: Network, persona_info: Any, context_info: Any) -> Request:
    """A request before any card: who speaks, and where.

    Raises:
        UserError: as of `parse_request`.
    """
    persona, context = Persona.parse(persona_info), Context.parse(context_info)
    persona, context, gone = shortened(model.encoder, model.longest, persona, context)
    for name, fields in gone.items():
        log.warning("%s_info: %s: longer than what the model was trained on, left out", name, ", ".join(fields))
    return Request([], [], persona, context, None, list(gone), [], model.config["voice"])


def with_cards(model: Network, request: Request, cards: Sequence[EncodedCard], keywords: list[str] | None) -> Request:
    """The request with these cards instead of its own."""
    features, image_sizes = [card.features for card in cards], [card.image_size for card in cards]
    readings = [card.reading for card in cards if card.reading]
    keywords = keywords and as_trained(model, keywords)
    return replace(request, features=features, image_sizes=image_sizes, keywords=keywords, readings=readings)


def _encoded(model: Network, images: Sequence[Any]) -> list[EncodedCard]:
    """The pictures of a request, those among them encoded that are not yet."""
    given = [
        image if isinstance(image, EncodedCard) else given_picture(image, f"images: picture {number}")
        for number, image in enumerate(images, start=1)
    ]
    fresh = iter(encode_pictures(model, [image for image in given if not isinstance(image, EncodedCard)]))
    return [image if isinstance(image, EncodedCard) else next(fresh) for image in given]


def encode_pictures(model: Network, pictures: Sequence[Image]) -> list[EncodedCard]:
    """RGB pictures (`aac.pictures`), encoded together; a request may hold them in the place of its images."""
    if not pictures:
        return []
    features, image_sizes = model.encode_images(pictures)
    readings = model.cards.read(pictures) if model.cards else [None] * len(pictures)
    return list(map(EncodedCard, features, image_sizes, readings))


def check_known(model: Network, request: Request) -> None:
    """Where the config says `unknown_cards: "refuse"`, an untold picture must be one of the known cards.

    Raises:
        UserError: it is not; names each with the likest card.
    """
    strange = [
        f"picture {number} (likest: {spoken(reading.word)}, {reading.similarity:.2f})"
        for number, reading in enumerate(request.readings, start=1)
        if not reading.known
    ]
    if strange and not request.keywords and model.config["unknown_cards"] == "refuse":
        raise UserError(
            f"images: {', '.join(strange)}: none of the cards that the model knows; tell its word (keywords)"
        )


def as_trained(model: Network, keywords: Sequence[str]) -> list[str]:
    """An app's labels as the words that rows hold (아파요: 아프다); a word of the model's own cards stays."""
    own = set(model.cards.words) if model.cards else set()
    return [word if word in own else read_label(word).keyword for word in keywords]


def _images(value: Any) -> list[Any]:
    lone = isinstance(value, str | bytes | bytearray) or hasattr(value, "__fspath__") or hasattr(value, "read")
    if lone or hasattr(value, "getexif") or getattr(value, "ndim", 4) < 4:
        raise UserError("images: a list of 1 to 4 pictures is needed; this is one: put it in a list")
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise UserError(f"images: a list of 1 to 4 pictures is needed, not {type(value).__name__}")
    images = list(islice(value, MOST_CARDS + 1))
    if not 1 <= len(images) <= MOST_CARDS:
        raise UserError(f"images: 1 to {MOST_CARDS} cards are needed, not {'more' if images else 'none'}")
    return images


def _keywords(value: Any, count: int) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise UserError(f"keywords: a list of words is needed, one for each image, not {type(value).__name__}")
    if len(value) != count:
        raise UserError(f"keywords: {len(value)} words for {count} images; give one for each, in their order")
    return [checked_word(word, f"keywords: word {number}") for number, word in enumerate(value, start=1)]


def checked_word(value: Any, where: str) -> str:
    """A card's word as sentences hold it.

    Raises:
        UserError: no sentence can hold it.
    """
    if not isinstance(value, str):
        raise UserError(f"{where}: a text is needed, or no keywords at all; not {shown(value)}")
    if len(value) > LONGEST_WORD:
        raise UserError(f"{where}: {len(value)} characters; a card's word has at most {LONGEST_WORD}")
    if problem := text_problem(value):
        raise UserError(f"{where}: {shown(value)}: {problem}")
    word = card_word(value)
    if not any(sign.isalnum() for sign in word):
        raise UserError(f"{where}: {shown(value)}: a word is needed, or no keywords at all")
    if sign := control_text(word):
        raise UserError(f"{where}: {shown(value)}: no sentence may hold {sign!r}: leave it out")
    return word


def prompt_batch(model: Network, parsed: Sequence[Request]) -> tuple[Batch, list[Tensor], list[tuple[int, int]]]:
    """Requests to a batch of prompts without answers; every request brings its own pictures."""
    features = [feature for request in parsed for feature in request.features]
    image_sizes = [size for request in parsed for size in request.image_sizes]
    rows, first = [], 0
    for request in parsed:
        counts = [model.processor.num_tokens(size) for size in request.image_sizes]
        cards = list(range(first, first + len(counts)))
        first += len(counts)
        prompt = model.encoder.prompt(counts, request.persona, request.context, request.keywords)
        rows.append(Row(prompt, [], [], cards, request.persona, request.context))
    clusters = model.image_clusters(features).cpu() if features else torch.zeros(0)
    return collate(rows, model.encoder, clusters).to(model.device), features, image_sizes
