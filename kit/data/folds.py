"""Which rows train, which validate, which are held out for the test: named, saved, reproducible.

The order of the rows within a class is the order of a keyed hash of their pixels, so a split depends on the
seed and the images alone: not on the order of the rows, the class indices, a library's version or the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kit.data.images import Images
from kit.errors import DataError, RecipeError
from kit.registry import Registry

SPLIT_VERSION = 1  # raise it when the same seed and images would give other rows
SPLITS = Registry("split")
"""Functions (options) -> Split."""


@dataclass(frozen=True)
class Fold:
    """Sorted int64 row numbers; ``test`` rows are scored once, at the end, and choose nothing."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Split:
    """A way to split labelled images: how many folds it makes, and (images, seed) -> folds."""

    num_folds: int
    make_folds: Callable[[Images, int], list[Fold]]


def make_split(spec: str) -> Split:
    """The split that a spec such as ``holdout`` or ``stratified_kfold(5)`` names."""
    split: Split = SPLITS.bind_one(spec)()
    return split


@SPLITS.register
def holdout() -> Split:
    """One fold of 80 % training, 10 % validation and 10 % test rows, with even class counts."""

    def make(images: Images, seed: int) -> list[Fold]:
        tenth = deal(images, 10, seed)
        return [Fold(np.flatnonzero(tenth < 8), np.flatnonzero(tenth == 8), np.flatnonzero(tenth == 9))]

    return Split(1, make)


@SPLITS.register
def stratified_kfold(folds: int = 5) -> Split:
    """Every row validates in exactly one fold; fold sizes and class counts differ by at most one."""
    if folds < 2:
        raise RecipeError(f"stratified_kfold: folds is {folds}, expected at least 2")

    def make(images: Images, seed: int) -> list[Fold]:
        hand = deal(images, folds, seed)
        nobody = np.empty(0, np.int64)
        return [Fold(np.flatnonzero(hand != fold), np.flatnonzero(hand == fold), nobody) for fold in range(folds)]

    return Split(folds, make)


def deal(images: Images, hands: int, seed: int) -> np.ndarray:
    """Deal the rows like cards, class after class, each class in the order of its rows' hashes.

    The dealer goes on where the class before ended, so that both the hands and each class within them
    differ by at most one row. Classes come in the order of their smallest hash: relabelling changes nothing.

    Returns:
        int64 (rows,), the hand 0..hands-1 of each row.
    """
    if images.labels is None:
        raise DataError("only labelled images can be split")
    if len(images) < hands:
        raise DataError(f"{len(images)} labelled images cannot be split into {hands} parts: get at least {hands}")
    keys = row_keys(images.pixels, seed)
    first_key = {label: keys[images.labels == label].min() for label in np.unique(images.labels).tolist()}
    rank = {label: place for place, label in enumerate(sorted(first_key, key=first_key.__getitem__))}
    class_rank = np.array([rank[label] for label in images.labels.tolist()])
    order = np.lexsort((keys, class_rank))
    hand = np.empty(len(images), np.int64)
    hand[order] = np.arange(len(images)) % hands
    return hand


def row_keys(pixels: np.ndarray, seed: int) -> np.ndarray:
    """Hash each image under a seed: uint8 (rows, height, width, channels) -> uint64 (rows,)."""
    key = seed.to_bytes(8, "little", signed=True)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in pixels)
    return np.frombuffer(digests, dtype="<u8")
