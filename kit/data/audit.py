"""What a person should know of images before training on them: the numbers behind ``kit data check``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kit.data.channels import channel_histograms, mean_and_deviation
from kit.data.duplicates import ROWS_AT_A_TIME, duplicate_groups, near_duplicate_pairs, row_keys
from kit.data.images import Images, windows
from kit.errors import DataError

EXAMPLES = 5  # of each finding, the first ones


@dataclass(frozen=True)
class Duplicates:
    """Images that occur more than once within a set: how many, and in how many rows."""

    groups: int
    rows: int


@dataclass(frozen=True)
class Conflict:
    """Equal images of different classes, row by row."""

    ids: tuple[int | str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """Rows that have something in common: how many, and the ids of the first ones."""

    rows: int
    ids: tuple[int | str, ...]


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of different images, each image counted once, that are at most ``radius`` grey levels apart.

    An image that is in both sets counts as one of training.
    """

    radius: float  # root mean square
    within_train: int
    train_to_test: int


@dataclass(frozen=True)
class Channel:
    """Pixels of one channel of the training images, 0..255."""

    minimum: int
    maximum: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class Audit:
    """What :func:`audit` found. Everything is of the training images unless its name says otherwise."""

    rows: int
    test_rows: int | None  # None: there is no test set, or it was not looked at
    image_shape: tuple[int, int, int]  # (height, width, channels)
    class_counts: dict[str, int]
    empty_classes: tuple[str, ...]
    balance: float  # rows of the smallest class / rows of the largest
    channels: tuple[Channel, ...]
    constant: Finding  # images of one colour
    duplicates: Duplicates
    conflicts: Duplicates  # those duplicates that have different labels
    conflict_examples: tuple[Conflict, ...]
    in_test: Finding | None  # training rows whose image is in the test set too
    test_duplicates: Duplicates | None
    near_duplicates: NearDuplicates | None  # None: not asked for
    notes: tuple[str, ...]  # of how the images were read

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return asdict(self)


def audit(train: Images, test: Images | None, class_names: Sequence[str], near: float = 0.0) -> Audit:
    """Count what may spoil a training or its score, in bounded memory.

    Args:
        near: also count pairs of images whose root-mean-square difference is at most this many grey levels.

    Raises:
        DataError: no labels, no rows, or test images of another shape.
    """
    _check(train, test)
    keys = row_keys(train.pixels, 0)
    test_keys = None if test is None else row_keys(test.pixels, 0)
    groups = duplicate_groups(keys)
    counts = np.bincount(_labels(train), minlength=len(class_names))
    conflicting = _conflicting(groups, _labels(train))
    return Audit(
        rows=len(train),
        test_rows=None if test is None else len(test),
        image_shape=_shape(train),
        class_counts=dict(zip(class_names, counts.tolist(), strict=True)),
        empty_classes=tuple(name for name, count in zip(class_names, counts, strict=True) if not count),
        balance=int(np.min(counts)) / int(np.max(counts)),
        channels=_channels(train.pixels),
        constant=_finding(train.ids, _constant(train.pixels)),
        duplicates=_duplicates(groups),
        conflicts=_duplicates(groups[conflicting[groups]]),
        conflict_examples=_conflict_examples(train, groups, conflicting, class_names),
        in_test=None if test_keys is None else _finding(train.ids, np.isin(keys, test_keys)),
        test_duplicates=None if test_keys is None else _duplicates(duplicate_groups(test_keys)),
        near_duplicates=_near_duplicates(train, test, near) if near else None,
        notes=train.notes + (() if test is None else test.notes),
    )


def _check(train: Images, test: Images | None) -> None:
    if not len(train):
        raise DataError("there are no training images, expected at least one")
    if test is not None and _shape(test) != _shape(train):
        raise DataError(f"test images are {_shape(test)}, expected {_shape(train)} as the training images are")


def _shape(images: Images) -> tuple[int, int, int]:
    _, height, width, channels = images.pixels.shape
    return height, width, channels


def _labels(images: Images) -> np.ndarray:
    if images.labels is None:
        raise DataError("only labelled images can be audited, expected training images with their labels")
    return images.labels


def _channels(pixels: np.ndarray) -> tuple[Channel, ...]:
    found = []
    for histogram in channel_histograms(windows(pixels, ROWS_AT_A_TIME)):
        values = np.flatnonzero(histogram).tolist()
        found.append(Channel(values[0], values[-1], *mean_and_deviation(histogram)))
    return tuple(found)


def _constant(pixels: np.ndarray) -> np.ndarray:
    """Which images have one colour: bool (rows,)."""
    parts = [(window == window[:, :1, :1]).all(axis=(1, 2, 3)) for window in windows(pixels, ROWS_AT_A_TIME)]
    return np.concatenate(parts)


def _finding(ids: np.ndarray, found: np.ndarray) -> Finding:
    return Finding(int(found.sum()), tuple(ids[np.flatnonzero(found)[:EXAMPLES]].tolist()))


def _duplicates(groups: np.ndarray) -> Duplicates:
    sizes = np.bincount(groups)
    return Duplicates(int((sizes > 1).sum()), int(sizes[sizes > 1].sum()))


def _conflicting(groups: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which groups have more than one label: bool (groups,)."""
    classes = int(labels.max()) + 1
    return np.bincount(np.unique(groups * classes + labels) // classes) > 1


def _conflict_examples(
    train: Images, groups: np.ndarray, conflicting: np.ndarray, class_names: Sequence[str]
) -> tuple[Conflict, ...]:
    """The groups that come first in the set."""
    rows = np.flatnonzero(conflicting[groups])
    found, first = np.unique(groups[rows], return_index=True)
    examples = []
    for group in found[np.argsort(first)][:EXAMPLES].tolist():
        members = rows[groups[rows] == group]
        names = tuple(class_names[label] for label in _labels(train)[members].tolist())
        examples.append(Conflict(tuple(train.ids[members].tolist()), names))
    return tuple(examples)


def _near_duplicates(train: Images, test: Images | None, near: float) -> NearDuplicates:
    both = (train.pixels,) if test is None else (train.pixels, test.pixels)
    of_train = near_duplicate_pairs(near, *both) < len(train)
    return NearDuplicates(near, int(of_train.all(axis=1).sum()), int((of_train[:, 0] & ~of_train[:, 1]).sum()))
