"""Figures of weighted rows, of many samples at once: what :mod:`kit.scoring.bootstrap` draws.

Each function here takes probabilities, float (rows, classes), and labels, int (rows,), and returns a Measure. With
equal weights, the figures are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kit.scoring.bootstrap import Measure
from kit.scoring.metrics import Metric

CALIBRATION_BINS = 15


def means(per_row: Mapping[str, np.ndarray]) -> Measure:
    """Figures that are the mean of a value a row."""
    values = np.stack(list(per_row.values())).astype(np.float64)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        # In float64, as a sum of 60,000 float32 losses is wrong in its fifth digit; and not by BLAS, whose threads wait
        # for each other longer than this takes where other programs run: 4 s instead of 0.1.
        return dict(zip(per_row, np.einsum("fr,rs->fs", values, weights) / len(weights), strict=True))

    return measure


def agreement(predicted: np.ndarray, labels: np.ndarray, classes: int) -> Measure:
    """What a confusion matrix tells: balanced accuracy, kappas, macro and weighted precision, recall and F1.

    It takes no matrix: its diagonal and its margins are enough, and for the quadratic kappa a mean over the rows.
    """
    right = predicted == labels
    total = len(labels)
    is_of, taken_for = (_sums(which, classes, np.arange(total), total) for which in (labels, predicted))
    hit = _sums(labels[right], classes, np.flatnonzero(right), total)
    apart = means({"squares": (predicted - labels) ** 2})

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        true, found, both = ((counts @ weights).astype(np.float64) for counts in (is_of, taken_for, hit))
        present = (true + found) > 0  # the classes that scikit-learn averages over
        precision, recall = _share(both, found), _share(both, true)
        f1 = _share(2 * both, true + found)
        averaged = {"precision": precision, "recall": recall, "f1": f1}
        macro = {f"macro_{name}": values.sum(axis=0) / present.sum(axis=0) for name, values in averaged.items()}
        weighted = {f"weighted_{name}": (values * true).sum(axis=0) / total for name, values in averaged.items()}
        observed, expected = both.sum(axis=0) / total, (true * found).sum(axis=0) / total**2
        grades = np.arange(classes)
        squares = (grades[:, np.newaxis] - grades) ** 2
        by_chance = np.einsum("is,ij,js->s", true, squares, found, optimize=True) / total**2
        one_class = by_chance == 0
        quadratic = np.where(one_class, 1.0, 1 - apart(weights)["squares"] / np.where(one_class, 1.0, by_chance))
        return {
            "balanced_accuracy": recall.sum(axis=0) / (true > 0).sum(axis=0),
            "kappa": np.divide(observed - expected, 1 - expected, out=_nothing(observed), where=expected < 1),
            "quadratic_kappa": np.where((true > 0).sum(axis=0) > 1, quadratic, np.nan),
            **macro,
            **weighted,
        }

    return measure


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """How far probabilities are from how often they are right: the expected calibration error (Guo et al., 2017).

    The likeliest class of each row counts, in the bins of :func:`calibration_bins`; the mean over the rows of the
    difference between the probability and the accuracy of the row's bin.
    """
    surest = probabilities.max(axis=1).astype(np.float64)
    bins = calibration_bins(surest)
    gap = (probabilities.argmax(axis=1) == labels) - surest
    gaps = _sums(bins, CALIBRATION_BINS, np.arange(len(labels)), len(labels), gap)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"calibration_error": np.abs(gaps @ weights.astype(np.float64)).sum(axis=0) / len(weights)}

    return measure


def calibration_bins(confidence: np.ndarray) -> np.ndarray:
    """float64 (rows,), 0..1 -> int (rows,), which of 15 bins of equal width; the lower end of each is left out."""
    return np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)


def roc_auc(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """Area under the ROC curve, of each class against the rest, and its mean over the classes that some rows have.

    Of two classes, the second's alone. The area is the share of the pairs, of one row of the class and one of another,
    in which the former has the higher probability; of a tie, half. What lacks to one is counted, as most rows of other
    classes are below all rows of the class, and need not be looked at.
    """
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    lost = [_LostPairs.of(probabilities[:, label], labels == label) for label in classes if (labels == label).any()]

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        total, counted = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
        for pairs in lost:
            area = pairs.area(weights)
            known = np.isfinite(area)
            total[known] += area[known]
            counted += known
        return {"roc_auc": np.divide(total, counted, out=_nothing(total), where=counted > 0)}

    return measure


class _LostPairs:
    """The pairs of a row of a class and one of another that are in the wrong order.

    The class's rows fall into groups of equal probability, lowest first. All others fall beside them, into two bins a
    group: those of just its probability, and those above it that are below the next group.
    """

    def __init__(self, of_class: Any, beside: Any) -> None:
        self._of_class = of_class  # sparse (groups, rows)
        self._beside = beside  # sparse (2 * groups, rows)

    @classmethod
    def of(cls, probability: np.ndarray, is_of_class: np.ndarray) -> _LostPairs:
        known, group = np.unique(probability[is_of_class], return_inverse=True)
        others = np.flatnonzero(~is_of_class & (probability >= known[0]))
        values = probability[others]
        bins = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right") - 1
        rows = len(probability)
        return cls(
            _sums(group, len(known), np.flatnonzero(is_of_class), rows),
            _sums(bins, 2 * len(known), others, rows),
        )

    def area(self, weights: np.ndarray) -> np.ndarray:
        """(rows, samples) -> (samples,), not a number where all rows are of the class, or none."""
        mine, bins = self._of_class @ weights, self._beside @ weights  # float32 counts up to 2^24 rows exactly
        equal, above = bins[0::2], bins[1::2]
        above += equal
        reach = np.cumsum(above[::-1], axis=0, out=above[::-1])[::-1]  # of other rows, those that beat a group's
        reach -= equal / 2
        lost = np.einsum("gs,gs->s", mine, reach, dtype=np.float64)
        own = mine.sum(axis=0, dtype=np.float64)
        pairs = own * (len(weights) - own)
        return 1 - np.divide(lost, pairs, out=_nothing(lost), where=pairs > 0)


def any_metric(name: str, metric: Metric, probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """A metric that is known by its function alone: slow, as each sample's rows are copied for it."""

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        values = np.full(weights.shape[1], np.nan)
        for number, counts in enumerate(weights.T):
            rows = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
            if len(np.unique(labels[rows])) >= metric.fewest_classes:
                values[number] = metric.compute(probabilities[rows], labels[rows])
        return {name: values}

    return measure


def _sums(group: np.ndarray, groups: int, rows: np.ndarray, total: int, values: np.ndarray | None = None) -> Any:
    """A sparse matrix (groups, total) that sums the weights of each group's rows, or their products with values.

    group: (rows,), the group of each of these ``rows`` of all.
    """
    from scipy.sparse import csr_array

    order = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
    data = np.ones(len(group), np.float32) if values is None else values[order]
    return csr_array((data, rows[order].astype(np.int32), starts.astype(np.int32)), shape=(groups, total))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """0 of none is 0, as with scikit-learn's ``zero_division=0``."""
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _nothing(like: np.ndarray) -> np.ndarray:
    return np.full(like.shape, np.nan)
