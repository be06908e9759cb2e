"""Steps 3 and 5: spherical k-means over the cards' vectors, a picture of the clusters, and what each is about."""

from __future__ import annotations

import io
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from aac.classes import title
from aac.io import read_json, write_atomic, write_json
from aac.labels import read_label
from aac.rules import spoken
from dataset.prepare.embed import Array, open_card, save_array
from dataset.prepare.options import Options

log = logging.getLogger("aac")
MEDOIDS = 3
TAGS = 3
_CARDS_PER_CLUSTER = 5
_THUMBNAIL = 56
_ON_MAP = 1000
# What the lexicon's categories are called in tags; the words of a person's topics.
CATEGORY_NAMES = {
    "action": "행동", "animal": "동물", "body": "몸", "category": "물건", "clothes": "옷",
    "core": "대화", "drink": "음료", "feeling": "감정", "food": "음식", "fruit": "과일",
    "manner": "모양", "media": "미디어", "nature": "자연", "person": "사람", "place": "장소",
    "state": "상태", "study": "공부", "thing": "생활용품", "time": "시간", "toy": "놀이",
    "vehicle": "탈것",
}  # fmt: skip


def cluster_cards(options: Options) -> str:
    """Write `clustering_results.json`, `centroids.npy` ((K, D), rows of length 1), `cluster_map.png` and a contact
    sheet a cluster in `clusters/`.

    A card's vector is the mean of its picture's and its word's, scaled to length 1: k-means on the unit sphere.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    names = read_json(options.file("embeddings.json"))["filenames"]
    vectors = card_vectors(options)
    count = max(1, min(options.clusters, len(names) // _CARDS_PER_CLUSTER))
    # One thread: several add up their parts in whatever order they finish, and the last bits differ from run to run.
    with threadpool_limits(1):
        fitted = KMeans(count, n_init=10 if len(names) < 2000 else 2, random_state=options.seed).fit(vectors)
    centroids = fitted.cluster_centers_ / np.linalg.norm(fitted.cluster_centers_, axis=1, keepdims=True)
    labels = (vectors @ centroids.T).argmax(1).tolist()
    files: dict[str, list[str]] = {str(number): [] for number in range(count)}
    for name, label in zip(names, labels, strict=True):
        files[str(label)].append(name)
    save_array(options.file("centroids.npy"), centroids.astype(np.float32))
    draw(options, names, vectors, labels, files)
    result = {"cluster_labels": labels, "clustered_files": files, "n_clusters": count, "filenames": names}
    write_json(options.file("clustering_results.json"), result)
    sizes = sorted(map(len, files.values()))
    return f"{count} clusters of {sizes[0]} to {sizes[-1]} cards -> clustering_results.json; see cluster_map.png"


def card_vectors(options: Options) -> Array:
    """(N, D) in the order of `embeddings.json`, rows of length 1."""
    pictures = np.load(options.file("image_embeddings.npy"), mmap_mode="r")
    words = np.load(options.file("text_embeddings.npy"), mmap_mode="r")
    mean = (np.asarray(pictures) + np.asarray(words)) / 2
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)


def tag_clusters(options: Options) -> str:
    """Write `cluster_tags.json`: for each cluster up to three Korean topics, from its medoids.

    Offline: the name of the medoids' most common class, then the medoids' own words.
    """
    results = read_json(options.file("clustering_results.json"))
    keyword_of = {card["file"]: card["keyword"] for card in read_json(options.file("cards.json"))["cards"]}
    vectors, centroids = card_vectors(options), np.load(options.file("centroids.npy"))
    labels = np.array(results["cluster_labels"])
    tags: dict[str, list[str]] = {}
    for number, centroid in enumerate(centroids):
        members = np.flatnonzero(labels == number)
        nearest = members[np.argsort(-(vectors[members] @ centroid), kind="stable")][:MEDOIDS]
        words = [keyword_of[results["filenames"][place]] for place in nearest]
        classes = [name for word in words if (name := read_label(word).word_class)]
        commonest = max(classes, key=classes.count) if classes else ""
        topic = [CATEGORY_NAMES.get(commonest) or title(commonest)] if commonest else []
        tags[str(number)] = list(dict.fromkeys([*topic, *map(spoken, words)]))[:TAGS]
    write_json(options.file("cluster_tags.json"), tags)
    shown = "; ".join(", ".join(topics) for topics in list(tags.values())[:3])
    return f"tags such as: {shown} -> cluster_tags.json"


def draw(options: Options, names: list[str], vectors: Array, labels: list[int], files: dict[str, list[str]]) -> None:
    """Write the pictures that a person judges the clusters by: `cluster_map.png` and `clusters/cluster_*.png`."""
    _draw_map(options, names, vectors, labels)
    _draw_sheets(options, files)


def _draw_map(options: Options, names: list[str], vectors: Array, labels: list[int]) -> None:
    """Cards as thumbnails on the first two principal axes, framed in their cluster's colour (at most 1,000 of them)."""
    import colorsys

    from PIL import Image, ImageDraw
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    chosen = np.linspace(0, len(names) - 1, min(len(names), _ON_MAP)).astype(int)
    few = len(chosen) <= 3
    flat = PCA(min(2, *vectors.shape), random_state=options.seed).fit_transform(vectors[chosen])
    if not few and len(names) <= _ON_MAP:
        perplexity = min(20, len(chosen) // 3)
        flat = TSNE(2, init="pca", perplexity=perplexity, random_state=options.seed).fit_transform(vectors)
    flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    low, span = flat.min(0), np.maximum(np.ptp(flat, axis=0), 1e-9)
    side = int(np.clip(_THUMBNAIL * np.sqrt(len(chosen)) * 1.6, 400, 2000))
    canvas = Image.new("RGB", (side + _THUMBNAIL, side + _THUMBNAIL), "white")
    draw = ImageDraw.Draw(canvas)
    pictures = _thumbnails([options.images / names[place] for place in chosen])
    for place, point, picture in zip(chosen, (flat - low) / span * side, pictures, strict=True):
        x, y = int(point[0]), int(point[1])
        shade = colorsys.hsv_to_rgb(labels[place] * 0.618 % 1, 0.7, 0.85)
        canvas.paste(picture, (x, y))
        colour = tuple(int(255 * part) for part in shade)
        draw.rectangle((x, y, x + _THUMBNAIL - 1, y + _THUMBNAIL - 1), outline=colour, width=3)
    _save_png(canvas, options.file("cluster_map.png"))


def _draw_sheets(options: Options, files: dict[str, list[str]]) -> None:
    from PIL import Image

    folder = options.file("clusters")
    for old in folder.glob("cluster_*.png"):
        old.unlink()
    for number, names in files.items():
        shown = names[:100]
        columns = min(10, max(1, len(shown)))
        rows = -(-len(shown) // columns)
        sheet = Image.new("RGB", (columns * _THUMBNAIL, max(rows, 1) * _THUMBNAIL), "white")
        for place, picture in enumerate(_thumbnails([options.images / name for name in shown])):
            sheet.paste(picture, (place % columns * _THUMBNAIL, place // columns * _THUMBNAIL))
        _save_png(sheet, folder / f"cluster_{int(number):03d}.png")


def _thumbnails(paths: list[Path]) -> list[Any]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_thumbnail, paths))


def _thumbnail(path: Path) -> Any:
    from PIL import Image

    return open_card(path).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)


def _save_png(image: Any, path: Path) -> None:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())
