"""Step 1: which pictures are cards. Nothing is moved or deleted: what is rejected is listed with its reason."""

from __future__ import annotations

import csv
import hashlib
import logging
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset.prepare.records import UserError, card_keyword, nfc, write_json

if TYPE_CHECKING:
    from dataset.prepare.pipeline import Options

log = logging.getLogger("aac")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
MIN_SIDE = 16
POOR = ("too small", "blank")  # how the reasons begin that a reader of pictures can live with
BANNED_FILE = Path(__file__).with_name("banned_words.txt")
LABEL_FIELDS = ("id", "keyword", "sense", "part_of_speech", "category", "synonyms", "licence")


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder, by name; empty where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.name[0] != ".")


def filter_cards(options: Options) -> str:
    """Write `cards.json`: `cards` ({file, id, keyword, sha256, …}), `rejected` ({file, reason}), `near_duplicates`.

    Raises:
        UserError: no usable card is left.
    """
    from tqdm import tqdm

    labels = read_labels(options.labels) if options.labels else {}
    banned = _banned()
    paths = pictures_in(options.images)
    with ThreadPoolExecutor(2) as pool:
        looks = list(tqdm(pool.map(examine, paths), total=len(paths), desc="cards", unit="picture", leave=False))
    cards: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    seen: dict[str, str] = {}
    names: dict[str, str] = {}
    hashes: dict[int, list[str]] = {}
    for path, (reason, sha256, likeness) in zip(paths, looks, strict=True):
        name = nfc(path.name)
        label = labels.get(name, {})
        keyword = label.get("keyword") or card_keyword(name)
        if not reason and not keyword:
            reason = "no keyword: name it <id>_<keyword>.png, or list it in --labels"
        elif not reason and name in names:
            reason = f"the same name as {names[name]!r} once Hangul is composed (NFC)"
        elif not reason and sha256 in seen:
            reason = f"the same picture as {seen[sha256]}"
        elif not reason and (word := next((w for w in banned if w in keyword.split()), "")):
            reason = f"banned word {word!r} ({BANNED_FILE.name})"
        if reason:
            rejected.append({"file": path.name, "reason": reason})
            continue
        seen[sha256] = names[name] = name
        hashes.setdefault(likeness, []).append(name)
        match = re.match(r"\d+", name)
        card = {"file": name, "id": label.get("id") or (match.group() if match else ""), "keyword": keyword}
        card |= {"sha256": sha256} | {k: v for k, v in label.items() if v and k not in ("id", "keyword")}
        cards.append(card)
    if not cards:
        first = f" (first: {rejected[0]['file']}: {rejected[0]['reason']})" if rejected else ""
        raise UserError(f"{options.images}: no usable card{first}; name pictures like 2462_사과.png")
    similar = [group for group in hashes.values() if len(group) > 1]
    write_json(options.file("cards.json"), {"cards": cards, "rejected": rejected, "near_duplicates": similar})
    for entry in rejected[:10]:
        log.warning("      rejected %s: %s", entry["file"], entry["reason"])
    return f"{len(cards)} cards, {len(rejected)} rejected, {len(similar)} groups look alike (kept) -> cards.json"


def examine(path: Path) -> tuple[str, str, int]:
    """Read one picture fully.

    Returns:
        The reason to reject it (empty: none), its SHA-256, and a 64-bit likeness hash (equal for near-duplicates).
    """
    from PIL import Image, UnidentifiedImageError

    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if not data:
        return "empty file (0 bytes)", sha256, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if min(image.size) < MIN_SIDE:
                    return f"too small: {image.width}x{image.height}, at least {MIN_SIDE} a side", sha256, 0
                grey = on_white(image).convert("L")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return "too many pixels to be a card (decompression bomb?)", sha256, 0
    except UnidentifiedImageError:
        return "not a picture", sha256, 0
    except (OSError, SyntaxError, ValueError) as error:
        return f"damaged picture: {error}", sha256, 0
    darkest, brightest = grey.getextrema()
    if brightest - darkest < 8:
        return "blank: one colour", sha256, 0
    cells = list(grey.resize((9, 8)).getdata())
    bits = (cells[row * 9 + col] < cells[row * 9 + col + 1] for row in range(8) for col in range(8))
    return "", sha256, sum(bit << place for place, bit in enumerate(bits))


def on_white(image: Any) -> Any:
    """First frame, upright (EXIF), transparency on white, RGB: any PIL mode."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    return image.convert("RGB")


def read_labels(path: Path) -> dict[str, dict[str, str]]:
    """`file,id,keyword,sense,part_of_speech,category,synonyms,licence` by file name.

    Raises:
        UserError: the file or its header is wrong, or a file stands in it twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: not found (--labels)") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; in a spreadsheet, save as CSV UTF-8") from None
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or not {"file", "keyword"} <= set(rows[0]):
        raise UserError(
            f"{path}: the first line must name the columns file and keyword (also {', '.join(LABEL_FIELDS)})"
        )
    labels: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        name = nfc(row["file"] or "")
        if not name or not nfc(row["keyword"] or ""):
            raise UserError(f"{path}: line {line}: file and keyword must both be filled")
        if name in labels:
            raise UserError(f"{path}: line {line}: {name} is listed twice")
        labels[name] = {field: nfc(row.get(field) or "") for field in LABEL_FIELDS}
    return labels


def _banned() -> list[str]:
    lines = BANNED_FILE.read_text(encoding="utf-8").splitlines()
    return [nfc(line) for line in lines if line.strip() and not line.startswith("#")]
