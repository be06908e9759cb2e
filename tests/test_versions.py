"""Steps 1 to 6: what their code makes of the same inputs is committed, so that a change moves the step's version.

A step whose version moved is run again on data sets that the code before made. Steps 7 and 8 ask their teacher
(`test_probe.py`); step 3 is scikit-learn's k-means, whose labels may differ from machine to machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aac.io import read_json, write_json
from dataset.prepare import cluster, embed, personas
from dataset.prepare.options import Options
from dataset.prepare.pipeline import STEPS, Step
from tests.workshop import draw_card, prepare

GOLDEN = Path(__file__).with_name("golden_steps.json")
COMMITTED = (1, 2, 4, 5, 6)
_PERSON = {
    "age": 9,
    "gender": "",
    "disability_type": "",
    "communication_characteristics": "",
    "selection_complexity": "",
}
PEOPLE = ({**_PERSON, "interesting_topics": ["학교", "드론"], "preferred_category_types": []},
          {**_PERSON, "interesting_topics": [], "preferred_category_types": None})  # fmt: skip


def made(home: Path) -> dict[int, Any]:
    """What the steps make, without what a library's version decides (bytes of pictures, last bits of numbers)."""
    folder, images = home / "dataset/processed", home / "dataset/images"
    for name in ("20_손_씻기.png", "21_#.png", "22_드론.png", "23.png"):
        draw_card(images / name, int(name[:2]))
    (images / "24_컵.svg").write_text("<svg/>")
    write_json(home / "dataset/persona.json", [{"id": n, "persona": person} for n, person in enumerate(PEOPLE, 1)])
    assert prepare(home, steps=["1", "2", "4"]) == 0
    cards = read_json(folder / "cards.json")
    for card in cards["cards"]:
        del card["sha256"]
    rows = [np.load(folder / f"{kind}_embeddings.npy") for kind in ("image", "text")]
    near = [(kind[:-1] * kind[1:]).sum(1).tolist() for kind in rows]
    # Clusters as they may be: every third card.
    names = read_json(folder / "embeddings.json")["filenames"]
    labels = [place % 3 for place in range(len(names))]
    files = {str(n): [name for name, label in zip(names, labels, strict=True) if label == n] for n in range(3)}
    clusters = {"cluster_labels": labels, "clustered_files": files, "n_clusters": 3, "filenames": names}
    write_json(folder / "clustering_results.json", clusters)
    options = Options(home / "dataset", images, folder, home / "dataset/persona.json")
    vectors = cluster.card_vectors(options)
    embed.save_array(folder / "centroids.npy", np.stack([vectors[n::3].mean(0) for n in range(3)]))
    cluster.tag_clusters(options)
    personas.write_preferences(options)
    said = {4: read_json(folder / "dataset.json"), 5: read_json(folder / "cluster_tags.json")}
    said |= {1: cards, 6: read_json(folder / "enhanced_persona.json")}
    digests = {number: digest(value) for number, value in said.items()}
    return {number: near if number == 2 else digests[number] for number in COMMITTED}


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


def same(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, str) else np.allclose(one, other, atol=1e-3)


def moved(home: Path, golden: dict[str, dict[str, Any]], steps: Sequence[Step] = STEPS) -> list[str]:
    """What is to be done about each step that makes something else than is committed, or under another version."""
    options = Options(home, home, home, home)
    remedies = []
    for number, value in made(home).items():
        version, known = steps[number - 1].version(options), golden[str(number)]
        if not same(value, known["makes"]) and version == known["version"]:
            remedies.append(f"step {number} makes something else: move its version in pipeline.py")
        elif version != known["version"]:
            remedies.append(f"step {number}: commit {json.dumps({'version': version, 'makes': value})}")
    return remedies


def test_another_result_needs_another_version(home: Path) -> None:
    assert not moved(home, read_json(GOLDEN))


def test_a_change_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: another limit of tags, another width of letters, and a version that moved."""
    monkeypatch.setattr(cluster, "TAGS", 2)
    monkeypatch.setattr(embed, "_CATEGORY_SHARE", 0.5)
    steps = [replace(STEPS[3], version=lambda options: "9") if step.number == 4 else step for step in STEPS]
    found = moved(home, read_json(GOLDEN), steps)
    assert [line.split(":")[0].removesuffix(" makes something else") for line in found] == [
        f"step {number}" for number in (2, 4, 5)
    ]
