"""Pictures of many formats, changed at random, through every reader of pictures: PictureError by name, or a picture.

python -m tests.picture_mutants --cases 50000      # figures: what each reader did, the slowest, the memory
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from aac.pictures import PictureError, given_picture, open_picture
from dataset.prepare.cards import examine

MODES = {
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "JPEG": ("RGB", "L", "CMYK"),
    "GIF": ("P", "L"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("RGB", "L", "1"),
    "TIFF": ("RGB", "L", "I;16", "F"),
    "ICO": ("RGBA",),
}
PIECES = (
    b"",
    b"\x00",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"IHDR",
    b"tRNS",
    b"Exif\x00\x00",
)


def sound_files() -> list[bytes]:
    """A small drawing in each format and mode, also turned by EXIF and with several frames."""
    drawing = Image.new("RGB", (48, 40), "white")
    ImageDraw.Draw(drawing).ellipse((6, 6, 40, 34), fill="gold", outline="black")
    files = []
    for kind, modes in MODES.items():
        for mode in modes:
            picture = drawing.convert("L").convert(mode) if mode in ("I;16", "F", "LA") else drawing.convert(mode)
            files.append(_saved(picture, kind))
    turned = Image.Exif()
    turned[0x0112], turned[0x010E] = 6, "a card"
    files += [_saved(drawing, kind, exif=turned) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    frames = [drawing.rotate(angle) for angle in (0, 30, 60)]
    files += [_saved(frames[0], kind, save_all=True, append_images=frames[1:]) for kind in ("GIF", "WEBP", "TIFF")]
    return files


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def mutant(data: bytes, draw: random.Random) -> bytes:
    """One to six changes: a bit, a byte, a stretch cut out, doubled or overwritten, the end cut off. Early bytes, where
    headers stand, change more often."""
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        place = int(len(data) * draw.random() ** draw.choice((1, 3)))
        kind = draw.random()
        if kind < 0.35 and data:
            place = min(place, len(data) - 1)
            data = data[:place] + bytes([data[place] ^ (1 << draw.randrange(8))]) + data[place + 1 :]
        elif kind < 0.6:
            piece = draw.choice(PIECES)
            data = data[:place] + piece + data[place + len(piece) :]
        elif kind < 0.75:
            data = data[:place] + data[place + draw.randrange(1, 40) :]
        elif kind < 0.9:
            data = data[:place] + data[place : place + draw.randrange(1, 200)] + data[place:]
        else:
            data = data[:place]
    return data


def readers(folder: Path) -> dict[str, Callable[[bytes], Any]]:
    """Every way in: a file of the images folder, step 1, a request's path, its bytes and its opened picture."""
    path = folder / "1_카드.png"

    def stored(read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
        def through_a_file(data: bytes) -> Any:
            path.write_bytes(data)
            return read(path)

        return through_a_file

    return {
        "open_picture": stored(open_picture),
        "step 1": stored(examine),
        "a request's path": stored(lambda file: given_picture(str(file), "images: picture 1")),
        "a request's bytes": lambda data: given_picture(data, "images: picture 1"),
    }


def attack(cases: int, seed: int, folder: Path) -> tuple[Counter[tuple[str, str]], list[tuple[float, str]]]:
    """How often each reader read, refused by name, or leaked what; and the slowest calls (seconds, reader)."""
    draw, files, ways = random.Random(seed), sound_files(), readers(folder)
    counts: Counter[tuple[str, str]] = Counter()
    slowest: list[tuple[float, str]] = []
    for _ in range(cases):
        data = mutant(draw.choice(files), draw)
        for name, read in ways.items():
            began = time.perf_counter()
            try:
                with warnings.catch_warnings(action="ignore"):
                    read(data)
                what = "read"
            except PictureError:
                what = "refused"
            except Exception as error:  # what must not happen
                what = f"{type(error).__name__}: {error}"[:100]
            counts[name, what] += 1
            slowest = sorted([*slowest, (time.perf_counter() - began, name)], reverse=True)[:3]
    return counts, slowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, slowest = attack(args.cases, args.seed, Path(folder))
    for (name, what), count in sorted(counts.items()):
        print(f"{name:20} {what:60} {count}")
    print("slowest:", ", ".join(f"{seconds:.2f} s {name}" for seconds, name in slowest))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
