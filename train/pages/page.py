"""What our HTML pages share: one file each without outside links, every card's picture embedded once."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from aac.io import write_atomic
from aac.pictures import PictureError, open_picture
from aac.records import Sample
from train.interpreter.candidates import Source

if TYPE_CHECKING:
    from PIL.Image import Image

CARD_PIXELS = 160
ATTRIBUTION = "ATTRIBUTION.txt"
STYLE = """
:root{color-scheme:light dark;--paper:#f6f5f1;--sheet:#fff;--ink:#20242b;--quiet:#667080;--line:#e2e0d8;--mark:#0b6b58}
@media (prefers-color-scheme:dark){:root{--paper:#15181d;--sheet:#1f242b;--ink:#e8e9ec;--quiet:#9aa4b2;--line:#343b45;
--mark:#6fd3ba}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 3rem;background:var(--paper);color:var(--ink);
font:1rem/1.6 "Noto Sans KR","Apple SD Gothic Neo","Malgun Gothic",sans-serif;word-break:keep-all}
h1{font-size:1.5rem;margin:0 0 1rem}h2{font-size:1.05rem;margin:2rem 0 .6rem}
article{background:var(--sheet);border:1px solid var(--line);border-radius:.8rem;padding:1rem 1.2rem;margin:0 0 1rem}
.cards{display:flex;flex-wrap:wrap;gap:.7rem;margin:0 0 .8rem}
figure{margin:0;width:min(6.5rem,18vw);text-align:center}
figure i{display:block;aspect-ratio:1;border:1px solid var(--line);border-radius:.6rem;
background:#fff center/contain no-repeat;print-color-adjust:exact;-webkit-print-color-adjust:exact}
figcaption{font-weight:600;margin-top:.2rem}
.who,.note,footer{color:var(--quiet);font-size:.9rem;margin:.2rem 0}
ol{margin:.4rem 0;padding-left:1.6rem;font-size:1.15rem}ol li::marker{color:var(--mark);font-weight:700}
details{color:var(--quiet);font-size:.95rem}details ul{margin:.3rem 0;padding-left:1.6rem}summary{cursor:pointer}
.scroll{overflow-x:auto;background:var(--sheet);border:1px solid var(--line);border-radius:.8rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.45rem .8rem;text-align:right;white-space:nowrap;border-top:1px solid var(--line)}
thead th{border:0;color:var(--quiet);font-size:.85rem;font-weight:600}th:first-child{text-align:left}
td small{display:block;color:var(--quiet)}footer{white-space:pre-line;margin-top:2rem;border-top:1px solid var(--line)}
"""


class Pictures:
    """The cards of a page: a style rule each, so that a picture shown a hundred times is embedded once."""

    def __init__(self, cards: Iterable[Path]) -> None:
        self.cards = list(dict.fromkeys(cards))
        self._place = {card: number for number, card in enumerate(self.cards)}

    def css(self) -> str:
        uris = ((number, data_uri(card)) for number, card in enumerate(self.cards))
        return "".join(f".c{number}{{background-image:url({uri})}}" for number, uri in uris if uri)

    def figures(self, cards: Sequence[Path], keywords: Sequence[str]) -> str:
        """Cards in a row, each above its word."""
        return "".join(
            f'<figure><i class="c{self._place[card]}" role="img" aria-label="{escape(word)}"></i>'
            f"<figcaption>{escape(word)}</figcaption></figure>"
            for card, word in zip(cards, keywords, strict=True)
        )

    def credit(self) -> str:
        """What the pictures' licence asks to be shown, as a footer; empty where the folder names none."""
        text = credit(self.cards)
        return f"<footer>{escape(text)}</footer>" if text else ""


def write_html(path: str | Path, title: str, body: str, css: str = "", script: str = "") -> None:
    """A whole page in Korean, readable at any width."""
    code = f"<script>{script}</script>" if script else ""
    page = (
        f'<!doctype html><html lang="ko"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}{css}</style></head>'
        f"<body><h1>{escape(title)}</h1>{body}{code}</body></html>\n"
    )
    write_atomic(path, page.encode())


def about(sample: Sample) -> str:
    """One line: whose row it is, and where."""
    return who(sample.persona_id, sample.persona.age, situation(sample))


def situation(sample: Sample) -> str:
    """The parts of the context that are known."""
    return ", ".join(part for part in sample.context.public().values() if part)


def who(persona_id: int | str | None, *rest: str) -> str:
    """One line: a person, never by more than an id, and what else is to be said."""
    person = f"사용자 {persona_id}" if persona_id is not None else ""
    return " · ".join(part for part in (person, *rest) if part)


def told_sources(notes: Iterable[str]) -> list[str]:
    """In Korean, each once: where sentences come from that are not the model's own first ones."""
    return [Source(note).korean for note in dict.fromkeys(notes)]


def credit(cards: Sequence[Path]) -> str:
    """The attribution beside the pictures, as text."""
    files = dict.fromkeys(card.with_name(ATTRIBUTION) for card in cards)
    return "\n\n".join(file.read_text(encoding="utf-8").strip() for file in files if file.is_file())


def thumbnail(card: Path) -> Image | None:
    """The picture on a white square, CARD_PIXELS wide; None where there is none to read."""
    try:
        return squared(open_picture(card))
    except PictureError:
        return None


def squared(picture: Image) -> Image:
    """An RGB picture on a white square, CARD_PIXELS wide."""
    from PIL import ImageOps

    return ImageOps.pad(picture, (CARD_PIXELS, CARD_PIXELS), color="white")


def data_uri(card: Path) -> str:
    """The thumbnail as a data URI; empty where there is no picture."""
    picture = thumbnail(card)
    return picture_uri(picture) if picture is not None else ""


def picture_uri(thumbnail: Image) -> str:
    """A thumbnail as a data URI of few colours."""
    from PIL.Image import Quantize

    file = io.BytesIO()
    thumbnail.quantize(64, method=Quantize.FASTOCTREE).save(file, "PNG")  # half the time of the default, smaller files
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
