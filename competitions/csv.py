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

from competitions._own_files import STARTING_POINTS, of_own_files
from kit.data.data_trees import data_set_root
from kit.data.images import Competition, Trained
from kit.data.labelled_tables import TableLayout, load_unlabelled, open_layout, open_table
from kit.data.picture_sets import Format
from kit.data.sample import read_sample

NAME = "csv"
RECIPES = STARTING_POINTS


def competition(
    data: Path | None,
    known: Trained | None = None,
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
    root, kind = data_set_root(NAME, data), Format.of(image_size, channels, fit)
    layout = TableLayout(root, table, train_images, test_images, id_column, label_column)
    load = cache(lambda: open_table(layout, kind))
    if known is None:
        found = load()
        known = Trained(found.classes, found.train.pixels.shape[1:], found.id_column, found.label_column)
    with open_layout(layout) as tree:
        sample = read_sample(tree)
    height, width, depth = known.image_shape
    return of_own_files(
        NAME,
        root,
        known,
        sample,
        metric,
        load_train=lambda: load().train,
        load_test=lambda: load_unlabelled(layout, load, Format((height, width), depth, fit)),
    )
