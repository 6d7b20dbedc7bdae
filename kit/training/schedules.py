"""Learning rates: from a spec such as ``warmup(1)|cosine`` to one rate a training step.

Each stage of the spec gives the rates of its steps; every stage but the last has a length of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kit.errors import RecipeError
from kit.registry import Registry

SCHEDULES = Registry("schedule")
"""Functions (phase, /, options) -> float64 (at most phase.steps,) learning rates."""


@dataclass(frozen=True)
class Phase:
    """The part of a run that a stage of the schedule has to fill."""

    steps: int
    steps_per_epoch: int
    peak: float  # the recipe's learning rate


def learning_rates(spec: str, peak: float, epochs: int, steps_per_epoch: int) -> np.ndarray:
    """The learning rate of every step: float32 (epochs * steps_per_epoch,).

    Raises:
        RecipeError: the stages leave steps without a rate, or a warm-up leaves none to what follows it.
    """
    stages = SCHEDULES.bind(spec)
    phase = Phase(epochs * steps_per_epoch, steps_per_epoch, peak)
    parts = []
    for stage in stages:
        if phase.steps <= 0:
            raise RecipeError(f"schedule {spec!r}: nothing is left of {epochs} epochs for its last stage")
        parts.append(stage(phase)[: phase.steps])
        phase = replace(phase, steps=phase.steps - len(parts[-1]))
    if phase.steps:
        raise RecipeError(f"schedule {spec!r} ends {phase.steps} steps early: add a last stage, such as |cosine")
    return np.concatenate(parts).astype(np.float32)


@SCHEDULES.register
def constant(phase: Phase, /) -> np.ndarray:
    """The recipe's learning rate throughout."""
    return np.full(phase.steps, phase.peak)


@SCHEDULES.register
def warmup(phase: Phase, /, epochs: float = 1.0) -> np.ndarray:
    """Rises in a straight line from near 0 to the recipe's learning rate, within ``epochs`` epochs.

    It takes at most half of the run, so that a short trial run of a recipe works too.
    """
    if epochs <= 0:
        raise RecipeError(f"warmup: epochs is {epochs}, expected more than 0")
    steps = min(round(epochs * phase.steps_per_epoch), phase.steps // 2)
    return phase.peak * np.arange(1, steps + 1) / steps


@SCHEDULES.register
def cosine(phase: Phase, /, minimum: float = 0.0) -> np.ndarray:
    """Falls along half a cosine from the recipe's learning rate to ``minimum``."""
    return _half_cosine(np.arange(phase.steps) / phase.steps, phase.peak, _checked(minimum, phase))


@SCHEDULES.register
def warm_restarts(phase: Phase, /, minimum: float = 0.0, period: float = 10.0, t_mul: float = 1.0) -> np.ndarray:
    """Cosine annealing with warm restarts, step by step (Loshchilov and Hutter, SGDR, arXiv 1608.03983).

    ``period`` is the length of the first cycle in epochs; each cycle is ``t_mul`` times as long as the one before.
    """
    if period <= 0 or t_mul < 1:
        raise RecipeError(f"warm_restarts: period is {period}, t_mul {t_mul}; expected period > 0 and t_mul >= 1")
    rates: list[np.ndarray] = []
    length, left = period * phase.steps_per_epoch, phase.steps
    while left > 0:
        steps = max(1, round(length))
        rates.append(_half_cosine(np.arange(steps) / steps, phase.peak, _checked(minimum, phase))[:left])
        left -= steps
        length *= t_mul
    return np.concatenate(rates)


def _half_cosine(progress: np.ndarray, peak: float, minimum: float) -> np.ndarray:
    return minimum + (peak - minimum) * 0.5 * (1 + np.cos(np.pi * progress))


def _checked(minimum: float, phase: Phase) -> float:
    if not 0 <= minimum <= phase.peak:
        raise RecipeError(f"the schedule's minimum is {minimum}, expected 0 up to the learning rate, {phase.peak}")
    return minimum
