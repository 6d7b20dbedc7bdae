import re
from pathlib import Path

import numpy as np

from kit.report import curves
from kit.report.curves import Course
from kit.report.drawing import ORANGE, Figures

NAN = float("nan")


def course(name: str = "fold-0", kept: tuple[int, ...] = (3,), **columns: list[float]) -> Course:
    usual = {
        "epoch": [1, 2, 3],
        "learning_rate": [0.1, 0.05, 0.0],
        "loss": [2.0, 1.0, 0.5],
        "accuracy": [0.3, 0.6, 0.8],
        "validation_loss": [2.1, 1.2, 0.9],
        "validation_accuracy": [0.3, 0.5, 0.7],
    }
    return Course(name, {name: np.array(values, float) for name, values in {**usual, **columns}.items()}, kept)


def test_an_epoch_without_a_number_is_broken_and_one_that_nobody_watched_is_not() -> None:
    assert course().broken_epochs.tolist() == []
    assert course(loss=[2.0, NAN, float("inf")]).broken_epochs.tolist() == [2, 3]
    assert course(validation_loss=[2.0, NAN, 1.0]).broken_epochs.tolist() == [2]
    unwatched = course(validation_loss=[NAN] * 3, validation_accuracy=[NAN] * 3)
    assert not unwatched.is_watched
    assert unwatched.broken_epochs.tolist() == []


def test_lines_have_gaps_where_there_is_no_number() -> None:
    axes = curves.draw_loss([course(loss=[2.0, NAN, 0.5])]).axes[0]
    training = axes.lines[0].get_ydata()
    assert np.isnan(training).tolist() == [False, True, False]
    alone = axes.lines[1].get_xdata()
    assert alone.tolist() == [1, 3]  # no line leads to them, so that they are dots
    crosses = next(line for line in axes.lines if line.get_marker() == "x")
    assert list(crosses.get_xdata()) == [2]


def test_several_folds_have_a_mean_over_the_epochs_that_all_have() -> None:
    short = course("fold-1", **{name: list(values[:2]) for name, values in course().columns.items()})
    axes = curves.draw_accuracy([course(), short]).axes[0]
    means = {line.get_label(): line.get_ydata() for line in axes.lines if "mean of 2" in str(line.get_label())}
    assert list(means) == ["training, as augmented, mean of 2", "validation, mean of 2"]
    np.testing.assert_allclose(means["validation, mean of 2"], [30, 50])


def test_what_was_not_watched_has_no_line() -> None:
    unwatched = course(validation_loss=[NAN] * 3, validation_accuracy=[NAN] * 3)
    for draw in (curves.draw_accuracy, curves.draw_loss, curves.draw_loss_against_accuracy):
        colours = {line.get_color() for line in draw([unwatched]).axes[0].lines}
        assert ORANGE not in colours


def test_loss_against_accuracy_goes_from_a_ring_to_a_dot() -> None:
    axes = curves.draw_loss_against_accuracy([course(loss=[NAN, 1.0, 0.5])]).axes[0]
    path, ring, dot = axes.lines[:3]
    assert np.isnan(path.get_xdata()).tolist() == [True, False, False]
    assert (ring.get_xdata()[0], ring.get_markerfacecolor()) == (1.0, "none")
    assert dot.get_ydata()[0] == 80


def test_a_history_of_one_epoch_and_of_an_older_version(tmp_path: Path) -> None:
    one = Course("run", {"epoch": np.array([1.0]), "loss": np.array([0.3]), "accuracy": np.array([0.5])}, (1,))
    drawn = Figures(tmp_path, "old-")
    svg = drawn.add("accuracy", "Accuracy", curves.draw_accuracy, [one])
    assert svg.startswith('<svg role="img" aria-label="Accuracy"')
    assert all(name.startswith("old-accuracy-") for name in re.findall(r'\bid="([^"]+)"', svg))
    drawn.add("rate", "Rate", curves.draw_learning_rate, [one])  # it has no such column
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "old-accuracy.png",
        "old-accuracy.svg",
        "old-rate.png",
        "old-rate.svg",
    ]
    standalone = (tmp_path / "old-accuracy.svg").read_text()
    assert standalone.index('fill="#ffffff"') < standalone.index("<g")
    assert standalone.startswith("<?xml")
