"""Step 1: which pictures are cards. Nothing is moved or deleted: what is rejected is listed with its reason."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from aac import pictures
from aac.gate import control_text
from aac.io import UserError, write_json
from aac.labels import Reading, read_label
from aac.rules import PICTURES, SENSE, card_keyword, card_name_problem, card_word, nfc
from dataset.prepare.label_tables import Fields, Labels, read_labels
from dataset.prepare.options import Options

log = logging.getLogger("aac")
MIN_SIDE = 16
POOR = ("too small", "blank")  # how the reasons begin that a reader of pictures can live with
# What systems and tools leave in a folder, and what drawing the open symbols writes beside them.
_LITTER = re.compile(
    r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.git(keep|ignore)|\.drawing|\..*\.tmp|ATTRIBUTION\.txt"
)
BANNED_FILE = Path(__file__).with_name("banned_words.txt")
SHOWN = 300  # labels whose reading is printed
UNSURE = 0.6


class Look(NamedTuple):
    """What reading one picture showed: why it is no card (empty: it is one), its SHA-256, a 64-bit likeness hash (equal
    for near-duplicates), and whether it has more frames than the first, which is the card."""

    reason: str
    sha256: str = ""
    likeness: int = 0
    animated: bool = False


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder, by name; empty where there is no such folder."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.name[0] != ".")
    return sorted(path for path in found if path.is_file())


def others_in(folder: Path) -> dict[str, str]:
    """Why each other entry of a folder of cards is none, by name; what systems leave behind and what step 1 itself
    writes beside its cards does not count.

    Raises:
        UserError: there is no folder under this name, but something else.
    """
    if not folder.is_dir():
        if folder.is_symlink() or folder.exists():
            raise UserError(
                f"{folder}: {'not a folder' if folder.exists() else 'a link that leads nowhere'} (--images)"
            )
        return {}
    cards = {path.name for path in pictures_in(folder)}
    entries = (path for path in folder.iterdir() if path.name not in cards and not _LITTER.fullmatch(path.name))
    return {path.name: _no_card(path) for path in sorted(entries)}


def _no_card(path: Path) -> str:
    if not path.exists():
        return f"a link that leads nowhere ({printable(os.readlink(path))})"
    if path.is_dir():
        return "a folder: cards lie in the images folder itself"
    if path.name.startswith("."):
        return "a hidden file: its name begins with a dot"
    return "not a file" if not path.is_file() else f"not a picture of a kind that is read: {', '.join(PICTURES)}"


def filter_cards(options: Options) -> str:
    """Write `cards.json`: `cards` ({file, id, keyword, label, sha256, lemma, class, …}), `rejected` ({file, reason}),
    `near_duplicates`. `keyword` is what the rows hold, `label` what the team wrote where that differs.

    Raises:
        UserError: no usable card is left.
    """
    table = sift(options)
    write_json(options.file("cards.json"), table)
    cards, rejected, similar = table["cards"], table["rejected"], table["near_duplicates"]
    show_readings(cards)
    return f"{len(cards)} cards, {len(rejected)} rejected, {len(similar)} groups look alike (kept) -> cards.json"


def show_readings(cards: Sequence[dict[str, Any]]) -> None:
    """Print what was understood of each label that the lexicon does not hold as it stands, the least sure first."""
    read = sorted((card for card in cards if card["sure"] < 1), key=lambda card: card["sure"])
    for card in read[:SHOWN]:
        kind = f"{card['part_of_speech']}, {card.get('class') or 'class not known'}"
        log.info(
            "      %-4s %s -> %s (%s)", f"{card['sure']:.2f}", card.get("label", card["keyword"]), card["keyword"], kind
        )
    if len(read) > SHOWN:
        log.info("      and %d more: see cards.json", len(read) - SHOWN)
    if unsure := sum(card["sure"] < UNSURE for card in read):
        log.warning(
            "      %d of %d labels are read with doubt (below %.1f): put them right with --labels: %s",
            *(unsure, len(cards), UNSURE, "file,keyword,category,part_of_speech,sense,synonyms"),
        )


def sift(options: Options, known: Sequence[str] = ()) -> dict[str, Any]:
    """The content of `cards.json` for the images folder as it is now.

    Args:
        known: files that are cards already: they stand first, in that order, so that of two equal pictures the new one
            is rejected.

    Raises:
        UserError: no usable card is left.
    """
    from tqdm import tqdm

    others = others_in(options.images)
    labels = read_labels(options.labels) if options.labels else Labels()
    if options.labels and options.labels.parent == options.images.resolve():
        others.pop(options.labels.name, None)
    banned = _banned()
    rank = {name: place for place, name in enumerate(known)}
    paths = sorted(pictures_in(options.images), key=lambda path: (rank.get(nfc(path.name), len(rank)), path))
    with ThreadPoolExecutor(2) as pool:
        looks = list(tqdm(pool.map(examine, paths), total=len(paths), desc="cards", unit="picture", leave=False))
    cards: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    hashed: dict[str, tuple[str, str]] = {}
    names: set[str] = set()
    alike: dict[int, list[str]] = {}
    for path, look in zip(paths, looks, strict=True):
        name = nfc(path.name)
        label = labels.of(name)
        word = label.get("keyword") or card_keyword(name)
        reason = look.reason or card_name_problem(name) or _word_problem(name, word, banned)
        reading = None if reason else read_label(word, label)
        twin, twins_word = hashed.get(look.sha256, ("", ""))
        if reading and name in names:
            reason = f"the same name as {name!r} once Hangul is composed (NFC)"
        elif reading and twins_word == reading.keyword:
            reason = f"the same picture as {twin}"
        elif reading and reading.word_class == "particle":
            reason = f"only a particle ({word!r}), which no sentence can hold alone: give it another word in --labels"
        if reason or reading is None:
            rejected.append({"file": printable(path.name), "reason": reason})
            continue
        if twin:
            log.warning("      %s and %s: one picture with two words (%s, %s): both are kept",
                        *(twin, name, twins_word, reading.keyword))  # fmt: skip
        hashed.setdefault(look.sha256, (name, reading.keyword))
        names.add(name)
        alike.setdefault(look.likeness, []).append(name)
        cards.append(_card(name, look, reading, label))
    rejected += [{"file": printable(name), "reason": reason} for name, reason in others.items()]
    _tell(options, rejected, bool(cards))
    if moving := sum(look.animated for look in looks):
        log.warning("      %d animated pictures: the first frame is the card", moving)
    if astray := labels.astray(nfc(path.name) for path in paths):
        log.warning("      %s: %d files are not in %s, such as %s", options.labels, len(astray), options.images,
                    astray[0])  # fmt: skip
    similar = [group for group in alike.values() if len(group) > 1]
    return {"cards": cards, "rejected": rejected, "near_duplicates": similar}


def _tell(options: Options, rejected: Sequence[dict[str, str]], cards: bool) -> None:
    """Say what was rejected; all of it where there is no card.

    Raises:
        UserError: there is none.
    """
    for entry in rejected[: 10 if cards else None]:
        log.warning("      rejected %s: %s", entry["file"], entry["reason"])
    if not cards:
        first = f" (first: {rejected[0]['file']}: {rejected[0]['reason']})" if rejected else ""
        raise UserError(f"{options.images}: no usable card{first}; name pictures like 2462_사과.png")
    if len(rejected) > 10:
        log.warning("      and %d more: see `rejected` in cards.json", len(rejected) - 10)


def _card(name: str, look: Look, reading: Reading, label: Fields) -> dict[str, Any]:
    """A card as `cards.json` holds it: what it is, what was read of its label, and what a table says beside."""
    number = re.match(r"\d+", name)
    card: dict[str, Any] = {"file": name, "id": label.get("id") or (number.group() if number else "")}
    card |= {"keyword": reading.keyword}
    if reading.label != reading.keyword:
        card["label"] = reading.label
    told = {field: text for field, text in label.items() if text and field not in ("id", "keyword")}
    return card | {"sha256": look.sha256} | told | reading.public()


def _word_problem(name: str, word: str, banned: Sequence[str]) -> str:
    """Why a file's card has no word that can be said; empty: it has one."""
    if not word:
        size = card_word(Path(name).stem.partition("_")[2])
        what = f"no keyword, only a number ({size!r})" if size else "no keyword"
        return f"{what}: name it <id>_<keyword>.png, or list it in --labels"
    if one := next((one for one in banned if one in word.split()), ""):
        return f"banned word {one!r} ({BANNED_FILE.name})"
    if sign := control_text(SENSE.sub("", word)):
        return f"no sentence may hold {sign!r}, a part of its word: name it otherwise, or list it in --labels"
    return ""


def examine(path: Path) -> Look:
    """Read one picture fully."""
    sha256 = ""
    try:
        data = pictures.file_bytes(path)
        sha256 = hashlib.sha256(data).hexdigest()
        image = pictures.decoded(data, path)
        grey = pictures.plain(image, name=path).convert("L")
    except pictures.PictureError as error:
        return Look(error.reason, sha256)
    if min(image.size) < MIN_SIDE:
        return Look(f"{POOR[0]}: {image.width}x{image.height}, at least {MIN_SIDE} a side", sha256)
    darkest, brightest = grey.getextrema()
    if brightest - darkest < 8:
        return Look(f"{POOR[1]}: one colour", sha256)
    cells = list(grey.resize((9, 8)).getdata())
    bits = (cells[row * 9 + col] < cells[row * 9 + col + 1] for row in range(8) for col in range(8))
    return Look("", sha256, sum(bit << place for place, bit in enumerate(bits)), pictures.animated(image))


def printable(name: str) -> str:
    """A file name as it can be written: bytes that are no UTF-8 are shown escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _banned() -> list[str]:
    lines = BANNED_FILE.read_text(encoding="utf-8").splitlines()
    return [nfc(line) for line in lines if line.strip() and not line.startswith("#")]
