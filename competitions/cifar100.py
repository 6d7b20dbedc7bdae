"""CIFAR-100: 32x32 photographs of a hundred kinds of things, in twenty superclasses.

    cifar-100-python/ or cifar-100-python.tar.gz     the official python version
    cifar-100-binary/ or cifar-100-binary.tar.gz     the official binary version
    train/, test/                                    class-named image folders
    nothing                                          a download through Keras

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from competitions._cifar import SHAPE, DataSet, Version
from competitions._cifar_recipes import CIFAR100 as RECIPES
from kit.data.images import Competition, Images, Superclasses
from kit.data.locate import data_root
from kit.data.prepared import write_png_competition
from kit.errors import DataError

SUPERCLASSES = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}
COARSE = tuple(SUPERCLASSES)
FINE = tuple(sorted(name for names in SUPERCLASSES.values() for name in names.split()))  # the official order
_COARSE_OF = np.array(
    [next(i for i, names in enumerate(SUPERCLASSES.values()) if name in names.split()) for name in FINE]
)

CIFAR100 = DataSet(
    "cifar100",
    (
        Version("cifar-100-python", "cifar-100-python.tar.gz", ("train",), "test"),
        Version("cifar-100-binary", "cifar-100-binary.tar.gz", ("train.bin",), "test.bin"),
    ),
    ("coarse_labels", "fine_labels"),
    FINE,
)


def competition(data: Path | None, /, labels: Literal["fine", "coarse"] = "fine") -> Competition:
    """``labels="coarse"`` asks for the superclass."""
    classes = FINE if labels == "fine" else COARSE
    load_train, load_test = (cache(lambda part=part: _load(part, data, labels)) for part in ("train", "test"))
    return Competition(
        name="cifar100",
        title=f"CIFAR-100, {labels} labels",
        label_values=classes,
        class_names=classes,
        image_shape=SHAPE,
        load_train=load_train,
        load_test=load_test,
        **CIFAR100.of_the_test(data),
        target_column="label",
        data=data_root(data),
        prepare=lambda directory: write_png_competition(directory, load_train(), load_test(), classes),
        recipes=RECIPES,
        superclasses=Superclasses(COARSE, tuple(_COARSE_OF.tolist())) if labels == "fine" else None,
    )


def _load(part: str, data: Path | None, labels: str) -> Images:
    images, arrays = CIFAR100.load(part, data)
    if images.labels is None:
        return images
    coarse = _COARSE_OF[images.labels]
    if arrays and (wrong := np.flatnonzero(arrays["coarse_labels"] != coarse)).size:
        row = wrong[0]
        fine, official, found = FINE[images.labels[row]], COARSE[coarse[row]], COARSE[arrays["coarse_labels"][row]]
        raise DataError(
            f"cifar100 {part}: row {row} is {fine} of the superclass {found}, expected {official} "
            f"({len(wrong)} such rows); download the data again"
        )
    return images if labels == "fine" else Images(images.pixels, images.ids, coarse, images.columns, images.notes)
