"""Your own competition: a table of file names and labels, and folders of images.

    train.csv               a column that names the images, one for the label, perhaps others to group folds by
    train/  test/           the images; or train_images/, test_images/, images/ for both
    sample_submission.csv   if there is one: header, ids, and the classes where each has a column

Everything may lie in a directory, in `.zip` files in it, or in one `.zip`, as it was downloaded.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from competitions._recipes import STARTING_POINTS
from kit.data.data_trees import data_set_root
from kit.data.images import Competition
from kit.data.labelled_tables import TableLayout, open_table
from kit.data.picture_sets import Format
from kit.data.sample import asked_by

NAME = "csv"
RECIPES = STARTING_POINTS


def competition(
    data: Path | None,
    /,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: Literal["stretch", "crop", "pad"] = "stretch",
    metric: str | None = None,
    table: str | None = None,
    train_images: str | None = None,
    test_images: str | None = None,
    id_column: str | None = None,
    label_column: str | None = None,
) -> Competition:
    """Images of different sizes need ``image_size``. What is not named is found by its usual name."""
    root = data_set_root(NAME, data)
    layout = TableLayout(root, table, train_images, test_images, id_column, label_column)
    opened = open_table(layout, Format.of(image_size, channels, fit))
    height, width, depth = opened.train.pixels.shape[1:]
    return Competition(
        name=NAME,
        title=f"{root.name}: {len(opened.classes)} classes",
        label_values=opened.classes,
        class_names=opened.classes,
        image_shape=(height, width, depth),
        load_train=lambda: opened.train,
        load_test=cache(lambda: opened.load_test(Format((height, width), depth, fit))),
        **asked_by(opened.sample, metric, opened.classes, opened.id_column, opened.label_column),
        data=root,
        recipes=RECIPES,
    )
