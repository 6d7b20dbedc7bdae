"""How good probabilities are."""

from __future__ import annotations

from typing import Any

import numpy as np


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Accuracy with its 95 % Wilson interval, and log loss.

    Args:
        probabilities: float (rows, classes), rows sum to one.
        labels: int (rows,), 0..classes-1.
    """
    from scipy.stats import binomtest

    rows = len(labels)
    right = int((probabilities.argmax(axis=1) == labels).sum())
    low, high = binomtest(right, rows).proportion_ci(method="wilson")
    return {
        "rows": rows,
        "accuracy": right / rows,
        "accuracy_interval": [float(low), float(high)],
        "log_loss": log_loss(probabilities, labels),
    }


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log probability of the true class, in nats.

    scikit-learn's log_loss warns about float32 rows whose sum is off by rounding, so this is the formula itself.
    """
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(true, np.finfo(np.float32).tiny)).mean())
