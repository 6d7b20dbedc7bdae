"""Who is taken for whom: counts and shares, the pairs, the order in which confused classes stand together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Confused:
    """Rows of one class that were taken for another.

    share: of the rows of the true class.
    """

    true: int
    predicted: int
    rows: int
    share: float


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int (classes, classes): rows are true classes, columns what they were taken for.

    Args:
        labels, predicted: int (rows,), 0..classes-1.
    """
    cells = labels * classes + predicted  # scikit-learn's is the same, and takes a second to import
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Counts as shares of the true class: float (classes, classes); NaN for a class without rows."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def confused_together(counts: np.ndarray) -> np.ndarray:
    """An order of the classes in which those that are taken for each other are neighbours: int (classes,).

    Average linkage on how seldom two classes are confused, with SciPy's optimal order of the leaves (Bar-Joseph et
    al., 2001). Two classes stay as they are.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(counts) < 3:
        return np.arange(len(counts))
    confused = np.nan_to_num(row_shares(counts))
    confused = confused + confused.T
    np.fill_diagonal(confused, 0)
    if not confused.any():
        return np.arange(len(counts))
    apart = confused.max() - confused
    np.fill_diagonal(apart, 0)
    distances = squareform(apart)
    order = leaves_list(optimal_leaf_ordering(linkage(distances, "average"), distances))
    return order if order[0] < order[-1] else order[::-1]  # either is as good; the first class rather stands first


def confused_pairs(counts: np.ndarray) -> list[Confused]:
    """All pairs that occur, the most rows first."""
    shares = row_shares(counts)
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    places = np.argwhere(wrong)
    pairs = [Confused(int(i), int(j), int(counts[i, j]), float(shares[i, j])) for i, j in places]
    return sorted(pairs, key=lambda pair: (-pair.rows, -pair.share, pair.true, pair.predicted))


def differing_confusions(matrices: Sequence[np.ndarray], most: int = 20) -> list[tuple[int, int, list[float]]]:
    """The mistakes that models make most differently often.

    Args:
        matrices: of each model, int (classes, classes), as of :func:`confusion_counts`; a class without rows has no
            mistakes.

    Returns:
        True class, predicted class, and the share of each model; the largest difference first.
    """
    stacked = np.nan_to_num(np.stack([row_shares(counts) for counts in matrices]))
    spread = np.ptp(stacked, axis=0)
    np.fill_diagonal(spread, 0)
    order = np.argsort(-spread, axis=None, kind="stable")[:most]
    return [
        (int(true), int(predicted), stacked[:, true, predicted].tolist())
        for true, predicted in zip(*np.unravel_index(order, spread.shape), strict=True)
        if spread[true, predicted]
    ]
