"""Images to predict, from wherever they come: handed on window by window, so that their number is no matter."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from kit.data.cache import cached_arrays
from kit.data.images import Images, windows
from kit.data.picture_sets import SUFFIXES, natural_order, picture_files
from kit.data.pixels import write_as_uint8
from kit.data.readers.many_pictures import stream_pictures
from kit.data.readers.npy import read_pickled_arrays
from kit.data.readers.pictures import Kind
from kit.data.readers.tables import read_table
from kit.data.readers.trees import MAX_RATIO, MAX_UNPACKED_FREELY, Tree, open_tree, read_file
from kit.data.sample import refuse_repeated
from kit.errors import DataError, first_line

_EXPECTED = "expected a picture, a folder or .zip of pictures, a CSV of their paths, a .npy or a .npz of images"
_PATHS = re.compile(r"(?i)(file|image|picture)?_?(path|name)|file|image|picture")
_IDS = re.compile(r"(?i)(image_?)?id")
_PIXELS = ("pixels", "images", "features", "x", "x_test", "arr_0", "data")  # usual names, in this order
_MAX_MEMBERS = 100  # of a .npz
_CACHE_VERSION = 1


@dataclass(frozen=True)
class ImageSource:
    """Images in an order, each read when its turn comes.

    ids: (rows,) as the source gives them: numbers, or names of files.
    image_shape: (height, width, channels).
    read: rows at a time -> windows of so many, but for the last: uint8 (rows, height, width, channels).
    is_one_picture: the source was one file, of which a person wants to know what it shows.
    """

    ids: np.ndarray
    image_shape: tuple[int, ...]
    read: Callable[[int], Iterator[np.ndarray]] = field(repr=False)
    is_one_picture: bool = False

    @classmethod
    def of(cls, images: Images) -> ImageSource:
        """Images that are in memory, or mapped."""
        return cls(images.ids, images.pixels.shape[1:], partial(windows, images.pixels))


def open_input(path: Path, image_shape: tuple[int, int, int], fit: str = "stretch") -> ImageSource:
    """Open what somebody wants predicted.

    Args:
        path: a ``.npy`` or ``.npz`` of images, whose values are 0..255 or 0..1; a picture; a folder or ``.zip`` of
            pictures; or a CSV with a column of their paths, from where the CSV lies.
        image_shape: (height, width, channels) that the model takes; pictures are brought to it, arrays must have it.
        fit: how pictures are brought to it: stretch, crop or pad.

    Raises:
        DataError: it is nothing of that kind, or damaged. Pictures are opened when their turn comes.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == ".zip":
        return _from_folder(path, image_shape, fit)
    if suffix == ".npy":
        return _from_npy(path, image_shape)
    if suffix == ".npz":
        return _from_npz(path, image_shape)
    if suffix == ".csv":
        return _from_table(path, image_shape, fit)
    if suffix in SUFFIXES:
        tree = _ListedFiles(path.parent, (path.name,))
        return _pictures(tree, [path.name], np.array([path.name]), image_shape, fit, is_one_picture=True)
    if not path.exists():
        raise DataError(f"there is no file {path}: {_EXPECTED}")
    raise DataError(f"{path}: received a file that ends in {suffix or 'nothing'!r}, {_EXPECTED}")


# --- pictures ---------------------------------------------------------------------------------------------


class _ListedFiles(Tree):
    """Files that somebody listed, wherever they lie; a directory need not be walked for them."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.path, self.files = root, tuple(names)
        self.folders = self.ignored = ()

    def read(self, name: str) -> bytes:
        return read_file(self.path / name, "picture", "expected a picture")

    def describe(self, name: str) -> str:
        return str(self.path / name)

    def stamp(self, names: Sequence[str] | None = None) -> str:
        raise NotImplementedError("these files are read once and kept nowhere")


def _pictures(
    tree: Tree,
    names: Sequence[str],
    ids: np.ndarray,
    image_shape: tuple[int, int, int],
    fit: str,
    is_one_picture: bool = False,
) -> ImageSource:
    height, width, channels = image_shape
    kind = Kind(channels, (height, width), fit)

    def read(rows: int) -> Iterator[np.ndarray]:
        return _of_so_many(stream_pictures(tree, names, kind), rows)

    return ImageSource(ids, image_shape, read, is_one_picture)


def _of_so_many(pieces: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The same rows in windows of one size, but for the last."""
    waiting: list[np.ndarray] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(map(len, waiting)) >= rows:
            joined = np.concatenate(waiting)
            whole = len(joined) // rows * rows
            yield from windows(joined[:whole], rows)
            waiting = [joined[whole:]]
    rest = np.concatenate(waiting) if waiting else np.empty(0)
    if len(rest):
        yield rest


def _from_folder(path: Path, image_shape: tuple[int, int, int], fit: str) -> ImageSource:
    with open_tree(path) as tree:
        names = sorted(picture_files(tree), key=natural_order)
    if not names:
        raise DataError(f"{path}: there are no pictures in it; {_EXPECTED}")
    ids = np.array(names)

    def read(rows: int) -> Iterator[np.ndarray]:
        with open_tree(path) as again:  # an archive is closed between listing and reading
            yield from _pictures(again, names, ids, image_shape, fit).read(rows)

    return ImageSource(ids, image_shape, read)


def _from_table(path: Path, image_shape: tuple[int, int, int], fit: str) -> ImageSource:
    columns = read_table(path)
    named = [name for name in columns if _PATHS.fullmatch(name.strip())]
    looks = [name for name, values in columns.items() if any(str(v).strip().lower().endswith(SUFFIXES) for v in values)]
    chosen = [name for name in named if name in looks] or looks
    if not chosen:
        raise DataError(
            f"{path}: none of its columns {', '.join(columns)[:100]} holds paths of pictures, expected one such as "
            "'path' with names that end in .png or .jpg"
        )
    names = [str(name).strip() for name in columns[chosen[0]]]
    for line, name in enumerate(names, start=2):
        if not (path.parent / name).is_file():
            raise DataError(
                f"{path}, line {line}: there is no file {name!r} ({chosen[0]}), expected the path of a picture from "
                f"where the table lies; mend it, with / between folders"
            )
    ids = next((columns[name] for name in columns if _IDS.fullmatch(name.strip())), np.array(names))
    refuse_repeated(ids, str(path))
    return _pictures(_ListedFiles(path.parent, names), names, ids, image_shape, fit)


# --- arrays -----------------------------------------------------------------------------------------------


def _from_npy(path: Path, image_shape: tuple[int, int, int]) -> ImageSource:
    with _told(path, ".npy"):
        if _is_pickled(path):
            array = _only_images(read_pickled_arrays(path), image_shape, path)
        else:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        return _from_array(array, np.arange(_rows(array, image_shape, path)), image_shape, path)


def _is_pickled(path: Path) -> bool:
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return bool(read_header(file)[2].hasobject)


def _from_npz(path: Path, image_shape: tuple[int, int, int]) -> ImageSource:
    """Its members are packed, so they are unpacked into the cache once, from where they can be mapped."""

    def unpack(source: Path, directory: Path) -> None:
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist()[:_MAX_MEMBERS]:
                stem, size = member.filename.removesuffix(".npy"), member.file_size
                if size > MAX_UNPACKED_FREELY and size > MAX_RATIO * member.compress_size:
                    raise DataError(
                        f"{source}: {stem[:80]!r} in it claims {size:,} bytes packed into {member.compress_size:,}, "
                        "expected images; do not trust it, and ask whoever made it"
                    )
                if re.fullmatch(r"\w{1,100}", stem):
                    unpacked = directory / f"{stem}.npy"
                    with archive.open(member) as packed, unpacked.open("wb") as file:
                        shutil.copyfileobj(packed, file, 2**20)
                    if _is_pickled(unpacked):  # names, say, beside the images
                        unpacked.unlink()

    with _told(path, ".npz"):
        members = cached_arrays(path, f"npz-{_CACHE_VERSION}", unpack)
        array = _only_images(members, image_shape, path)
        rows = _rows(array, image_shape, path)
        ids = next((np.asarray(members[name]) for name in members if _IDS.fullmatch(name.removesuffix("s"))), None)
        if ids is not None and ids.shape != (rows,):
            raise DataError(f"{path}: {rows} images but ids of shape {ids.shape}, expected an id each")
        if ids is not None:
            ids = np.char.decode(ids, "utf-8") if ids.dtype.kind == "S" else ids
            refuse_repeated(ids, str(path))
        return _from_array(array, np.arange(rows) if ids is None else ids, image_shape, path)


def _only_images(arrays: dict[str, np.ndarray], image_shape: tuple[int, int, int], path: Path) -> np.ndarray:
    """The array of images among others."""
    able = {name: array for name, array in arrays.items() if _holds_images(array.shape, image_shape)}
    usual = [name for name in _PIXELS if name in {able_name.lower() for able_name in able}]
    if len(able) == 1:
        return next(iter(able.values()))
    if usual and len(able) > 1:
        return next(array for name, array in able.items() if name.lower() == usual[0])
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())[:200]
    raise DataError(f"{path}: received {shapes or 'no arrays'}, expected one array of {_shape_words(image_shape)}")


def _holds_images(shape: tuple[int, ...], image_shape: tuple[int, int, int]) -> bool:
    without_channel = (image_shape[:2],) if image_shape[2] == 1 else ()
    return shape[1:] in (image_shape, *without_channel) or shape == image_shape or shape in without_channel


def _rows(array: np.ndarray, image_shape: tuple[int, int, int], path: Path) -> int:
    if not _holds_images(array.shape, image_shape):
        hint = ""
        if array.ndim == 4 and (array.shape[2], array.shape[3], array.shape[1]) == image_shape:
            hint = "; its channels come first: save array.transpose(0, 2, 3, 1)"
        raise DataError(f"{path}: received shape {array.shape}, the model takes {_shape_words(image_shape)}{hint}")
    if not array.size:
        raise DataError(f"{path}: received no images, expected at least one")
    return array.size // int(np.prod(image_shape))


def _shape_words(image_shape: tuple[int, int, int]) -> str:
    return f"(rows, {', '.join(map(str, image_shape))})"


def _from_array(array: np.ndarray, ids: np.ndarray, image_shape: tuple[int, int, int], path: Path) -> ImageSource:
    if array.dtype == np.uint8 and array.flags.c_contiguous:
        if isinstance(array, np.memmap) and array.filename:  # anew, as `windows` maps no view of a map
            pixels: np.ndarray = np.memmap(array.filename, np.uint8, "r", array.offset, (len(ids), *image_shape))
        else:
            pixels = array.reshape(len(ids), *image_shape)
        return ImageSource(ids, image_shape, partial(windows, pixels))

    def convert(source: Path, directory: Path) -> None:
        is_one = array.size == np.prod(image_shape)  # and small enough to be copied, in whatever order it lies
        rows = array.reshape(len(ids), *image_shape) if is_one or array.flags.c_contiguous else array
        write_as_uint8(rows, image_shape, directory / "pixels.npy", str(source))

    shape = "x".join(map(str, image_shape))
    converted = cached_arrays(path, f"input-{_CACHE_VERSION}-{shape}", convert)["pixels"]
    return ImageSource(ids, image_shape, partial(windows, converted))


_DAMAGED = (  # what NumPy and zipfile raise for files that are not theirs, and for shapes that no array has
    ValueError, TypeError, OverflowError, EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile,
)  # fmt: skip


@contextmanager
def _told(path: Path, kind: str) -> Iterator[None]:
    """A file that cannot be read, in one line."""
    try:
        yield
    except _DAMAGED as error:
        raise DataError(
            f"{path}: it is no {kind} of images, or damaged ({first_line(error)[:200]}); save it again"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: it cannot be read ({error.strerror or error}); check the path") from None
