"""What `folder`, `csv` and `pixels` have in common: a competition that its own files describe."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from kit.data.claims import NamedRecipes
from kit.data.images import Competition, Images, Trained
from kit.data.sample import Sample, asked_by

_OWN = {
    "epochs": 15,
    "batch_size": 64,  # small sets need many steps
    "optimizer": "adamax",
    "learning_rate": 4e-3,  # per batch of 64
    "schedule": "warmup(1)|cosine",
    "augment": "shift(height=2, width=2)",  # no flip: digits and letters mean something else in a mirror
    "normalization": "standardize",
}
# Moving averages of 0.9 settle within a few dozen steps, those of 0.99 need about 500.
_DEEPER = {"model": "deeper(momentum=0.9)", **_OWN}

STARTING_POINTS: NamedRecipes = {  # a claim would be of one data set; docs/results.md has what they reach on one
    "fast": _DEEPER,
    "best": {
        **_OWN,
        "model": "speed_net(widths=(64, 128, 256))",
        "epochs": 20,
        "batch_size": 128,
        "optimizer": "muon",
        "learning_rate": 0.012,  # per batch of 128
        "weight_decay": 0.3,
        "label_smoothing": 0.1,
    },
    "deeper": _DEEPER,
    "brief": {"model": "brief(momentum=0.9)", **_OWN},
}


def of_own_files(
    name: str,
    root: Path,
    known: Trained,
    sample: Sample | None,
    metric: str | None,
    *,
    load_train: Callable[[], Images],
    load_test: Callable[[], Images],
    test_is_labelled: bool = False,
) -> Competition:
    """A competition whose classes, image shape and header were found in its files, or are known from a model."""
    classes = tuple(map(str, known.label_values))
    return Competition(
        name=name,
        title=f"{root.name}: {len(classes)} classes",
        label_values=classes,
        class_names=classes,
        image_shape=known.image_shape,
        load_train=load_train,
        load_test=cache(load_test),
        test_is_labelled=test_is_labelled,
        **asked_by(sample, metric, classes, known.id_column, known.target_column),
        data=root,
        recipes=STARTING_POINTS,
    )
