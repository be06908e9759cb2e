"""Small boards for tests: archives as tools write them, and as an attacker would."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

from PIL import Image, ImageDraw


def png(number: int) -> bytes:
    image = Image.new("RGB", (32, 32), "white")
    ImageDraw.Draw(image).rectangle((3 + number, 5, 14 + number, 28), fill=(30 * number % 200, 120, 60))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def data_uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def board(identity: Any, labels: list[str], **more: Any) -> dict[str, Any]:
    """A board of one row; button n has the id n (a number) and the picture id n."""
    buttons = [{"id": n, "label": label, "image_id": n} for n, label in enumerate(labels)]
    images = [{"id": n, "data": data_uri(png(n))} for n in range(len(labels))]
    grid = {"rows": 1, "columns": len(labels), "order": [list(range(len(labels)))]}
    plain = {"format": "open-board-0.1", "id": identity, "name": str(identity), "grid": grid}
    return {**plain, "buttons": buttons, "images": images, "sounds": [], **more}


def archive(boards: dict[str, Any], files: dict[str, bytes] | None = None, **manifest: Any) -> bytes:
    """An `.obz`; a board given as bytes is written as it is."""
    root = {"format": "open-board-0.1", "root": next(iter(boards)), "paths": {"boards": {}, "images": {}}, **manifest}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.json", json.dumps(root))
        for path, content in boards.items():
            file.writestr(path, content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False))
        for path, content in (files or {}).items():
            file.writestr(path, content)
    return out.getvalue()
