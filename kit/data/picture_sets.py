"""Image files of a directory or archive -> one cached uint8 array; and what lies where in class-named folders."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kit.data.cache import cached_tree
from kit.data.images import Images
from kit.data.progress import tell_progress
from kit.data.readers.many_pictures import write_pictures
from kit.data.readers.trees import Tree
from kit.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_CACHE_VERSION = 1
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True)
class Format:
    """What images of any size and kind become.

    size: (height, width) in pixels; None keeps the size that all of them must have.
    channels: 1 grey or 3 RGB; None is grey if every image is.
    fit: stretch, crop (the middle) or pad (with black) to the size.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    fit: str = "stretch"

    @classmethod
    def of(cls, image_size: int | tuple[int, int] | None, channels: int | None, fit: str) -> Format:
        """From the options of a competition, where one number is the side of a square.

        Raises:
            DataError: a size or a number of channels that images cannot have.
        """
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        if size is not None and not all(1 <= side <= 4096 for side in size):
            raise DataError(f"image_size is {image_size}, expected 1 to 4096 pixels")
        if channels not in (None, 1, 3):
            raise DataError(f"channels is {channels}, expected 1 (grey) or 3 (RGB)")
        return cls(size, channels, fit)


def picture_files(tree: Tree) -> list[str]:
    """The files whose names end like those of images."""
    return [name for name in tree.files if name.lower().endswith(SUFFIXES)]


def skipped_note(tree: Tree) -> tuple[str, ...]:
    """One line on files that were passed over, if there are any."""
    strangers = [name for name in tree.files if not name.lower().endswith(SUFFIXES)]
    names = [*tree.ignored, *strangers]
    if not names:
        return ()
    kinds = Counter(PurePosixPath(name).name for name in names).most_common(3)
    return (f"{tree.path}: {len(names)} files skipped that are no images, such as {', '.join(n for n, _ in kinds)}",)


def read_pictures(tree: Tree, files: Sequence[str], kind: Format, title: str) -> np.ndarray:
    """Decode image files, once.

    Args:
        title: what is read, for the progress bar.

    Returns:
        uint8 (files, height, width, channels), memory-mapped.

    Raises:
        DataError: a file that is no image, or of another size where none was asked for.
    """
    names = hashlib.sha256("\0".join(files).encode()).hexdigest()
    size = "x".join(map(str, kind.size)) if kind.size else "own"
    format_name = f"pictures-{_CACHE_VERSION}-{size}-{kind.channels or 'own'}-{kind.fit}"

    def convert(directory: Path) -> str:
        return write_pictures(
            tree,
            files,
            directory / "pixels.npy",
            size=kind.size,
            channels=kind.channels,
            fit=kind.fit,
            progress=lambda done, total: tell_progress(title, done, total),
        )

    place = f"{tree.path.resolve()}\0{names}"
    return cached_tree(place, lambda: tree.stamp(files), format_name, convert)["pixels"]


def read_class_folders(
    tree: Tree,
    folds: Sequence[str],
    kind: Format,
    classes: Sequence[str] | None = None,
    apart: re.Pattern[str] = _NOTHING,
) -> tuple[Images, tuple[str, ...]]:
    """Labelled images from class-named folders.

    Args:
        tree: the data set.
        folds: the folders whose own folders are the classes, such as ``train1``; ``""`` is the data set itself.
        classes: the names that folders must have, with or without a number in front (``003_cat``), in the order of
            the class indices; by default whatever names there are, in their order.
        apart: names of folders beside the classes that are something else, such as the test images.

    Returns:
        Images with the file names as ids and the fold as the column ``folder``; and the classes.

    Raises:
        DataError: a folder that is no class, class names that differ in upper and lower case only, a class folder
            without images, or images that cannot be read.
    """
    place_of = {name: _fold_and_folder(name, folds) for name in picture_files(tree)}
    files = [name for name, place in place_of.items() if place and (place[0] or not apart.fullmatch(place[1]))]
    places = [place for name in files if (place := place_of[name])]
    named = _named_classes(tree, folds, Counter(places), classes, apart)
    names = classes or sorted(set(named.values()), key=natural_order)
    if len(names) < 2 or not files:
        found = f"the class folders {', '.join(names)}" if names and files else "no class folders with images"
        raise DataError(
            f"{tree.path}: received {found}, expected two or more: put the images into train/CLASS/ folders, or into "
            "CLASS/ folders right there, with those to predict in test/"
        )
    index = {name: number for number, name in enumerate(names)}
    images = Images(
        pixels=read_pictures(tree, files, kind, f"{', '.join(folds[:5]) or tree.path.name}"),
        ids=np.array(files),
        labels=np.array([index[named[place]] for place in places], np.int64),
        columns={"folder": np.array([fold for fold, _ in places])} if any(folds) else {},
        notes=(*skipped_note(tree), *_stray_note(tree, place_of, folds)),
    )
    return images, tuple(index)


def _stray_note(tree: Tree, place_of: Mapping[str, Place | None], folds: Sequence[str]) -> tuple[str, ...]:
    """One line on images that lie beside the class folders, if there are any."""
    beside = [name for name, place in place_of.items() if not place and (name.rpartition("/")[0] in (*folds, ""))]
    if not beside:
        return ()
    return (f"{tree.path}: {len(beside)} images lie in no class folder and are left out, such as {beside[0]}",)


Place = tuple[str, str]
"""Fold and class folder."""


def _fold_and_folder(name: str, folds: Sequence[str]) -> Place | None:
    """Where a file lies; None for one that lies in no class folder."""
    for fold in folds:
        inside = name.removeprefix(f"{fold}/") if fold else name
        if "/" in inside and (not fold or inside != name):
            return fold, inside.partition("/")[0]
    return None


def _named_classes(
    tree: Tree,
    folds: Sequence[str],
    counts: Mapping[Place, int],
    classes: Sequence[str] | None,
    apart: re.Pattern[str],
) -> dict[Place, str]:
    """The class of each class folder, once none of them has anything wrong with it."""
    named: dict[Place, str] = {}
    seen: dict[str, str] = {}
    known = {name.casefold(): name for name in classes or ()}
    for fold in folds:
        part = tree.below(fold) if fold else tree
        for folder in part.top_folders:
            if not fold and apart.fullmatch(folder):
                continue
            other = seen.setdefault(folder.casefold(), folder)
            if other != folder:
                raise DataError(
                    f"{part.describe(folder)}: its name differs from {other!r} in upper and lower case only; "
                    "expected one folder a class: rename or merge them"
                )
            name = known.get(without_number(folder), folder)
            if classes and name not in classes:
                raise DataError(
                    f"{part.describe(folder)}: {folder!r} is no class; expected one of {', '.join(classes[:10])}: "
                    "rename or remove it"
                )
            if not counts.get((fold, folder)):
                raise DataError(f"{part.describe(folder)}: this class folder holds no images; fill it or remove it")
            named[fold, folder] = name
    return named


def without_number(folder: str) -> str:
    """``cat`` of ``003_Cat``: what of a folder's name is compared with a class."""
    return re.sub(r"^\d+[_. -]+(?=\D)", "", folder).casefold()


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sorts ``2.png`` before ``10.png``; ``01`` and ``1`` have an order too."""
    parts = [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
    return [*parts, (-1, name)]
