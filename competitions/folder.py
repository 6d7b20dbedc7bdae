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

from competitions._recipes import STARTING_POINTS
from kit.data.data_trees import data_set_root, open_data_tree
from kit.data.images import Competition, Images
from kit.data.picture_sets import Format, picture_files, read_class_folders, read_pictures, skipped_note
from kit.data.readers.trees import Tree
from kit.data.sample import asked_by, read_sample, test_ids
from kit.errors import DataError

NAME = "folder"
RECIPES = STARTING_POINTS
_FOLD = re.compile(r"train(ing)?[-_ ]?\d*|val|valid|validation", re.IGNORECASE)
_TEST = re.compile(r"test(ing)?([-_ ]?(images|set))?", re.IGNORECASE)
_PARTS = re.compile(f"{_FOLD.pattern}|{_TEST.pattern}|sample_?submission.*", re.IGNORECASE)


def competition(
    data: Path | None,
    /,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: Literal["stretch", "crop", "pad"] = "stretch",
    metric: str | None = None,
) -> Competition:
    """Images of different sizes need ``image_size``; ``channels`` is 1 or 3, by default what the images are."""
    root, kind = data_set_root(NAME, data), Format.of(image_size, channels, fit)
    with open_data_tree(root, _PARTS, _PARTS) as tree:
        train, classes = _read_train(tree, kind)
        sample = read_sample(tree)
    height, width, depth = train.pixels.shape[1:]
    return Competition(
        name=NAME,
        title=f"{root.name}: {len(classes)} classes",
        label_values=classes,
        class_names=classes,
        image_shape=(height, width, depth),
        load_train=lambda: train,
        load_test=cache(lambda: _load_test(root, classes, Format((height, width), depth, fit))),
        **asked_by(sample, metric, classes, "id", "target"),
        data=root,
        recipes=RECIPES,
    )


def _read_train(tree: Tree, kind: Format) -> tuple[Images, tuple[str, ...]]:
    folds = [folder for folder in tree.top_folders if _FOLD.fullmatch(folder)]
    if not folds and any(not _TEST.fullmatch(folder) for folder in tree.top_folders):
        folds = [""]
    sample = read_sample(tree)
    return read_class_folders(tree, folds, kind, sample.classes if sample else None, apart=_TEST)


def _load_test(root: Path, classes: tuple[str, ...], kind: Format) -> Images:
    with open_data_tree(root, _PARTS, _PARTS) as tree:
        folders = [folder for folder in tree.top_folders if _TEST.fullmatch(folder)]
        if len(folders) != 1:
            what = f"{len(folders)} test folders" if folders else "no folder test"
            raise DataError(f"{tree.path}: there is {what} in it, expected one with the images to predict: add it")
        part = tree.below(folders[0])
        sample = read_sample(tree)
        if part.top_folders and set(part.top_folders) <= set(classes):
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
