import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kit.report import probabilities
from kit.report.drawing import GREY
from kit.scoring.evaluation import evaluate_rows


def made(classes: int, rows: int = 600, skill: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(classes)
    labels = np.arange(rows) % classes
    scores = random.normal(0, 1, (rows, classes)) + skill * np.eye(classes)[labels]
    odds = np.exp(scores)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), labels


def test_curves_of_each_class_that_some_rows_are_of() -> None:
    values, labels = made(4)
    labels[labels == 2] = 1
    roc = probabilities.roc_curves(values, labels)
    assert [curve.label for curve in roc] == [0, 1, 3]
    assert roc[0].area == pytest.approx(roc_auc_score(labels == 0, values[:, 0]))
    for curve in probabilities.precision_recall_curves(values, labels):
        assert (np.diff(curve.x) >= 0).all()
        assert (curve.x[0], curve.x[-1]) == (0, 1)
        assert 0 < curve.area < 1
    assert not probabilities.roc_curves(values, np.zeros(len(labels), int))  # rows of one class alone


def test_reliability_is_the_evaluations_calibration_error() -> None:
    values, labels = made(7, skill=1.0)
    found = probabilities.reliability(values, labels)
    expected = evaluate_rows(values, labels, metric="accuracy", resamples=2).scores["calibration_error"].value
    assert found.error == pytest.approx(expected)
    assert found.rows.sum() == len(labels)
    some = found.rows > 0
    assert (found.low[some] <= found.accuracy[some]).all()
    assert (found.accuracy[some] <= found.high[some]).all()
    assert np.isnan(found.accuracy[~some]).all()
    assert len(probabilities.draw_reliability(found).axes) == 2


@pytest.mark.parametrize("draw", [probabilities.draw_roc, probabilities.draw_precision_recall])
def test_many_classes_are_grey_but_for_the_lowest_and_the_best(draw) -> None:  # type: ignore[no-untyped-def]
    names = [f"class {i}" for i in range(30)]
    curves = probabilities.roc_curves(*made(30, 3000))
    figure = draw(curves, names)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    ranked = sorted(curves, key=lambda curve: curve.area)
    assert [label.split("  ")[0] for label in labels[:6]] == [names[c.label] for c in [*ranked[:5], ranked[-1]]]
    assert labels[6].startswith("mean of 30 classes")
    assert sum(line.get_color() == GREY for line in figure.axes[0].lines) == 24


def test_ten_classes_are_told_apart_by_colour_and_line() -> None:
    figure = probabilities.draw_roc(probabilities.roc_curves(*made(10)), [f"class {i}" for i in range(10)])
    lines = [line for line in figure.axes[0].lines if str(line.get_label()).startswith("class")]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 10


def test_a_name_may_begin_with_an_underscore() -> None:
    figure = probabilities.draw_roc(probabilities.roc_curves(*made(2)), ["_background_", "cat"])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == 3
    assert "_background_" in labels[0]


def test_good_curves_are_looked_at_closely() -> None:
    names = ["a", "b", "c"]
    close = probabilities.draw_roc(probabilities.roc_curves(*made(3, skill=8)), names).axes[0]
    whole = probabilities.draw_roc(probabilities.roc_curves(*made(3, skill=0.5)), names).axes[0]
    assert close.get_xlim()[1] == 0.1
    assert whole.get_xlim()[1] >= 1
