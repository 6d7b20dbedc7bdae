"""Figures of several runs: their curves on one chart, and a confusion matrix to stand beside others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kit.report.compared import ComparedRun
from kit.report.drawing import BLUE, GREY, PALETTE
from kit.report.lettering import clipped, in_legend
from kit.scoring.confusion import row_shares
from kit.scoring.metrics import make_metric
from kit.training.events import Epoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ("-", "--", ":", "-.")  # with the colours, as many lines as can be told apart
SMALL = 10  # classes up to which a confusion matrix needs no more than a third of a page
TOGETHER = len(PALETTE)  # runs up to which training lines stand among the others, dashed
_PERCENT = 100.0


@dataclass(frozen=True)
class Line:
    """What a figure draws of a run.

    epochs, values: of its curve, as means over folds. dashes: of the training's curve, if it is there too.
    point: (epoch, value) that was scored in the end, where no rows were watched meanwhile.
    """

    name: str
    epochs: np.ndarray
    values: np.ndarray
    dashes: np.ndarray | None = None
    point: tuple[float, float] | None = None


def has_validation(run: ComparedRun) -> bool:
    """Whether rows were watched during the training."""
    return any(math.isfinite(epoch.validation_accuracy) for history in run.histories for epoch in history)


def curve_figures(runs: Sequence[ComparedRun]) -> list[tuple[str, str, list[Line]]]:
    """Name, title of the axis and lines of each figure.

    Of few runs, validation and training share an axis; of many, each has a figure, so that every run keeps its line.
    """
    together = len(runs) <= TOGETHER
    figures = []
    for what, title, factor in (("accuracy", "accuracy, %", _PERCENT), ("loss", "loss, nats", 1.0)):
        validation, training = [], []
        for run in runs:
            epochs, trained = _mean(run.histories, what, factor)
            _, validated = _mean(run.histories, f"validation_{what}", factor)
            point = None if has_validation(run) else _point(run, what, epochs)
            validation.append(Line(run.name, epochs, validated, trained if together else None, point))
            training.append(Line(run.name, epochs, trained))
        if together:
            figures.append((what, f"{title}; training dashed", validation))
        else:
            figures += [(f"validation-{what}", f"validation {title}", validation)]
            figures += [(f"training-{what}", f"training {title}", training)]
    return figures


def _mean(histories: Sequence[list[Epoch]], field: str, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Epochs, and the mean over the folds that came so far; NaN where no fold knows."""
    length = max(map(len, histories), default=0)
    values = np.full((len(histories), length), np.nan)
    for row, history in zip(values, histories, strict=True):
        row[: len(history)] = [factor * getattr(epoch, field) for epoch in history]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN has the mean NaN
        return np.arange(1, length + 1), np.nanmean(values, axis=0)


def _point(run: ComparedRun, what: str, epochs: np.ndarray) -> tuple[float, float] | None:
    if run.held_out is None or not len(epochs):
        return None
    metric, factor = ("accuracy", _PERCENT) if what == "accuracy" else ("log_loss", 1.0)
    return float(epochs[-1]), factor * make_metric(metric).compute(run.held_out.probabilities, run.held_out.labels)


def curves(title: str, lines: Sequence[Line]) -> Figure:
    """One colour a run, then one style; names stand beneath, in the order of the runs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    columns = 2 if max(len(line.name) for line in lines) <= 28 else 1
    height = 3.0 + 0.19 * -(-len(lines) // columns)
    figure = Figure(figsize=(5, height), layout="constrained")
    axes = figure.subplots()
    for number, line in enumerate(lines):
        colour = PALETTE[number % len(PALETTE)]
        style = STYLES[number // len(PALETTE) % len(STYLES)]
        mark = "o" if len(line.epochs) == 1 else ""
        axes.plot(
            line.epochs,
            line.values,
            color=colour,
            linestyle=style,
            marker=mark,
            linewidth=1.4,
            label=in_legend(line.name),
        )
        if line.dashes is not None:
            axes.plot(
                line.epochs, line.dashes, color=colour, linestyle="--", marker=mark, markerfacecolor="none", linewidth=1
            )
        if line.point is not None:
            axes.plot(*line.point, color=colour, marker="D", markersize=5)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True)
    figure.legend(loc="outside lower left", ncols=columns, handlelength=3)
    return figure


def confusion(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Rows are true classes; each cell is the share of its row, in per cent.

    Args:
        counts: int (classes, classes).
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    size = len(class_names)
    share = np.nan_to_num(row_shares(counts))
    inches = 3.5 if size <= SMALL else 5.0
    figure = Figure(figsize=(inches, 0.95 * inches), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap=LinearSegmentedColormap.from_list("share", ["#ffffff", BLUE]), vmin=0, vmax=1)
    font = min(9.0, 90 / size)
    ticks = [clipped(name, 14) for name in class_names]
    axes.set_xticks(range(size), ticks, rotation=90 if max(map(len, ticks)) > 2 else 0, fontsize=min(9, 140 / size))
    axes.set_yticks(range(size), ticks, fontsize=min(9, 140 / size))
    axes.set_xlabel("taken for")
    axes.set_ylabel("true class")
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(GREY)
    for row, column in np.argwhere(counts):
        dark = share[row, column] > 0.6
        text = f"{100 * share[row, column]:.0f}" if share[row, column] >= 0.005 else "·"
        axes.text(column, row, text, ha="center", va="center", fontsize=font, color="#ffffff" if dark else "#1a1a1a")
    return figure
