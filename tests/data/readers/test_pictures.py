"""kit.data.readers.pictures: every kind of picture comes out as it looks, and nothing else comes out at all."""

from __future__ import annotations

import hashlib
import io
import struct
import threading
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kit.data.readers import pictures
from kit.data.readers.many_pictures import write_pictures
from kit.data.readers.pictures import decode
from kit.data.readers.trees import open_tree
from kit.errors import DataError
from tests.data.readers.conftest import on_linux, python

HEIGHT, WIDTH = 6, 8
DRAW = np.random.default_rng(0)
GREY = DRAW.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
COLOURS = DRAW.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
ALPHA = DRAW.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
FIX = "it is truncated or damaged: download or copy the file again"
EXPECTED = "expected a picture: PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM"


def saved(image: Image.Image | np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(stream, form, **options)
    return stream.getvalue()


def palette(transparent: bool = False) -> Image.Image:
    image = Image.fromarray(GREY // 64, "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30])
    if transparent:
        image.info["transparency"] = 1
    return image


PALETTE = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]], np.uint8)[GREY // 64]
HOLES = np.where((GREY // 64 == 1)[..., None], np.uint8(255), PALETTE)


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.rint(pixels.reshape(HEIGHT, WIDTH, -1) * share + 255 * (1 - share))


def layered(pixels: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([pixels, alpha]))


SIXTEEN = (GREY.astype(np.uint16) << 8) | GREY[::-1]
BITS = GREY > 127
CMYK = np.dstack([COLOURS, GREY])
CMYK_AS_RGB = np.rint((255 - CMYK[..., :3].astype(float)) * (255 - CMYK[..., 3:]) / 255)


def big_endian_tiff() -> bytes:
    """Uncompressed, 16-bit grey, in the byte order of a Macintosh."""
    tags = [
        *((256, 3, WIDTH << 16), (257, 3, HEIGHT << 16), (258, 3, 16 << 16), (259, 3, 1 << 16), (262, 3, 1 << 16)),
        *((273, 4, 8), (277, 3, 1 << 16), (278, 3, HEIGHT << 16), (279, 4, SIXTEEN.nbytes)),
    ]
    entries = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    pixels = SIXTEEN.astype(">u2").tobytes()
    return b"MM\0*" + struct.pack(">I", 8 + len(pixels)) + pixels + struct.pack(">H", len(tags)) + entries + bytes(4)


SIXTEEN_AS_EIGHT = np.rint(SIXTEEN / 257)

# Each with the channels it has by itself, what it must look like, and by how much that may be missed.
KINDS: dict[str, tuple[bytes, int, np.ndarray, float]] = {
    "grey": (saved(GREY), 1, GREY, 0),
    "colours": (saved(COLOURS), 3, COLOURS, 0),
    "1 bit": (saved(Image.fromarray(BITS)), 1, BITS * 255, 0),
    "1 bit TIFF": (saved(Image.fromarray(BITS), "TIFF", compression="group4"), 1, BITS * 255, 0),
    "PBM": (saved(Image.fromarray(BITS), "PPM"), 1, BITS * 255, 0),
    "PPM": (saved(COLOURS, "PPM"), 3, COLOURS, 0),
    "BMP": (saved(COLOURS, "BMP"), 3, COLOURS, 0),
    "grey BMP": (saved(GREY, "BMP"), 1, GREY, 0),
    "WEBP": (saved(COLOURS, "WEBP", lossless=True), 3, COLOURS, 0),
    "TIFF": (saved(COLOURS, "TIFF", compression="tiff_lzw"), 3, COLOURS, 0),
    "GIF": (saved(palette(), "GIF"), 3, PALETTE, 0),
    "grey GIF": (saved(GREY, "GIF"), 1, GREY, 0),
    "JPEG": (saved(np.full_like(COLOURS, (200, 100, 50)), "JPEG"), 3, np.full_like(COLOURS, (200, 100, 50)), 2),
    "grey JPEG": (saved(np.full_like(GREY, 77), "JPEG"), 1, np.full_like(GREY, 77), 1),
    "palette": (saved(palette()), 3, PALETTE, 0),
    "grey palette": (saved(Image.fromarray(GREY).convert("P")), 1, GREY, 0),
    "transparent grey": (saved(layered(GREY, ALPHA)), 1, on_white(GREY, ALPHA), 1),
    "transparent colours": (saved(layered(COLOURS, ALPHA)), 3, on_white(COLOURS, ALPHA), 1),
    "transparent WEBP": (
        saved(layered(COLOURS, ALPHA), "WEBP", lossless=True, exact=True),
        3,
        on_white(COLOURS, ALPHA),
        1,
    ),
    "transparent palette": (saved(palette(transparent=True), transparency=1), 3, HOLES, 0),
    "transparent GIF": (saved(palette(transparent=True), "GIF", transparency=1), 3, HOLES, 0),
    "transparent shade": (
        saved(GREY, transparency=int(GREY[0, 0])),
        1,
        np.where(GREY[0, 0] == GREY, 255, GREY),
        0,
    ),
    "transparent colour": (
        saved(PALETTE, transparency=(0, 255, 0)),
        3,
        HOLES,
        0,
    ),
    "16 bits": (saved(SIXTEEN), 1, SIXTEEN_AS_EIGHT, 0.5),
    "16-bit TIFF": (saved(SIXTEEN, "TIFF"), 1, SIXTEEN_AS_EIGHT, 0.5),
    "16-bit TIFF, big-endian": (big_endian_tiff(), 1, SIXTEEN_AS_EIGHT, 0.5),
    "16-bit PGM": (b"P5 8 6 65535\n" + SIXTEEN.astype(">u2").tobytes(), 1, SIXTEEN_AS_EIGHT, 0.5),
    "32-bit TIFF": (saved(SIXTEEN.astype(np.int32), "TIFF"), 1, SIXTEEN_AS_EIGHT, 0.5),
    "CMYK TIFF": (saved(Image.fromarray(CMYK, "CMYK"), "TIFF"), 3, CMYK_AS_RGB, 2),
    "CMYK JPEG": (  # Adobe's programs write it inverted; without that, this red would be cyan
        saved(Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0)), "JPEG"),
        3,
        np.full_like(COLOURS, (255, 0, 0)),
        4,
    ),
    "YCbCr TIFF": (
        saved(Image.new("YCbCr", (WIDTH, HEIGHT), (76, 85, 255)), "TIFF"),
        3,
        np.full_like(COLOURS, (254, 0, 0)),
        1,
    ),
}


@pytest.fixture(autouse=True)
def _nothing_is_told(capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> Any:
    yield
    assert capsys.readouterr() == ("", "")
    assert not [str(warning.message) for warning in recwarn if "hypothesis" not in str(warning.message)]


def archive(path: Path, contents: Sequence[bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for number, content in enumerate(contents):
            file.writestr(f"{number:04d}.png", content)
    return path


def write(contents: Sequence[bytes], scratch: Path, **options: Any) -> np.ndarray:
    with open_tree(archive(scratch / "data.zip", contents)) as tree:
        write_pictures(tree, tree.files, scratch / "pixels.npy", **options)
    return np.load(scratch / "pixels.npy")


def failure(content: bytes, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        decode(content, "data/1.png", **({"channels": 3} | options))
    message = str(caught.value)
    assert message.startswith("data/1.png: ")
    assert "\n" not in message
    assert len(message) < 400
    return message.removeprefix("data/1.png: ")


# --- what pictures look like --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_what_it_looks_like(tmp_path: Path, name: str) -> None:
    content, channels, expected, tolerance = KINDS[name]
    pixels = decode(content, name, channels=channels)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (HEIGHT, WIDTH, channels)
    np.testing.assert_allclose(pixels, expected.reshape(pixels.shape).astype(float), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(write([content] * 2, tmp_path), np.stack([pixels] * 2))  # finds the channels


@pytest.mark.parametrize("name", KINDS)
def test_channels_as_asked_for(name: str) -> None:
    content, channels, _, _ = KINDS[name]
    grey, colours = decode(content, name, channels=1), decode(content, name, channels=3)
    assert (grey.shape, colours.shape) == ((HEIGHT, WIDTH, 1), (HEIGHT, WIDTH, 3))
    luma = colours @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], luma, rtol=0, atol=1)
    if channels == 1:
        np.testing.assert_array_equal(colours, grey.repeat(3, axis=2))


TURNS = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.transpose(1, 0, 2),
    6: lambda seen: np.rot90(seen, 1),
    7: lambda seen: seen[::-1, ::-1].transpose(1, 0, 2),
    8: lambda seen: np.rot90(seen, -1),
}  # how a camera that was held so stores what it saw


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_pictures_are_upright(form: str, orientation: int) -> None:
    seen = np.asarray(Image.fromarray(DRAW.integers(0, 256, (3, 4, 3), np.uint8)).resize((64, 48)))
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(TURNS[orientation](seen))
    pixels = decode(saved(stored, form, exif=exif, quality=95), "photo", channels=3)
    assert pixels.shape == seen.shape
    assert np.abs(pixels.astype(int) - seen).mean() < 4
    square = decode(saved(stored, form, exif=exif, quality=95), "photo", channels=3, size=(12, 16))
    assert np.abs(square.astype(int) - decode(saved(seen), "seen", channels=3, size=(12, 16))).mean() < 4


def test_orientations_that_mean_nothing() -> None:
    for value in (0, 9, 65535):
        exif = Image.Exif()
        exif[274] = value
        np.testing.assert_array_equal(decode(saved(COLOURS, exif=exif), "photo", channels=3), COLOURS)
    np.testing.assert_array_equal(decode(saved(COLOURS, exif=b"Exif\0\0II*\0\xff\xff"), "photo", channels=3), COLOURS)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "MPO"])
def test_of_several_frames_the_first_counts(form: str) -> None:
    first, second = (Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue"))
    content = saved(first, form, save_all=True, append_images=[second])
    np.testing.assert_allclose(decode(content, "frames", channels=3), np.full_like(COLOURS, (255, 0, 0)), atol=3)


# --- sizes --------------------------------------------------------------------------------------------------

LEFT_AND_RIGHT = np.repeat([[[255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255]]], 2, axis=0).astype(np.uint8)
SCENE = LEFT_AND_RIGHT.repeat(10, axis=0).repeat(10, axis=1)  # 20 high, 40 wide: red, green, green, blue


def test_stretched() -> None:
    pixels = decode(saved(SCENE), "scene", channels=3, size=(4, 4))
    assert np.abs(pixels.astype(int) - LEFT_AND_RIGHT[0]).max() < 70
    assert (pixels.argmax(axis=2) == [0, 1, 1, 2]).all()


def test_cropped() -> None:
    pixels = decode(saved(SCENE), "scene", channels=3, size=(4, 4), fit="crop")
    np.testing.assert_array_equal(pixels[:, 1:3], np.full((4, 2, 3), (0, 255, 0)))
    assert (pixels.argmax(axis=2) == 1).all()


def test_padded() -> None:
    pixels = decode(saved(SCENE), "scene", channels=3, size=(8, 8), fit="pad")
    assert not pixels[[0, 1, 6, 7]].any()
    assert (pixels[2:6].argmax(axis=2) == [0, 0, 1, 1, 1, 1, 2, 2]).all()


@pytest.mark.parametrize("fit", pictures.FITS)
def test_a_needle(fit: str) -> None:
    assert decode(saved(np.full((1, 3000), 200, np.uint8)), "needle", channels=1, size=(5, 4), fit=fit).max() == 200


def test_reduction_does_not_alias() -> None:
    """Every other pixel white: grey from afar, while nearest neighbours or two-pixel filters give stripes."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    pixels = decode(saved(board.astype(np.uint8)), "board", channels=1, size=(10, 10))
    np.testing.assert_allclose(pixels, 127.5, atol=12)


def test_large_jpegs_are_reduced_while_they_are_decoded() -> None:
    scene = Image.fromarray(DRAW.integers(0, 256, (6, 8, 3), np.uint8)).resize((1600, 1200), Image.Resampling.BICUBIC)
    whole = np.asarray(scene.resize((32, 24), Image.Resampling.BILINEAR)).astype(int)
    pixels = decode(saved(scene, "JPEG", quality=95), "photo", channels=3, size=(24, 32))
    assert np.abs(pixels - whole).max() < 8


# --- what is refused ----------------------------------------------------------------------------------------


def png(width: int, height: int, rest: bytes = b"", kind: int = 0) -> bytes:
    """A PNG of any size, with a checksum that is right."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rest)) + chunk(b"IEND", b"")


def two_pages() -> bytes:
    return saved(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(GREY)])


SMALLER = "make it smaller, or remove it"
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "it is empty (0 bytes)", "download or copy it again"),
    "web page": (b"<html>Log in", "it is a web page, not data", "download it again, logged in where it is needed"),
    "LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid",
        "it is a Git LFS pointer, not the data itself",
        "fetch the data with git lfs pull",
    ),
    "archive": (b"PK\3\4", "it is a ZIP archive, not a picture", "unpack it"),
    "text": (b"a,b\n1,2", r"it starts with b'a,b\n1,2', not as a picture", "check which file this is"),
    "program": (  # Pillow would hand it to Ghostscript
        saved(COLOURS, "EPS"),
        r"it starts with b'%!PS-Adobe-3.0 EPSF-3.0\n', not as a picture",
        "check which file this is",
    ),
    "icon": (
        saved(COLOURS, "ICO", sizes=[(8, 6)])[:4],
        r"it starts with b'\x00\x00\x01\x00', not as a picture",
        "check which file this is",
    ),
    "no header": (b"\x89PNG\r\n\x1a\n", r"its header is damaged after b'\x89PNG\r\n\x1a\n'", FIX),
    "bomb": (png(8001, 8000), "it claims 8001 x 8000 pixels, the limit is 64,000,000 in all", SMALLER),
    "larger bomb": (png(2**30, 2**30), "it claims far more than 64,000,000 pixels", SMALLER),
    "what Pillow would warn of": (png(10_000, 10_000), "it claims 10000 x 10000 pixels, the limit is", SMALLER),
    "bytes missing": (saved(COLOURS)[:80], "it cannot be decoded ('image file is truncated", FIX),
    "JPEG bytes missing": (saved(COLOURS, "JPEG")[:-20], "it cannot be decoded ('image file is truncated", FIX),
    "rows missing": (png(8, 6, b"\0" * 20), "it cannot be decoded ('image file is truncated", FIX),
    "checksum": (saved(COLOURS).replace(b"IHDR\0\0\0\x08", b"IHDR\0\0\0\x09"), "its header is damaged after", FIX),
    "no rows": (b"P5 8 0 255\n", "its header is damaged after", FIX),
    "LAB": (
        saved(Image.new("LAB", (8, 6)), "TIFF"),
        "its pixels are of the kind LAB, which has no one way to 8 bits",
        "save it as 8-bit grey or RGB",
    ),
    "floats": (
        saved(GREY.astype(np.float32), "TIFF"),
        "its pixels are of the kind F, which has no one way to 8 bits",
        "save it as 8-bit grey or RGB",
    ),
    "32 bits": (
        saved(np.array([[0, 70_000]], np.int32), "TIFF"),
        "it holds 32-bit values from 0 to 70000, which may mean any brightness",
        "save it with 8 or 16 bits",
    ),
    "8 bits in 32": (
        saved(GREY.astype(np.int32), "TIFF"),
        f"it holds 32-bit values from {GREY.min()} to {GREY.max()}, which may mean any brightness",
        "save it with 8 or 16 bits",
    ),
    "negative": (
        saved(np.array([[-1, 70]], np.int32), "TIFF"),
        "it holds 32-bit values from -1 to 70, which may mean any brightness",
        "save it with 8 or 16 bits",
    ),
    "pages": (two_pages(), "it holds several pages", "save each page as a file of its own"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    content, received, fix = REFUSED[name]
    message = failure(content)
    assert message.startswith(received)
    assert message.endswith(f"; {EXPECTED}; {fix}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 4}, "channels is 4, expected 1 (grey) or 3 (RGB)"),
        ({"channels": 3, "fit": "squeeze"}, "fit is 'squeeze', expected one of stretch, crop, pad"),
        ({"channels": 3, "size": (0, 8)}, "size is (0, 8), expected (height, width) of 1 to 64,000,000 pixels in all"),
    ],
)
def test_kinds_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        decode(saved(GREY), "1.png", **options)
    assert str(caught.value) == message


# --- many pictures ------------------------------------------------------------------------------------------


def digest(names: Sequence[str], contents: Sequence[bytes]) -> str:
    whole = hashlib.sha256()
    for name, content in zip(names, contents, strict=True):
        whole.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return whole.hexdigest()[:32]


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_in_the_order_of_the_names(tmp_path: Path, channels: int) -> None:
    rows = DRAW.integers(0, 256, (1000, 5, 4, channels), np.uint8)
    contents = [saved(row.squeeze()) for row in rows]
    seen: list[tuple[int, int]] = []
    with open_tree(archive(tmp_path / "data.zip", contents)) as tree:
        names = tree.files[::-1]
        found = write_pictures(tree, names, tmp_path / "a.npy", progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), rows[::-1])
    assert found == digest(names, contents[::-1])
    assert seen == [(256, 1000), (512, 1000), (768, 1000), (1000, 1000)]


def test_the_digest_tells_names_and_contents(tmp_path: Path) -> None:
    with open_tree(archive(tmp_path / "a.zip", [saved(GREY), saved(GREY[::-1])])) as tree:
        orders = [tree.files, tree.files[::-1], tree.files[:1], tree.files[1:], tree.files * 2]
        found = [write_pictures(tree, names, tmp_path / "a.npy") for names in orders]
        again = [write_pictures(tree, names, tmp_path / "a.npy", size=(3, 3)) for names in orders]
    assert found == again
    assert len(set(found)) == len(orders)


def test_a_coloured_picture_among_grey_ones(tmp_path: Path) -> None:
    contents = [saved(GREY)] * 700 + [saved(COLOURS)] + [saved(GREY)] * 9
    seen: list[int] = []
    pixels = write(contents, tmp_path, progress=lambda done, total: seen.append(done))
    assert pixels.shape == (710, HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(pixels[700], COLOURS)
    np.testing.assert_array_equal(pixels[0], GREY[..., None].repeat(3, axis=2))
    assert seen[-3:] == [256, 512, 710]  # over again
    assert len(seen) <= 5


def test_several_sizes(tmp_path: Path) -> None:
    contents = [saved(GREY)] * 300 + [saved(GREY[:, :-2]), saved(GREY[1:])]
    with pytest.raises(DataError) as caught:
        write(contents, tmp_path)
    path = tmp_path / "data.zip"
    assert str(caught.value) == (
        f"{path}: 0300.png: it has 6 x 6 pixels, {path}: 0000.png has 8 x 6; expected one size for all; "
        "resize them with --image-size 6"
    )
    assert write(contents, tmp_path, size=(6, 6)).shape == (302, 6, 6, 1)


def test_the_first_wrong_picture_is_told_and_the_others_are_left(tmp_path: Path) -> None:
    contents = [saved(GREY)] * 500 + [b"GIF89a", b"text"] + [saved(GREY)] * 20_000
    seen: list[int] = []
    with pytest.raises(DataError, match=r"data\.zip: 0500\.png: it starts with|0500\.png: its header is damaged"):
        write(contents, tmp_path, progress=lambda done, total: seen.append(done))
    assert seen in ([], [256])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write([saved(GREY)] * 20_000, tmp_path, progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.zip: received no pictures, expected at least one$"):
        write([], tmp_path)


@on_linux
def test_a_full_disk_is_an_os_error(tmp_path: Path) -> None:
    with (
        open_tree(archive(tmp_path / "data.zip", [saved(GREY)] * 300)) as tree,
        pytest.raises(OSError, match="No space left"),
    ):
        write_pictures(tree, tree.files, Path("/dev/full"))


# --- damage -------------------------------------------------------------------------------------------------

PHOTO = np.asarray(Image.fromarray(DRAW.integers(0, 256, (4, 4, 3), np.uint8)).resize((24, 24)))


@cache
def seeds() -> tuple[bytes, ...]:
    exif = Image.Exif()
    exif[274] = 6
    tiffs = [saved(PHOTO, "TIFF", compression=method) for method in (None, "tiff_lzw", "jpeg", "tiff_deflate")]
    forms = [saved(PHOTO, form, exif=exif) for form in ("PNG", "JPEG", "WEBP")]
    others = [saved(PHOTO, form) for form in ("GIF", "BMP", "PPM")]
    lossless = saved(PHOTO, "WEBP", lossless=True)
    small = [content for content, *_ in KINDS.values()]
    return (*tiffs, *forms, *others, lossless, saved(PHOTO, "JPEG", progressive=True), two_pages(), *small)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Flipped, cut, stuffed and spliced."""
    content = bytearray(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(content)) | st.integers(0, min(64, len(content))))
        how = draw(st.sampled_from(["replace", "insert", "delete", "cut", "splice"]))
        new = draw(st.binary(max_size=4))
        if how == "cut":
            del content[start:]
        elif how == "splice":
            other = draw(st.sampled_from(seeds()))
            content[start:] = other[draw(st.integers(0, len(other))) :]
        else:
            removed = {"replace": len(new), "insert": 0, "delete": draw(st.integers(0, 9))}[how]
            content[start : start + removed] = b"" if how == "delete" else new
    return bytes(content)


def decode_damaged(content: bytes, channels: int, size: tuple[int, int] | None, fit: str) -> None:
    try:
        pixels = decode(content, "1.png", channels=channels, size=size, fit=fit)
    except DataError as error:
        assert str(error).startswith("1.png: ")
        assert "\n" not in str(error)
    else:
        assert pixels.dtype == np.uint8
        assert pixels.shape == (*(size or pixels.shape[:2]), channels)
        assert 0 < pixels.shape[0] * pixels.shape[1] <= pictures.MAX_PIXELS


ANY = {
    "content": damaged(),
    "channels": st.sampled_from([1, 3]),
    "size": st.sampled_from([None, (7, 5)]),
    "fit": st.sampled_from(pictures.FITS),
}


@settings(max_examples=600, deadline=None)
@given(**ANY)
def test_damaged_pictures(content: bytes, channels: int, size: tuple[int, int] | None, fit: str) -> None:
    decode_damaged(content, channels, size, fit)


@pytest.mark.slow
@settings(max_examples=30_000, deadline=None)
@given(**ANY)
def test_damaged_pictures_at_length(content: bytes, channels: int, size: tuple[int, int] | None, fit: str) -> None:
    decode_damaged(content, channels, size, fit)


@on_linux
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """1,500 damaged files, and bombs, with no more than 1 GB beside what was there before."""
    random = np.random.default_rng(1)
    contents = [png(8000, 8000), png(65_535, 900), png(2**31 - 1, 1), b"P6 60000 1000 255\n", png(8000, 7999, b"", 6)]
    for _ in range(1500):
        content = bytearray(seeds()[random.integers(len(seeds()))])
        for place in random.integers(0, len(content), random.integers(1, 6)):
            content[place] = random.integers(256)
        contents.append(bytes(content))
    code = """
import resource, sys
from pathlib import Path
import PIL.Image
from kit.data.readers.pictures import decode
from kit.data.readers.trees import open_tree
from kit.errors import DataError
PIL.Image.init()
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with open_tree(Path(sys.argv[1])) as tree:
    for name in tree.files:
        try:
            decode(tree.read(name), name, channels=3)
        except DataError as error:
            if "Memory" in str(error):
                print(name, error)
"""
    done = python(code, archive(tmp_path / "data.zip", contents))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]


def test_a_chain_of_pages_that_leads_back_takes_no_time() -> None:
    content = bytearray(two_pages())
    first = struct.unpack("<I", content[4:8])[0]
    (entries,) = struct.unpack("<H", content[first : first + 2])
    second = struct.unpack("<I", content[first + 2 + 12 * entries :][:4])[0]
    (entries,) = struct.unpack("<H", content[second : second + 2])
    struct.pack_into("<I", content, second + 2 + 12 * entries, first)
    assert failure(bytes(content)).startswith("it holds several pages")
