"""What the probabilities are worth: ROC and precision-recall curves, and a reliability diagram."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.report.drawing import BLUE, GREY, INK, ORANGE, PALETTE, charted
from kit.report.lettering import clipped, in_legend
from kit.scoring.weighted import CALIBRATION_BINS, calibration_bins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL_WITHIN = 10  # classes up to which each has a colour and a name
LOWEST = 5  # that are named where there are more
POINTS = 200  # of a curve
BINS = CALIBRATION_BINS  # of a reliability diagram
SIZE = (4.8, 4.8)
STYLES = ("-", "--", ":")


@dataclass(frozen=True)
class Curve:
    """One class against the rest: x rises from 0 to 1."""

    label: int
    x: np.ndarray
    y: np.ndarray
    area: float


def roc_curves(probabilities: np.ndarray, labels: np.ndarray) -> list[Curve]:
    """False-positive rate and true-positive rate of every class that some rows are of, and some are not."""
    from sklearn.metrics import auc, roc_curve

    curves = []
    for label in _comparable(labels, probabilities.shape[1]):
        false, true, _ = roc_curve(labels == label, probabilities[:, label])
        curves.append(Curve(label, false, true, float(auc(false, true))))
    return curves


def precision_recall_curves(probabilities: np.ndarray, labels: np.ndarray) -> list[Curve]:
    """Recall and precision likewise; the area is the average precision (scikit-learn's)."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    curves = []
    for label in _comparable(labels, probabilities.shape[1]):
        is_it, scores = labels == label, probabilities[:, label]
        precision, recall, _ = precision_recall_curve(is_it, scores, drop_intermediate=True)
        curves.append(Curve(label, recall[::-1], precision[::-1], float(average_precision_score(is_it, scores))))
    return curves


def _comparable(labels: np.ndarray, classes: int) -> list[int]:
    counts = np.bincount(labels, minlength=classes)
    return np.flatnonzero((counts > 0) & (counts < len(labels))).tolist()


def draw_roc(curves: Sequence[Curve], names: Sequence[str]) -> Figure:
    """True-positive rate against false-positive rate; only the corner that matters where all curves are in it."""
    figure, axes = charted(SIZE, "false-positive rate", "true-positive rate")
    _draw(axes, curves, names, "AUC", lambda curve, grid: np.interp(grid, curve.x, curve.y), _roc_grid())
    if all(np.interp(0.1, curve.x, curve.y) > 0.9 for curve in curves):
        axes.set_xlim(-0.002, 0.1)
        axes.set_ylim(0.8, 1.002)
        axes.set_xlabel("false-positive rate, up to 0.1")
        axes.set_ylabel("true-positive rate, from 0.8")
    else:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    return figure


def draw_precision_recall(curves: Sequence[Curve], names: Sequence[str]) -> Figure:
    """Precision against recall."""
    figure, axes = charted(SIZE, "recall", "precision")
    _draw(axes, curves, names, "AP", lambda curve, grid: np.interp(grid, curve.x, curve.y), np.linspace(0, 1, POINTS))
    axes.set_ylim(top=1.02)
    return figure


def _roc_grid() -> np.ndarray:
    """Denser where the curves bend."""
    return np.concatenate([np.linspace(0, 0.1, POINTS // 2, endpoint=False), np.linspace(0.1, 1, POINTS // 2)])


def _draw(
    axes: Any,
    curves: Sequence[Curve],
    names: Sequence[str],
    area: str,
    at: Callable[[Curve, np.ndarray], np.ndarray],
    grid: np.ndarray,
) -> None:
    """Every class in colour; or, where there are many, their mean, the lowest and the best by name, the rest grey."""
    shown = list(curves)
    if len(curves) > ALL_WITHIN:
        ranked = sorted(curves, key=lambda curve: curve.area)
        shown = [*ranked[:LOWEST], ranked[-1]]
        for curve in ranked[LOWEST:-1]:
            axes.plot(grid, at(curve, grid), color=GREY, linewidth=0.5, alpha=0.4, rasterized=True)
    for number, curve in enumerate(shown):
        axes.plot(
            grid,
            at(curve, grid),
            color=PALETTE[number % len(PALETTE)],
            linestyle=STYLES[number // len(PALETTE) % len(STYLES)],
            linewidth=1.4,
            label=in_legend(f"{clipped(names[curve.label], 24)}  {area} {curve.area:.4f}"),
        )
    if len(curves) > 1:
        mean = np.mean([at(curve, grid) for curve in curves], axis=0)
        label = f"mean of {len(curves)} classes  {area} {np.mean([curve.area for curve in curves]):.4f}"
        axes.plot(grid, mean, color=INK, linewidth=1.8, label=label)
    axes.figure.legend(loc="outside lower center", ncols=2 if len(shown) > 3 else 1, fontsize=7.5)


@dataclass(frozen=True)
class Reliability:
    """Rows by the probability of the predicted class, in ``BINS`` bins of one width.

    rows: int (bins,). confidence, accuracy: float (bins,), means of the rows; NaN for an empty bin.
    low, high: 95 % Wilson intervals of the accuracy.
    error: expected calibration error, the mean distance of the two, weighted by rows (Guo et al., 2017).
    """

    rows: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    error: float


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """How often predictions of each confidence are right."""
    from scipy.stats import binomtest

    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = calibration_bins(confidence)
    rows = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        means = np.bincount(place, confidence, BINS) / rows
        shares = np.bincount(place, right, BINS) / rows
    bounds = np.full((BINS, 2), np.nan)
    for number in np.flatnonzero(rows):
        hits = int(right[place == number].sum())
        bounds[number] = binomtest(hits, int(rows[number])).proportion_ci(method="wilson")
    error = float(np.nansum(np.abs(means - shares) * rows) / len(labels))
    return Reliability(rows, means, shares, bounds[:, 0], bounds[:, 1], error)


def draw_reliability(found: Reliability) -> Figure:
    """Accuracy against confidence, the diagonal where they are equal, and how many rows each bin has."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    centres = (np.arange(BINS) + 0.5) / BINS
    axes.bar(centres, found.accuracy, width=0.94 / BINS, color=BLUE, alpha=0.75, label="share that is right")
    around = np.nan_to_num(np.stack([found.accuracy - found.low, found.high - found.accuracy]).clip(0))
    axes.errorbar(centres, found.accuracy, around, fmt="none", color=INK, linewidth=1, label="95 % interval")
    axes.plot(found.confidence, found.confidence, "D", color=ORANGE, markersize=4, label="mean confidence")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share that is right")
    axes.grid(True)
    axes.legend(loc="upper left")
    some = found.rows > 0
    below.bar(centres[some], found.rows[some], width=0.94 / BINS, color=GREY)
    below.set_yscale("log")
    below.set_ylim(bottom=0.7)
    below.yaxis.set_major_formatter(lambda number, _: f"{number:,.0f}")
    below.set_ylabel("rows")
    below.set_xlabel("confidence: probability of the predicted class")
    return figure
