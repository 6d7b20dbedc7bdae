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
class EqualImages:
    """Equal training images, row by row, and the test images that are equal to them."""

    ids: tuple[int | str, ...]
    classes: tuple[str, ...]
    test_ids: tuple[int | str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Rows that have something in common: how many, and the ids of the first ones."""

    rows: int
    ids: tuple[int | str, ...]


@dataclass(frozen=True)
class NearPair:
    """Two images that are nearly equal. ``classes`` are those of the training images among them, which come first."""

    ids: tuple[int | str, int | str]
    classes: tuple[str, ...]
    distance: float  # root mean square, in grey levels


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of different images, each image counted once, that are at most ``radius`` grey levels apart.

    An image that is in both sets counts as one of training. The examples are the first pairs of different classes, the
    first of a training and a test image, and the first of one class.
    """

    radius: float  # root mean square
    within_train: int
    train_to_test: int
    conflicts: int  # of those within the training images, the pairs of different classes
    examples: tuple[NearPair, ...]


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
    duplicate_examples: tuple[EqualImages, ...]  # of one class
    conflicts: Duplicates  # those duplicates that have different labels
    conflict_examples: tuple[EqualImages, ...]
    in_test: Finding | None  # training rows whose image is in the test set too
    in_test_examples: tuple[EqualImages, ...]
    test_duplicates: Duplicates | None
    near_duplicates: NearDuplicates | None  # None: not asked for
    notes: tuple[str, ...]  # of how the images were read

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return asdict(self)


def audit(
    train: Images, test: Images | None, class_names: Sequence[str], near: float = 0.0, examples: int = EXAMPLES
) -> Audit:
    """Count what may spoil a training or its score, in bounded memory.

    Args:
        near: also count pairs of images whose root-mean-square difference is at most this many grey levels.
        examples: how many of each finding are named, the first ones.

    Raises:
        DataError: no labels, no rows, or test images of another shape.
    """
    _check(train, test)
    keys = row_keys(train.pixels, 0)
    test_keys = None if test is None else row_keys(test.pixels, 0)
    groups = duplicate_groups(keys)
    counts = np.bincount(_labels(train), minlength=len(class_names))
    conflicting = _conflicting(groups, _labels(train))
    is_repeated = np.bincount(groups) > 1
    is_in_test = np.zeros(len(train), bool) if test_keys is None else np.isin(keys, test_keys)
    named = _Named(train, groups, class_names, examples)
    return Audit(
        rows=len(train),
        test_rows=None if test is None else len(test),
        image_shape=_shape(train),
        class_counts=dict(zip(class_names, counts.tolist(), strict=True)),
        empty_classes=tuple(name for name, count in zip(class_names, counts, strict=True) if not count),
        balance=int(np.min(counts)) / int(np.max(counts)),
        channels=channels_of(channel_histograms(windows(train.pixels, ROWS_AT_A_TIME))),
        constant=_finding(train.ids, _constant(train.pixels), examples),
        duplicates=_duplicates(groups),
        duplicate_examples=named.first((is_repeated & ~conflicting)[groups]),
        conflicts=_duplicates(groups[conflicting[groups]]),
        conflict_examples=named.first(conflicting[groups]),
        in_test=None if test_keys is None else _finding(train.ids, is_in_test, examples),
        in_test_examples=() if test is None else named.first(is_in_test, keys, test_keys, test.ids),
        test_duplicates=None if test_keys is None else _duplicates(duplicate_groups(test_keys)),
        near_duplicates=_near_duplicates(train, test, near, class_names, examples) if near else None,
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


def channels_of(histograms: np.ndarray) -> tuple[Channel, ...]:
    """What int64 (channels, 256) counts of pixel values say of each channel."""
    found = []
    for histogram in histograms:
        values = np.flatnonzero(histogram).tolist()
        found.append(Channel(values[0], values[-1], *mean_and_deviation(histogram)))
    return tuple(found)


def _constant(pixels: np.ndarray) -> np.ndarray:
    """Which images have one colour: bool (rows,)."""
    parts = [(window == window[:, :1, :1]).all(axis=(1, 2, 3)) for window in windows(pixels, ROWS_AT_A_TIME)]
    return np.concatenate(parts)


def _finding(ids: np.ndarray, found: np.ndarray, examples: int) -> Finding:
    return Finding(int(found.sum()), tuple(ids[np.flatnonzero(found)[:examples]].tolist()))


def _duplicates(groups: np.ndarray) -> Duplicates:
    sizes = np.bincount(groups)
    return Duplicates(int((sizes > 1).sum()), int(sizes[sizes > 1].sum()))


def _conflicting(groups: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which groups have more than one label: bool (groups,)."""
    classes = int(labels.max()) + 1
    return np.bincount(np.unique(groups * classes + labels) // classes) > 1


@dataclass(frozen=True)
class _Named:
    """Names the images of groups."""

    train: Images
    groups: np.ndarray
    class_names: Sequence[str]
    examples: int

    def first(
        self,
        is_member: np.ndarray,
        keys: np.ndarray | None = None,
        test_keys: np.ndarray | None = None,
        test_ids: np.ndarray | None = None,
    ) -> tuple[EqualImages, ...]:
        """Of the groups that these rows make, those that come first in the set; with keys, also of the test set."""
        rows = np.flatnonzero(is_member)
        found, first = np.unique(self.groups[rows], return_index=True)
        equal = []
        for group in found[np.argsort(first)][: self.examples].tolist():
            members = rows[self.groups[rows] == group]
            ids, classes = tuple(self.train.ids[members].tolist()), self.classes_of(members)
            if keys is None or test_keys is None or test_ids is None:
                equal.append(EqualImages(ids, classes))
            else:
                equal.append(EqualImages(ids, classes, tuple(test_ids[test_keys == keys[members[0]]].tolist())))
        return tuple(equal)

    def classes_of(self, rows: np.ndarray) -> tuple[str, ...]:
        return tuple(self.class_names[label] for label in _labels(self.train)[rows].tolist())


def _near_duplicates(
    train: Images, test: Images | None, near: float, class_names: Sequence[str], examples: int
) -> NearDuplicates:
    both = [train] if test is None else [train, test]
    pairs = near_duplicate_pairs(near, *(images.pixels for images in both))
    of_train = pairs < len(train)
    within, to_test = of_train.all(axis=1), of_train[:, 0] & ~of_train[:, 1]
    labels = _labels(train)[np.where(of_train, pairs, 0)]
    conflicting = within & (labels[:, 0] != labels[:, 1])
    shown = [pairs[kind][:examples] for kind in (conflicting, to_test, within & ~conflicting)]
    named = tuple(_near_pair(both, pair, class_names) for pair in np.concatenate(shown).tolist())
    return NearDuplicates(near, int(within.sum()), int(to_test.sum()), int(conflicting.sum()), named)


def _near_pair(both: Sequence[Images], pair: Sequence[int], class_names: Sequence[str]) -> NearPair:
    """``pair``: row numbers, which count on from the training images to the test images."""
    train = both[0]
    found = [(train, row) if row < len(train) else (both[1], row - len(train)) for row in pair]
    first, second = (images.pixels[row].astype(float) for images, row in found)
    classes = tuple(class_names[_labels(train)[row]] for row in pair if row < len(train))
    distance = float(np.sqrt(np.square(first - second).mean()))
    return NearPair(tuple(images.ids[row].item() for images, row in found), classes, distance)
