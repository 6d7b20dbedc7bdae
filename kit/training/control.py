"""What the validation rows decide during a training, each a function of the history alone.

Whoever uses one of these has let the validation rows choose, so their score is marked as selected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from kit.errors import RecipeError
from kit.registry import Registry
from kit.scoring.metrics import make_metric
from kit.training.events import Epoch

MONITORS = ("score", "accuracy", "loss")

PLATEAUS = Registry("plateau")
"""Functions (options) -> (qualities of the epochs so far, higher is better) -> factor on the learning rate."""

Qualities = Sequence[float]


def quality(epoch: Epoch, monitor: str, metric: str) -> float:
    """How good an epoch was on the validation rows; higher is better, whatever is monitored."""
    value = float(getattr(epoch, f"validation_{monitor}"))
    if math.isnan(value):
        return -math.inf  # nothing is better or worse than what is not a number, so that it would stay the best
    return value if higher_is_better(monitor, metric) else -value


def higher_is_better(monitor: str, metric: str) -> bool:
    return monitor == "accuracy" or (monitor == "score" and make_metric(metric).higher_is_better)


def best_epoch(history: Sequence[Epoch], monitor: str, metric: str) -> Epoch:
    """The first epoch of the best quality."""
    return max(history, key=lambda epoch: quality(epoch, monitor, metric))


def epochs_without_progress(qualities: Qualities) -> int:
    """Epochs since the best one so far."""
    return len(qualities) - 1 - max(range(len(qualities)), key=qualities.__getitem__) if qualities else 0


@PLATEAUS.register
def none() -> Callable[[Qualities], float]:
    """The learning rate follows its schedule alone."""
    return lambda qualities: 1.0


@PLATEAUS.register
def reduce(
    factor: float = 0.1, patience: int = 4, minimum: float = 0.0, min_delta: float = 1e-4
) -> Callable[[Qualities], float]:
    """Multiply the rate by ``factor`` each time that ``patience`` epochs brought no progress.

    minimum: of the factors together, as a share of the scheduled rate. min_delta: what counts as progress, as in Keras.
    """
    if not 0 < factor < 1 or patience < 1 or not 0 <= minimum < 1 or not 0 <= min_delta < math.inf:
        raise RecipeError(
            f"plateau: factor is {factor}, patience {patience}, minimum {minimum}, min_delta {min_delta}; expected "
            "factor between 0 and 1, patience of at least 1 epoch, minimum from 0 up to, not including, 1, and "
            "min_delta 0 or more"
        )

    def reduced(qualities: Qualities) -> float:
        scale, best, waited = 1.0, float("-inf"), 0
        for value in qualities:
            waited = 0 if value > best + min_delta else waited + 1
            best = value if waited == 0 else best
            if waited >= patience:
                scale, waited = max(scale * factor, minimum), 0
        return scale

    return reduced


@PLATEAUS.register
def follow(factors: tuple[float, ...]) -> Callable[[Qualities], float]:
    """The factors that another training has found, one an epoch, the last one for all that follow."""
    if not factors or not all(0 < factor <= 1 for factor in factors):
        raise RecipeError(f"plateau: factors are {factors}, expected some, each above 0 and at most 1")
    return lambda qualities: factors[min(len(qualities), len(factors) - 1)]
