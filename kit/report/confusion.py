"""Who is taken for whom: the order in which confused classes stand together, the matrix, the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.report.drawing import BLUE, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERS_WITHIN = 20  # classes up to which every cell has room for its number
STRONGEST = 0.85  # opacity of a cell: text in the page's own colour has a contrast of 4.5 on it, light or dark


@dataclass(frozen=True)
class Pair:
    """Rows of one class that were taken for another.

    share: of the rows of the true class.
    """

    true: int
    predicted: int
    rows: int
    share: float


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int (classes, classes): rows are true classes, columns what they were taken for."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, predicted, labels=np.arange(classes))


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Counts as shares of the true class: float (classes, classes); NaN for a class without rows."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def confused_together(counts: np.ndarray) -> np.ndarray:
    """An order of the classes in which those that are taken for each other are neighbours: int (classes,).

    Average linkage on how seldom two classes are confused, with SciPy's optimal order of the leaves (Bar-Joseph et
    al., 2001). Two classes stay as they are.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(counts) < 3:
        return np.arange(len(counts))
    confused = np.nan_to_num(row_shares(counts))
    confused = confused + confused.T
    np.fill_diagonal(confused, 0)
    if not confused.any():
        return np.arange(len(counts))
    distances = squareform(confused.max() - confused * (1 - np.eye(len(counts))) - confused.max() * np.eye(len(counts)))
    order = leaves_list(optimal_leaf_ordering(linkage(distances, "average"), distances))
    return order if order[0] < order[-1] else order[::-1]  # either is as good; the first class rather stands first


def confused_pairs(counts: np.ndarray) -> list[Pair]:
    """All pairs that occur, the most rows first."""
    shares = row_shares(counts)
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    places = np.argwhere(wrong)
    pairs = [Pair(int(i), int(j), int(counts[i, j]), float(shares[i, j])) for i, j in places]
    return sorted(pairs, key=lambda pair: (-pair.rows, -pair.share, pair.true, pair.predicted))


def draw_confusion(counts: np.ndarray, names: Sequence[str], order: np.ndarray, *, shares: bool) -> Figure:
    """The matrix, as counts or as shares of each true class.

    What is right is blue, what is wrong orange, and each of them the stronger the more rows: on one scale, the
    confusions of a good model would be as pale as nothing.

    Args:
        counts: int (classes, classes), rows are true classes.
        names: of the classes, in the order of their indices.
        order: in which they stand.
    """
    size = len(names)
    few = size <= NUMBERS_WITHIN
    cells = (row_shares(counts) if shares else counts.astype(float))[np.ix_(order, order)]
    titles = [shortened(names[i], 22 if few else 26) for i in order]
    figure, axes = _small(size) if few else _large(size, max(map(len, titles)))
    axes.imshow((255 * _colours(cells)).round().astype(np.uint8), interpolation="none")  # a pixel a cell, in SVG
    font = 8 if few else 6.5
    axes.set_xticks(range(size), titles, rotation=90 if max(map(len, titles)) > 3 else 0, fontsize=font)
    axes.set_yticks(range(size), titles, fontsize=font)
    axes.tick_params(length=0, pad=2, top=not few, labeltop=not few, right=not few, labelright=not few)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.spines[:].set_visible(False)
    _grid(axes, size)
    if few:
        _numbers(axes, cells, shares)
    return figure


def _small(size: int) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    inches = max(2.0 + 0.42 * size, 4.0)
    figure = Figure(figsize=(inches, inches), layout="constrained")
    return figure, figure.subplots()


def _large(size: int, letters: int) -> tuple[Figure, Any]:
    """With margins as wide as the names: to have Matplotlib measure four hundred of them takes seconds."""
    from matplotlib.figure import Figure

    names, title, matrix = 0.1 + 0.062 * letters, 0.3, 0.135 * size  # inches
    inches = title + 2 * names + matrix
    figure = Figure(figsize=(inches, inches))
    low = (title + names) / inches
    return figure, figure.add_axes((low, low, matrix / inches, matrix / inches))


def shortened(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _colours(cells: np.ndarray) -> np.ndarray:
    """RGBA (classes, classes, 4): the opacity says how many, so that paper of any colour shines through."""
    from matplotlib.colors import to_rgb

    right = np.eye(len(cells), dtype=bool)
    known = np.nan_to_num(cells)
    colours = np.zeros((*cells.shape, 4))
    for where, colour in ((right, BLUE), (~right, ORANGE)):
        colours[where, :3] = to_rgb(colour)
        most = known[where].max(initial=0)
        colours[where, 3] = STRONGEST * known[where] / most if most else 0
    return colours


def _numbers(axes: Any, cells: np.ndarray, shares: bool) -> None:
    font = 8 if np.nanmax(cells) < 10_000 else 7
    for row, column in np.ndindex(*cells.shape):
        value = cells[row, column]
        text = "–" if np.isnan(value) else _share(value) if shares else f"{value:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=font)


def _share(value: Any) -> str:
    """In per cent, as short as a cell is narrow."""
    percent = 100 * value
    return "0" if percent == 0 else f"{percent:.1f}" if percent < 99.95 else "100"


def _grid(axes: Any, size: int) -> None:
    edges = np.arange(size + 1) - 0.5
    axes.hlines(edges, -0.5, size - 0.5, color=INK, linewidth=0.4, alpha=0.25)
    axes.vlines(edges, -0.5, size - 0.5, color=INK, linewidth=0.4, alpha=0.25)
