"""Averages of the weights that a training passes through, which often score better than the last ones.

An average takes in everything a model saves, the moving statistics of batch normalisation too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from kit.errors import RecipeError
from kit.registry import Registry

AVERAGES = Registry("average")
"""Functions (options) -> WeightAverage, or None for none."""

EVERY = 5  # steps between two updates of a moving average: the weights hardly change meanwhile, and copies cost time


class WeightAverage(Protocol):
    def step_ended(self, step: int, classifier: Any) -> None:
        """Take in the weights after a training step, counted from 1 over all epochs."""

    def epoch_ended(self, epoch: int, epochs: int, classifier: Any) -> None:
        """Take in the weights after an epoch, counted from 1, of so many."""

    def weights(self) -> Sequence[np.ndarray] | None:
        """The average, in the order of ``get_weights``; None before there is any."""

    def state(self) -> list[np.ndarray]:
        """What a checkpoint has to keep; empty before there is any average."""

    def restore(self, state: list[np.ndarray]) -> None:
        """Go on from such a state."""


@AVERAGES.register
def none() -> WeightAverage | None:
    """The weights as they are."""
    return None


@AVERAGES.register
def ema(decay: float = 0.999) -> WeightAverage | None:
    """Exponential moving average over the steps: ``decay`` is the share of the past that a step keeps.

    Early on it keeps less, (1 + step) / (10 + step), so that the random start is soon forgotten.
    """
    if not 0 < decay < 1:
        raise RecipeError(f"ema: decay is {decay}, expected between 0 and 1")
    return _MovingAverage(decay)


@AVERAGES.register
def swa(start: float = 0.75) -> WeightAverage | None:
    """Stochastic weight averaging: the mean of the weights at the ends of the last epochs (arXiv 1803.05407).

    Izmailov et al. compute the statistics of batch normalisation anew in another pass over the data; here they are
    averaged like everything else.

    start: share of the epochs after which averaging begins.
    """
    if not 0 <= start < 1:
        raise RecipeError(f"swa: start is {start}, expected from 0 up to, not including, 1")
    return _EpochMean(start)


class _MovingAverage:
    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._mean: list[np.ndarray] | None = None

    def step_ended(self, step: int, classifier: Any) -> None:
        if step % EVERY:
            return
        weights = classifier.get_weights()
        if self._mean is None:
            self._mean = [np.array(weight) for weight in weights]
        kept = min(self._decay, (1 + step) / (10 + step)) ** EVERY
        for mean, weight in zip(self._mean, weights, strict=True):
            mean += (1 - kept) * (weight - mean)

    def epoch_ended(self, epoch: int, epochs: int, classifier: Any) -> None:
        pass

    def weights(self) -> list[np.ndarray] | None:
        return self._mean

    def state(self) -> list[np.ndarray]:
        return self._mean or []

    def restore(self, state: list[np.ndarray]) -> None:
        self._mean = state or None


class _EpochMean:
    def __init__(self, start: float) -> None:
        self._start = start
        self._mean: list[np.ndarray] | None = None
        self._members = 0

    def step_ended(self, step: int, classifier: Any) -> None:
        pass

    def epoch_ended(self, epoch: int, epochs: int, classifier: Any) -> None:
        if epoch <= self._start * epochs:
            return
        weights = classifier.get_weights()
        self._members += 1
        if self._mean is None:
            self._mean = [np.array(weight) for weight in weights]
        for mean, weight in zip(self._mean, weights, strict=True):
            mean += (weight - mean) / self._members

    def weights(self) -> list[np.ndarray] | None:
        return self._mean

    def state(self) -> list[np.ndarray]:
        return [] if self._mean is None else [np.array(self._members), *self._mean]

    def restore(self, state: list[np.ndarray]) -> None:
        if state:
            self._members, self._mean = int(state[0]), state[1:]
