"""Figures of a training: each fold's epochs as thin lines, and their mean where there are several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.report.drawing import BLUE, INK, ORANGE
from kit.training.events import Epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (4.6, 3.3)  # inches of a figure with one chart


@dataclass(frozen=True)
class Course:
    """How the training of one model went.

    name: of the fold, such as ``fold-0``.
    kept: the epochs whose weights were kept.
    best: the best epoch by the rows that were watched; None where none were.
    """

    name: str
    epochs: tuple[Epoch, ...]
    kept: tuple[int, ...] = ()
    best: int | None = None

    @property
    def is_watched(self) -> bool:
        """Whether some rows were scored after the epochs."""
        return any(math.isfinite(e.validation_loss) or math.isfinite(e.validation_accuracy) for e in self.epochs)

    @property
    def broken_epochs(self) -> tuple[int, ...]:
        """Epochs with a loss that is not a number, of the training or of rows that were scored in other epochs."""
        watched = self.is_watched
        return tuple(
            e.epoch
            for e in self.epochs
            if not math.isfinite(e.loss) or (watched and not math.isfinite(e.validation_loss))
        )


def draw_accuracy(courses: Sequence[Course]) -> Figure:
    """Accuracy against epochs."""
    return _figure(courses, "accuracy, %", lambda e: 100 * e.accuracy, lambda e: 100 * e.validation_accuracy)


def draw_loss(courses: Sequence[Course]) -> Figure:
    """Loss against epochs."""
    return _figure(courses, "loss, nats", lambda e: e.loss, lambda e: e.validation_loss)


def draw_score(courses: Sequence[Course], metric: str) -> Figure:
    """The competition's metric against epochs, where it is not the accuracy: only validated rows have it."""
    return _figure(courses, metric, None, lambda e: e.validation_score)


def draw_learning_rate(courses: Sequence[Course]) -> Figure:
    """Learning rate at the end of each epoch."""
    figure, axes = _axes("epoch", "learning rate at the epoch's end")
    for course in courses:
        _line(axes, course, lambda e: e.learning_rate, INK, thin=len(courses) > 1)
    _whole_numbers(axes)
    return figure


def draw_loss_against_accuracy(courses: Sequence[Course]) -> Figure:
    """Each epoch is a point: loss to the right, accuracy upwards; a ring is the first epoch, a dot the last."""
    figure, axes = _axes("loss, nats", "accuracy, %")
    sides = [("training, as augmented", BLUE, lambda e: (e.loss, 100 * e.accuracy))]
    if any(course.is_watched for course in courses):
        sides.append(("validation", ORANGE, lambda e: (e.validation_loss, 100 * e.validation_accuracy)))
    for name, colour, point in sides:
        for number, course in enumerate(courses):
            points = np.array([point(e) for e in course.epochs], float)
            axes.plot(*points.T, color=colour, linewidth=1, alpha=0.8, label=None if number else name)
            known = points[np.isfinite(points).all(axis=1)]
            if len(known):
                axes.plot(*known[0], "o", color=colour, markerfacecolor="none", markersize=5)
                axes.plot(*known[-1], "o", color=colour, markersize=5)
    axes.legend()
    return figure


def _figure(
    courses: Sequence[Course],
    label: str,
    training: Callable[[Epoch], float] | None,
    validation: Callable[[Epoch], float],
) -> Figure:
    figure, axes = _axes("epoch", label)
    sides = [("training, as augmented", BLUE, training)] if training else []
    watched = [course for course in courses if course.is_watched]
    if watched:
        sides.append(("validation", ORANGE, validation))
    for name, colour, figure_of in sides:
        shown = watched if colour == ORANGE else list(courses)
        for number, course in enumerate(shown):
            of = None if number or len(shown) > 1 else name
            _line(axes, course, figure_of, colour, thin=len(shown) > 1, label=of)  # type: ignore[arg-type]
        if len(shown) > 1:
            _mean(axes, shown, figure_of, colour, f"{name}, mean of {len(shown)}")  # type: ignore[arg-type]
    for course in courses:
        broken = course.broken_epochs
        axes.plot(broken, [0.02] * len(broken), "x", color=INK, transform=axes.get_xaxis_transform(), clip_on=False)
    _whole_numbers(axes)
    axes.legend()
    return figure


def _line(
    axes: Any, course: Course, figure_of: Callable[[Epoch], float], colour: str, *, thin: bool, label: str | None = None
) -> None:
    """A gap is an epoch that has no such figure; a dot is an epoch that was kept."""
    epochs = [e.epoch for e in course.epochs]
    values = [_finite(figure_of(e)) for e in course.epochs]
    alone = [n for n, value in enumerate(values) if not math.isnan(value) and _stands_alone(values, n)]
    axes.plot(epochs, values, color=colour, linewidth=0.7 if thin else 1.6, alpha=0.6 if thin else 1, label=label)
    axes.plot([epochs[n] for n in alone], [values[n] for n in alone], ".", color=colour)
    kept = [n for n, epoch in enumerate(epochs) if epoch in course.kept]
    axes.plot([epochs[n] for n in kept], [values[n] for n in kept], "o", color=colour, markersize=3 if thin else 5)


def _stands_alone(values: Sequence[float], place: int) -> bool:
    """No neighbour, and so no line, which would leave it unseen."""
    neighbours = [*values[max(place - 1, 0) : place], *values[place + 1 : place + 2]]
    return all(math.isnan(value) for value in neighbours)


def _mean(axes: Any, courses: Sequence[Course], figure_of: Callable[[Epoch], float], colour: str, label: str) -> None:
    """Over the epochs that all folds have, so that the mean does not jump where one of them ends."""
    shortest = min(len(course.epochs) for course in courses)
    values = np.array([[_finite(figure_of(e)) for e in course.epochs[:shortest]] for course in courses])
    axes.plot(
        [e.epoch for e in courses[0].epochs[:shortest]], values.mean(axis=0), color=colour, linewidth=2, label=label
    )


def _finite(value: float) -> float:
    """Infinity is as little to be drawn as what is not a number."""
    return value if math.isfinite(value) else math.nan


def _axes(x_label: str, y_label: str) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(True)
    return figure, axes


def _whole_numbers(axes: Any) -> None:
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
