"""Known or not: how often a card is known again however it was stored, and how often another drawing is taken for one.

python benchmarks/known_cards.py --images dataset/images [--others FOLDER]

`--others`: pictures that are none of the cards, by another artist for example, named as cards are.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from aac.pictures import open_picture
from aac.rules import card_keyword
from dataset.prepare.cards import pictures_in
from train.models.known_cards import KNOWN, KnownCards

DRAWN = 200


def jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=60)
    return Image.open(buffer).convert("RGB")


def shifted(picture: Image.Image, share: float) -> Image.Image:
    """What leaves the picture is cut off."""
    moved = Image.new("RGB", picture.size, "white")
    moved.paste(picture, (round(picture.width * share), round(picture.height * share)))
    return moved


STORED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 60": jpeg,
    "120 px": lambda picture: picture.resize((120, 120)),
    "500 px": lambda picture: picture.resize((500, 500), Image.Resampling.BICUBIC),
    "border of 10 %": lambda picture: ImageOps.expand(picture, picture.width // 10, "white"),
    "border of 20 %": lambda picture: ImageOps.expand(picture, picture.width // 5, "white"),
    "shift by 5 %": lambda picture: shifted(picture, 0.05),
    "shift by -5 %": lambda picture: shifted(picture, -0.05),
    "paler, greyer": lambda picture: ImageEnhance.Color(ImageEnhance.Brightness(picture).enhance(0.9)).enhance(0.7),
    "turn by 3 degrees": lambda picture: picture.rotate(3, Image.Resampling.BICUBIC, fillcolor="white"),
}


def noise(draw: np.random.Generator) -> Image.Image:
    return Image.fromarray(draw.integers(0, 256, (224, 224, 3)).astype(np.uint8))


def gradient(draw: np.random.Generator, cells: int = 2) -> Image.Image:
    corners = Image.fromarray(draw.integers(0, 256, (cells, cells, 3)).astype(np.uint8))
    return corners.resize((224, 224), Image.Resampling.BICUBIC)


def photo(draw: np.random.Generator) -> Image.Image:
    return gradient(draw, 7).filter(ImageFilter.GaussianBlur(3))


def shapes(draw: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (224, 224), "white")
    pen = ImageDraw.Draw(picture)
    for _ in range(draw.integers(2, 7)):
        colour = tuple(int(value) for value in draw.integers(0, 256, 3))
        left, top = (int(value) for value in draw.integers(10, 150, 2))
        box = (left, top, left + int(draw.integers(20, 70)), top + int(draw.integers(20, 70)))
        kind = int(draw.integers(0, 3))
        (pen.ellipse, pen.rectangle)[kind % 2](box, fill=colour, outline="black", width=4)
        if kind == 2:
            pen.line(box, fill="black", width=6)
    return picture


def white(draw: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (224, 224), "white")


def measure(images: Path, others: Path | None) -> list[tuple[str, int, float, float]]:
    """Of each kind of picture: its name, how many, the share that is known, and the share that is rightly read."""
    paths = pictures_in(images)
    pictures, words = [open_picture(path) for path in paths], list(map(_word, paths))
    cards = KnownCards.of(pictures, words)
    rows = [_row(name, cards, [change(picture) for picture in pictures], words) for name, change in STORED.items()]
    draw = np.random.default_rng(0)
    for kind in (noise, gradient, photo, shapes, white):
        rows.append(_row(f"no card: {kind.__name__}", cards, [kind(draw) for _ in range(DRAWN)], [""] * DRAWN))
    if others:
        strange = pictures_in(others)
        told = list(map(_word, strange))
        rows.append(_row("no card: other drawings", cards, [open_picture(path) for path in strange], told))
    return rows


def _word(path: Path) -> str:
    return card_keyword(path.name) or path.stem


def _row(
    name: str, cards: KnownCards, pictures: Sequence[Image.Image], words: Sequence[str]
) -> tuple[str, int, float, float]:
    read = cards.read(pictures)
    right = [reading.known and reading.word == word for reading, word in zip(read, words, strict=True)]
    return name, len(read), float(np.mean([reading.known for reading in read])), float(np.mean(right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=Path("dataset/images"))
    parser.add_argument("--others", type=Path)
    args = parser.parse_args()
    print(f"{'pictures':28}{'count':>7}{'known':>8}{'right word':>12}     (known from {KNOWN})")
    for name, count, known, right in measure(args.images, args.others):
        print(f"{name:28}{count:7}{known:8.3f}{right:12.3f}")


if __name__ == "__main__":
    main()
