import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kit.training.outline import class_extremes, outline, rank
from kit.training.summary import fit_of
from tests.made_runs import CLASSES, kfold, made_run


def test_a_run_outlined(tmp_path: Path) -> None:
    run = made_run(tmp_path, "one", right=0.8)
    row = outline(run, {"public_score": "0.9"})
    arrays = run.trained_folds()[0].read_predictions()
    labels, predicted = arrays["validation_labels"], arrays["validation_probabilities"].argmax(axis=1)
    recalls = [(predicted[labels == label] == label).mean() for label in range(3)]
    assert (row.best_class, row.best_class_accuracy) == (CLASSES[int(np.argmax(recalls))], max(recalls))
    assert (row.worst_class, row.worst_class_accuracy) == (CLASSES[int(np.argmin(recalls))], min(recalls))
    last = run.trained_folds()[0].read_history()[-1]
    assert row.gap == pytest.approx(last.accuracy - last.validation_accuracy)
    assert (row.status, row.models, row.parameters, row.fold_deviation) == ("complete", 1, 1234, None)
    assert row.submitted == {"public_score": "0.9"}


def test_folds_have_a_spread_and_a_gap_by_their_scores(tmp_path: Path) -> None:
    run = made_run(tmp_path, "folds", folds=kfold(4, seed=0))
    row, scores = outline(run), [fold.read_scores()["validation"]["accuracy"] for fold in run.trained_folds()]
    assert row.models == 4
    assert row.fold_mean == pytest.approx(np.mean(scores))
    assert row.fold_deviation == pytest.approx(np.std(scores, ddof=1))
    trained = run.trained_folds()[0].read_history()[-1].accuracy
    assert row.gap == pytest.approx(trained - np.mean(scores))  # nothing was watched


def test_the_gap_is_that_of_the_epoch_that_was_kept(tmp_path: Path) -> None:
    run = made_run(tmp_path, "best", keep="best", epochs=3)
    (fold,) = run.trained_folds()
    history = fold.read_history()
    history[1] = replace(history[1], accuracy=0.99, validation_accuracy=0.9, validation_score=0.9)
    fold.write_history(history)
    fold.write_scores({**fold.read_scores(), "kept": ["best"]})
    fit = fit_of([fold], [fold.read_predictions()], run.read_recipe()["recipe"])["fit"]
    assert fit == {"training_accuracy": 0.99, "held_out_accuracy": 0.9, "gap": pytest.approx(0.09)}


def test_a_history_with_nan_has_no_gap(tmp_path: Path) -> None:
    run = made_run(tmp_path, "nan")
    (fold,) = run.trained_folds()
    fold.write_history([replace(epoch, accuracy=float("nan")) for epoch in fold.read_history()])
    assert fit_of([fold], [fold.read_predictions()], run.read_recipe()["recipe"])["fit"]["gap"] is None


def test_answers_that_are_no_numbers_are_of_no_class(tmp_path: Path) -> None:
    run = made_run(tmp_path, "nan")
    (fold,) = run.trained_folds()
    arrays = fold.read_predictions()
    of_first = arrays["validation_labels"] == 0
    arrays["validation_probabilities"][of_first] = np.nan  # argmax would call each of them the first class
    found = fit_of([fold], [arrays], run.read_recipe()["recipe"])
    assert found["class_accuracies"][0] is None
    assert found["class_accuracies"][1] > 0.5


def test_runs_from_before_there_were_comparisons(tmp_path: Path) -> None:
    run = made_run(tmp_path, "old")
    metrics = {name: value for name, value in run.read_metrics().items() if name not in ("fit", "class_accuracies")}
    run.write_metrics(metrics)
    row = outline(run)
    assert row.status == "complete"
    assert (row.gap, row.best_class, row.worst_class_accuracy) == (None, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"score": "high"},
        {"score": float("nan")},
        {"fit": 3},
        {"fit": {"gap": "wide"}},
        {"class_accuracies": [1.0]},
        {"metric": "nonsense"},
        {"metric": ["accuracy"]},
        {"epochs": None},
        {"fold_scores": 5},
    ],
    ids=str,
)
def test_a_damaged_run_is_outlined_as_such(changes: dict, tmp_path: Path) -> None:
    run = made_run(tmp_path, "spoilt")
    file = run.path / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    row = outline(run)
    assert (row.status, row.score) == ("damaged", None)
    assert rank(row) > rank(outline(made_run(tmp_path, "whole")))


def test_a_class_without_rows_is_neither_best_nor_worst() -> None:
    assert class_extremes([None, 0.5, 0.75], ["a", "b", "c"]) == {
        "best_class": "c",
        "best_class_accuracy": 0.75,
        "worst_class": "b",
        "worst_class_accuracy": 0.5,
    }
    assert class_extremes([None, None], ["a", "b"]) == {}
