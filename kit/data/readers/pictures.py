"""PNG, JPEG, BMP, GIF, WEBP, TIFF and PPM files that nobody vouches for -> uint8, 0..255.

Pillow decodes; only these formats are tried, because others start programs (EPS) or fetch files. Of several frames
the first one counts, as other loaders have it: phones hide a second one in a JPEG, and an animation shows the same
thing throughout. Pages of a TIFF are pictures of their own, so more than one is refused.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kit.data.readers.faults import FaultError, shown, stranger
from kit.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FITS = ("stretch", "crop", "pad")
MAX_PIXELS = 64_000_000  # of one file; each takes up to 12 bytes while it is decoded


_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_MAGIC = re.compile(rb"\x89PNG|\xff\xd8\xff|BM|GIF8|RIFF....WEBP|II[*+]\0|MM\0[*+]|P[1-6f]\s", re.DOTALL)
_EXPECTED = f"expected a picture: {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"
_SIXTEEN_BITS = {"I", "I;16", "I;16L", "I;16B", "I;16N"}
_GREY = {"1", "L", "LA"} | _SIXTEEN_BITS
_TRANSPARENT = {"LA", "PA", "RGBA"}
_OPAQUE = {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"}  # Pillow takes CMYK in JPEG as Adobe writes it, inverted
_ORIENTATION = 274  # the tag in EXIF
_TURNS = {  # its values, and how Pillow brings a picture upright
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


@dataclass(frozen=True)
class Kind:
    """What every picture becomes.

    channels: 1 grey, 3 RGB.
    size: (height, width) to bring it to; None leaves it as it is.
    fit: stretch it, crop the middle, or pad it with black.
    """

    channels: int
    size: tuple[int, int] | None = None
    fit: str = "stretch"

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise DataError(f"channels is {self.channels}, expected 1 (grey) or 3 (RGB)")
        if self.fit not in FITS:
            raise DataError(f"fit is {shown(self.fit)}, expected one of {', '.join(FITS)}")
        if self.size is not None and not (min(self.size) > 0 and self.size[0] * self.size[1] <= MAX_PIXELS):
            raise DataError(f"size is {self.size}, expected (height, width) of 1 to {MAX_PIXELS:,} pixels in all")


def decode(
    content: bytes, source: str, *, channels: int, size: tuple[int, int] | None = None, fit: str = "stretch"
) -> np.ndarray:
    """Decode one picture: upright as its EXIF says, on white where it is transparent, 16 bits scaled to 8.

    Resizing is Pillow's BILINEAR, whose triangle widens with the reduction, so that nothing aliases. For many
    pictures at once there is ``many_pictures``; this keeps Pillow's warnings away for one thread only.

    Args:
        content: the file.
        source: what to name in an error.
        channels: 1 grey (by luma), 3 RGB.
        size: (height, width); None leaves it as it is.
        fit: stretch it, crop the middle, or pad it with black, to the size.

    Returns:
        uint8 (height, width, channels), 0..255.

    Raises:
        DataError: no picture, a damaged one, one of more than ``MAX_PIXELS``, several pages, or pixels whose
            range is not known (LAB, floating point, 32 bits).
    """
    with silence():
        image = decoded(content, source, Kind(channels, size, fit))
    return np.asarray(image).reshape(image.height, image.width, channels)


class ColouredError(Exception):
    """A coloured picture in a set that was grey so far."""


def decoded(content: bytes, source: str, kind: Kind, *, only_grey: bool = False) -> Image:
    """A picture of mode L or RGB, or ``ColouredError`` if it is to be grey and is not."""
    try:
        image = _opened(content)
        if kind.size:  # a JPEG can be decoded at a half, a quarter or an eighth: up to four times as fast
            image.draft(None, (2 * max(kind.size), 2 * max(kind.size)))
        image.load()
        if only_grey and not _is_grey(image):
            raise ColouredError
        turn = _turn(image)
        image = _flattened(image, "L" if kind.channels == 1 else "RGB")
        return _fitted(_turned(image, turn) if turn else image, kind)
    except ColouredError:
        raise
    except FaultError as fault:
        received, fix = fault.received, fault.fix
    except Exception as error:  # noqa: BLE001 - for damaged files Pillow raises whatever its parsers happen to raise
        received, fix = f"it cannot be decoded ({shown(str(error) or type(error).__name__)})", FaultError("").fix
    raise DataError(f"{source}: {received}; {_EXPECTED}; {fix}")


def _opened(content: bytes) -> Image:
    """The picture, its header read and found harmless, its pixels not yet decoded."""
    from PIL import Image

    if not content:
        raise FaultError("it is empty (0 bytes)", "download or copy it again")
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise FaultError(f"it claims far more than {MAX_PIXELS:,} pixels", "make it smaller, or remove it") from None
    except Image.UnidentifiedImageError:
        if _MAGIC.match(content):
            raise FaultError(f"its header is damaged after {shown(content[:24])}") from None
        raise stranger(content[:500], "a picture") from None
    if image.width * image.height > MAX_PIXELS:
        received = f"it claims {image.width} x {image.height} pixels, the limit is {MAX_PIXELS:,} in all"
        raise FaultError(received, "make it smaller, or remove it")
    if image.width < 1 or image.height < 1:
        raise FaultError(f"it has {image.width} x {image.height} pixels")
    if image.format == "TIFF" and _has_a_second_page(image):
        raise FaultError("it holds several pages", "save each page as a file of its own")
    return image


def _has_a_second_page(image: Image) -> bool:
    """Not by ``n_frames``, which goes through all of them, however many a file claims."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _is_grey(image: Image) -> bool:
    """By what the file says, which costs nothing: grey pixels saved as RGB count as coloured."""
    if image.mode in ("P", "PA"):
        palette = image.getpalette("RGB") or []
        return palette[::3] == palette[1::3] == palette[2::3]
    return image.mode in _GREY


def _flattened(image: Image, mode: str) -> Image:
    """Opaque, of 8 bits, and of the given mode."""
    from PIL import Image

    if image.mode in _SIXTEEN_BITS:
        image = _eight_of_sixteen_bits(image)
    elif image.mode in _TRANSPARENT or ("transparency" in image.info and image.mode in _OPAQUE):
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    elif image.mode not in _OPAQUE:
        raise FaultError(
            f"its pixels are of the kind {image.mode}, which has no one way to 8 bits", "save it as 8-bit grey or RGB"
        )
    return image if image.mode == mode else image.convert(mode)


def _eight_of_sixteen_bits(image: Image) -> Image:
    from PIL import Image

    values = np.asarray(image)
    highest = int(values.max())
    # 32 bits hold 16 of them in a PGM; a TIFF does not say how many: up to 255 they may just as well be 8.
    if image.mode == "I" and (values.min() < 0 or highest > 65535 or (image.format == "TIFF" and 0 < highest < 256)):
        received = f"it holds 32-bit values from {values.min()} to {highest}, which may mean any brightness"
        raise FaultError(received, "save it with 8 or 16 bits")
    scaled = ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if isinstance(transparent := image.info.get("transparency"), int):
        scaled[values == transparent] = 255
    return Image.fromarray(scaled)


def _turn(image: Image) -> str | None:
    """How to bring it upright; a TIFF already is, by Pillow. Damaged EXIF says nothing, as in any viewer."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except (struct.error, SyntaxError, ValueError):
        return None


def _turned(image: Image, turn: str) -> Image:
    from PIL.Image import Transpose

    return image.transpose(Transpose[turn])


def _fitted(image: Image, kind: Kind) -> Image:
    """Brought to the size, if one is asked for; black is what it is padded with."""
    from PIL import Image, ImageOps

    if kind.size is None or image.size == kind.size[::-1]:
        return image
    height, width = kind.size
    triangle = Image.Resampling.BILINEAR
    if kind.fit == "stretch":
        return image.resize((width, height), triangle)
    if kind.fit == "crop":
        return ImageOps.fit(image, (width, height), triangle)
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    padded = Image.new(image.mode, (width, height))
    padded.paste(image.resize(inner, triangle), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return padded


@contextmanager
def silence() -> Iterator[None]:
    """Pillow warns and logs of what is refused or put right here; entered once, by the thread that waits.

    What libtiff itself writes of a damaged TIFF still shows: keeping it away would take stderr from the progress bar.
    """
    log, deaf = logging.getLogger("PIL"), logging.NullHandler()
    log.addHandler(deaf)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.removeHandler(deaf)
