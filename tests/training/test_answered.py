"""One answer a row, however the run's models shared out the rows."""

from pathlib import Path

import numpy as np
import pytest

from kit import KitError, train
from kit.data.images import Competition
from kit.training.answered import answered_rows
from tests.made_runs import made_run


def test_rows_of_one_split_are_those_that_were_scored(digits_runs: Path) -> None:
    from kit.training.runs import RunDirectory

    run = RunDirectory(digits_runs / "digits" / "deeper-1")
    parts, metrics = answered_rows(run), run.read_metrics()
    assert list(parts) == ["validation", "test"]
    for name, rows in parts.items():
        assert len(rows) == metrics[name]["rows"]
        assert (rows.probabilities.argmax(axis=1) == rows.labels).mean() == pytest.approx(metrics[name]["accuracy"])
        assert (rows.models, rows.selected) == (1, False)
        assert (np.diff(rows.ids) > 0).all()


def test_folds_hold_out_each_row_once(tiny: Competition) -> None:
    run = train("tiny", split="stratified_kfold(3)", epochs=1)
    (out_of_fold,) = answered_rows(run).values()
    saved = run.read_out_of_fold()
    order = np.argsort(saved["ids"])
    np.testing.assert_array_equal(out_of_fold.ids, np.arange(1000, 1090))
    np.testing.assert_array_equal(out_of_fold.labels, saved["labels"][order])
    np.testing.assert_array_equal(out_of_fold.probabilities, saved["probabilities"][order])


def test_seeds_on_one_split_answer_by_their_mean(tiny: Competition) -> None:
    run = train("tiny", seeds=2, epochs=1)
    parts = answered_rows(run)
    assert list(parts) == ["validation", "test"]
    each = [fold.read_predictions() for fold in run.trained_folds()]
    mean = np.mean([arrays["test_probabilities"][np.argsort(arrays["test_ids"])] for arrays in each], axis=0)
    np.testing.assert_allclose(parts["test"].probabilities, mean, atol=1e-6)
    assert parts["test"].models == 2


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"labels": np.zeros(3, int), "probabilities": np.ones(3)},
        {"labels": np.zeros(3, int), "probabilities": np.ones((2, 4))},
        {"labels": np.zeros(2, int), "probabilities": np.ones((3, 4))},
        {"labels": np.array([0, 1, 4]), "probabilities": np.ones((3, 4))},
        {"labels": np.array([0, 1, -1]), "probabilities": np.ones((3, 4))},
        {"labels": np.array(["a", "b", "c"]), "probabilities": np.ones((3, 4))},
    ],
)
def test_damaged_predictions_are_named(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    run = made_run(tmp_path, "one")
    parts = {f"validation_{name}": values for name, values in {"ids": np.arange(3), **arrays}.items()}
    np.savez(run.path / "predictions.npz", **parts)
    with pytest.raises(KitError, match=r"is damaged: its predictions.npz is not what kit train writes .*train it anew"):
        answered_rows(run)
