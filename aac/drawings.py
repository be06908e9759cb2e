"""Drawings (SVG) as pictures: rasterised at one size, without anything that lies outside the file.

The rasteriser reads whatever file a drawing names: what refers to anything but a part of itself or to a picture that it
carries is taken out first.
"""

from __future__ import annotations

import re

SIDE = 512  # the longer side in pixels
MOST_BYTES = 4_000_000
_OWN = re.compile(r"#|data:image/", re.IGNORECASE)


def is_drawing(data: bytes) -> bool:
    """Whether a file's content is an SVG: XML whose first element is `svg`."""
    head = data[:4096].decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    return head.startswith("<") and re.search(r"<(?:\w+:)?svg[\s>/]", head) is not None


def rasterised(data: bytes) -> bytes:
    """A drawing as PNG with a clear ground, fitted into SIDE x SIDE pixels. System fonts are left out: a picture must
    not depend on the machine that draws it.

    Raises:
        ValueError: damaged, too large, or nothing that can be drawn.
    """
    from xml.etree import ElementTree

    import resvg_py

    if len(data) > MOST_BYTES:
        raise ValueError(f"too large to be drawn: {len(data) / 1e6:.0f} MB")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"a damaged drawing: {error}") from None
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name.rpartition("}")[2] == "href" and not _OWN.match(value.strip()):
                del element.attrib[name]
    text = ElementTree.tostring(root, encoding="unicode")
    return bytes(resvg_py.svg_to_bytes(svg_string=text, width=SIDE, height=SIDE, skip_system_fonts=True))
