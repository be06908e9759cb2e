"""Cards beside what a model says of them, as a picture: the demo's, and samples of a training for its loggers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aac.fonts import korean_font, wrapped
from aac.io import write_atomic
from train.pages.page import about, credit, thumbnail, told_sources
from train.scoring.row import Prediction

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

    Line = tuple[str, FreeTypeFont, str]  # with its colour

_WIDTH, _MARGIN, _TILE, _CAPTION = 1200, 36, 120, 34
_TEXT_LEFT = _MARGIN * 2 + 4 * (_TILE + 12)
_TINY, _SMALL, _MIDDLE, _LARGE = 15, 19, 22, 27
_PAPER, _SHEET, _INK, _QUIET, _LINE = "#f6f5f1", "#ffffff", "#20242b", "#667080", "#e2e0d8"


def draw_png(path: str | Path, predictions: Sequence[Prediction], images: Path) -> None:
    """Draw each row as a strip: its cards on the left, who and where and the candidates on the right.

    Raises:
        UserError: no Korean font (see `korean_font`).
    """
    from PIL import Image, ImageDraw, ImageFont

    file = str(korean_font())
    fonts = {size: ImageFont.truetype(file, size) for size in (_TINY, _SMALL, _MIDDLE, _LARGE)}
    strips = []
    for prediction in predictions:
        lines = _lines(prediction, fonts)
        strips.append((prediction, lines, max(_TILE + _CAPTION, sum(_line_height(font) for _, font, _ in lines)) + 40))
    credited = " ".join(credit([images / card for p in predictions for card in p.sample.cards]).split())
    small_print = wrapped(credited, fonts[_TINY], _WIDTH - 2 * _MARGIN)
    height = _MARGIN + sum(tall + 20 for _, _, tall in strips) + len(small_print) * _line_height(fonts[_TINY]) + 16
    sheet = Image.new("RGB", (_WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for prediction, lines, tall in strips:
        draw.rounded_rectangle((_MARGIN, top, _WIDTH - _MARGIN, top + tall), 16, _SHEET, _LINE, 2)
        for number, (card, word) in enumerate(zip(prediction.sample.cards, prediction.sample.keywords, strict=True)):
            left = _MARGIN + 20 + number * (_TILE + 12)
            if picture := thumbnail(images / card):
                sheet.paste(picture.resize((_TILE, _TILE)), (left, top + 20))
            draw.rounded_rectangle((left, top + 20, left + _TILE, top + 20 + _TILE), 8, None, _LINE, 2)
            name = wrapped(word, fonts[_MIDDLE], _TILE + 10)[0]
            draw.text((left + _TILE / 2, top + 26 + _TILE), name, _INK, fonts[_MIDDLE], anchor="ma")
        _write(draw, lines, _TEXT_LEFT, top + 20)
        top += tall + 20
    _write(draw, [(line, fonts[_TINY], _QUIET) for line in small_print], _MARGIN, top)
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    write_atomic(path, file.getvalue())


def _lines(prediction: Prediction, fonts: dict[int, FreeTypeFont]) -> list[Line]:
    """What stands beside a row's cards."""
    parts = [(about(prediction.sample), _SMALL, _QUIET)]
    parts += [(f"{number}. {text}", _LARGE, _INK) for number, text in enumerate(prediction.candidates, 1)]
    parts += [(f"※ {note}", _SMALL, _QUIET) for note in told_sources(prediction.notes)]
    room = _WIDTH - _TEXT_LEFT - _MARGIN * 2
    return [(line, fonts[size], ink) for text, size, ink in parts for line in wrapped(text, fonts[size], room)]


def _write(draw: ImageDraw, lines: Sequence[Line], left: int, down: int) -> None:
    for line, font, ink in lines:
        draw.text((left, down), line, ink, font)
        down += _line_height(font)


def _line_height(font: FreeTypeFont) -> int:
    return round(font.size * 1.55)
