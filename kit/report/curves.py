"""Figures of a training: each fold's epochs as thin lines, and their mean where there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.report.drawing import BLUE, INK, ORANGE, charted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (4.6, 3.3)  # inches of a figure with one chart
_TRAINING = ("training, as augmented", BLUE)
_VALIDATION = ("validation", ORANGE)


@dataclass(frozen=True)
class Course:
    """How the training of one model went.

    name: of the fold, such as ``fold-0``.
    columns: of its history, name -> float (epochs,), not a number where one is not known.
    kept: the epochs whose weights were kept.
    """

    name: str
    columns: Mapping[str, np.ndarray]
    kept: tuple[int, ...] = ()

    def __getitem__(self, column: str) -> np.ndarray:
        """Float (epochs,); infinity is as little to be drawn as what is not a number, and so is what lacks."""
        values = self.columns.get(column, np.full(len(self.columns["epoch"]), np.nan))
        return np.where(np.isfinite(values), values, np.nan)

    @property
    def is_watched(self) -> bool:
        """Whether some rows were scored after the epochs."""
        return bool(np.isfinite([self["validation_loss"], self["validation_accuracy"]]).any())

    @property
    def broken_epochs(self) -> np.ndarray:
        """Epochs with a loss that is not a number, of the training or of rows that were scored in other epochs."""
        broken = np.isnan(self["loss"])
        if self.is_watched:
            broken |= np.isnan(self["validation_loss"])
        return self["epoch"][broken]


def draw_accuracy(courses: Sequence[Course]) -> Figure:
    """Accuracy against epochs."""
    return _against_epochs(courses, "accuracy, %", "accuracy", "validation_accuracy", 100)


def draw_loss(courses: Sequence[Course]) -> Figure:
    """Loss against epochs."""
    return _against_epochs(courses, "loss, nats", "loss", "validation_loss")


def draw_score(courses: Sequence[Course], metric: str) -> Figure:
    """The competition's metric against epochs, where it is not the accuracy: only validated rows have it."""
    return _against_epochs(courses, metric, None, "validation_score")


def draw_loss_and_accuracy(courses: Sequence[Course]) -> Figure:
    """Both against epochs side by side, as small as a notebook's cell has room for."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 1.9), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    is_watched = any(course.is_watched for course in courses)
    for axes, what, title, factor in ((loss, "loss", "loss", 1), (accuracy, "accuracy", "accuracy, %", 100)):
        for number, course in enumerate(courses):
            epochs = course["epoch"]
            style: dict[str, Any] = {"linewidth": 1.2, "marker": "o" if len(epochs) == 1 else "", "markersize": 3}
            for prefix, colour, name in (("", BLUE, "training"), ("validation_", ORANGE, "watched")):
                label = name if not number and (is_watched or not prefix) else None
                axes.plot(epochs, factor * course[prefix + what], color=colour, label=label, **style)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(True)
        _whole_numbers(axes)
    loss.legend(fontsize=7)
    return figure


def draw_learning_rate(courses: Sequence[Course]) -> Figure:
    """Learning rate at the end of each epoch."""
    figure, axes = charted(SIZE, "epoch", "learning rate at the epoch's end")
    for course in courses:
        _line(axes, course, course["learning_rate"], INK, thin=len(courses) > 1)
    _whole_numbers(axes)
    return figure


def draw_loss_against_accuracy(courses: Sequence[Course]) -> Figure:
    """Each epoch is a point: loss to the right, accuracy upwards; a ring is the first epoch, a dot the last."""
    figure, axes = charted(SIZE, "loss, nats", "accuracy, %")
    is_watched = any(course.is_watched for course in courses)
    for prefix, (name, colour) in (("", _TRAINING), *([("validation_", _VALIDATION)] if is_watched else ())):
        for number, course in enumerate(courses):
            points = np.stack([course[f"{prefix}loss"], 100 * course[f"{prefix}accuracy"]])
            axes.plot(*points, color=colour, linewidth=1, alpha=0.8, label=None if number else name)
            known = points.T[np.isfinite(points).all(axis=0)]
            if len(known):
                axes.plot(*known[0], "o", color=colour, markerfacecolor="none", markersize=5)
                axes.plot(*known[-1], "o", color=colour, markersize=5)
    axes.legend()
    return figure


def _against_epochs(
    courses: Sequence[Course], label: str, training: str | None, validation: str, factor: float = 1
) -> Figure:
    figure, axes = charted(SIZE, "epoch", label)
    watched = [course for course in courses if course.is_watched]
    for shown, column, (name, colour) in ((courses, training, _TRAINING), (watched, validation, _VALIDATION)):
        if not shown or column is None:
            continue
        several = len(shown) > 1
        for course in shown:
            _line(axes, course, factor * course[column], colour, thin=several, label=None if several else name)
        if several:
            _mean(axes, shown, column, factor, colour, f"{name}, mean of {len(shown)}")
    for course in courses:
        broken = course.broken_epochs
        axes.plot(broken, [0.02] * len(broken), "x", color=INK, transform=axes.get_xaxis_transform(), clip_on=False)
    _whole_numbers(axes)
    axes.legend()
    return figure


def _line(axes: Any, course: Course, values: np.ndarray, colour: str, *, thin: bool, label: str | None = None) -> None:
    """A gap is an epoch that has no such figure; a dot is an epoch that was kept."""
    epochs = course["epoch"]
    axes.plot(epochs, values, color=colour, linewidth=0.7 if thin else 1.6, alpha=0.6 if thin else 1, label=label)
    around = np.pad(np.isnan(values), 1, constant_values=True)
    alone = around[:-2] & around[2:] & ~np.isnan(values)  # no neighbour, and so no line, which would leave it unseen
    axes.plot(epochs[alone], values[alone], ".", color=colour)
    kept = np.isin(epochs, course.kept)
    axes.plot(epochs[kept], values[kept], "o", color=colour, markersize=3 if thin else 5)


def _mean(axes: Any, courses: Sequence[Course], column: str, factor: float, colour: str, label: str) -> None:
    """Over the epochs that all folds have, so that the mean does not jump where one of them ends."""
    shortest = min(len(course["epoch"]) for course in courses)
    mean = factor * np.mean([course[column][:shortest] for course in courses], axis=0)
    axes.plot(courses[0]["epoch"][:shortest], mean, color=colour, linewidth=2, label=label)


def _whole_numbers(axes: Any) -> None:
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
