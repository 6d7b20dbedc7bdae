"""Folds, seeds and refitting: what may have a say in a model, and what its score is worth."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kit
import kit.api
from kit.data.images import Competition, Images
from kit.training.fold_directory import FoldDirectory
from tests.conftest import striped_images

CHOOSING = [
    {"keep": "best"},
    {"patience": 1},
    {"plateau": "reduce(0.5, patience=1)", "monitor": "loss"},
    {"snapshots": 2},
    {"average": "ema(0.9)", "keep": "best"},
]


def test_out_of_fold_rows_are_watched_by_nobody(tiny: Competition) -> None:
    run = kit.train("tiny", folds=3, epochs=2, keep="best")
    for fold in run.read_split():
        parts = [fold.train, fold.watched, fold.validation]
        assert all(len(part) for part in parts)
        assert sorted(np.concatenate(parts).tolist()) == list(range(90))
    assert not run.read_metrics()["out_of_fold"]["selected"]
    fixed = kit.train("tiny", folds=3, epochs=1)
    assert all(len(fold.watched) == 0 for fold in fixed.read_split())
    (epoch,) = fixed.trained_folds()[0].read_history()
    assert np.isnan(epoch.validation_loss)
    assert fixed.trained_folds()[0].read_scores()["best_epoch"] is None


@pytest.mark.slow  # the test below looks closer, in less time
@pytest.mark.parametrize("rule", CHOOSING, ids=lambda rule: next(iter(rule)))
def test_labels_that_say_nothing_are_guessed_by_chance(
    rule: dict[str, Any], tiny: Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stopping rule makes more of out-of-fold rows than there is: one in three, within three standard errors."""
    images = striped_images(300)
    shuffled = Images(images.pixels, images.ids, np.random.default_rng(0).permutation(images.labels))
    object.__setattr__(tiny, "load_train", lambda: shuffled)
    metrics = kit.train("tiny", folds=2, epochs=6, **rule).read_metrics()
    standard_error = np.sqrt(1 / 3 * 2 / 3 / 300)
    assert abs(metrics["out_of_fold"]["accuracy"] - 1 / 3) < 3 * standard_error


@pytest.mark.parametrize("rule", CHOOSING, ids=str)
def test_labels_of_out_of_fold_rows_change_nothing_in_the_model(tiny: Competition, rule: dict[str, Any]) -> None:
    from kit.planning import plan_training
    from kit.training.preparation import Task
    from kit.training.trainer import train_fold

    plan = plan_training("tiny", folds=2, epochs=3, **rule)
    fold, answers = plan.folds[0], []
    for shift in (0, 1):
        labels = plan.images.labels.copy()  # type: ignore[union-attr]
        labels[fold.validation] = (labels[fold.validation] + shift) % 3
        directory = FoldDirectory(Path(f"shifted-{shift}"))
        directory.path.mkdir()
        images = Images(plan.images.pixels, plan.images.ids, labels)
        train_fold(images, Task(plan.recipe, plan.switches, 0, fold, 3, directory), kit.api.Listener())
        answers.append(directory.read_predictions()["validation_probabilities"])
    np.testing.assert_array_equal(*answers)


def test_seeds_train_the_same_rows_again(tiny: Competition) -> None:
    run = kit.train("tiny", folds=2, seeds=2, epochs=2)
    folds = run.read_split()
    np.testing.assert_array_equal(folds[0].validation, folds[2].validation)
    metrics = run.read_metrics()
    assert metrics["scored_on"] == "out of fold, mean of 2 seeds, 4 of 4 folds"
    assert metrics["out_of_fold"]["rows"] == 90
    first, _, again, _ = (fold.read_predictions()["validation_probabilities"] for fold in run.trained_folds())
    assert not np.array_equal(first, again)
    alone = kit.train("tiny", split="stratified_kfold(2)", fold=1, epochs=2)
    same = alone.trained_folds()[0].read_predictions()["validation_probabilities"]
    np.testing.assert_array_equal(same, run.trained_folds()[1].read_predictions()["validation_probabilities"])


def test_seeds_of_one_fold_tell_the_spread(tiny: Competition) -> None:
    run = kit.train("tiny", seeds=3, epochs=2)
    metrics = run.read_metrics()
    assert metrics["scored_on"] == "validation, mean of 3 seeds, 3 of 3 trained"
    assert metrics["validation"]["accuracy"] == pytest.approx(np.mean(metrics["fold_scores"]))
    members = [fold.read_predictions()["test_probabilities"] for fold in run.trained_folds()]
    labels = run.trained_folds()[0].read_predictions()["test_labels"]
    assert metrics["test"]["rows"] == 9
    assert (
        metrics["test"]["accuracy"] == (np.mean(members, axis=0).argmax(axis=1) == labels).mean()
    )  # what is predicted
    assert metrics["test"]["members"]["scores"] == [fold["test"]["score"] for fold in metrics["folds"].values()]
    assert not (run.path / "out_of_fold.npz").exists()
    assert len(kit.predict(run, out="run.csv").models) == 3


def test_a_refit_trains_on_every_row_for_as_long_as_the_folds_have_found(tiny: Competition) -> None:
    source = kit.train("tiny", folds=3, epochs=5, keep="best", name="source")
    refit = kit.api.refit(source)
    found = sorted(fold.read_scores()["best_epoch"]["epoch"] for fold in source.trained_folds())[1]
    assert len(refit.trained_folds()[0].read_history()) == found
    (fold,) = refit.read_split()
    assert len(fold.train) == 90
    metrics = refit.read_metrics()
    assert metrics["score"] is None
    assert metrics["scored_on"].startswith("nothing, as every row was trained on; runs/tiny/source has ")
    assert kit.predict(refit, out="run.csv").rows == 30
    assert (
        "he run was trained on every row, so none is held out: see runs/tiny/source"
        in kit.api.report(refit).read_text()
    )
    with pytest.raises(kit.KitError, match="is no complete cross-validation to refit: train one with --folds 5"):
        kit.api.refit(refit)


def test_a_plateau_is_refitted_as_it_fell(tiny: Competition) -> None:
    rule = "reduce(0.5, patience=1, min_delta=0.5)"
    source = kit.train("tiny", folds=2, epochs=4, plateau=rule, schedule="constant")
    refit = kit.api.refit(source)
    rates = [[epoch.learning_rate for epoch in fold.read_history()] for fold in source.trained_folds()]
    mine = [epoch.learning_rate for epoch in refit.trained_folds()[0].read_history()]
    assert mine in rates
    assert mine[-1] < mine[0]


def test_snapshots_are_averaged_and_compared(tiny: Competition) -> None:
    run = kit.train("tiny", snapshots=3, epochs=6)
    recipe = run.read_recipe()["recipe"]
    assert (recipe["keep"], recipe["schedule"]) == ("snapshots", "warm_restarts(period=2)")
    (fold,) = run.trained_folds()
    members = fold.read_scores()["validation"]["members"]
    assert len(members["scores"]) == 3
    assert 0 <= members["vote_accuracy"] <= 1
    assert sorted(path.name for path in fold.path.glob("*.onnx")) == [f"snapshot-{n}.onnx" for n in (1, 2, 3)]
    assert len(kit.predict(run, out="run.csv").models) == 3


def test_a_snapshot_that_was_removed_meanwhile_is_not_done_without(tiny: Competition) -> None:
    class Remove(kit.api.Listener):
        def epoch_ended(self, epoch: kit.training.events.Epoch) -> None:
            for path in Path("runs").rglob("snapshot-1.weights.h5"):
                path.unlink()

    with pytest.raises(
        kit.KitError, match=r"the weights snapshot-1 were removed from .*: go on with --resume, or train"
    ):
        kit.train("tiny", snapshots=3, epochs=6, listener=Remove(), name="robbed")
    run = kit.api.resume("runs/tiny/robbed")
    assert len(run.read_metrics()["validation"]["members"]["scores"]) == 3


def test_tensorboard_gets_what_the_history_has(tiny: Competition) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = kit.train("tiny", epochs=2, tensorboard=True)
    events = accumulator.EventAccumulator(str(run.path / "tensorboard/fold-0"))
    events.Reload()
    history = run.trained_folds()[0].read_history()
    shown = [(event.step, event.tensor_proto.float_val[0]) for event in events.Tensors("validation_loss")]
    assert shown == [(epoch.epoch, pytest.approx(epoch.validation_loss)) for epoch in history]
