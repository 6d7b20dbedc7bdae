"""A table of ids and labels beside folders of images: which column is which, which file belongs to which row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kit.data.data_trees import find_table, open_data_tree
from kit.data.images import Images
from kit.data.picture_sets import Format, natural_order, picture_files, read_pictures, skipped_note
from kit.data.readers.tables import read_table
from kit.data.readers.trees import Tree
from kit.data.sample import Sample, files_of_ids, read_sample, refuse_repeated, test_ids
from kit.errors import DataError

TEST_TABLE = "test.csv"
TABLES = ("train.csv", "trainLabels.csv", "train_labels.csv", "labels.csv")
_TRAIN_FOLDERS = ("train", "train_images", "images", "train-images")
_TEST_FOLDERS = ("test", "test_images", "images", "test-images")
_ID_NAMES = ("id", "image_id", "image", "file", "filename", "file_name", "image_name", "path", "name", "img")
_LABEL_NAMES = ("label", "target", "class", "category", "labels", "y")
_NEEDED = re.compile("(?i)" + "|".join(sorted({*_TRAIN_FOLDERS, *_TEST_FOLDERS})))
_ARCHIVES = re.compile(rf"(?i)({_NEEDED.pattern[4:]}|.*\.csv)")


@dataclass(frozen=True)
class TableLayout:
    """Where the table and the images are; what is None is found by its usual name."""

    root: Path
    table: str | None = None
    train_images: str | None = None
    test_images: str | None = None
    id_column: str | None = None
    label_column: str | None = None


@dataclass(frozen=True)
class OpenTable:
    """What a table said: labelled images and their files, the classes in the order of their indices, its columns."""

    train: Images
    train_files: tuple[str, ...]
    classes: tuple[str, ...]
    id_column: str
    label_column: str


def load_unlabelled(layout: TableLayout, load_table: Callable[[], OpenTable], kind: Format) -> Images:
    """The images to predict: those that the sample or ``test.csv`` names, or all in the test folder without a label.

    Args:
        load_table: called only where there is no sample, and where there is a table.

    Raises:
        DataError: there are none, the sample names others, or they cannot be read.
    """
    with open_layout(layout) as tree:
        sample = read_sample(tree)
        folder = _folder(tree, layout.test_images, _TEST_FOLDERS, "test_images", "the images to predict")
        prefix = f"{folder}/" if folder else ""
        part = tree.below(folder) if folder else tree
        files = [prefix + name for name in picture_files(part)]
        if sample is None and (listing := find_table(tree, TEST_TABLE)):
            ids = _listed_ids(tree, listing)
            chosen = files_of_ids(ids.tolist(), files, tree.describe(listing))
            return Images(read_pictures(tree, chosen, kind, "test images"), ids, notes=skipped_note(part))
        with_endings = True
        if sample is None and find_table(tree, *([layout.table] if layout.table else TABLES)):
            table = load_table()
            labelled = set(table.train_files)  # in a folder that both share, what has a label is not to predict
            files = [name for name in files if name not in labelled]
            with_endings = any("." in name for name in table.train.ids.tolist())
        if not files:
            raise DataError(
                f"{tree.describe(folder or '.')}: there are no images without a label in it, expected those to "
                "predict: add them, or the sample_submission.csv that names them"
            )
        chosen, ids = test_ids(files, sample, sample.text.name if sample else tree.describe(folder))
        if not with_endings:  # as the table names its images
            ids = np.array([PurePosixPath(name).stem for name in chosen])
        return Images(read_pictures(tree, chosen, kind, "test images"), ids, notes=skipped_note(part))


def _listed_ids(tree: Tree, listing: str) -> np.ndarray:
    """The ids of a table of test images, as text."""
    source = tree.describe(listing)
    columns = read_table(source, tree.read(listing))
    ids = columns[_usual(_ID_NAMES, columns) or next(iter(columns))]
    refuse_repeated(ids, source)
    return ids


def open_layout(layout: TableLayout) -> AbstractContextManager[Tree]:
    """The files of a layout as one tree."""
    named = [re.escape(name) for name in (layout.train_images, layout.test_images) if name]
    return open_data_tree(layout.root, re.compile("|".join([_ARCHIVES.pattern, *named])), _NEEDED)


def open_table(layout: TableLayout, kind: Format, classes: Sequence[str] | None = None) -> OpenTable:
    """Read the table and the images that it labels.

    Args:
        classes: the labels that may occur, in the order of the class indices; by default those of the sample's
            columns, else those of the table.

    Raises:
        DataError: something is missing, is not clear, or cannot be read.
    """
    with open_layout(layout) as tree:
        sample = read_sample(tree)
        file = _table_file(tree, layout.table)
        source = tree.describe(file)
        columns = read_table(source, tree.read(file))
        id_column, label_column = _id_and_label(layout, columns, sample, source)
        ids, labels = columns[id_column], whole_numbers(columns[label_column])
        refuse_repeated(ids, f"{source} ({id_column})")
        _refuse_other_case(labels, f"{source} ({label_column})")
        known = tuple(classes or (sample and sample.classes) or sorted(set(labels.tolist()) - {""}, key=natural_order))
        if len(known) < 2:
            raise DataError(f"{source} ({label_column}): received {len(known)} labels, expected two or more")
        indices = class_indices(labels, known, f"{source} ({label_column})")
        folder = _folder(tree, layout.train_images, _TRAIN_FOLDERS, "train_images", "the images to train on")
        part = tree.below(folder) if folder else tree
        prefix = f"{folder}/" if folder else ""
        train_files = tuple(files_of_ids(ids.tolist(), [prefix + name for name in picture_files(part)], source))
        train = Images(
            pixels=read_pictures(tree, train_files, kind, "images"),
            ids=ids,
            labels=indices,
            columns={name: values for name, values in columns.items() if name not in (id_column, label_column)},
            notes=skipped_note(part),
        )
    return OpenTable(train, train_files, known, id_column, label_column)


def whole_numbers(labels: np.ndarray) -> np.ndarray:
    """Labels without spaces around them; ``3.0`` of numbers becomes ``3``, as ``3.0`` might score zero."""
    texts = [text.strip() for text in labels.tolist()]
    if all(re.fullmatch(r"-?\d+(\.0+)?", text) for text in texts):
        texts = [text.partition(".")[0] for text in texts]
    return np.array(texts)


def _refuse_other_case(labels: np.ndarray, source: str) -> None:
    seen: dict[str, str] = {}
    for label in sorted(set(labels.tolist())):
        if (other := seen.setdefault(label.casefold(), label)) != label:
            raise DataError(
                f"{source}: the labels {other!r} and {label!r} differ in upper and lower case only; write them alike"
            )


def class_indices(labels: np.ndarray, classes: Sequence[str], source: str) -> np.ndarray:
    """Labels as text -> int64 indices.

    Raises:
        DataError: a label that is no class, or is empty.
    """
    index = {name: number for number, name in enumerate(classes)}
    wrong = [row for row, label in enumerate(labels.tolist()) if label not in index]
    if wrong:
        first = f"{str(labels[wrong[0]])!r} in line {wrong[0] + 2}"
        raise DataError(
            f"{source}: {len(wrong)} labels are no class; the first is {first}; "
            f"expected one of {', '.join(classes[:10])}: correct or remove those rows"
        )
    return np.array([index[label] for label in labels.tolist()], np.int64)


def _table_file(tree: Tree, chosen: str | None) -> str:
    if found := find_table(tree, *([chosen] if chosen else TABLES)):
        return found
    wanted = f"no {chosen}" if chosen else f"none of {', '.join(TABLES)}"
    there = [name for name in tree.files if "/" not in name and name.lower().endswith(".csv")]
    raise DataError(
        f"{tree.path}: there is {wanted} in it (its tables: {', '.join(there[:5]) or 'none'}); "
        "put it there, or name it: csv(table='NAME.csv')"
    )


def _id_and_label(
    layout: TableLayout, columns: dict[str, np.ndarray], sample: Sample | None, source: str
) -> tuple[str, str]:
    """Which column names the images and which is the label: as told, as in the sample, or by their usual names."""
    from_sample = {sample.id_column} if sample else set()
    id_column = layout.id_column or _usual([*from_sample, *_ID_NAMES], columns)
    targets = sample.columns[:1] if sample and not sample.classes else ()
    label_column = layout.label_column or _usual([*targets, *_LABEL_NAMES], columns)
    others = [name for name in columns if name not in (id_column, label_column)]
    if len(columns) == 2 and len(others) == 1:  # then the other one is clear
        id_column, label_column = id_column or others[0], label_column or others[0]
    for role, column in (("id_column", id_column), ("label_column", label_column)):
        if column not in columns:
            what = f"no column {column!r}" if column else f"no column that is clearly the {role.replace('_', ' ')}"
            raise DataError(f"{source}: there is {what} among {', '.join(columns)}; name it: csv({role}='NAME')")
    return str(id_column), str(label_column)


def _usual(names: Sequence[str], columns: dict[str, np.ndarray]) -> str | None:
    by_name = {column.casefold(): column for column in columns}
    return next((by_name[name.casefold()] for name in names if name.casefold() in by_name), None)


def _folder(tree: Tree, chosen: str | None, usual: Sequence[str], option: str, what: str) -> str:
    """The folder of images; the data set itself where it holds images at its top."""
    if chosen is not None:
        if chosen not in tree.folders:
            raise DataError(
                f"{tree.path}: there is no folder {chosen} in it; its folders: {', '.join(tree.top_folders)}"
            )
        return chosen
    by_name = {name.casefold(): name for name in tree.top_folders}
    if found := next((by_name[name] for name in usual if name in by_name), None):
        return found
    if any("/" not in name for name in picture_files(tree)):
        return ""
    raise DataError(
        f"{tree.path}: there is none of the folders {', '.join(usual)} for {what} (its folders: "
        f"{', '.join(tree.top_folders) or 'none'}); add one, or name it: csv({option}='NAME')"
    )
