"""Step 2: a vector for every card's picture and for its keyword.

`offline` needs no weights: pictures by layout, colour and edge directions; words by letters and by their category in
the shipped lexicon. It is lexical, not semantic, and named so in the file. `clip` is a sentence-transformers pair, by
default CLIP ViT-B/32 with its multilingual text tower (Reimers & Gurevych 2020), since keywords are Korean.
"""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from aac.io import UserError, read_json, write_atomic, write_json
from aac.labels import read_label
from aac.lexicon import load_lexicon
from aac.pictures import open_picture
from aac.records import nfc
from dataset.prepare.options import Options

Array = np.ndarray[Any, np.dtype[np.float32]]
OFFLINE = "offline-lexical-1"
WIDTH = 256
CHUNK = 256
UNREADABLE = 0.05  # of the keywords, at most
_CATEGORY_SHARE = 0.6  # two words of one category are then alike by 0.6: above the threshold of step 6


def embed_cards(options: Options) -> str:
    """Write `image_embeddings.npy`, `text_embeddings.npy` ((N, D) float32, rows of length 1) and `embeddings.json`.

    The JSON names the files, the encoder and the rows' order. Rows that are done survive an interruption.
    """
    from tqdm import tqdm

    cards = read_json(options.file("cards.json"))["cards"]
    name, images_of, words_of = encoder(options)
    words = read_words(name, words_of, [card["keyword"] for card in cards])
    partial = options.file(".image_embeddings.partial.npy")
    progress = options.file(".image_embeddings.progress.json")
    key = hashlib.sha256(json.dumps([name, [card["sha256"] for card in cards]]).encode()).hexdigest()
    done = _resumed(progress, partial, key)
    shape = (len(cards), words.shape[1])
    rows = np.lib.format.open_memmap(partial, mode="r+" if done else "w+", dtype=np.float32, shape=shape)
    with tqdm(total=len(cards), initial=done, desc="embeddings", unit="card", leave=False) as bar:
        for first in range(done, len(cards), CHUNK):
            paths = [options.images / card["file"] for card in cards[first : first + CHUNK]]
            rows[first : first + len(paths)] = images_of(paths)
            rows.flush()
            write_json(progress, {"key": key, "done": first + len(paths)}, None)
            bar.update(len(paths))
    del rows
    partial.replace(options.file("image_embeddings.npy"))
    progress.unlink(missing_ok=True)
    save_array(options.file("text_embeddings.npy"), words)
    write_index(options, name, [card["file"] for card in cards])
    return f"{len(cards)} cards x {words.shape[1]} numbers, pictures and words ({name}) -> embeddings.json, *.npy"


def read_words(name: str, words_of: Callable[[Sequence[str]], Array], keywords: list[str]) -> Array:
    """The keywords' rows.

    Raises:
        UserError: the encoder gives many different words one row, as a tower without Hangul in its vocabulary does.
    """
    rows = words_of(keywords)
    different = len(set(keywords))
    told_apart = len(np.unique(rows.round(6), axis=0))
    if told_apart < (1 - UNREADABLE) * different:
        raise UserError(f"{name} cannot tell Korean words apart ({different} words, {told_apart} rows): give another")
    return rows


def write_index(options: Options, name: str, filenames: list[str]) -> None:
    """Write `embeddings.json` beside the two arrays: which rows they hold, or with `full_embeddings` the rows too, as
    the public format has them (about 6 kB a card)."""
    files = {kind: f"{kind}.npy" for kind in ("image_embeddings", "text_embeddings")}
    width = np.load(options.file(files["text_embeddings"]), mmap_mode="r").shape[1]
    about = {"encoder": name, "dimensions": width}
    if not options.full_embeddings:
        write_json(options.file("embeddings.json"), {**about, **files, "filenames": filenames})
        return
    text = [json.dumps({**about, "filenames": filenames}, ensure_ascii=False)[:-1]]
    for kind, file in files.items():
        # Nine digits give back a float32 exactly.
        rows = np.load(options.file(file), mmap_mode="r")
        lines = (f"[{', '.join(f'{value:.9g}' for value in row.tolist())}]" for row in rows)
        text.append(f',\n"{kind}": [\n' + ",\n".join(lines) + "\n]")
    write_atomic(options.file("embeddings.json"), "".join([*text, "}\n"]).encode())


def encoder(options: Options) -> tuple[str, Callable[[Sequence[Path]], Array], Callable[[Sequence[str]], Array]]:
    """The encoder's name, and what turns pictures and words into (N, D) rows of length 1.

    Raises:
        UserError: the weights of `clip` are not to be had here, or its two towers do not share a space.
    """
    if options.encoder == "offline":
        return OFFLINE, offline_images, offline_words
    pictures, texts = _tower(options.clip_image, "--clip-image"), _tower(options.clip_text, "--clip-text")

    def images_of(paths: Sequence[Path]) -> Array:
        return _rows(pictures, [open_card(path) for path in paths])

    def words_of(words: Sequence[str]) -> Array:
        return _rows(texts, list(words))

    from PIL import Image

    wide, narrow = (_rows(tower, [probe]).shape[1] for tower, probe in
                    ((pictures, Image.new("RGB", (32, 32))), (texts, "물")))  # fmt: skip
    if wide != narrow:
        raise UserError(
            f"--clip-text {options.clip_text} makes {narrow} numbers, --clip-image {options.clip_image} {wide}: "
            "give two towers of one space"
        )
    return f"{options.clip_image} + {options.clip_text}", images_of, words_of


def _tower(name: str, option: str) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(name)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(
            f"--encoder clip: {name} cannot be loaded ({first}); give a folder by {option}, or use --encoder offline"
        ) from None


def _rows(tower: Any, items: list[Any]) -> Array:
    return tower.encode(items, normalize_embeddings=True, show_progress_bar=False).astype(np.float32)


def offline_images(paths: Sequence[Path]) -> Array:
    """(N, 256): an 8x8 colour thumbnail (192) and edge directions, 16 in each quarter (64), each half of the length."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(_picture, paths)))


def offline_words(words: Sequence[str]) -> Array:
    """(N, 256): the class of a word where it is known, and its letters (hashed jamo and syllable n-grams)."""
    return np.stack([_word(nfc(word)) for word in words])


def _picture(path: Path) -> Array:
    from PIL import Image

    image = open_card(path).resize((64, 64), Image.Resampling.BOX)
    pixels = np.asarray(image, np.float32) / 255
    thumbnail = 1 - pixels.reshape(8, 8, 8, 8, 3).mean((1, 3))  # ink: the white ground is nothing
    across, down = np.gradient(pixels.mean(2), axis=1), np.gradient(pixels.mean(2), axis=0)
    strength = np.hypot(across, down)
    direction = ((np.arctan2(down, across) + np.pi) / (2 * np.pi) * 16).astype(int) % 16
    quarter = (np.arange(64)[:, None] // 32) * 2 + np.arange(64)[None] // 32
    edges = np.bincount((quarter * 16 + direction).ravel(), strength.ravel(), 64)
    return np.concatenate([_unit(thumbnail.ravel()), _unit(edges)]).astype(np.float32) / np.float32(np.sqrt(2))


@lru_cache(maxsize=1)
def _categories() -> dict[str, int]:
    return {category: place for place, category in enumerate(dict.fromkeys(card.category for card in load_lexicon()))}


def _word(word: str) -> Array:
    name = read_label(word).word_class
    letters = np.zeros(WIDTH - len(_categories()), np.float32)
    jamo = unicodedata.normalize("NFD", f"<{word}>")
    grams = [jamo[i : i + 3] for i in range(len(jamo) - 2)] + [f"syllable {sign}" for sign in word]
    for gram in grams:
        digest = hashlib.blake2b(gram.encode(), digest_size=8).digest()
        letters[int.from_bytes(digest[:4]) % len(letters)] += 1 if digest[4] & 1 else -1
    category = np.zeros(len(_categories()), np.float32)
    known = name in _categories()
    if known:
        category[_categories()[name]] = 1
    share = _CATEGORY_SHARE if known else 0.0
    return np.concatenate([np.sqrt(share) * category, np.sqrt(1 - share) * _unit(letters)]).astype(np.float32)


def _unit(row: Any) -> Any:
    return row / max(float(np.linalg.norm(row)), 1e-12)


def card_file(path: Path) -> Path:
    """The file of a card whose name may be composed, or as macOS wrote it (NFD)."""
    decomposed = path.with_name(unicodedata.normalize("NFD", path.name))
    return path if path.exists() or not decomposed.exists() else decomposed


def open_card(path: Path) -> Any:
    """A card's picture, RGB on white."""
    return open_picture(card_file(path))


def _resumed(progress: Path, partial: Path, key: str) -> int:
    if not progress.exists() or not partial.exists():
        return 0
    known = read_json(progress)
    return int(known["done"]) if known.get("key") == key else 0


def save_array(path: Path, rows: Array) -> None:
    """Write `rows` as .npy, atomically."""
    buffer = io.BytesIO()
    np.save(buffer, rows)
    write_atomic(path, buffer.getvalue())
