"""Cards beside what a model says of them: one self-contained HTML page, and the same as a picture.

An item is a dict: `cards` (paths of pictures), `keywords`, `persona_id`, `persona` (age group), `context` (one line),
`candidates`, `references`, `notes` (where a sentence comes from, if not from the model). A text file `ATTRIBUTION.txt`
beside the pictures is shown with them, as their licence asks.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aac.io import UserError, write_atomic
from train.interpreter.candidates import Source
from train.pages.page import Pictures, credit, thumbnail, who, write_html
from train.pages.score_table import score_table
from train.scoring.registry import Shown

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# The package of requirements.txt, then what systems ship.
_FONT_PACKAGE, _FONT_FILE = "pylopdf_fonts_ko", "NotoSansKR-Regular.otf"
_SYSTEM_FONTS = (
    "NotoSansKR-Regular.otf",
    "NotoSansCJK-Regular.ttc",
    "NanumGothic.ttf",
    "AppleSDGothicNeo.ttc",
    "malgun.ttf",
)


def write_page(path: str | Path, items: Sequence[dict[str, Any]], title: str, scores: dict[str, Any]) -> None:
    """Write a page without outside links or scripts; every picture is embedded once.

    Args:
        path: the HTML file.
        items: what the module's head describes.
        title: in Korean.
        scores: as in metrics.json; its headline numbers and ablations stand in a table (none: no table).
    """
    pictures = Pictures(Path(card) for item in items for card in item["cards"])
    articles = "".join(_article(item, pictures) for item in items)
    body = f"{score_table(scores, Shown.BRIEF)}<h2>카드와 문장</h2>{articles}{pictures.credit()}"
    write_html(path, title, body, pictures.css())


def _article(item: dict[str, Any], pictures: Pictures) -> str:
    figures = pictures.figures([Path(card) for card in item["cards"]], item["keywords"])
    said = "".join(f"<li>{escape(text)}</li>" for text in item["candidates"])
    asked = "".join(f"<li>{escape(text)}</li>" for text in item.get("references", ()))
    note = "".join(f'<p class="note">※ {escape(text)}</p>' for text in notes_of(item))
    return (
        f'<article><div class="cards">{figures}</div><p class="who">{escape(_who(item))}</p><ol>{said}</ol>{note}'
        + (f"<details><summary>참고 문장</summary><ul>{asked}</ul></details>" if asked else "")
        + "</article>"
    )


def _who(item: dict[str, Any]) -> str:
    return who(item.get("persona_id"), item.get("persona", ""), item.get("context", ""))


def notes_of(item: dict[str, Any]) -> list[str]:
    """In Korean, where sentences come from that are not the model's first."""
    return [Source(note).korean for note in dict.fromkeys(item.get("notes", ()))]


def korean_font() -> Path | str:
    """A font that draws Hangul: the package's, else one of the system's.

    Raises:
        UserError: this machine has none; a picture would hold empty boxes.
    """
    for font in _fonts():
        if _draws_hangul(font):
            return font
    raise UserError(
        "no Korean font on this machine, so no picture was drawn: "
        "`pip install -r requirements.txt` brings one, or install Noto Sans KR or Nanum Gothic"
    )


def _fonts() -> Iterator[Path | str]:
    spec = find_spec(_FONT_PACKAGE)
    if spec and spec.origin:
        yield Path(spec.origin).with_name(_FONT_FILE)
    if shutil.which("fc-match"):
        found = subprocess.run(["fc-match", "-f", "%{file}", ":lang=ko"], capture_output=True, text=True)
        if found.stdout:
            yield Path(found.stdout)
    yield from _SYSTEM_FONTS  # Pillow searches the system's font folders


def _draws_hangul(font: Path | str) -> bool:
    from PIL import ImageFont

    try:
        face = ImageFont.truetype(str(font), 24)
    except OSError:
        return False
    shapes = [bytes(face.getmask(sign)) for sign in ("가", "힣", "\U0010fffd")]  # the last one is in no font
    return len(set(shapes)) == 3


_WIDTH, _MARGIN, _TILE, _CAPTION = 1200, 36, 120, 34
_PAPER, _SHEET, _INK, _QUIET, _LINE = "#f6f5f1", "#ffffff", "#20242b", "#667080", "#e2e0d8"


def draw_png(path: str | Path, items: Sequence[dict[str, Any]]) -> None:
    """Draw each item as a strip: its cards on the left, who and where and the candidates on the right.

    Raises:
        UserError: no Korean font (see `korean_font`).
    """
    from PIL import Image, ImageDraw, ImageFont

    file = str(korean_font())
    tiny, small, middle, large = (ImageFont.truetype(file, size) for size in (15, 19, 22, 27))
    text_left = _MARGIN * 2 + 4 * (_TILE + 12)
    room = _WIDTH - text_left - _MARGIN * 2
    strips = []
    for item in items:
        lines = [(line, small, _QUIET) for line in _wrapped(_who(item), small, room)]
        for number, text in enumerate(item["candidates"], 1):
            lines += [(line, large, _INK) for line in _wrapped(f"{number}. {text}", large, room)]
        lines += [(line, small, _QUIET) for note in notes_of(item) for line in _wrapped(f"※ {note}", small, room)]
        strips.append((item, lines, max(_TILE + _CAPTION, sum(_line_height(font) for _, font, _ in lines)) + 40))
    credited = _wrapped(
        " ".join(credit([Path(card) for item in items for card in item["cards"]]).split()), tiny, _WIDTH - 2 * _MARGIN
    )
    height = _MARGIN + sum(tall + 20 for _, _, tall in strips) + len(credited) * _line_height(tiny) + 16
    sheet = Image.new("RGB", (_WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for item, lines, tall in strips:
        box = (_MARGIN, top, _WIDTH - _MARGIN, top + tall)
        draw.rounded_rectangle(box, 16, _SHEET, _LINE, 2)
        for number, (card, word) in enumerate(zip(item["cards"], item["keywords"], strict=True)):
            left = _MARGIN + 20 + number * (_TILE + 12)
            if picture := thumbnail(Path(card)):
                sheet.paste(picture.resize((_TILE, _TILE)), (left, top + 20))
            draw.rounded_rectangle((left, top + 20, left + _TILE, top + 20 + _TILE), 8, None, _LINE, 2)
            name = _wrapped(word, middle, _TILE + 10)[0]
            draw.text((left + _TILE / 2, top + 26 + _TILE), name, _INK, middle, anchor="ma")
        down = top + 20
        for line, font, colour in lines:
            draw.text((text_left, down), line, colour, font)
            down += _line_height(font)
        top += tall + 20
    for number, line in enumerate(credited):
        draw.text((_MARGIN, top + number * _line_height(tiny)), line, _QUIET, tiny)
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    write_atomic(path, file.getvalue())


def _line_height(font: FreeTypeFont) -> int:
    return round(font.size * 1.55)


def _wrapped(text: str, font: FreeTypeFont, room: int) -> list[str]:
    """Lines that fit, broken between words; a word too long alone is broken anywhere."""
    lines = [""]
    for word in text.split():
        if lines[-1] and font.getlength(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
        for sign in word:
            if font.getlength(lines[-1] + sign) > room:
                lines.append("")
            lines[-1] += sign
    return lines
