"""The demo's page: cards beside what a model says of them, one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from train.pages.page import Pictures, about, told_sources, write_html
from train.pages.requests_table import requests_table
from train.pages.score_table import score_table
from train.scoring.registry import Shown
from train.scoring.row import Prediction


def write_page(
    path: str | Path, predictions: Sequence[Prediction], images: Path, title: str, scores: dict[str, Any]
) -> None:
    """Write a page without outside links or scripts; every picture is embedded once.

    Args:
        path: the HTML file.
        predictions: rows and what a model says of them.
        images: the cards' folder; its `ATTRIBUTION.txt` is shown, as the pictures' licence asks.
        title: in Korean.
        scores: as in metrics.json; what is shown in brief stands in a table (none: no table).
    """
    pictures = Pictures(images / card for p in predictions for card in p.sample.cards)
    articles = "".join(_article(p, images, pictures) for p in predictions)
    asked = requests_table({way: values for way, values in scores.get("requests", {}).items() if way == "pictures"})
    body = f"{asked}{score_table(scores, Shown.BRIEF)}<h2>카드와 문장</h2>{articles}{pictures.credit()}"
    write_html(path, title, body, pictures.css())


def _article(prediction: Prediction, images: Path, pictures: Pictures) -> str:
    sample = prediction.sample
    figures = pictures.figures([images / card for card in sample.cards], sample.keywords)
    said = "".join(f"<li>{escape(text)}</li>" for text in prediction.candidates)
    asked = "".join(f"<li>{escape(text)}</li>" for text in sample.output)
    note = "".join(f'<p class="note">※ {escape(text)}</p>' for text in told_sources(prediction.notes))
    return (
        f'<article><div class="cards">{figures}</div><p class="who">{escape(about(sample))}</p><ol>{said}</ol>{note}'
        f"<details><summary>참고 문장</summary><ul>{asked}</ul></details></article>"
    )
