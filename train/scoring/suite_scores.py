"""What a model says to the suite of requests, judged: three times, by kind of request, with who wrote the sentences.

`pictures`: as a user gets it, the cards' words untold; `keywords`: the words told; `own`: the model's first sentences
from pictures alone, without gate, reviewed wording or stand-ins.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aac.io import json_bytes, write_atomic
from aac.records import Sample, nfc
from train.scoring.generation import encode_cards, requests_of, sources
from train.scoring.registry import column
from train.scoring.suite import TAGS, Asked
from train.scoring.suite_judge import Verdict, judge
from train.scoring.table import Table

if TYPE_CHECKING:
    from train.interpreter.candidates import Candidate
    from train.models.network import Network

log = logging.getLogger("aac")
WAYS = {"pictures": (False, True), "keywords": (True, True), "own": (False, False)}  # words told, through the gate


def ask(model: Network, suite: Sequence[Asked], images: Path, path: Path) -> dict[str, Any]:
    """Every request, each way.

    Args:
        suite: requests whose cards have no picture in `images` are left out, and counted in the log.
        path: gets a JSON line a request: what was said each way, by whom, and what is wrong with it.

    Returns:
        Per way the scores of all and, under `kinds`, of each kind, with `rows`; empty where no request can be asked,
        or where the model writes about the person and not for them.
    """
    from train.interpreter.answering import interpret_parsed

    files = {nfc(file.stem).partition("_")[2]: file.name for file in sorted(images.glob("*_*"))}
    asked = [one for one in suite if all(card in files for card in one.cards)]
    if left := len(suite) - len(asked):
        log.warning("%d of %d requests of the suite name cards that have no picture here", left, len(suite))
    if not asked or model.config["voice"] != "first":
        return {}
    samples = [_sample(number, one, files) for number, one in enumerate(asked, start=1)]
    cards = encode_cards(model, samples, images)
    scores: dict[str, Any] = {}
    lines: list[dict[str, Any]] = [{"id": one.id, "kind": one.kind, "cards": one.cards} for one in asked]
    for way, (told, gated) in WAYS.items():
        requests = requests_of(samples, cards, told)
        threes = interpret_parsed(model, requests, gated=gated, confidence=False, what=f"requests, {way}")
        verdicts = [judge(one, [c.text for c in three]) for one, three in zip(asked, threes, strict=True)]
        scores[way] = by_kind(asked, verdicts, threes)
        for line, verdict, three in zip(lines, verdicts, threes, strict=True):
            line[way] = _told(verdict, three)
    write_atomic(path, b"".join(map(json_bytes, lines)))
    return scores


def by_kind(
    asked: Sequence[Asked], verdicts: Sequence[Verdict], threes: Sequence[Sequence[Candidate]]
) -> dict[str, Any]:
    """The scores of all requests, and of each kind under `kinds`."""
    counts = {
        "all_three": column([verdict.all_three for verdict in verdicts]),
        "one_of_three": column([verdict.one_of_three for verdict in verdicts]),
        **{tag: column([tag in verdict.tags for verdict in verdicts]) for tag in TAGS},
        **sources(threes),
    }
    table = Table([one.id for one in asked], [one.id for one in asked], counts)
    kinds = {}
    for kind in dict.fromkeys(one.kind for one in asked):
        rows = np.array([one.kind == kind for one in asked])
        kinds[kind] = table.values(rows) | {"rows": int(rows.sum())}
    return table.values() | {"rows": len(asked), "kinds": kinds}


def _sample(number: int, asked: Asked, files: dict[str, str]) -> Sample:
    """The request as a row whose references are its first good sentences."""
    return Sample(
        id=number,
        persona=asked.persona,
        context=asked.context,
        cards=[files[card] for card in asked.cards],
        keywords=list(asked.cards),
        output=list(asked.good[:3]),
    )


def _told(verdict: Verdict, three: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [
        {"text": c.text, "source": str(c.source), "faults": [list(fault) for fault in found]}
        for c, found in zip(three, verdict.faults, strict=True)
    ]
