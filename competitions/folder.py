"""Your own competition: class-named folders of images, and a folder of test images.

    train/cat/1.png  train/dog/7.jpg ...   or train1/ .. trainN/, val/: ready-made folds; or the classes right here
    test/                                  images without labels, or class-named folders as well
    sample_submission.csv                  if there is one: header, ids, and the classes where each has a column

Everything may lie in a directory, in `.zip` files in it, or in one `.zip`, as it was downloaded.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from competitions._own_files import STARTING_POINTS, of_own_files
from kit.data.data_trees import data_set_root, open_data_tree
from kit.data.images import Competition, Images, Trained
from kit.data.picture_sets import Format, picture_files, read_class_folders, read_pictures, skipped_note
from kit.data.readers.trees import Tree
from kit.data.sample import read_sample, test_ids
from kit.errors import DataError

NAME = "folder"
RECIPES = STARTING_POINTS
_FOLD = re.compile(r"train(ing)?[-_ ]?\d*|val|valid|validation", re.IGNORECASE)
_TEST = re.compile(r"test(ing)?([-_ ]?(images|set))?", re.IGNORECASE)
_PARTS = re.compile(f"{_FOLD.pattern}|{_TEST.pattern}|sample_?submission.*", re.IGNORECASE)


def competition(
    data: Path | None,
    known: Trained | None = None,
    /,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: Literal["stretch", "crop", "pad"] = "stretch",
    metric: str | None = None,
) -> Competition:
    """Images of different sizes need ``image_size``; ``channels`` is 1 or 3, by default what the images are."""
    root, kind = data_set_root(NAME, data), Format.of(image_size, channels, fit)
    load = cache(lambda: _load_train(root, kind))
    if known is None:
        train, classes = load()
        known = Trained(classes, train.pixels.shape[1:], "id", "target")
    names = tuple(map(str, known.label_values))
    _refuse_other_classes(root, names)
    height, width, depth = known.image_shape
    with open_data_tree(root, _PARTS, _PARTS) as tree:
        sample = read_sample(tree)
        test_is_labelled = any(_holds_classes(tree.below(folder), names) for folder in _test_folders(tree))
    return of_own_files(
        NAME,
        root,
        known,
        sample,
        metric,
        load_train=lambda: load()[0],
        load_test=lambda: _load_test(root, names, Format((height, width), depth, fit)),
        test_is_labelled=test_is_labelled,
    )


def _refuse_other_classes(root: Path, classes: tuple[str, ...]) -> None:
    """A model must not predict the images of another data set, as far as class folders tell."""
    with open_data_tree(root, _PARTS, _PARTS) as tree:
        for fold in filter(_FOLD.fullmatch, tree.top_folders):
            found = tree.below(fold).top_folders
            if not set(found) <= set(classes):
                raise DataError(
                    f"{tree.describe(fold)}: its classes are {', '.join(found[:10])}, "
                    f"expected {', '.join(classes[:10])}: name the data set that the model was trained for"
                )


def _load_train(root: Path, kind: Format) -> tuple[Images, tuple[str, ...]]:
    with open_data_tree(root, _PARTS, _PARTS) as tree:
        folds = [folder for folder in tree.top_folders if _FOLD.fullmatch(folder)]
        if not folds and any(not _TEST.fullmatch(folder) for folder in tree.top_folders):
            folds = [""]
        sample = read_sample(tree)
        return read_class_folders(tree, folds, kind, sample.classes if sample else None, apart=_TEST)


def _test_folders(tree: Tree) -> list[str]:
    return [folder for folder in tree.top_folders if _TEST.fullmatch(folder)]


def _holds_classes(tree: Tree, classes: tuple[str, ...]) -> bool:
    return bool(tree.top_folders) and set(tree.top_folders) <= set(classes)


def _load_test(root: Path, classes: tuple[str, ...], kind: Format) -> Images:
    with open_data_tree(root, _PARTS, _PARTS) as tree:
        folders = _test_folders(tree)
        if len(folders) != 1:
            what = f"{len(folders)} test folders" if folders else "no folder test"
            raise DataError(f"{tree.path}: there is {what} in it, expected one with the images to predict: add it")
        part = tree.below(folders[0])
        sample = read_sample(tree)
        if strangers := sorted(set(part.top_folders) - set(classes)):
            if set(part.top_folders) & set(classes):
                raise DataError(
                    f"{tree.describe(folders[0])}: its folder {strangers[0]!r} is no class, expected some of "
                    f"{', '.join(classes[:10])}: rename or remove it"
                )
        elif _holds_classes(part, classes):
            return _labelled_test(tree, folders[0], classes, kind)
        files = picture_files(part)
        if not files:
            raise DataError(f"{tree.describe(folders[0])}: there are no images in it, expected those to predict")
        files, ids = test_ids(files, sample, sample.text.name if sample else tree.describe(folders[0]))
        pixels = read_pictures(tree, [f"{folders[0]}/{file}" for file in files], kind, "test images")
        return Images(pixels, ids, notes=skipped_note(part))


def _labelled_test(tree: Tree, folder: str, classes: tuple[str, ...], kind: Format) -> Images:
    images, _ = read_class_folders(tree, [folder], kind, classes)
    sample = read_sample(tree)
    if sample is None:
        return images
    files, ids = test_ids(images.ids.tolist(), sample, sample.text.name)
    row_of = {file: row for row, file in enumerate(images.ids.tolist())}
    rows = np.array([row_of[file] for file in files])
    return Images(images.pixels[rows], ids, images.labels[rows] if images.labels is not None else None)
