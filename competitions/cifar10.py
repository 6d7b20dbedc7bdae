"""CIFAR-10: 32x32 photographs of ten kinds of things.

    cifar-10-batches-py/ or cifar-10-python.tar.gz     the official python version
    cifar-10-batches-bin/ or cifar-10-binary.tar.gz    the official binary version
    train1/ .. train5/, test/                          class-named image folders, such as 003_cat
    train/, test/, trainLabels.csv                     Kaggle's: numbered PNG files, also as .zip
    nothing                                            a download through Keras

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009). Submissions are Kaggle's:
``id,label``, ids from 1, labels by name.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from competitions._cifar import SHAPE, DataSet, Version
from competitions._cifar_recipes import CIFAR10 as RECIPES
from kit.data.claims import NamedRecipes
from kit.data.images import Competition
from kit.data.locate import data_root
from kit.data.prepared import write_png_competition

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10 = DataSet(
    "cifar10",
    (
        Version(
            "cifar-10-batches-py",
            "cifar-10-python.tar.gz",
            tuple(f"data_batch_{number}" for number in range(1, 6)),
            "test_batch",
        ),
        Version(
            "cifar-10-batches-bin",
            "cifar-10-binary.tar.gz",
            tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
            "test_batch.bin",
        ),
    ),
    ("labels",),
    CLASSES,
)


def competition(data: Path | None, /) -> Competition:
    load_train, load_test = (cache(lambda part=part: CIFAR10.load(part, data)[0]) for part in ("train", "test"))
    return Competition(
        name="cifar10",
        title="CIFAR-10",
        label_values=CLASSES,
        class_names=CLASSES,
        image_shape=SHAPE,
        load_train=load_train,
        load_test=load_test,
        **CIFAR10.of_the_test(data),
        id_column="id",
        target_column="label",
        data=data_root(data),
        prepare=lambda directory: write_png_competition(directory, load_train(), load_test(), CLASSES),
        recipes=_recipes(data),
    )


def _recipes(data: Path | None) -> NamedRecipes:
    """``model_s`` is published for folders of which the second validates; elsewhere it gets a split of those sizes."""
    if CIFAR10.is_in_folder("train2", data):
        return RECIPES
    return {**RECIPES, "model_s": {**RECIPES["model_s"], "split": "holdout_80_20"}}
