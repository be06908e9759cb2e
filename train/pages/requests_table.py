"""The suite of requests as tables, one for each way to ask: kinds of requests, and who wrote the sentences."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from train.interpreter.candidates import Source
from train.scoring.registry import find, written_by
from train.scoring.suite import TAGS

WAY_NAMES = {
    "pictures": "그림만 보고",
    "keywords": "낱말도 알고",
    "own": "모델의 첫 문장 그대로 (검사도 검토 문장도 없이)",
}
KIND_NAMES = {
    "single_core": "핵심 낱말 하나",
    "emergency": "위급",
    "refusal": "거절",
    "order": "순서와 역할",
    "question": "질문",
    "help": "도움",
    "body_medicine": "몸과 약",
    "feeling": "마음",
    "request": "부탁",
    "time": "때",
    "person": "사람",
    "thing": "물건 하나",
    "social": "인사",
    "several": "여러 장",
    "partner": "상대에 맞게",
    "context": "상황을 모르거나 한 문장",
}
_SHARES = ("all_three", "one_of_three")
_SOURCES = tuple(written_by(source) for source in Source)


def requests_table(scores: dict[str, Any]) -> str:
    """`requests` of metrics.json; empty where nothing was asked."""
    return "".join(_way(way, values) for way, values in scores.items())


def lines(scores: dict[str, Any]) -> Iterator[str]:
    """The same for the terminal."""
    tags = [tag.removeprefix("wrong_") for tag in TAGS]
    for way, values in scores.items():
        yield f"{f'requests, {way}':20}{'n':>5}{'all three':>11}{'one':>8}" + "".join(f"{tag:>14}" for tag in tags)
        for kind, row in [*values["kinds"].items(), ("all", values)]:
            counts = "".join(f"{_requests(row, tag):>14}" for tag in TAGS)
            yield f"  {kind:18}{row['rows']:>5}{row['all_three']:>11.3f}{row['one_of_three']:>8.3f}{counts}"
        yield f"  written by: {written(values)}"


def written(values: dict[str, Any]) -> str:
    """The sources that wrote any sentence, with their shares; empty where nobody counted."""
    shares = ((source, values.get(written_by(source), 0.0)) for source in Source)
    return " · ".join(f"{source} {share:.3f}" for source, share in shares if share)


def _way(way: str, values: dict[str, Any]) -> str:
    keys = [*_SHARES, *TAGS, *(key for key in _SOURCES if values.get(key))]
    head = "".join(f"<th>{escape(find(key).name)}</th>" for key in keys)
    rows = [("모두", values), *((KIND_NAMES.get(kind, kind), row) for kind, row in values["kinds"].items())]
    body = ""
    for name, row in rows:
        cells = "".join(f"<td>{_cell(row, key)}</td>" for key in keys)
        body += f"<tr><th>{escape(name)} ({row['rows']})</th>{cells}</tr>"
    return (
        f"<h2>실제로 할 말: {escape(WAY_NAMES[way])}</h2>"
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>{body}</table></div>'
    )


def _cell(row: dict[str, Any], key: str) -> str:
    """A share; of what is wrong, how many requests."""
    return str(_requests(row, key)) if key in TAGS else f"{row[key]:.2f}"


def _requests(row: dict[str, Any], tag: str) -> int:
    return round(row[tag] * row["rows"])
