"""Pictures, however they are stored or handed over, in one form: first frame, upright, 8 bits, on white, RGB.

Step 1, the cache of card features, requests, the processor and the pages all read through this module, so that what
is a card to one is a card to all, and looks the same. Whatever a file makes a decoder stumble over is one error.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aac.drawings import is_drawing, rasterised
from aac.io import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

READING = 2  # counts up when a picture comes out otherwise than before: what was computed from pictures is then stale
MOST_PIXELS = 16_000_000  # of a card: A4 at 300 dpi has 8.7 million
MOST_BYTES = 100_000_000
FLATTEST = 300  # sides may differ so many times
# Not all that PIL knows: its reader of EPS starts another program.
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "ICO", "AVIF", "JPEG2000", "PPM")
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_NOTES = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_ORIENTATION = 0x0112
_DEPTHS = (255, 4095, 65535)  # the largest values of 8, 12 and 16 bits


class PictureError(UserError):
    """A picture that cannot be read or used, by name; `reason` is the message without the name."""

    def __init__(self, name: str | Path, reason: str) -> None:
        super().__init__(f"{name}: not a readable picture ({reason})")
        self.reason = reason


def open_picture(path: str | Path) -> Image:
    """A picture file as `plain` gives it.

    Raises:
        PictureError: missing, no picture, damaged, or with more than MOST_PIXELS (judged before it is decoded).
    """
    return plain(decoded(file_bytes(path), path), name=path)


def given_picture(value: Any, name: str) -> Image:
    """A picture as an app hands it over, as `plain` gives it.

    Args:
        value: a PIL picture, a path, the bytes of a file or an open one, or an array (height, width), (height, width,
            channels) or (channels, height, width): NumPy's or a tensor's, of 0..1, 0..255 or 0..65535.
        name: what the error calls it where it has no path.

    Raises:
        PictureError: as `open_picture`, and for anything else.
    """
    from PIL import Image

    with _faults(name):
        if isinstance(value, str) and re.match(r"(https?|ftp|data):", value):
            raise PictureError(name, "an address is not fetched: download the picture and give its path")
        if isinstance(value, str | Path):
            return open_picture(value)
        if hasattr(value, "read"):
            value = value.read()
        if isinstance(value, bytes | bytearray | memoryview):
            return plain(decoded(bytes(value), name), name=name)
        if hasattr(value, "__array__") and not isinstance(value, Image.Image):
            value = _from_array(value, name)
        if not isinstance(value, Image.Image):
            kind = type(value).__name__
            raise PictureError(name, f"a PIL picture, a path, bytes or an array is needed, not {kind}")
        _judge_size(value, name)
        return plain(value, name=name)


def file_bytes(path: str | Path) -> bytes:
    """A picture file's content.

    Raises:
        PictureError: it is missing, no file, or too large to be a card.
    """
    path = Path(path)
    with _faults(path):
        if path.exists() and not path.is_file():
            raise PictureError(path, "not a file")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise PictureError(path, f"too large to be a card: {size / 1e6:.0f} MB")
        return path.read_bytes()


def picture_format(data: bytes, name: str | Path) -> str:
    """A picture file's format ("PNG", "JPEG", "SVG", ...) by its header: the size is judged, nothing is drawn.

    Raises:
        PictureError: no picture, or with more than MOST_PIXELS.
    """
    return "SVG" if is_drawing(data) else _first_frame(data, name, load=False).format or ""


def decoded(data: bytes, name: str | Path) -> Image:
    """The first frame of a picture file's content, as it is stored.

    Raises:
        PictureError: no picture, damaged, or with more than MOST_PIXELS.
    """
    return _first_frame(data, name, load=True)


def _first_frame(data: bytes, name: str | Path, load: bool) -> Image:
    from PIL import Image

    def first_frame(data: bytes) -> Image.Image:
        image = Image.open(io.BytesIO(data), formats=[kind for kind in _FORMATS if kind in Image.OPEN])
        _judge_size(image, name)
        if load:
            image.load()
        return image

    with _faults(name):
        if not data:
            raise PictureError(name, "empty file (0 bytes)")
        if is_drawing(data):
            data = rasterised(data)
        Image.init()  # some builds of PIL lack a format
        try:
            return first_frame(data)
        except ValueError:  # a text or a colour profile longer than PIL reads: it takes nothing from the picture
            if not data.startswith(_PNG):
                raise
            return first_frame(_without_notes(data))


def animated(image: Image) -> bool:
    """Whether a decoded picture has more frames than the first; a damaged later frame is none."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # the readers of frames raise whatever they stumble over
        return False


def plain(image: Image, white: bool = True, name: str | Path = "picture") -> Image:
    """A PIL picture of any mode upright (EXIF, XMP), with 8 bits a channel, RGB; what is plain already stays as it is.

    Args:
        white: lay transparency on white; False drops it, as the published conversion does.
        name: what the error calls it.

    Raises:
        PictureError: closed, damaged, or of a mode that has no colours.
    """
    from PIL import Image

    with _faults(name):
        image.load()
        image = _eight_bits(_upright(image))
        if white and image.has_transparency_data:
            layer = image if image.mode == "RGBA" else image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        image = image.convert("RGB")
        image.info = {}  # turned once: what said so must not turn it again
        return image


@contextmanager
def _faults(name: str | Path) -> Iterator[None]:
    """Whatever goes wrong with a picture, as PictureError."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(name, "not a picture") from None
    except Image.DecompressionBombError:
        raise PictureError(name, "too many pixels to be a card (a decompression bomb?)") from None
    except FileNotFoundError:
        raise PictureError(name, "not found") from None
    except OSError as error:
        reason = f"cannot be read: {error.strerror}" if error.strerror else f"damaged picture: {error}"
        raise PictureError(name, reason) from None
    except Exception as error:  # PIL's decoders raise whatever a mutated file makes them stumble over
        raise PictureError(name, f"damaged picture: {str(error) or type(error).__name__}") from None


def _judge_size(image: Image, name: str | Path) -> None:
    """By what the header says, before anything is decoded."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise PictureError(name, f"too many pixels to be a card: {width}x{height} (a bomb?)")
    if max(width, height) > FLATTEST * min(width, height):
        raise PictureError(name, f"too flat to be a card: {width}x{height}")


def _without_notes(data: bytes) -> bytes:
    """A PNG file's content without its texts and its colour profile."""
    kept, place = [_PNG], len(_PNG)
    while place < len(data):
        stop = place + 12 + int.from_bytes(data[place : place + 4])
        if data[place + 4 : place + 8] not in _PNG_NOTES:
            kept.append(data[place:stop])
        place = stop
    return b"".join(kept)


def _upright(image: Image) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF says nothing of how to hold the picture
        turn = None
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image) -> Image:
    """Greys of more bits at the least usual depth that holds them (PIL's own conversion clips them to white); the one
    value that a PNG calls transparent becomes an alpha channel."""
    clear = image.info.get("transparency")
    if isinstance(clear, tuple) and max(clear) > 255:  # PIL keeps the upper bytes of 16-bit colours alone
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    wide = image if image.mode == "F" else image.convert("I")
    most = wide.getextrema()[1]
    depth = next((depth for depth in _DEPTHS if most <= depth), most)
    factor = 255 if image.mode == "F" and most <= 1 else 1 if depth == 255 else 256 / (depth + 1)
    grey = wide.point(lambda value: value * factor + 0).convert("L")
    if isinstance(clear, int):
        grey.putalpha(wide.point([255 * (value != clear) for value in range(65536)], "L"))
    return grey


def _from_array(value: Any, name: str) -> Image:
    import numpy as np
    from PIL import Image

    tensor = hasattr(value, "detach")
    if tensor:
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    array = np.asarray(value)
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and (tensor or array.shape[-1] not in (1, 3, 4)):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype.kind not in "buif" or 0 in array.shape or not (array.ndim == 2 or array.shape[2:] in ((3,), (4,))):
        raise PictureError(name, f"an array of {array.dtype} {array.shape} is no picture: give (height, width, 3)")
    if array.shape[0] * array.shape[1] > MOST_PIXELS:
        raise PictureError(name, f"too many pixels to be a card: {array.shape[1]}x{array.shape[0]}")
    if not (array.dtype.kind == "b" or (array.min() >= 0 and array.max() <= 65535)):  # NaN is neither
        raise PictureError(name, "an array's values lie in 0..1, 0..255 or 0..65535")
    depth = next(depth for depth in _DEPTHS if array.max() <= depth)
    unit = array.dtype.kind in "bf" and array.max() <= 1
    scaled = np.rint(array * 255.0) if unit else array * (256 / (depth + 1)) if depth > 255 else np.rint(array)
    return Image.fromarray(scaled.astype(np.uint8))
