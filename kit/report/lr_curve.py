"""The picture of a learning-rate range test."""

from __future__ import annotations

from pathlib import Path

from kit.report.drawing import BLUE, ORANGE
from kit.report.pictures import save_picture
from kit.training.lr_find import RangeTest

HEADROOM = 1.3  # times the loss at the start: what is drawn of a loss that goes through the roof


def write_lr_curve(test: RangeTest, path: Path, recipe_rate: float | None = None) -> Path:
    """Draw loss against learning rate, and the rate that the test suggests.

    Args:
        path: the picture; its ending says the format, PNG, SVG or PDF.
        recipe_rate: is marked as well, where the test went so far.

    Raises:
        RunError: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(test.rates, test.losses, color="silver", linewidth=1, label="each batch")
    axes.semilogx(test.rates, test.smoothed, color=BLUE, linewidth=2, label="smoothed")
    axes.axvline(test.suggestion, color=ORANGE, label=f"suggested: {test.suggestion:.2g}")
    if recipe_rate is not None and test.rates[0] <= recipe_rate <= test.rates[-1]:
        axes.axvline(recipe_rate, color="black", linestyle=":", label=f"the recipe's: {recipe_rate:.2g}")
    low, high = test.smoothed.min(), HEADROOM * test.smoothed[0]
    axes.set_ylim(low - 0.1 * (high - low), high)
    axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:g}")  # not the powers that need mathematical type
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss on training batches")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    return save_picture(figure, path)
