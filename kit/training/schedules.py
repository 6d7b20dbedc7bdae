"""Learning rates: from a spec such as ``warmup(1)|cosine`` to one rate a training step.

Each stage of the spec gives the rates of its steps; every stage but the last has a length of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kit.errors import RecipeError
from kit.registry import LARGEST, Registry

SCHEDULES = Registry("schedule")
"""Functions (phase, /, options) -> float64 (at most phase.steps,) learning rates."""

SHORTEST_PERIOD = 1e-6  # epochs


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
            raise RecipeError(f"schedule {spec!r}: its other stages take every epoch, nothing is left for the last one")
        parts.append(stage(phase)[: phase.steps])
        phase = replace(phase, steps=phase.steps - len(parts[-1]))
    if phase.steps:
        ended = epochs - phase.steps / steps_per_epoch
        raise RecipeError(
            f"schedule {spec!r} ends after {ended:.3g} of {epochs} epochs: add a last stage, such as |cosine"
        )
    rates = np.concatenate(parts)
    if rates.max() > LARGEST:
        raise RecipeError(f"schedule {spec!r} rises to a rate of {rates.max():g}, expected at most {LARGEST:g}")
    return rates.astype(np.float32)


def lowest_steps(rates: np.ndarray) -> np.ndarray:
    """The steps, from 0, to which the rate has fallen before it rises or the run ends; of equal ones the last."""
    ends = np.flatnonzero(np.append(rates[1:] != rates[:-1], True))  # of stretches of one rate
    levels = rates[ends]
    fallen = np.append(False, levels[1:] < levels[:-1])
    rising = np.append(levels[1:] > levels[:-1], True)
    lowest: np.ndarray = ends[fallen & rising]
    return lowest


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
    if period < SHORTEST_PERIOD or t_mul < 1:
        raise RecipeError(
            f"warm_restarts: period is {period}, t_mul {t_mul}; expected period >= {SHORTEST_PERIOD:g} and t_mul >= 1"
        )
    length = period * phase.steps_per_epoch
    cycles = int(min(phase.steps, phase.steps / length + 2))
    with np.errstate(over="ignore"):  # a cycle may well have no end
        ends = np.cumsum(np.cumprod(np.append(length, np.full(cycles - 1, t_mul))))
    number = np.arange(1, cycles + 1)
    # Rounded only now, so that cycles do not drift from the epochs; each has a step at least.
    ends = number + np.maximum.accumulate(np.maximum(np.rint(ends) - number, 0))
    starts = np.append(0, ends)
    steps = np.arange(phase.steps)
    cycle = np.searchsorted(ends, steps, side="right")
    progress = (steps - starts[cycle]) / (ends[cycle] - starts[cycle])
    return _half_cosine(progress, phase.peak, _checked(minimum, phase))


@SCHEDULES.register
def step(phase: Phase, /, epochs: float = 10.0, factor: float = 0.1) -> np.ndarray:
    """The recipe's learning rate, times ``factor`` after every ``epochs`` epochs."""
    if epochs <= 0 or not 0 < factor < 1:
        raise RecipeError(f"step: epochs is {epochs}, factor {factor}; expected epochs > 0 and factor between 0 and 1")
    fallen = np.arange(phase.steps) // max(1, round(min(epochs * phase.steps_per_epoch, phase.steps)))
    return phase.peak * factor**fallen


@SCHEDULES.register
def piecewise(phase: Phase, /, changes: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The recipe's learning rate, then from an epoch on another factor of it: ``piecewise(((6, 0.1), (9, 0.01)))``.

    Each change is (after so many epochs, the factor from then on); behind a warm-up, epochs count from its end.
    """
    starts = [epoch for epoch, _ in changes]
    if not changes or starts != sorted(set(starts)) or min(starts) <= 0 or any(factor <= 0 for _, factor in changes):
        raise RecipeError(
            f"piecewise: changes are {changes}, expected (epochs, factor) pairs, epochs rising from above 0"
        )
    rates = np.full(phase.steps, phase.peak)
    for epoch, factor in changes:
        rates[round(epoch * phase.steps_per_epoch) :] = phase.peak * factor
    return rates


@SCHEDULES.register
def triangular(phase: Phase, /, minimum: float = 0.0, period: float = 10.0) -> np.ndarray:
    """Rises and falls in straight lines between ``minimum`` and the recipe's rate (Smith, arXiv 1506.01186).

    ``period`` is the length of a whole cycle in epochs; each begins and ends at the minimum.
    """
    if period < SHORTEST_PERIOD:
        raise RecipeError(f"triangular: period is {period}, expected {SHORTEST_PERIOD:g} epochs or more")
    place = np.arange(phase.steps) / (period * phase.steps_per_epoch)  # in cycles
    height = 1 - np.abs(2 * (place % 1) - 1)
    return _checked(minimum, phase) + (phase.peak - minimum) * height


@SCHEDULES.register
def one_cycle(phase: Phase, /, start: float = 0.04, rise: float = 0.3) -> np.ndarray:
    """One half cosine up to the recipe's rate and one down to nearly nothing (Smith and Topin, arXiv 1708.07120).

    ``start`` is the first rate as a share of the peak, ``rise`` the share of the steps until the peak.
    """
    if not 0 < start < 1 or not 0 < rise < 1:
        raise RecipeError(f"one_cycle: start is {start}, rise {rise}; expected both between 0 and 1")
    up = max(1, round(rise * phase.steps))
    low = start * phase.peak
    rising = _half_cosine(1 - np.arange(up) / up, phase.peak, low)
    falling = _half_cosine(np.arange(phase.steps - up) / max(1, phase.steps - up), phase.peak, low * 1e-4)
    return np.concatenate([rising, falling])[: phase.steps]


def _half_cosine(progress: np.ndarray, peak: float, minimum: float) -> np.ndarray:
    return minimum + (peak - minimum) * 0.5 * (1 + np.cos(np.pi * progress))


def _checked(minimum: float, phase: Phase) -> float:
    if not 0 <= minimum <= phase.peak:
        raise RecipeError(f"the schedule's minimum is {minimum}, expected 0 up to the learning rate, {phase.peak}")
    return minimum
