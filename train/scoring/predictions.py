"""Where the candidates to be scored come from: a model, or a file of predictions that anybody wrote."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aac.io import UserError, json_bytes, read_lines, write_atomic
from aac.records import INTERPRETATIONS, Sample, nfc

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from train.interpreter.candidates import Candidate
    from train.interpreter.requests import Request
    from train.models.network import Network

    Cards = Mapping[str, tuple[Tensor, tuple[int, int]]]  # file name to tower features and frame

log = logging.getLogger("aac")
BATCH = 32
_HALF = re.compile("[\ud800-\udfff]")


def encode_cards(model: Network, samples: Sequence[Sample], images: Path) -> Cards:
    """The samples' distinct cards, each encoded once.

    Raises:
        UserError: a card's picture is missing or unreadable.
    """
    from aac.pictures import open_picture
    from train.data.dataset import find_pictures

    encoded: dict[str, tuple[Tensor, tuple[int, int]]] = {}
    paths = find_pictures(samples, images)
    for first in range(0, len(paths), BATCH):
        group = paths[first : first + BATCH]
        features, sizes = model.encode_pictures([open_picture(path) for path in group])
        encoded |= {nfc(p.name): pair for p, pair in zip(group, zip(features, sizes, strict=True), strict=True)}
    return encoded


def requests_of(samples: Sequence[Sample], cards: Cards, keywords: bool = False) -> list[Request]:
    """Rows to requests; with `keywords` the cards' words stand beside their pictures."""
    from train.interpreter.requests import Request

    return [
        Request(
            features=[cards[card][0] for card in sample.cards],
            sizes=[cards[card][1] for card in sample.cards],
            persona=sample.persona,
            context=sample.context,
            keywords=list(sample.keywords) if keywords else None,
        )
        for sample in samples
    ]


def generate(model: Network, requests: Sequence[Request], what: str, confidence: bool = False) -> list[list[Candidate]]:
    """Candidates for every request in the order given; rows with equally many cards are decoded together."""
    from tqdm import tqdm

    from train.interpreter.answering import interpret_parsed

    order = sorted(range(len(requests)), key=lambda i: len(requests[i].features))
    results: list[list[Candidate]] = [[] for _ in requests]
    for first in tqdm(range(0, len(order), BATCH), desc=what, unit=f"x{BATCH} rows", leave=False):
        group = order[first : first + BATCH]
        told = interpret_parsed(model, [requests[i] for i in group], confidence=confidence)
        for i, three in zip(group, told, strict=True):
            results[i] = three
    return results


def styles_read(model: Network, samples: Sequence[Sample], requests: Sequence[Request]) -> np.ndarray:
    """How many styles of the reference answers the classifier reads without being told any: [rows, (right, answers)].

    Chance is one in three.
    """
    import numpy as np
    import torch

    from train.interpreter.decoding import Prefilled
    from train.interpreter.requests import prompt_batch

    counts = np.zeros((len(samples), 2))
    for first in range(0, len(samples), BATCH):
        rows = slice(first, first + BATCH)
        texts = [text for sample in samples[rows] for text in sample.output]
        with torch.inference_mode():
            scores = Prefilled(model, *prompt_batch(model, requests[rows])).style_confidence(texts)
        read = scores.argmax(-1).view(-1, INTERPRETATIONS).cpu()
        counts[rows, 0], counts[rows, 1] = (read == torch.arange(INTERPRETATIONS)).sum(1), INTERPRETATIONS
    return counts


def sources(three: Sequence[Sequence[Candidate]]) -> dict[str, np.ndarray]:
    """Of a row's candidates, how many the gate had decoded again, and how many do not come from the model at all."""
    import numpy as np

    from train.interpreter.candidates import Source

    again = [(sum(c.source is Source.AGAIN for c in row), len(row)) for row in three]
    foreign = [(sum(not c.source.from_model for c in row), len(row)) for row in three]
    return {"decoded_again": np.array(again), "not_from_model": np.array(foreign)}


def read_predictions(path: Path, samples: Sequence[Sample], known: set[int] | None = None) -> list[list[str]]:
    """The candidates of a JSON-lines file, `{"id": 17, "interpretations": ["…", "…", "…"]}` a line, in samples' order.

    Args:
        path: the file.
        samples: the rows to score; each needs a line.
        known: ids of rows that may stand in the file without being scored (another split); they are counted.

    Raises:
        UserError: not such a file, an id twice, an id that no row has, a row without a line or not three sentences.
    """
    found: dict[int, list[str]] = {}
    for number, line in enumerate(read_lines(path, "give a JSON-lines file of predictions"), start=1):
        if not line.strip():
            continue
        row_id, texts = _prediction(line, f"{path}: line {number}")
        if row_id in found:
            raise UserError(f"{path}: line {number}: id {row_id} stands there twice; keep one line a record")
        found[row_id] = texts
    wanted = [sample.id for sample in samples]
    strange = sorted(found.keys() - set(wanted) - (known or set()))
    if strange:
        raise UserError(f"{path}: id {strange[0]} is no row of the data ({len(strange)} such ids); see --data")
    if missing := [row_id for row_id in wanted if row_id not in found]:
        raise UserError(
            f"{path}: no line for id {missing[0]} ({len(missing)} of {len(wanted)} rows are missing); "
            "predict them, or choose the rows with --split"
        )
    if spare := len(found) - len(wanted):
        log.info("%s: %d lines of rows that are not scored here are left out", path, spare)
    if empty := sum(not text.strip() for row_id in wanted for text in found[row_id]):
        log.warning("%s: %d empty sentences of %d earn nothing", path, empty, INTERPRETATIONS * len(wanted))
    said = [found[row_id] for row_id in wanted]
    if halves := sum(_HALF.search(text) is not None for three in said for text in three):
        log.warning("%s: %d sentences hold half a surrogate pair, which is no letter (a cut emoji?)", path, halves)
    return [[_HALF.sub("\ufffd", text) for text in three] for three in said]


def _prediction(line: str, where: str) -> tuple[int, list[str]]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{where}: not JSON ({error}); write {{"id": 17, "interpretations": ["…"]}}') from None
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise UserError(f'{where}: one object a line, not a {kind}; write {{"id": 17, "interpretations": ["…"]}}')
    row_id = record.get("id")
    if not isinstance(row_id, int) or isinstance(row_id, bool):
        raise UserError(f"{where}: field 'id' must be the record's number, not {row_id!r}")
    texts = record.get("interpretations")
    if not isinstance(texts, list) or len(texts) != INTERPRETATIONS or not all(isinstance(text, str) for text in texts):
        raise UserError(
            f"{where}: id {row_id}: field 'interpretations' must list {INTERPRETATIONS} sentences, not {texts!r}; "
            'a system that says fewer leaves the others empty: ""'
        )
    return row_id, texts


def write_predictions(path: Path, samples: Sequence[Sample], threes: Sequence[Sequence[str]]) -> None:
    """What `read_predictions` reads; a sentence that is not there is empty."""
    whole = ([*three, *[""] * (INTERPRETATIONS - len(three))] for three in threes)
    lines = zip(samples, whole, strict=True)
    write_atomic(path, b"".join(json_bytes({"id": sample.id, "interpretations": three}) for sample, three in lines))


def blank_card(model: Network) -> tuple[Tensor, tuple[int, int]]:
    """Features and frame of a white picture: what a model sees where only the words of the cards are told."""
    from PIL import Image

    features, sizes = model.encode_pictures([Image.new("RGB", (224, 224), "white")])
    return features[0], sizes[0]
