from itertools import pairwise

import numpy as np
import pytest

from kit.report.confusion import confused_pairs, confused_together, confusion_counts, draw_confusion, row_shares
from kit.report.drawing import Figures


def test_classes_that_are_confused_stand_together() -> None:
    random = np.random.default_rng(0)
    shuffled = random.permutation(12)
    counts = np.full((12, 12), 1) + 50 * np.eye(12, dtype=int)
    for first, second in ((0, 7), (3, 9), (1, 11)):
        counts[first, second] = 20  # taken for the other, and not the other way round
    counts = counts[np.ix_(shuffled, shuffled)]
    order = confused_together(counts)
    assert sorted(order.tolist()) == list(range(12))
    place = {int(shuffled[label]): position for position, label in enumerate(order)}
    assert [abs(place[first] - place[second]) for first, second in ((0, 7), (3, 9), (1, 11))] == [1, 1, 1]


@pytest.mark.parametrize("counts", [np.eye(5, dtype=int), np.zeros((4, 4), int), np.array([[5, 1], [2, 4]])])
def test_an_order_of_two_classes_and_of_none_that_are_confused(counts: np.ndarray) -> None:
    assert confused_together(counts).tolist() == list(range(len(counts)))


def test_a_class_without_rows_has_no_share() -> None:
    counts = confusion_counts(np.array([0, 0, 2]), np.array([0, 2, 2]), 3)
    assert counts.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert row_shares(counts)[0].tolist() == [0.5, 0, 0.5]
    assert np.isnan(row_shares(counts)[1]).all()
    svg = Figures().add("x", "y", draw_confusion, counts, ["a", "b", "c"], np.arange(3), shares=True)
    assert svg.count(">–<") == 3


def test_pairs_by_their_rows() -> None:
    counts = np.array([[9, 1, 0], [2, 5, 0], [2, 0, 1]])
    pairs = confused_pairs(counts)
    assert [(pair.true, pair.predicted, pair.rows) for pair in pairs] == [(2, 0, 2), (1, 0, 2), (0, 1, 1)]
    assert pairs[1].share == pytest.approx(2 / 7)


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
