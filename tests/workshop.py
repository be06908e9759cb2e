"""A small workspace for the eight steps, and what tests do with it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

import data_prepare
from dataset.prepare.teachers.reading import read

ROOT = Path(__file__).resolve().parents[1]
ALL = [str(number) for number in range(1, 9)]
WORDS = [
    "물",
    "사과",
    "주세요",
    "더",
    "학교",
    "가다",
    "엄마",
    "아빠",
    "밥",
    "먹다",
    "싫다",
    "공",
    "놀다",
    "아프다",
    "머리",
    "자다",
]


def draw_card(path: Path, number: int, size: int = 48) -> None:
    image = Image.new("RGB", (size, size), "white")
    pen = ImageDraw.Draw(image)
    colour = (number * 53 % 200, number * 97 % 200, number * 31 % 200)
    left = 4 + number % 5 * 5
    (pen.ellipse if number % 2 else pen.rectangle)((left, 6, left + 12 + number % 7, 40), fill=colour)
    pen.line((0, number * 3 % 48, 47, number * 7 % 48), fill="black")
    image.save(path)


def prepare(home: Path, *arguments: str, steps: list[str] = ALL) -> int:
    line = ["--workspace", str(home), "--samples-per-persona", "12", "--steps", *steps, *arguments]
    return data_prepare.main(line)


def next_cards(chosen: list[str], pool: list[str]) -> list[str]:
    """The words of the pool that still form one plausible utterance with the chosen ones (none chosen: all)."""
    return [word for word in pool if not chosen or (word not in chosen and read(frozenset({*chosen, word})))]


def content(home: Path) -> dict[str, bytes]:
    folder = home / "dataset/processed"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
