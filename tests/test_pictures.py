"""A card looks the same however it is stored and handed over; what cannot be read is one error that names it."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from aac.pictures import PictureError, decoded, given_picture, open_picture
from dataset.prepare import cards
from train.models.image_processing import Phi3VisionProcessor

# EXIF as cameras and editors break it: behind the turn (6) stands what is no such number, or nothing.
BROKEN_EXIF = {
    "negative": "49492a000800000002001201030001000000060000001a010a00010000002600000000000000ffffffff00000000",
    "no divisor": "4d4d002a000000080002011200030000000100060000011a00050000000100000026000000000000000100000000",
    "width as a ratio": "4d4d002a000000080002011200030000000100060000010000050000000100000026000000000000000100000001",
}


def drawing(mode: str = "RGB") -> Image.Image:
    """A grey and a black shape on white, 48 wide and 32 high; turned, it looks otherwise."""
    image = Image.new("L", (48, 32), 255)
    ImageDraw.Draw(image).rectangle((2, 2, 20, 12), fill=0)
    ImageDraw.Draw(image).ellipse((28, 10, 44, 28), fill=120)
    return image.convert(mode)


GREYS = np.asarray(drawing("L")).astype(np.uint16)
QUARTER = drawing().transpose(Image.Transpose.ROTATE_90)


def stored(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    buffer = io.BytesIO()
    lossless = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    image.save(buffer, kind, **lossless, **settings)
    return buffer.getvalue()


def turned(kind: str, orientation: int, back: Image.Transpose) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return stored(drawing().transpose(back), kind, exif=exif)


def broken(exif: str) -> bytes:
    return stored(QUARTER, "JPEG", exif=b"Exif\0\0" + bytes.fromhex(exif))


def png(values: np.ndarray, *more: tuple[bytes, bytes], depth: int = 16, colours: int = 1) -> bytes:
    """A PNG of values (height, width) in each channel, with chunks of one's own."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    numbers = values.astype(">u2" if depth == 16 else "u1")[..., None].repeat(colours, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in numbers)
    kinds = {1: 0, 3: 2}
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, kinds[colours], 0, 0, 0)
    parts = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


LONG = zlib.compress(b"\0" * 2**21)
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
ALIKE: dict[str, Callable[[], bytes]] = {
    "16-bit grey": lambda: png(GREYS * 257),
    "16-bit grey, upper bytes alone": lambda: png(GREYS * 256),
    "12-bit grey": lambda: png(GREYS * 16),
    "8-bit grey in 16": lambda: png(GREYS),
    "16-bit grey, white is clear": lambda: png(GREYS * 257, (b"tRNS", b"\xff\xff")),
    "16-bit colour, white is clear": lambda: png(GREYS * 257, (b"tRNS", b"\xff" * 6), colours=3),
    "integers": lambda: stored(drawing("I"), "TIFF"),
    "floats to 255": lambda: stored(drawing("F"), "TIFF"),
    "floats to 1": lambda: stored(drawing("F").point(lambda value: value * (1 / 255) + 0), "TIFF"),
    "long text": lambda: png(GREYS, (b"zTXt", b"note\0\0" + LONG), depth=8),
    "long profile": lambda: png(GREYS, (b"iCCP", b"icc\0\0" + LONG), depth=8),
    "turned JPEG": lambda: turned("JPEG", 6, Image.Transpose.ROTATE_90),
    "turned PNG": lambda: turned("PNG", 3, Image.Transpose.ROTATE_180),
    "turned TIFF": lambda: turned("TIFF", 5, Image.Transpose.TRANSPOSE),
    "turned by XMP": lambda: stored(QUARTER, "WEBP", xmp=XMP),
    **{f"EXIF, {name}": lambda exif=exif: broken(exif) for name, exif in BROKEN_EXIF.items()},
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_card_looks_the_same_however_it_is_stored(tmp_path: Path, name: str) -> None:
    """To step 1, from the file, as bytes, as PIL opens it, and to the processor, once and once more."""
    wanted = np.asarray(drawing()).astype(int)
    path = tmp_path / "1_물.png"
    path.write_bytes(ALIKE[name]())
    look = cards.examine(path)
    plain = tmp_path / "2_물.png"
    drawing().save(plain)
    assert look.reason == "" and look.likeness == cards.examine(plain).likeness
    processor = Phi3VisionProcessor(None, image_size=56, image_layout="global")
    pixels, _ = processor.images([drawing()])
    ways = [open_picture(path), given_picture(str(path), "images"), given_picture(path.read_bytes(), "images")]
    if not name.startswith("long"):  # PIL itself refuses them
        ways.append(given_picture(Image.open(path), "images"))
        assert (processor.images([Image.open(path)])[0] - pixels).abs().max() < 0.1
    for found in ways:
        assert np.abs(np.asarray(found) - wanted).max() <= (6 if "JPEG" in name or "EXIF" in name else 1)
        assert (processor.images([found])[0] - pixels).abs().max() < 0.1  # and is not turned again


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Truncated File")
def test_exif_that_ends_early_turns_nothing() -> None:
    whole = BROKEN_EXIF["negative"]
    for end in range(2, len(whole), 2):
        found = given_picture(broken(whole[:end]), "images")
        assert found.size in (QUARTER.size, drawing().size)
    assert given_picture(broken(whole[:20]), "images").size == QUARTER.size


def test_what_makes_pictures_differ_is_seen() -> None:
    """Negative control of the test above: upside down, and clipped as PIL converts 16-bit greys."""
    wanted = np.asarray(drawing()).astype(int)
    for other in (drawing().rotate(180), Image.open(io.BytesIO(png(GREYS * 257))).convert("RGB")):
        assert np.abs(np.asarray(other) - wanted).max() > 100


def test_a_request_leaves_the_apps_picture_as_it_was() -> None:
    image = Image.open(io.BytesIO(turned("PNG", 3, Image.Transpose.ROTATE_180)))
    before = image.copy()
    given_picture(image, "images")
    assert image.size == before.size and image.tobytes() == before.tobytes() and image.getexif()[0x0112] == 3


ARRAYS = {
    "bytes": GREYS.astype(np.uint8),
    "channels last": np.asarray(drawing()),
    "channels first": np.moveaxis(np.asarray(drawing()), -1, 0),
    "one channel": GREYS.astype(np.uint8)[..., None],
    "alpha": np.asarray(drawing("RGBA")),
    "16 bit": GREYS * 257,
    "long integers": GREYS.astype(np.int64),
    "floats to 1": GREYS / 255,
    "floats to 255": GREYS.astype(np.float32),
    "tensor": torch.from_numpy(GREYS.astype(np.float32) / 255).repeat(3, 1, 1).requires_grad_(),
    "half tensor": torch.from_numpy(GREYS.astype(np.float32)).bfloat16(),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_and_tensors_are_pictures(name: str) -> None:
    found = np.asarray(given_picture(ARRAYS[name], "images")).astype(int)
    assert found.shape == (32, 48, 3) and np.abs(found - np.asarray(drawing()).astype(int)).max() <= 1
    black = np.asarray(given_picture(np.array([[True, False]]), "images"))
    assert black.tolist() == [[[255] * 3, [0] * 3]]


def closed() -> Image.Image:
    image = Image.open(io.BytesIO(stored(drawing())))
    image.close()
    return image


NO_PICTURES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "number": lambda: 3,
    "list": lambda: [[0, 1], [1, 0]],
    "address": lambda: "https://example.org/1.png",
    "no such file": lambda: "없는 그림.png",
    "folder": lambda: Path(__file__).parent,
    "no path": lambda: "a\0b.png",
    "long path": lambda: "a" * 5000,
    "text": lambda: b"text",
    "empty": lambda: b"",
    "closed": closed,
    "cut": lambda: stored(drawing())[:-60],
    "cut, opened by PIL": lambda: Image.open(io.BytesIO(stored(drawing())[:-60])),
    "no pixels": lambda: Image.new("RGB", (0, 5)),
    "array of nothing": lambda: np.zeros((0, 3)),
    "array of words": lambda: np.array([["물"]]),
    "array of a batch": lambda: np.zeros((2, 4, 4, 3)),
    "array below 0": lambda: np.full((4, 4), -1.0),
    "array that is no number": lambda: np.full((4, 4), np.nan),
    "array too bright": lambda: np.full((4, 4), 1e9),
    "line": lambda: Image.new("RGB", (1, 400)),
    "large": lambda: Image.new("1", (4001, 4000)),
    "large array": lambda: np.broadcast_to(np.uint8(0), (4001, 4000)),
    "bomb": lambda: png(GREYS).replace(struct.pack(">II", 48, 32), struct.pack(">II", 60_000, 60_000), 1),
}


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_no_picture_is_one_error_that_names_it(name: str) -> None:
    with pytest.raises(PictureError) as caught:
        given_picture(NO_PICTURES[name](), "images: picture 2")
    (line,) = str(caught.value).splitlines()
    assert any(part in line for part in ("picture 2", ".png", "tests", "aaa"))


@pytest.mark.parametrize("reader", [open_picture, lambda path: given_picture(path, "images"), cards.examine])
def test_a_pipe_or_a_huge_file_is_no_card(tmp_path: Path, reader: Callable[[Path], Any]) -> None:
    """Neither waits for a writer nor fills the memory."""
    os.mkfifo(tmp_path / "1_관.png")
    with open(tmp_path / "2_큰.png", "wb") as file:
        file.truncate(200_000_000)
    for path, word in ((tmp_path / "1_관.png", "not a file"), (tmp_path / "2_큰.png", "too large")):
        try:
            reason = reader(path).reason
        except PictureError as error:
            reason = error.reason
        assert word in reason


def test_a_frame_that_is_damaged_later_does_not_spoil_the_first(tmp_path: Path) -> None:
    frames = [drawing("P"), drawing("P").rotate(90), drawing("P").rotate(180)]
    data = stored(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    path = tmp_path / "1_물.gif"
    for length in range(len(data) // 2, len(data), 7):
        path.write_bytes(data[:length])
        assert cards.examine(path).reason == ""
    assert np.abs(np.asarray(open_picture(path)).astype(int) - np.asarray(drawing()).astype(int)).max() <= 1


def test_a_long_thin_picture_is_padded_within_bounds() -> None:
    processor = Phi3VisionProcessor(None, image_size=28, image_layout="global")
    pixels, _ = processor.images([given_picture(Image.new("RGB", (60_000, 250), "black"), "images")])
    assert pixels.shape == (1, 1, 3, 28, 28)


def test_only_formats_of_pictures_are_opened() -> None:
    """PIL would start another program to draw PostScript."""
    with pytest.raises(PictureError, match="not a picture"):
        decoded(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 32\n%%EndComments\n", "1_물.png")
