from itertools import pairwise

import numpy as np

from kit.report.confusion import draw_confusion
from kit.report.drawing import Figures


def test_a_class_without_rows_has_a_dash() -> None:
    counts = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 1]])
    svg = Figures().add("x", "y", draw_confusion, counts, ["a", "b", "c"], np.arange(3), shares=True)
    assert svg.count(">–<") == 3


def test_cells_have_numbers_and_names_stay_text() -> None:
    counts = np.array([[1234, 3], [0, 40]])
    names = ["<script>alert(1)</script>", "$5 & up"]
    svg = Figures().add("x", "Counts", draw_confusion, counts, names, np.arange(2), shares=False)
    assert all(f">{number}<" in svg for number in (1234, 3, 0, 40))
    assert "&lt;script&gt;" in svg
    assert "<script>" not in svg
    assert "$5 &amp; up" in svg
    share = Figures().add("x", "Shares", draw_confusion, counts, names, np.arange(2), shares=True)
    assert ">99.8<" in share


def test_a_hundred_names_have_room() -> None:
    """Each name has a line of its own that is as high as its letters."""
    names = [f"class number {i}" for i in range(100)]
    random = np.random.default_rng(0)
    counts = random.integers(0, 3, (100, 100)) + 50 * np.eye(100, dtype=int)
    figure = draw_confusion(counts, names, np.arange(100), shares=True)
    figure.canvas.draw()
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels[:100]] == names
    boxes = sorted((label.get_window_extent() for label in labels[:100]), key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 + 0.5 for lower, upper in pairwise(boxes))
    columns = sorted(
        (label.get_window_extent() for label in figure.axes[0].get_xticklabels()[:100]), key=lambda b: b.x0
    )
    assert all(left.x1 <= right.x0 + 0.5 for left, right in pairwise(columns))
