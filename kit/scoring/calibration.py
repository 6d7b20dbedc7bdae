"""Probabilities that are as sure as they are right: temperature scaling."""

from __future__ import annotations

import numpy as np

from kit.scoring.ensembles import LEAST
from kit.scoring.metrics import mean_log_loss

_NESTED_FOLDS = 5


def fit_temperature(answers: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that gives probabilities the lowest log loss (Guo et al., 2017).

    Above 1 it makes them less sure, below 1 surer; the likeliest class of each model stays the likeliest.

    Args:
        answers: float (models, rows, classes), of rows that the models were not trained on. Each model has the
            temperature, and their mean is what is judged.
        labels: int (rows,).
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return mean_log_loss(mean_tempered(answers, float(np.exp(log_temperature))), labels)

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def mean_tempered(answers: np.ndarray, temperature: float) -> np.ndarray:
    """The mean of several models at a temperature: float (models, rows, classes) -> float32 (rows, classes)."""
    return tempered(answers, temperature).mean(axis=0)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities at a temperature: float32 (..., classes), proportional to ``p ** (1 / temperature)``."""
    if temperature == 1:
        return probabilities
    scores = np.log(np.maximum(probabilities.astype(np.float64), LEAST)) / temperature
    odds = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return (odds / odds.sum(axis=-1, keepdims=True)).astype(np.float32)


def tempered_by_others(answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each row at a temperature that was fitted to the other four fifths of the rows: what calibration is worth.

    Args:
        answers: float (models, rows, classes).

    Returns:
        float32 (rows, classes).
    """
    part = np.random.default_rng(0).permutation(len(labels)) % _NESTED_FOLDS
    after = np.empty(answers.shape[1:], np.float32)
    for number in range(_NESTED_FOLDS):
        outside = part == number
        temperature = fit_temperature(answers[:, ~outside], labels[~outside])
        after[outside] = mean_tempered(answers[:, outside], temperature)
    return after
