"""How much each of several models should count, judged on rows that had no say in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.errors import RecipeError
from kit.scoring.ensembles import LEAST, blend
from kit.scoring.metrics import score
from kit.scoring.paired import paired_test

_NESTED_FOLDS = 5
FEWEST_ROWS = 50


def fit_weights(members: Sequence[np.ndarray], labels: np.ndarray, mean: str = "arithmetic") -> np.ndarray:
    """The weights whose blend has the lowest log loss on rows that no member was trained on.

    The log loss of an arithmetic or geometric mean has one minimum over the weights, so where it starts is no matter;
    votes are weighted like the arithmetic mean, as their accuracy has no slope to follow.

    Args:
        members: float (rows, classes) out-of-fold probabilities each.
        labels: int (rows,).

    Returns:
        float64 (members,), from 0 up, of sum 1.
    """
    from scipy.optimize import minimize

    how = "arithmetic" if mean == "vote" else mean
    true = np.stack([member[np.arange(len(labels)), labels] for member in members], axis=1).astype(np.float64)
    logs: np.ndarray = np.empty(0)
    if how == "geometric":
        logs = np.log(np.maximum(np.stack(members), LEAST)).astype(np.float64)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        if how == "arithmetic":
            answer = np.maximum(true @ weights, LEAST)
            return float(-np.log(answer).mean()), -(true / answer[:, np.newaxis]).mean(axis=0)
        scores = np.tensordot(weights, logs, 1)
        scores -= np.max(scores, axis=1, keepdims=True)
        odds = np.exp(scores)
        odds /= odds.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        slope = [(odds * log).sum(axis=1).mean() - log[rows, labels].mean() for log in logs]
        return float(-np.log(np.maximum(odds[rows, labels], LEAST)).mean()), np.array(slope)

    equal = np.full(len(members), 1 / len(members))
    to_one = {"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": np.ones_like}
    found = minimize(loss, equal, jac=True, method="SLSQP", bounds=[(0, 1)] * len(members), constraints=to_one)
    weights = np.where(found.x < 1e-4, 0, found.x)  # the last thousandths of a member are rounding
    return weights / weights.sum()


@dataclass(frozen=True)
class Judged:
    """Fitted weights against equal ones, on rows that had no say in them.

    fitted, equal: ``score`` of each on all rows, a fifth at a time by weights from the other four.
    gain: of accuracy, by the fitted ones; with its 95 % interval and McNemar's p, over the paired rows.
    """

    fitted: dict[str, Any]
    equal: dict[str, Any]
    gain: float
    gain_interval: tuple[float, float]
    gain_p: float


def judge_weights(
    members_fitted_to: Callable[[np.ndarray], Sequence[np.ndarray]],
    labels: np.ndarray,
    metric: str,
    mean: str = "arithmetic",
) -> Judged:
    """What fitted weights are worth, by cross-validation within the out-of-fold rows.

    Args:
        members_fitted_to: rows that may be fitted to, bool (rows,) -> each member's probabilities of all rows, float
            (rows, classes), in which nothing, such as a temperature, was fitted to other rows.
        labels: int (rows,).

    Raises:
        RecipeError: there are too few rows.
    """
    if len(labels) < FEWEST_ROWS:
        raise RecipeError(
            f"{len(labels)} out-of-fold rows are too few to fit weights to, expected {FEWEST_ROWS} or more"
        )
    if not len(np.unique(labels)) > 1:
        raise RecipeError("the out-of-fold rows are all of one class, to which no weights can be fitted")
    part = np.random.default_rng(0).permutation(len(labels)) % _NESTED_FOLDS
    fitted, equal = [], []
    for number in range(_NESTED_FOLDS):
        inside, outside = part != number, part == number
        members = members_fitted_to(inside)
        weights = fit_weights([member[inside] for member in members], labels[inside], mean)
        fitted.append(blend([member[outside] for member in members], list(weights), mean))
        equal.append(blend([member[outside] for member in members], None, mean))
    order = np.argsort(part, kind="stable")  # the parts one after the other
    labels = labels[order]
    return _judged(np.concatenate(fitted), np.concatenate(equal), labels, metric)


def _judged(fitted: np.ndarray, equal: np.ndarray, labels: np.ndarray, metric: str) -> Judged:
    paired = paired_test(fitted.argmax(axis=1) == labels, equal.argmax(axis=1) == labels)
    scores = score(fitted, labels, metric), score(equal, labels, metric)
    return Judged(*scores, paired.difference, (paired.low, paired.high), paired.p)


def error_correlation(members: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """How alike members err: the correlation, over the rows, of being wrong.

    Returns:
        float64 (members, members); not a number for a member that is right everywhere, or nowhere.
    """
    wrong = np.stack([member.argmax(axis=1) != labels for member in members]).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(wrong))
