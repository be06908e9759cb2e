"""Drawings (SVG) as pictures: rasterised at one size, without anything that lies outside the file.

The rasteriser reads whatever file a drawing names: what refers to anything but a part of itself or to a picture that it
carries is taken out first. So are filters, of which a line can keep a processor busy for hours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SIDE = 512  # the longer side in pixels
MOST_BYTES = 4_000_000
_OWN = re.compile(r"#|data:image/(?:png|jpe?g|gif|webp)[;,]", re.IGNORECASE)  # no drawing within a drawing
_FILTER = re.compile(r"filter\s*:[^;}]*", re.IGNORECASE)


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
        _tame(element)
    text = ElementTree.tostring(root, encoding="unicode")
    return bytes(resvg_py.svg_to_bytes(svg_string=text, width=SIDE, height=SIDE, skip_system_fonts=True))


def _tame(element: Element) -> None:
    """Take out of an element what leads outside, and filters."""
    for child in list(element):
        if str(child.tag).rpartition("}")[2] == "filter":
            element.remove(child)
        elif str(child.tag).rpartition("}")[2] == "style" and child.text:
            child.text = _FILTER.sub("", child.text)
    for name, value in list(element.attrib.items()):
        own = name.rpartition("}")[2]
        if own == "filter" or (own == "href" and not _OWN.match(value.strip())):
            del element.attrib[name]
        elif own == "style":
            element.attrib[name] = _FILTER.sub("", value)
