"""Hangul on pictures: a font of this machine that draws it, and lines that fit."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from aac.io import UserError

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


def wrapped(text: str, font: FreeTypeFont, room: int) -> list[str]:
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
