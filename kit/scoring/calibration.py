"""Probabilities that are as sure as they are right: temperature scaling."""

from __future__ import annotations

import numpy as np

from kit.scoring.ensembles import LEAST
from kit.scoring.metrics import mean_log_loss

_NESTED_FOLDS = 5


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that gives probabilities the lowest log loss (Guo et al., 2017).

    Above 1 it makes them less sure, below 1 surer; the likeliest class stays the likeliest.

    Args:
        probabilities: float (rows, classes), of rows that the model was not trained on.
        labels: int (rows,).
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return mean_log_loss(tempered(probabilities, float(np.exp(log_temperature))), labels)

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities at a temperature: float32 (rows, classes), proportional to ``p ** (1 / temperature)``."""
    scores = np.log(np.maximum(probabilities.astype(np.float64), LEAST)) / temperature
    odds = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def tempered_by_others(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each row at a temperature that was fitted to the other four fifths of the rows: what calibration is worth."""
    part = np.random.default_rng(0).permutation(len(labels)) % _NESTED_FOLDS
    after = np.empty(probabilities.shape, np.float32)
    for number in range(_NESTED_FOLDS):
        outside = part == number
        temperature = fit_temperature(probabilities[~outside], labels[~outside])
        after[outside] = tempered(probabilities[outside], temperature)
    return after
