"""What CIFAR-10 and CIFAR-100 have in common: where their files are, in whichever of their layouts."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.cache import Arrays, cached_arrays
from kit.data.data_trees import data_set_root, find_table, open_data_tree
from kit.data.downloads import downloaded
from kit.data.images import Images
from kit.data.labelled_tables import TableLayout, load_unlabelled, open_table
from kit.data.locate import data_directories
from kit.data.picture_sets import Format, read_class_folders, without_number
from kit.data.readers.cifar import write_batches
from kit.data.readers.tarballs import spooled_members
from kit.data.readers.trees import Tree
from kit.data.sample import read_sample
from kit.errors import DataError
from kit.files import replacing

SHAPE = (32, 32, 3)
_PICTURES = Format(None, 3)
_FOLDERS = re.compile(r"(?i)train\d*|test")
_ARCHIVES = re.compile(rf"{_FOLDERS.pattern}|.*\.csv")
_LABELS = ("trainLabels.csv", "train_labels.csv")


@dataclass(frozen=True)
class Version:
    """One of the official packagings: a folder of batches, or the archive of that folder."""

    folder: str
    archive: str
    train: tuple[str, ...]
    test: str

    def files(self, part: str) -> tuple[str, ...]:
        return self.train if part == "train" else (self.test,)


@dataclass(frozen=True)
class DataSet:
    """CIFAR-10 or CIFAR-100.

    columns: the label columns of its batches, in the order of the binary version.
    classes: names that class folders and tables have, in the order of the class indices.
    """

    name: str
    versions: tuple[Version, ...]
    columns: tuple[str, ...]
    classes: tuple[str, ...]

    def load(self, part: str, data: Path | None) -> tuple[Images, Arrays]:
        """``train`` or ``test`` images; from batches, also every label column.

        Raises:
            DataError: there are no files of any layout, or they cannot be read.
        """
        found = self._find_version(part, data)
        if found is None and (root := self._pictures(data)) is not None:
            return self._load_pictures(part, root), {}
        if found is None:
            if data is not None or any(place.exists() for place in data_directories(self.name, data)[:1]):
                raise DataError(self._nothing_there(part, data))
            self._download(data_directories(self.name, data)[0])
            found = self._find_version(part, data)
        version, source = found  # type: ignore[misc]
        arrays = cached_arrays(
            source, f"{self.name}-{part}-1", lambda files, into: self._convert(version, part, files, into)
        )
        rows = len(arrays["pixels"])
        batch = np.repeat(np.arange(len(version.files(part))), arrays["batch_rows"])
        columns = {"batch": np.array(version.files(part))[batch]}
        if "filenames" in arrays:
            columns["file"] = np.asarray(arrays["filenames"])
        labels = arrays[self.columns[-1]]
        return Images(arrays["pixels"], np.arange(1, rows + 1), np.asarray(labels), columns), arrays

    def of_the_test(self, data: Path | None) -> dict[str, Any]:
        """What a Competition says of its test: a sample, and labels in all packagings but Kaggle's, with its table."""
        root = self._pictures(data)
        if root is None:
            return {"test_is_labelled": True}
        with open_data_tree(root, _ARCHIVES, _FOLDERS) as tree:
            sample = read_sample(tree)
            return {
                "sample_submission": sample.text if sample else None,
                "test_is_labelled": find_table(tree, *_LABELS) is None,
            }

    def is_in_folder(self, folder: str, data: Path | None) -> bool:
        """Whether the training images are read from image folders, one of which has that name."""
        root = self._pictures(data)
        if root is None:
            return False
        with open_data_tree(root, _ARCHIVES, _FOLDERS) as tree:
            return folder in tree.top_folders

    def _find_version(self, part: str, data: Path | None) -> tuple[Version, Any] | None:
        """The first version that is there, and its batches, or the archive with all of them."""
        for directory in data_directories(self.name, data):
            for version in self.versions:
                for place in (directory / version.folder, directory):
                    files = tuple(place / name for name in version.files(part))
                    there = [file for file in files if file.is_file()]  # of pictures, train is a folder
                    if there and len(there) < len(files):
                        missing = ", ".join(file.name for file in files if file not in there)
                        raise DataError(
                            f"{place}: {missing} is missing beside {there[0].name}; download the data again"
                        )
                    if there:
                        return version, files
                if (archive := directory / version.archive).exists():
                    return version, archive
        return None

    def _convert(self, version: Version, part: str, source: Any, directory: Path) -> None:
        if not isinstance(source, Path):
            rows = write_batches(source, directory, self.columns)
        else:
            with spooled_members(source, version.files(part), directory.parent) as spooled:
                rows = write_batches([spooled[name] for name in version.files(part)], directory, self.columns)
        np.save(directory / "batch_rows.npy", np.array(rows))

    def _pictures(self, data: Path | None) -> Path | None:
        """Where there are image folders or a table of labels, as far as names tell; None where there are batches.

        A root that was not named, and is not of this data set alone, may hold anybody's folders ``train``.
        """
        places = [place for place in data_directories(self.name, data) if place.exists()]
        try:
            if not places or self._find_version("train", data) is not None:
                return None
        except DataError:  # told when the images are loaded
            return None
        is_ours = data is not None or places[0].name == self.name
        try:
            root = data_set_root(self.name, data)
            with open_data_tree(root, _ARCHIVES, _FOLDERS) as tree:
                return root if _holds_pictures(tree) and (is_ours or self._has_our_classes(tree)) else None
        except DataError:
            if is_ours:
                raise
            return None

    def _has_our_classes(self, tree: Tree) -> bool:
        folders = [name for name in tree.top_folders if _FOLDERS.fullmatch(name)]
        found = {without_number(name) for folder in folders for name in tree.below(folder).top_folders}
        return find_table(tree, *_LABELS) is not None or not found.isdisjoint(map(str.casefold, self.classes))

    def _load_pictures(self, part: str, root: Path) -> Images:
        with open_data_tree(root, _ARCHIVES, _FOLDERS) as tree:
            is_table = find_table(tree, *_LABELS) is not None
            folds = [name for name in tree.top_folders if re.fullmatch(rf"(?i){part}\d*", name)]
            packed = [name for name in tree.files if name.lower().endswith(".7z") and "/" not in name]
            if packed and not folds:  # as Kaggle has them
                raise DataError(
                    f"{root}: {packed[0]} is a 7z archive, expected a folder: unpack all, and name where to"
                )
            if not is_table:
                if not folds:
                    raise DataError(f"{root}: there is no folder {part} in it; expected train or train1 .. and test")
                images, _ = read_class_folders(tree, folds, _PICTURES, self.classes)
        if is_table:
            load = cache(lambda: open_table(TableLayout(root), _PICTURES, self.classes))
            images = load().train if part == "train" else load_unlabelled(TableLayout(root), load, _PICTURES)
        if images.pixels.shape[1:] != SHAPE:
            height, width = images.pixels.shape[1:3]
            raise DataError(f"{root}: received images of {width}x{height} pixels, expected 32x32")
        return images

    def _nothing_there(self, part: str, data: Path | None) -> str:
        looked_in = " or ".join(map(str, data_directories(self.name, data)))
        official = self.versions[0]
        return (
            f"no {part} files of {self.name} in {looked_in}: put {official.archive} or its folder {official.folder} "
            "there, or image folders train and test, or name their directory with --data"
        )

    def _download(self, directory: Path) -> None:
        """Write the binary version from the arrays that Keras downloads."""
        modes: list[dict[str, str]] = (
            [{"label_mode": column.removesuffix("_labels")} for column in self.columns]
            if len(self.columns) > 1
            else [{}]
        )
        try:
            loaded = [downloaded(self.name, **mode) for mode in modes]
        except DataError as error:
            raise DataError(f"{self._nothing_there('train', None)}; it cannot be downloaded ({error})") from None
        binary = self.versions[1]
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=directory.parent) as scratch:
            folder = Path(scratch) / binary.folder
            for number, part in enumerate(("train", "test")):
                pixels = loaded[0][number][0]
                labels = [answer[number][1].reshape(-1, 1) for answer in loaded]
                write_binary(folder, binary.files(part), pixels, labels)
            directory.mkdir(exist_ok=True)  # no sooner: an empty one would be taken for somebody's own
            with suppress(OSError):  # another process has put the same there
                folder.rename(directory / binary.folder)


def _holds_pictures(tree: Tree) -> bool:
    return find_table(tree, *_LABELS) is not None or any(map(_FOLDERS.fullmatch, tree.top_folders))


def write_binary(folder: Path, files: Sequence[str], pixels: np.ndarray, labels: Sequence[np.ndarray]) -> None:
    """Write uint8 (rows, 32, 32, 3) and label columns (rows, 1) as records of labels and channel-first pixels."""
    parts = zip(*(np.array_split(array, len(files)) for array in (pixels, *labels)), strict=True)
    for name, (images, *columns) in zip(files, parts, strict=True):
        rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        with replacing(folder / name) as scratch:
            scratch.write_bytes(np.concatenate([*columns, rows], axis=1).astype(np.uint8).tobytes())
