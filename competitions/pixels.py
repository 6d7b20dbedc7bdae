"""Your own competition: tables with an image a row and a column a pixel, as in Kaggle's Digit Recognizer.

    train.csv               label,pixel0,pixel1,...
    test.csv                pixel0,pixel1,..., perhaps with a column of ids; else ids count from 1
    sample_submission.csv   if there is one: header, ids, and the classes where each has a column

The tables may lie in a directory, each in a `.zip` of its own, or all in one `.zip`, as they were downloaded.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from competitions._own_files import STARTING_POINTS, of_own_files
from kit.data.cache import Arrays, cached_arrays, cached_tree
from kit.data.data_trees import data_set_root, disk_path, find_table, open_data_tree
from kit.data.images import Competition, Images, Trained
from kit.data.labelled_tables import class_indices, whole_numbers
from kit.data.picture_sets import natural_order
from kit.data.readers.tables import write_pixel_table
from kit.data.sample import Sample, read_sample, refuse_repeated
from kit.errors import DataError

NAME = "pixels"
RECIPES = STARTING_POINTS
_TABLES = re.compile(r"(?i).*\.csv|train|test")
_NOTHING = re.compile(r"(?!)")


def competition(
    data: Path | None,
    known: Trained | None = None,
    /,
    label_column: str = "label",
    id_column: str = "id",
    channels: int = 1,
    metric: str | None = None,
) -> Competition:
    """``channels=3`` where a row holds red, green and blue of each pixel in turn."""
    root = data_set_root(NAME, data)
    with open_data_tree(root, _TABLES, _NOTHING) as tree:
        sample = read_sample(tree)
    if id_column == "id" and sample is not None:
        id_column = sample.id_column
    columns = (label_column, id_column, channels)
    load = cache(lambda: _load_train(root, columns, sample))
    if known is None:
        train, classes = load()
        known = Trained(classes, train.pixels.shape[1:], id_column, label_column)
    return of_own_files(
        NAME,
        root,
        known,
        sample,
        metric,
        load_train=lambda: load()[0],
        load_test=lambda: _load_test(root, columns, sample),
    )


Columns = tuple[str, str, int]
"""Label column, id column, channels."""


def _load_train(root: Path, columns: Columns, sample: Sample | None) -> tuple[Images, tuple[str, ...]]:
    arrays = _read(root, "train.csv", columns)
    source = root / "train.csv"
    if "labels" not in arrays:
        raise DataError(
            f"{source}: there is no column {columns[0]!r}, expected one with the labels; name it: "
            "pixels(label_column='NAME')"
        )
    labels = whole_numbers(np.asarray(arrays["labels"]))
    classes = (sample and sample.classes) or tuple(sorted(set(labels.tolist()) - {""}, key=natural_order))
    if len(classes) < 2:
        raise DataError(f"{source} ({columns[0]}): received {len(classes)} labels, expected two or more")
    ids = np.asarray(arrays["ids"]) if "ids" in arrays else np.arange(1, len(labels) + 1)
    refuse_repeated(ids, f"{source} ({columns[1]})")
    return Images(arrays["pixels"], ids, class_indices(labels, classes, f"{source} ({columns[0]})")), classes


def _load_test(root: Path, columns: Columns, sample: Sample | None) -> Images:
    arrays = _read(root, "test.csv", columns)
    rows = len(arrays["pixels"])
    if "ids" in arrays:
        ids = np.asarray(arrays["ids"])
        refuse_repeated(ids, f"{root / 'test.csv'} ({columns[1]})")
    elif sample is not None and len(sample.ids) != rows:
        raise DataError(
            f"{root / 'test.csv'} has {rows} images and {sample.text.name} has {len(sample.ids)} rows, expected as "
            "many: put the files of one competition there"
        )
    else:
        ids = sample.ids if sample is not None else np.arange(1, rows + 1)
    return Images(arrays["pixels"], ids)


def _read(root: Path, name: str, columns: Columns) -> Arrays:
    """A table's pixels and the columns beside them, converted once."""
    format_name = f"pixels-1-{hashlib.sha256(repr((name, columns)).encode()).hexdigest()[:16]}"
    with open_data_tree(root, _TABLES, _NOTHING) as tree:
        member = find_table(tree, name)
        if member is None:
            there = ", ".join(name for name in tree.files if "/" not in name)[:100]
            raise DataError(f"{root}: there is no {name} in it (its files: {there or 'none'}); put it there")
        if path := disk_path(tree, member):
            return cached_arrays(path, format_name, lambda path, into: _convert(path, str(path), into, columns))

        def convert(directory: Path) -> str:
            # What is within an archive is unpacked beside the cache: the reader goes through it several times.
            content = tree.read(member)
            with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
                table = Path(scratch) / name
                table.write_bytes(content)
                _convert(table, tree.describe(member), directory, columns)
            return hashlib.sha256(content).hexdigest()[:32]

        return cached_tree(f"{tree.path.resolve()}\0{member}", lambda: tree.stamp([member]), format_name, convert)


def _convert(table: Path, called: str, directory: Path, columns: Columns) -> None:
    label_column, id_column, channels = columns
    try:
        found = write_pixel_table(
            table, directory / "pixels.npy", label_column=label_column, id_column=id_column, channels=channels
        )
    except DataError as error:
        raise DataError(str(error).replace(str(table), called)) from None
    for name, values in (("labels", found.labels), ("ids", found.ids)):
        if values is not None:
            np.save(directory / f"{name}.npy", values)
