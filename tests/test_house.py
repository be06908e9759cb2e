"""The house's plan, read from its imports: every one counts, inside functions and for type checking too."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("aac", "dataset", "train")
VERBS = {f"train.{name}" for name in ("train", "evaluate", "interpret", "serve", "export", "demo")} | {"data_prepare"}
# The model's public face opens onto the interpreter, so it is a room of its own above it.
FACE = "train.models.aac_multimodal_model"
ROOMS = ("config", "models", "data", "interpreter", "loop", "scoring", "pages", "server", "utils")

Imports = Mapping[str, set[str]]


def read_imports(root: Path) -> dict[str, set[str]]:
    """Each module of the product, and the modules of the product that it imports anywhere."""
    files = [root / "data_prepare.py", *(file for top in PRODUCT for file in (root / top).rglob("*.py"))]
    trees = {}
    for file in files:
        if file.exists():
            name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            trees[name] = ast.parse(file.read_text(encoding="utf-8"))
    return {name: {m for m in _named(tree, trees) if m != name} for name, tree in trees.items()}


def _named(tree: ast.AST, known: Iterable[str]) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"relative import in line {node.lineno}: the product's imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & set(known) or {node.module}
    return found & set(known)


def room(module: str) -> str:
    """The package that a module belongs to."""
    if module in VERBS:
        return "verbs"
    if module == FACE:
        return FACE
    parts = module.split(".")
    depth = 1 if parts[0] == "aac" else 2
    return ".".join(parts[:depth])


def between_rooms(imports: Imports) -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {}
    for module, wanted in imports.items():
        rooms.setdefault(room(module), set()).update(r for m in wanted if (r := room(m)) != room(module))
    return rooms


def circles(graph: Imports) -> set[str]:
    """Groups of modules each of which reaches all others of its group, as `a <-> b`."""
    reach = {start: _reached(graph, start) for start in graph}
    groups = {frozenset(m for m in reach[start] if start in reach[m]) for start in graph}
    return {" <-> ".join(sorted(group)) for group in groups if group}


def _reached(graph: Imports, start: str) -> set[str]:
    seen: set[str] = set()
    ahead = list(graph.get(start, ()))
    while ahead:
        module = ahead.pop()
        if module not in seen:
            seen.add(module)
            ahead += graph.get(module, ())
    return seen


def crossings(imports: Imports, rooms: Iterable[str], forbidden: Iterable[str]) -> set[str]:
    """Imports from one of `rooms` into one of `forbidden`, as `a -> b`."""
    rooms, forbidden = set(rooms), set(forbidden)
    return {
        f"{module} -> {m}"
        for module, wanted in imports.items()
        for m in wanted
        if room(module) in rooms and room(m) in forbidden
    }


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    found = read_imports(ROOT)
    assert len(found) > 80 and "train.models.network" in found[FACE]
    return found


def test_no_circle_of_files(imports: Imports) -> None:
    assert not circles(imports)


def test_no_circle_of_packages(imports: Imports) -> None:
    assert not circles(between_rooms(imports))


def test_nothing_imports_a_verb(imports: Imports) -> None:
    assert not crossings(imports, {room(module) for module in imports}, ["verbs"])


def test_every_floor_rests_on_lower_ones(imports: Imports) -> None:
    """The ground floor stands alone, the data are made without the trainer, models know tensors alone."""
    everything = {room(module) for module in imports}
    assert not crossings(imports, ["aac"], everything - {"aac"})
    assert not crossings(imports, ["dataset.prepare"], everything - {"aac", "dataset.prepare"})
    upper = [f"train.{name}" for name in ROOMS if name not in ("config", "models")]
    assert not crossings(imports, ["train.models", "train.config"], [*upper, FACE])


def test_every_module_has_a_room(imports: Imports) -> None:
    known = {"verbs", FACE, *PRODUCT, "dataset.prepare", *(f"train.{name}" for name in ROOMS)}
    assert {room(module) for module in imports} <= known


def test_circles_are_seen(tmp_path: Path) -> None:
    """Negative control: through a function, through type checking, between packages whose files have none."""
    files = {
        "aac/io.py": "def read():\n    from train.loop import update\n",
        "train/loop/update.py": "import train.models.batch\n",
        "train/models/batch.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from aac.io import Row\n",
        "train/models/prompt.py": "from train.data import rows\nfrom train import evaluate\n",
        "train/data/rows.py": "from train.models import lora\n",
        "train/models/lora.py": "import torch\n",
        "train/evaluate.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = read_imports(tmp_path)
    assert circles(found) == {"aac.io <-> train.loop.update <-> train.models.batch"}
    assert circles(between_rooms(found)) == {"aac <-> train.data <-> train.loop <-> train.models"}
    assert crossings(found, ["aac"], ["train.loop"]) == {"aac.io -> train.loop.update"}
    assert crossings(found, ["train.models"], ["verbs"]) == {"train.models.prompt -> train.evaluate"}
