"""How good probabilities are. A competition names one metric, with its direction; the others are told beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.errors import RecipeError
from kit.registry import Registry

METRICS = Registry("metric")
"""Functions (options) -> Metric."""


@dataclass(frozen=True)
class Metric:
    """A figure that a competition ranks by.

    compute: (probabilities float (rows, classes), labels int (rows,)) -> figure.
    is_share: from 0 to 1 and shown in per cent.
    needs_probabilities: says nothing of submissions that hold labels alone.
    fewest_classes: of the labels, below which it says nothing.
    per_row: (probabilities, labels) -> float (rows,), where the figure is the mean of a value a row.
    """

    compute: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool = True
    is_share: bool = False
    needs_probabilities: bool = False
    fewest_classes: int = 1
    per_row: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    def key(self, figure: float) -> float:
        """A number that is larger the better the figure is."""
        return figure if self.higher_is_better else -figure

    def show(self, figure: float) -> str:
        return f"{100 * figure:.2f} %" if self.is_share else f"{figure:.4f}"

    def show_spread(self, deviation: float) -> str:
        return f"{100 * deviation:.2f} points" if self.is_share else f"{deviation:.4f}"


def make_metric(spec: str) -> Metric:
    """The metric that a spec such as ``accuracy`` or ``top_k_accuracy(5)`` names."""
    metric: Metric = METRICS.bind_one(spec)()
    return metric


@METRICS.register
def accuracy() -> Metric:
    """Share of the rows whose most probable class is the right one."""
    return _mean_of(lambda probabilities, labels: probabilities.argmax(axis=1) == labels, is_share=True)


def _mean_of(per_row: Callable[[np.ndarray, np.ndarray], np.ndarray], **facts: bool) -> Metric:
    def compute(probabilities: np.ndarray, labels: np.ndarray) -> float:
        return float(per_row(probabilities, labels).mean())

    return Metric(compute, per_row=per_row, **facts)


@METRICS.register
def top_k_accuracy(k: int = 5) -> Metric:
    """Share of the rows whose right class is among the k most probable ones."""
    if k < 1:
        raise RecipeError(f"top_k_accuracy: k is {k}, expected at least 1")

    def is_among(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
        first = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
        return (first == labels[:, np.newaxis]).any(axis=1)

    return _mean_of(is_among, is_share=True, needs_probabilities=True)


@METRICS.register
def balanced_accuracy() -> Metric:
    """Mean over the classes that occur of the share of their rows that are right (scikit-learn's)."""

    def compute(probabilities: np.ndarray, labels: np.ndarray) -> float:
        right = probabilities.argmax(axis=1) == labels
        return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))

    return Metric(compute, is_share=True)


@METRICS.register
def macro_f1() -> Metric:
    """Mean of the classes' F1; a class that neither occurs nor is predicted does not count (scikit-learn's)."""

    def compute(probabilities: np.ndarray, labels: np.ndarray) -> float:
        from sklearn.metrics import f1_score

        return float(f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0))

    return Metric(compute)


@METRICS.register
def weighted_f1() -> Metric:
    """Mean of the classes' F1, each counting by its rows (scikit-learn's)."""

    def compute(probabilities: np.ndarray, labels: np.ndarray) -> float:
        from sklearn.metrics import f1_score

        return float(f1_score(labels, probabilities.argmax(axis=1), average="weighted", zero_division=0))

    return Metric(compute)


@METRICS.register
def kappa() -> Metric:
    """Cohen's kappa: how much more often answers agree with labels than by chance (scikit-learn's)."""

    def compute(probabilities: np.ndarray, labels: np.ndarray) -> float:
        return _cohen_kappa(labels, probabilities, None)

    return Metric(compute, fewest_classes=2)


def _cohen_kappa(labels: np.ndarray, probabilities: np.ndarray, weights: str | None) -> float:
    from sklearn.metrics import cohen_kappa_score

    predicted = probabilities.argmax(axis=1)
    if len(np.unique([labels, predicted])) == 1:  # scikit-learn divides 0 by 0; nothing is disagreed on
        return 1.0
    classes = np.arange(probabilities.shape[1])
    return float(cohen_kappa_score(labels, predicted, weights=weights, labels=classes))


@METRICS.register
def quadratic_kappa() -> Metric:
    """Cohen's kappa with quadratic weights, for classes that are grades in their order (scikit-learn's)."""

    def compute(probabilities: np.ndarray, labels: np.ndarray) -> float:
        return _cohen_kappa(labels, probabilities, "quadratic")

    return Metric(compute, fewest_classes=2)


@METRICS.register
def roc_auc() -> Metric:
    """Area under the ROC curve: of the second of two classes, or the mean of each class against the rest.

    Classes of which the rows are all or none do not count; without any other, it is one half.
    """

    def compute(probabilities: np.ndarray, labels: np.ndarray) -> float:
        from sklearn.metrics import roc_auc_score

        classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
        areas = [
            roc_auc_score(labels == label, probabilities[:, label])
            for label in classes
            if 0 < (labels == label).sum() < len(labels)
        ]
        return float(np.mean(areas)) if areas else 0.5

    return Metric(compute, needs_probabilities=True, fewest_classes=2)


@METRICS.register
def log_loss() -> Metric:
    """Mean negative log probability of the right class, in nats; the lower the better.

    Probabilities count as at least 1e-15, as on Kaggle.
    """
    return _mean_of(log_losses, higher_is_better=False, needs_probabilities=True)


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each row: float64 (rows,).

    scikit-learn's log_loss warns about float32 rows whose sum is off by rounding, so this is the formula itself.
    """
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(true, 1e-15))


def mean_log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(log_losses(probabilities, labels).mean())


def score(probabilities: np.ndarray, labels: np.ndarray, metric: str = "accuracy") -> dict[str, Any]:
    """The competition's figure, accuracy with its 95 % Wilson interval, and log loss.

    Args:
        probabilities: float (rows, classes), rows sum to one.
        labels: int (rows,), 0..classes-1.
        metric: spec of the competition's metric; its figure is ``score``.
    """
    from scipy.stats import binomtest

    rows = len(labels)
    right = int((probabilities.argmax(axis=1) == labels).sum())
    low, high = binomtest(right, rows).proportion_ci(method="wilson")
    return {
        "rows": rows,
        "score": make_metric(metric).compute(probabilities, labels),
        "accuracy": right / rows,
        "accuracy_interval": [float(low), float(high)],
        "log_loss": mean_log_loss(probabilities, labels),
    }
