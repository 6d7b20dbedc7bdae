"""Figures of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.report.drawing import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, YELLOW, charted
from kit.report.lettering import clipped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BARS = 25  # classes in one figure: so many names stand below each other on any screen
_NAME_LENGTH = 22  # letters for which a figure has room; tables have the whole name
_PART_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
_SPIKY = 20  # times the typical share of a value: from there on, a linear axis shows nothing but the spike


def class_bars(names: Sequence[str], parts: Mapping[str, Sequence[int]], largest: int) -> Figure:
    """Images of each class, from the top down; parts of them stacked.

    Args:
        parts: name of the part -> its images of each class.
        largest: where the axis ends, so that figures beside each other can be compared.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5, 0.9 + 0.2 * len(names)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(names))
    for (part, counts), colour in zip(parts.items(), _PART_COLOURS, strict=False):
        axes.barh(range(len(names)), counts, 0.72, left, color=colour, label=part)
        left += np.asarray(counts)
    axes.set_yticks(range(len(names)), [clipped(name, _NAME_LENGTH) for name in names], fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, largest * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("images")
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    if len(parts) > 1:
        figure.legend(loc="outside upper center", ncols=len(parts))
    return figure


def intensities(histograms: np.ndarray, channels: Sequence[str], test: np.ndarray | None = None) -> Figure:
    """How often each pixel value occurs: int64 (channels, 256), also of the test images, dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    shares = [100 * counts / counts.sum() for counts in histograms]
    for name, share in zip(channels, shares, strict=True):
        axes.stairs(share, np.arange(257) - 0.5, color=channel_colour(name), label=name, linewidth=1)
    for name, counts in zip(channels, test if test is not None else (), strict=test is not None):
        share = 100 * counts / counts.sum()
        look: dict[str, Any] = (
            {"color": ORANGE} if len(channels) == 1 else {"color": channel_colour(name), "linestyle": ":"}
        )
        axes.stairs(share, np.arange(257) - 0.5, label=f"{name}, test", linewidth=1, **look)
    is_spiky = max(float(share.max()) for share in shares) > _SPIKY * 100 / 256
    if is_spiky:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")  # the default writes powers in TeX
    axes.set_xlim(-1, 256)
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.set_xlabel("pixel value")
    axes.set_ylabel("share of the pixels, %" + (", log scale" if is_spiky else ""))
    axes.grid(True)
    if len(channels) > 1 or test is not None:
        figure.legend(loc="outside upper center", ncols=3)
    return figure


def channel_colour(name: str) -> str:
    return {"red": ORANGE, "green": GREEN, "blue": BLUE}.get(name, INK)


def average(mean: np.ndarray, deviation: np.ndarray) -> Figure:
    """The average image, and how much each of its pixels varies: float (height, width, channels), 0..255."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _show(left, np.rint(mean).astype(np.uint8), "average")
    spread = deviation.mean(axis=-1)
    picture = right.imshow(
        _enlarged(spread), cmap="cividis", vmin=0, vmax=max(float(np.max(spread)), 1.0), interpolation="none"
    )
    right.set_title("standard deviation")
    _bare(right)
    figure.colorbar(picture, ax=right, shrink=0.8, label="grey levels")
    return figure


def normalized(image: np.ndarray, after: np.ndarray, channels: Sequence[str]) -> Figure:
    """One image as it is, and each of its channels as a network gets it.

    Args:
        image: uint8 (height, width, channels).
        after: float, of the same shape.
    """
    from matplotlib.figure import Figure

    columns = 2
    lines = -(-(1 + len(channels)) // columns)
    figure = Figure(figsize=(5, 2.1 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        _bare(axes)
    _show(grid.flat[0], image, "before, 0 to 255")
    furthest = float(np.abs(after).max()) or 1.0
    has_signs = float(after.min()) < 0
    look: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -furthest} if has_signs else {"cmap": "cividis", "vmin": 0}
    for number, name in enumerate(channels):
        axes = grid.flat[1 + number]
        picture = axes.imshow(_enlarged(after[..., number]), vmax=furthest, interpolation="none", **look)
        axes.set_title("after" if len(channels) == 1 else f"{name}, after")
    figure.colorbar(picture, ax=list(grid.flat), shrink=0.7, label="value after normalisation")
    return figure


def drift_scores(train: np.ndarray, test: np.ndarray) -> Figure:
    """How the classifier's scores of both sets are spread: where they lie over each other, nothing tells them apart."""
    figure, axes = charted((5, 3.2), "log odds of being a test image", "share of the images, %")
    both = np.concatenate([train, test])
    low, high = np.quantile(both, [0.002, 0.998]).tolist()
    edges = np.linspace(low, high if high > low else low + 1, 41)
    for scores, name, colour in ((train, "training", BLUE), (test, "test", ORANGE)):
        counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
        axes.stairs(100 * counts / len(scores), edges, color=colour, label=name, linewidth=1.5)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def montage(strips: Sequence[np.ndarray], captions: Sequence[str], columns: int) -> Figure:
    """Strips of images under their captions, in a grid: the picture file of what a page has as a gallery.

    Args:
        strips: uint8 (height, width, 4), of any sizes.
        captions: of one line or more.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(strips))
    lines = -(-len(strips) // columns)
    height, width = (max(image.shape[axis] for image in strips) for axis in (0, 1))
    room = 12 / columns  # inches
    pixel = min(0.92 * room / width, 1.2 / height)  # inches
    above = 0.14 * max(caption.count("\n") + 1 for caption in captions) + 0.12
    down, across = round((height * pixel + above) / pixel), round(room / pixel)  # pixels from strip to strip
    # One picture of all strips: as many pictures as strips take a second for each ten of them.
    sheet = np.zeros((lines * down, columns * across, 4), np.uint8)
    figure = Figure(figsize=(sheet.shape[1] * pixel, sheet.shape[0] * pixel))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for number, (image, caption) in enumerate(zip(strips, captions, strict=True)):
        bottom, left = (number // columns + 1) * down, number % columns * across
        top = bottom - height
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
        shown = "\n".join(clipped(line, int(room / 0.075)) for line in caption.split("\n"))
        axes.text(left, top - 0.04 / pixel, shown, fontsize=7, va="bottom", linespacing=1.2)
    axes.imshow(sheet, extent=(0, sheet.shape[1], sheet.shape[0], 0), interpolation="nearest", aspect="auto")
    return figure


def _show(axes: Any, image: np.ndarray, title: str) -> None:
    """uint8 (height, width, channels)."""
    _bare(axes)
    axes.imshow(
        _enlarged(image if image.shape[-1] == 3 else image[..., 0]), cmap="gray", vmin=0, vmax=255, interpolation="none"
    )
    axes.set_title(title)


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Each pixel as a square of some: a browser would smear an image that it enlarges itself."""
    times = max(1, 256 // max(image.shape[:2]))
    return image.repeat(times, axis=0).repeat(times, axis=1)
