"""Whether test images can be told from training images: then a validation score may not hold on the test set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.data.duplicates import row_keys, thumbnails
from kit.data.folds import deal
from kit.data.images import Images, windows
from kit.errors import DataError

MOST_ROWS = 5000  # of each set: twice as many narrow the interval by a third, to no decision's benefit
FEWEST_ROWS = 30  # of each set: even so many leave an interval of 0.3 to 0.7 about guessing
FOLDS = 5
BARELY = 0.55  # AUC of two normal distributions whose means are 0.18 deviations apart
_PENALTY = 0.1  # inverse strength, on standardised features
_MOST_BYTES = 2**28  # of pixels of each set: of images of 224 by 224 pixels in colour, 1,783 are drawn
_ROWS_AT_A_TIME = 512


@dataclass(frozen=True)
class Drift:
    """How well a classifier tells test images from training images that it was not trained on.

    auc: the chance that a test image gets a higher score than a training image; 0.5 is guessing.
    interval: of 95 %, by DeLong's method, widened for the folds; see :func:`auc_interval`.
    train_scores, test_scores: float64, of the rows that were drawn, their log odds of being a test image.
    train_like_test, test_unlike_train: row numbers in either set, the highest scores first.
    """

    auc: float
    interval: tuple[float, float]
    train_scores: np.ndarray
    test_scores: np.ndarray
    train_like_test: np.ndarray
    test_unlike_train: np.ndarray

    @property
    def is_told(self) -> bool:
        """Whether the interval lies above guessing. One that lies below has found no difference either."""
        return self.interval[0] > 0.5

    @property
    def matters(self) -> bool:
        """Whether the difference is more than a trifle that many rows bring to light."""
        return self.is_told and self.auc >= BARELY

    @property
    def verdict(self) -> str:
        """In words."""
        low, high = self.interval
        figure = f"AUC {self.auc:.3f} ({low:.3f} to {high:.3f}), where 0.5 is guessing"
        if not self.is_told:
            return f"test images cannot be told from training images: {figure}"
        if not self.matters:
            return f"test images can barely be told from training images: {figure}"
        return (
            f"test images can be told from training images: {figure}: a validation score may not hold on the test set"
        )

    def to_dict(self) -> dict[str, Any]:
        """What JSON has of it."""
        rows = {"train_rows": len(self.train_scores), "test_rows": len(self.test_scores)}
        return {"auc": self.auc, "interval": list(self.interval), **rows, "verdict": self.verdict}


def train_test_drift(train: np.ndarray, test: np.ndarray, seed: int = 0, most_rows: int = MOST_ROWS) -> Drift:
    """Let a logistic regression tell test images from training images, and score it out of fold.

    It sees 8x8 thumbnails, and of each channel mean, deviation, ends, and how much neighbouring pixels differ. Rows
    are drawn, and dealt into folds, by a keyed hash of their pixels, so that their order does not count. The sides
    have equal weight and equal shares of every fold, so that neither do their sizes. Equal images share a fold: one
    that occurs twice in a set would be recognised, and one that is in both sets would be remembered as of the wrong
    one, which takes the AUC below a half. The classifier knows no classes: where the sets have them in other
    proportions, that is a difference as well.

    Args:
        train, test: uint8 (rows, height, width, channels) of one shape.
        most_rows: of either set.

    Raises:
        DataError: a set has too few different images to say anything.
    """
    most_rows = min(most_rows, max(FEWEST_ROWS, _MOST_BYTES // math.prod(train.shape[1:])))
    sides = [_drawn(pixels, seed, most_rows) for pixels in (train, test)]
    for rows, what in zip(sides, ("training", "test"), strict=True):
        if len(rows) < FEWEST_ROWS:
            raise DataError(f"{len(rows)} {what} images are too few to tell drift, expected at least {FEWEST_ROWS}")
    pixels = np.concatenate([some[rows] for some, rows in zip((train, test), sides, strict=True)])
    is_test = np.repeat([0, 1], [len(rows) for rows in sides])
    if len(np.unique(row_keys(pixels, seed))) < 2 * FOLDS:
        raise DataError("nearly all images are equal: there is nothing to tell them apart by")
    hand = deal(Images(pixels, np.arange(len(pixels)), is_test), FOLDS, seed)
    scores = _out_of_fold_scores(features(pixels), is_test, hand)
    auc, interval = auc_interval(scores[is_test == 0], scores[is_test == 1])
    highest = [rows[np.argsort(-scores[is_test == side], kind="stable")] for side, rows in enumerate(sides)]
    return Drift(auc, interval, scores[is_test == 0], scores[is_test == 1], *highest)


def _drawn(pixels: np.ndarray, seed: int, most: int) -> np.ndarray:
    """Row numbers of the images with the smallest keys, sorted: a random draw that knows no order of rows."""
    return np.sort(np.argsort(row_keys(pixels, seed), kind="stable")[:most])


def features(pixels: np.ndarray) -> np.ndarray:
    """uint8 (rows, height, width, channels) -> float32 (rows, features)."""
    parts = []  # of floats, which take four times the room of their pixels
    for window in windows(pixels, _ROWS_AT_A_TIME):
        values = window.astype(np.float32)
        steps = [np.abs(np.diff(values, axis=axis)) for axis in (1, 2)]
        summaries: list[np.ndarray] = [summary(values, axis=(1, 2)) for summary in (np.mean, np.std, np.min, np.max)]
        summaries += [step.mean(axis=(1, 2)) for step in steps if step.size]
        parts.append(np.concatenate([thumbnails(window), *summaries], axis=1, dtype=np.float32))
    return np.concatenate(parts)


def _out_of_fold_scores(points: np.ndarray, is_test: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Log odds of being a test image, of each row by a classifier that did not see it: float64 (rows,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.empty(len(points))
    for number in range(FOLDS):
        seen = hand != number
        if len(np.unique(is_test[seen])) < 2:
            raise DataError("nearly all images are equal: there is nothing to tell them apart by")
        # Balanced: else scores of folds with other shares of test images would be shifted against each other.
        classifier = LogisticRegression(C=_PENALTY, class_weight="balanced", solver="newton-cholesky")
        model = make_pipeline(StandardScaler(), classifier).fit(points[seen], is_test[seen])
        scores[~seen] = model.decision_function(points[~seen])
    return scores


def auc_interval(negatives: np.ndarray, positives: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The area under the ROC curve of out-of-fold scores, and its 95 % interval.

    The variance is that of DeLong, DeLong and Clarke-Pearson (Biometrics, 1988), computed from ranks after Sun and Xu
    (IEEE Signal Processing Letters, 2014): exact, with one sort where a bootstrap has a thousand. scikit-learn has the
    area alone. It is then doubled. A method for the scores of one classifier takes folds for independent, but where
    there is nothing to find, a chance resemblance of two folds counts once in either direction: of 300 draws without
    drift, the area's deviation was 1.43 times DeLong's, and 7 to 9 % were called drift in place of 2.5 %. Where
    there is drift the doubled interval is wider than it need be.

    The interval is taken on the log odds of the area, so that it stays within 0 and 1; it is the area itself where that
    is 0 or 1.

    Args:
        negatives, positives: float (rows,), the scores of both kinds.
    """
    from scipy.special import expit, logit
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([negatives, positives]))
    below_each_positive = (ranks[len(negatives) :] - rankdata(positives)) / len(negatives)
    above_each_negative = 1 - (ranks[: len(negatives)] - rankdata(negatives)) / len(positives)
    auc = float(below_each_positive.mean())
    variance = below_each_positive.var(ddof=1) / len(positives) + above_each_negative.var(ddof=1) / len(negatives)
    if not 0 < auc < 1 or variance == 0:
        return auc, (auc, auc)
    half = 1.959964 * float(np.sqrt(2 * variance)) / (auc * (1 - auc))
    low, high = expit(logit(auc) + np.array([-half, half])).tolist()
    return auc, (low, high)
