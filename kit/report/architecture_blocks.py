"""The layered diagram of a model: each part a block, as high as its features are and as thick as they are many."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import TYPE_CHECKING, Any

from kit.report.architecture_flow import KINDS, is_frozen, kind_of
from kit.report.architecture_steps import Part, shown_size
from kit.report.drawing import INK
from kit.report.lettering import text_measure, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = 8.0  # inches of a row at most, and so are all of the lengths below
PER_DOUBLING = (0.22, 0.055)  # of the height and of the thickness
SLANT = (0.045, 0.03)  # to the right and up, a doubling of the width
HEADER = 0.5
SLOT, GAP, MARGIN = 0.36, 0.12, 0.16
LABEL, SIZE = 1.5, 8  # inches along the words, points


def layered_blocks(parts: Sequence[Part]) -> Figure:
    """Blocks on log scales: the height is that of the features, the depth their width, the thickness their channels."""
    from matplotlib.figure import Figure

    rows = _rows(parts)
    heights = [max(_size(part)[1] + _size(part)[3] for part in row) for row in rows]
    width = max(5.0, max(sum(map(_slot, row)) for row in rows) + 2 * MARGIN)
    total = HEADER + sum(heights) + (LABEL + 2 * MARGIN) * len(rows)
    figure = Figure(figsize=(width, total))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, total))
    axes.axis("off")
    _legend(axes, parts, total)
    measure = text_measure(SIZE)
    floor = total - HEADER
    for row, height in zip(rows, heights, strict=True):
        floor -= MARGIN + height
        x = MARGIN
        for part in row:
            _draw(axes, part, x, floor + height / 2)
            words = part.short if part.times == 1 else f"{part.times} × {part.short}"
            lines = [*wrapped(words, LABEL, measure, most=1), shown_size(part.shape)]
            for line, shift in zip(lines, (-0.075, 0.075), strict=True):
                axes.text(x + _size(part)[0] / 2 + shift, floor - 0.06, line, rotation=90, ha="center", va="top",
                          fontsize=SIZE)  # fmt: skip
            x += _slot(part)
        floor -= LABEL + MARGIN
    return figure


def _rows(parts: Sequence[Part]) -> list[list[Part]]:
    """As few rows as there must be, and as even."""
    total = sum(map(_slot, parts))
    count = -(-total // (ROW - 2 * MARGIN))
    rows: list[list[Part]] = [[]]
    filled = 0.0
    for part in parts:
        over = sum(map(_slot, rows[-1])) + _slot(part) > ROW - 2 * MARGIN
        if rows[-1] and (over or (len(rows) < count and filled >= len(rows) * total / count)):
            rows.append([])
        rows[-1].append(part)
        filled += _slot(part)
    return rows


def _size(part: Part) -> tuple[float, float, float, float]:
    """Thickness, height, and how far the depth goes to the right and up."""
    height, width, channels = part.shape if len(part.shape) == 3 else (1, 1, part.shape[-1])
    deep = log2(1 + width)
    return (
        PER_DOUBLING[1] * log2(1 + channels),
        PER_DOUBLING[0] * log2(1 + height),
        SLANT[0] * deep,
        SLANT[1] * deep,
    )


def _slot(part: Part) -> float:
    thickness, _, right, _ = _size(part)
    return max(thickness + right + GAP, SLOT)


def _draw(axes: Any, part: Part, x: float, middle: float) -> None:
    from matplotlib.patches import Polygon

    thickness, height, right, up = _size(part)
    low, high = middle - (height + up) / 2, middle + (height - up) / 2
    front = [(x, low), (x + thickness, low), (x + thickness, high), (x, high)]
    top = [(x, high), (x + thickness, high), (x + thickness + right, high + up), (x + right, high + up)]
    side = [(x + thickness, low), (x + thickness + right, low + up), (x + thickness + right, high + up)]
    side.append((x + thickness, high))
    colour, line = KINDS[kind_of(part)][1], ":" if is_frozen(part) else "-"
    for face, alpha in ((front, 0.75), (top, 0.3), (side, 0.5)):
        alpha *= 0.4 if is_frozen(part) else 1
        axes.add_patch(Polygon(face, facecolor=colour, alpha=alpha, linewidth=0))
        axes.add_patch(Polygon(face, fill=False, edgecolor=INK, linewidth=0.6, linestyle=line, joinstyle="round"))


def _legend(axes: Any, parts: Sequence[Part], top: float) -> None:
    from matplotlib.patches import Patch

    there = {kind_of(part) for part in parts}
    patches = [Patch(color=colour, alpha=0.75, label=kind) for kind, (_, colour) in KINDS.items() if kind in there]
    if any(is_frozen(part) for part in parts):
        patches.append(Patch(facecolor="none", edgecolor=INK, linestyle=":", label="frozen"))
    axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(0, 1), ncols=len(patches), borderaxespad=0.2,
                handlelength=1.2, columnspacing=1.2)  # fmt: skip
    axes.text(MARGIN, top - 0.36, "height and depth: height and width of the features; thickness: channels; log scales",
              fontsize=SIZE, va="center")  # fmt: skip
