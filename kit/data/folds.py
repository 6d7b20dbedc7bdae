"""Which rows train, which validate, which are held out for the test: named, saved, reproducible.

Kit's own splits go by a keyed hash of the pixels, so they depend on the seed and the images alone: not on the order
of the rows, the class indices, a library's version or the machine. Equal images always share a fold. Splits by
position, by folder or by a file are kept as they were made, wherever their duplicates lie;
:func:`separated_duplicates` tells.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kit.data.duplicates import duplicate_groups, near_duplicate_pairs, row_keys
from kit.data.folds_file import read_folds_file
from kit.data.images import Images
from kit.errors import DataError, RecipeError
from kit.registry import Registry

SPLIT_VERSION = 2  # raise it when the same seed and images would give other rows
SPLITS = Registry("split")
"""Functions (options) -> Split. ``near`` is in grey levels, see :func:`~kit.data.duplicates.near_duplicate_pairs`."""


@dataclass(frozen=True)
class Fold:
    """Sorted int64 row numbers; ``test`` rows are scored once, at the end, and choose nothing.

    watched: rows that a training is followed by: its progress, its best epoch, when its rate falls, when it ends. By
        default they are the validation rows, whose score is then a selected one if they chose anything.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    watched: np.ndarray = None  # type: ignore[assignment]  # set below

    def __post_init__(self) -> None:
        if self.watched is None:
            object.__setattr__(self, "watched", self.validation)


@dataclass(frozen=True)
class Split:
    """A way to split labelled images: how many folds it makes, and (images, seed) -> folds.

    num_folds: None where only the images, or a file beside them, can tell.
    group, near: what else keeps rows together, besides equal pixels; see ``stratified_kfold``.
    """

    num_folds: int | None
    make_folds: Callable[[Images, int], list[Fold]]
    group: str = ""
    near: float = 0.0


def make_split(spec: str) -> Split:
    """The split that a spec such as ``holdout`` or ``stratified_kfold(5)`` names."""
    split: Split = SPLITS.bind_one(spec)()
    return split


@SPLITS.register
def holdout(near: float = 0.0) -> Split:
    """One fold of 80 % training, 10 % validation and 10 % test rows, with even class counts."""
    check_near(near)

    def make(images: Images, seed: int) -> list[Fold]:
        tenth = deal(images, 10, seed, _near_links(images, near))
        return [Fold(np.flatnonzero(tenth < 8), np.flatnonzero(tenth == 8), np.flatnonzero(tenth == 9))]

    return Split(1, make)


@SPLITS.register
def holdout_80_20(near: float = 0.0) -> Split:
    """One fold of 80 % training and 20 % validation rows, with even class counts, and no test rows."""
    return _last_hand_validates(5, near)


@SPLITS.register
def holdout_90_10(near: float = 0.0) -> Split:
    """One fold of 90 % training and 10 % validation rows: for data whose own test images are labelled."""
    return _last_hand_validates(10, near)


def _last_hand_validates(hands: int, near: float) -> Split:
    check_near(near)

    def make(images: Images, seed: int) -> list[Fold]:
        return [_validated_by(deal(images, hands, seed, _near_links(images, near)), hands - 1)]

    return Split(1, make)


@SPLITS.register
def stratified_kfold(folds: int = 5, group: str = "", near: float = 0.0) -> Split:
    """Every row validates in exactly one fold; fold sizes and class counts are as even as :func:`deal` says.

    Args:
        group: a column of the images, such as the patient: rows with the same value share a fold. Then folds are as
            even as scikit-learn's StratifiedGroupKFold can make them, and may change with its version.
    """
    _check_at_least("stratified_kfold: folds", folds, 2)
    check_near(near)

    def make(images: Images, seed: int) -> list[Fold]:
        links = _near_links(images, near)
        hand = _deal_column(images, folds, seed, group, links) if group else deal(images, folds, seed, links)
        return _each_validates(hand)

    return Split(folds, make, group, near)


@SPLITS.register
def repeated_stratified_kfold(folds: int = 5, repeats: int = 2, near: float = 0.0) -> Split:
    """Stratified k-fold several times over, each time dealt anew; the first ``folds`` are stratified_kfold's."""
    _check_at_least("repeated_stratified_kfold: folds", folds, 2)
    _check_at_least("repeated_stratified_kfold: repeats", repeats, 1)
    check_near(near)

    def make(images: Images, seed: int) -> list[Fold]:
        links = _near_links(images, near)
        seeds = [seed + (repeat << 32) for repeat in range(repeats)]  # seeds of recipes end below 2**32
        return [fold for each in seeds for fold in _each_validates(deal(images, folds, each, links))]

    return Split(folds * repeats, make, near=near)


@SPLITS.register
def middle_tenth() -> Split:
    """By position: rows from 35 % to 45 % validate, all others train. Duplicates stay where they lie."""

    def make(images: Images, seed: int) -> list[Fold]:
        rows, start, stop = len(images), len(images) * 35 // 100, len(images) * 45 // 100
        if rows < 10:
            raise DataError(f"middle_tenth: {rows} images have no tenth to validate: get at least 10")
        return [_validated_by((start <= np.arange(rows)) & (np.arange(rows) < stop), True)]

    return Split(1, make)


@SPLITS.register
def first_rows(rows: int = 40_000) -> Split:
    """By position: the first rows train, all others validate. Duplicates stay where they lie."""
    _check_at_least("first_rows: rows", rows, 1)

    def make(images: Images, seed: int) -> list[Fold]:
        if len(images) <= rows:
            raise DataError(
                f"first_rows: {len(images)} images, expected more than the {rows} that train, so that some are left "
                "to validate: lower rows"
            )
        return [_validated_by(np.arange(len(images)) >= rows, True)]

    return Split(1, make)


@SPLITS.register
def group_folders(validate: str = "") -> Split:
    """Ready-made folds, by the column ``folder``. Duplicates stay where they lie.

    Args:
        validate: the folder that validates, while the others train; by default each validates in turn, in the
            order of their names.
    """

    def make(images: Images, seed: int) -> list[Fold]:
        names, hand = np.unique(_column(images, "folder", "group_folders"), return_inverse=True)
        folders = list(map(str, names.tolist()))
        if len(folders) < 2:
            raise DataError(f"group_folders: all images are in folder {folders[0]!r}, expected at least two folders")
        if not validate:
            return _each_validates(hand)
        if validate not in folders:
            raise DataError(f"group_folders: there is no folder {validate!r}: choose one of {', '.join(folders)}")
        return [_validated_by(hand, folders.index(validate))]

    return Split(1 if validate else None, make)


@SPLITS.register
def folds_file(path: str = "folds.csv") -> Split:
    """Folds from a CSV file with the header ``id,fold``, such as ``kit folds`` writes. Duplicates stay where they lie.

    Every id of the images stands in it once, compared as text, beside the fold 0..K-1 in which its row validates.
    """

    def make(images: Images, seed: int) -> list[Fold]:
        return _each_validates(read_folds_file(Path(path), images.ids))

    return Split(None, make)


def watched_apart(fold: Fold, images: Images, split: Split, seed: int) -> Fold:
    """The fold with a tenth of its training rows, dealt like folds, watched instead of the validation rows.

    So out-of-fold rows are scored once, by a model in which they had no part, whatever ended its training. Where a
    tenth cannot be had, as of few groups, it is a larger part.

    Raises:
        DataError: nothing can be held out.
    """
    columns = {split.group: images.columns[split.group][fold.train]} if split.group else {}
    assert images.labels is not None  # noqa: S101  folds were dealt by them
    rows = Images(images.pixels[fold.train], images.ids[fold.train], images.labels[fold.train], columns)
    links = _near_links(rows, split.near)
    for hands in range(10, 1, -1):
        try:
            hand = (
                _deal_column(rows, hands, seed, split.group, links) if split.group else deal(rows, hands, seed, links)
            )
        except DataError:
            continue
        return replace(fold, train=fold.train[hand != 0], watched=fold.train[hand == 0])
    raise DataError(
        f"none of {len(rows)} training rows of a fold can be held out to choose by: take fewer folds, or a recipe of "
        "fixed length (keep last, no patience, no plateau)"
    )


def unwatched(fold: Fold) -> Fold:
    """The fold without rows to watch, for a training of fixed length."""
    return replace(fold, watched=np.empty(0, np.int64))


def deal(images: Images, hands: int, seed: int, links: np.ndarray | None = None) -> np.ndarray:
    """Deal groups of equal images like cards, class after class, so that the hands are as even as can be.

    A group goes with the class that most of its rows have. The groups of a class go into bins, the largest groups
    first, each into the smallest bin; so two bins never differ by more than the largest group. Then the class's
    largest bin goes to the hand with the fewest rows so far, the second largest to the next, and so on: what a
    hand has less, between 0 and the largest group, it gets more, between 0 and the largest group, so that two hands
    never differ by more than that either. Without duplicates hands and classes in them differ by at most one row.

    Groups of one size are dealt in the order of their keys; classes come in an order of their images' keys.

    Args:
        links: int64 (links, 2), pairs of rows that must share a hand besides those with equal pixels.

    Returns:
        int64 (rows,), the hand 0..hands-1 of each row; no hand is empty.
    """
    labels = _labels(images)
    if len(images) < hands:
        raise DataError(f"{len(images)} labelled images cannot be split into {hands} parts: get at least {hands}")
    keys = row_keys(images.pixels, seed)
    groups = duplicate_groups(keys, links)
    sizes = np.bincount(groups)
    if len(sizes) < hands:
        raise DataError(
            f"{len(images)} labelled images are {len(sizes)} different ones, which cannot be split into {hands} parts: "
            f"get at least {hands}"
        )
    class_of_group = _majority(groups, _class_ranks(keys, labels))
    hand = np.empty(len(sizes), np.int64)
    totals = np.zeros(hands, np.int64)
    for rank in range(int(class_of_group.max()) + 1):
        members = np.flatnonzero(class_of_group == rank)
        bin_of_group, bins = _fill_bins(sizes[members], hands)
        receiver = np.empty(hands, np.int64)
        receiver[np.argsort(-bins, kind="stable")] = np.argsort(totals, kind="stable")
        hand[members] = receiver[bin_of_group]
        totals[receiver] += bins
    return hand[groups]


def _fill_bins(sizes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Put groups into bins, the largest first, each into the smallest bin.

    Groups of one size are placed at once: bin b of size s has room for them at the heights s, s + size, ..., and
    the lowest of all bins' places are taken, which is what one after the other would do.

    Returns:
        int64 (groups,), the bin 0..count-1 of each; int64 (count,), the rows in each bin.
    """
    bin_of_group = np.empty(len(sizes), np.int64)
    bins = np.zeros(count, np.int64)
    for size in np.unique(sizes)[::-1].tolist():
        same = np.flatnonzero(sizes == size)
        places = len(same) // count + int(np.ptp(bins)) // size + 2  # no bin takes more
        heights = bins[:, None] + size * np.arange(min(places, len(same)))
        lowest = np.argsort(heights, axis=None, kind="stable")[: len(same)]
        bin_of_group[same] = lowest // heights.shape[1]
        bins += size * np.bincount(bin_of_group[same], minlength=count)
    return bin_of_group, bins


def _class_ranks(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Number the classes by their images instead of their labels: int64 (rows,).

    They are sorted by the sum of their keys, modulo 2**64. Classes of equal sum have the same images, so whichever
    of them comes first, the same images are dealt the same way.
    """
    classes, label = np.unique(labels, return_inverse=True)
    sums = np.zeros(len(classes), np.uint64)
    np.add.at(sums, label, keys)
    rank = np.argsort(np.argsort(sums, kind="stable"))
    ranks: np.ndarray = rank[label]
    return ranks


def _majority(groups: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The class that most rows of each group have, the first of several: int64 (groups,)."""
    classes = int(ranks.max()) + 1
    pairs, counts = np.unique(groups * classes + ranks, return_counts=True)
    group, rank = np.divmod(pairs, classes)
    order = np.lexsort((rank, -counts, group))
    _, first = np.unique(group[order], return_index=True)
    majority: np.ndarray = rank[order][first]
    return majority


def _deal_column(images: Images, folds: int, seed: int, name: str, links: np.ndarray | None) -> np.ndarray:
    """Deal rows that share a value in a column, or are duplicates, together: int64 (rows,), the hand of each row.

    Rows and groups are handed to scikit-learn in the order of their keys, so that theirs does not count.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labels = _labels(images)
    _, first, value = np.unique(_column(images, name, "stratified_kfold"), return_index=True, return_inverse=True)
    same_value = np.stack([np.arange(len(images)), first[value]], axis=1)
    keys = row_keys(images.pixels, seed)
    groups = duplicate_groups(keys, same_value if links is None else np.concatenate([same_value, links]))
    ranks = _class_ranks(keys, labels)
    most = min(len(np.unique(groups)), int(np.max(np.bincount(ranks))))  # scikit-learn wants one class in every fold
    if most < folds:
        raise DataError(
            f"stratified_kfold: column {name!r} makes {len(np.unique(groups))} groups, and the largest class has "
            f"{np.max(np.bincount(ranks))} rows, too few for {folds} folds: take at most {most}"
        )
    order = np.lexsort((ranks, keys))
    hand = np.empty(len(images), np.int64)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of a class with fewer rows than folds
        parts = list(StratifiedGroupKFold(folds).split(order, ranks[order], groups[order]))
    for number, (_, validation) in enumerate(parts):
        if not len(validation):
            raise DataError(
                f"stratified_kfold: the groups of column {name!r} are so uneven that fold {number} of {folds} gets "
                "no rows: take fewer folds"
            )
        hand[order[validation]] = number
    return hand


def separated_duplicates(images: Images, folds: Iterable[Fold]) -> str | None:
    """A line of warning if equal images lie in different parts of a fold, as they may in splits that others made."""
    groups = duplicate_groups(row_keys(images.pixels, 0))
    separated = np.zeros(int(groups.max()) + 1, bool)
    for fold in folds:
        parts = [np.unique(groups[part]) for part in (fold.train, fold.validation, fold.test)]
        separated |= np.bincount(np.concatenate(parts), minlength=len(separated)) > 1
    if not separated.any():
        return None
    return (
        f"{separated.sum()} images lie on both sides of the split, in {separated[groups].sum()} rows that are equal "
        "pixel by pixel: the score rewards remembering them"
    )


def shared_images(images: Images, test: Images) -> str | None:
    """A line of warning if training images are in a test set that is to be scored."""
    leaked = np.isin(row_keys(test.pixels, 0), row_keys(images.pixels, 0)).sum()
    if not leaked:
        return None
    return f"{leaked} test images are in the training set too: the test score rewards remembering them"


def _each_validates(hand: np.ndarray) -> list[Fold]:
    return [_validated_by(hand, number) for number in range(int(hand.max()) + 1)]


def _validated_by(hand: np.ndarray, number: int) -> Fold:
    """The rows of one hand validate, the others train."""
    return Fold(np.flatnonzero(hand != number), np.flatnonzero(hand == number), np.empty(0, np.int64))


def _near_links(images: Images, near: float) -> np.ndarray | None:
    return near_duplicate_pairs(near, images.pixels) if near else None


def _labels(images: Images) -> np.ndarray:
    if images.labels is None:
        raise DataError("only labelled images can be split")
    return images.labels


def _column(images: Images, name: str, split: str) -> np.ndarray:
    if name not in images.columns:
        known = ", ".join(sorted(images.columns))
        fix = f"choose one of {known}" if known else "they have no columns at all"
        raise DataError(f"{split}: the images have no column {name!r}: {fix}")
    return images.columns[name]


def _check_at_least(what: str, value: int, least: int) -> None:
    if value < least:
        raise RecipeError(f"{what} is {value}, expected at least {least}")


def check_near(near: float) -> None:
    if not 0 <= near < 255:
        raise RecipeError(f"near is {near:g}, expected a root-mean-square difference of 0 to 255 grey levels")
