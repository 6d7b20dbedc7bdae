"""The confusion matrix of a run as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.report.drawing import BLUE, INK, ORANGE
from kit.report.lettering import clipped
from kit.scoring.confusion import row_shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERS_WITHIN = 20  # classes up to which every cell has room for its number
STRONGEST = 0.85  # opacity of a cell: text in the page's own colour has a contrast of 4.5 on it, light or dark


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
    titles = [clipped(names[i], 22 if few else 26) for i in order]
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
