"""The public names, and what a notebook does with them."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kit
import kit.api
import kit.opening
from competitions.cifar100 import COARSE
from kit.data.contract import broken_promises
from kit.data.images import Competition, TextFile
from kit.deploy.model_file import load_model
from kit.errors import KitError
from kit.training.events import Listener
from tests import layouts
from tests.conftest import striped_images


def test_the_public_names() -> None:
    assert kit.__all__ == [
        "KitError",
        "Run",
        "__version__",
        "evaluate",
        "export",
        "open_competition",
        "predict",
        "train",
    ]
    assert all(getattr(kit, name) is not None for name in kit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kit.nothing  # noqa: B018


def test_folds_from_training_to_submission(tiny: Competition) -> None:
    run = kit.train("tiny", split="stratified_kfold(3)", epochs=4)
    metrics = run.read_metrics()
    assert metrics["status"] == "complete"
    assert metrics["scored_on"] == "out of fold, 3 of 3 folds"
    assert metrics["score"] > 0.8
    assert metrics["fold_mean"] == pytest.approx(np.mean(metrics["fold_scores"]))
    with np.load(run.path / "out_of_fold.npz") as out_of_fold:
        assert sorted(out_of_fold["ids"].tolist()) == list(range(1000, 1090))
        right = (out_of_fold["probabilities"].argmax(axis=1) == out_of_fold["labels"]).mean()
    assert right == pytest.approx(metrics["score"])
    validated = np.concatenate([fold.validation for fold in run.read_split()])
    assert sorted(validated.tolist()) == list(range(90))
    assert all((fold.path / "model.onnx").is_file() for fold in run.trained_folds())

    done = kit.predict(run, out="run.csv")
    assert len(done.models) == 3
    rows = [line.split(",") for line in Path("run.csv").read_text().splitlines()]
    assert rows[0] == ["id", "target"]
    assert [int(name) for name, _ in rows[1:]] == list(range(1000, 1030))
    truth = [str((42, 3, 7)[label]) for label in striped_images(30, seed=1).labels]  # the original label values
    assert np.mean([label == true for (_, label), true in zip(rows[1:], truth, strict=True)]) > 0.8


def test_one_fold_and_a_recipe_from_an_earlier_run(tiny: Competition) -> None:
    run = kit.train("tiny", split="stratified_kfold(3)", fold=1, epochs=1, name="first", augment="flip", seed=4)
    assert [fold.path.name for fold in run.trained_folds()] == ["fold-1"]
    assert run.read_metrics()["scored_on"] == "out of fold, 1 of 3 folds"
    again = kit.train("tiny", recipe=str(run.path / "recipe.json"), fold=1, name="again")
    saved, repeated = run.read_recipe(), again.read_recipe()
    for part in ("recipe", "recipe_hash", "resolved", "images", "versions"):
        assert saved[part] == repeated[part]
    assert again.read_metrics()["score"] == run.read_metrics()["score"]
    with pytest.raises(kit.KitError, match="is a recipe of tiny, expected one of digits"):
        kit.train("digits", recipe=str(run.path / "recipe.json"))


def test_a_listener_may_stop_and_the_run_still_predicts(tiny: Competition) -> None:
    class StopAtOnce(Listener):
        def keep_going(self) -> bool:
            return False

    run = kit.train("tiny", listener=StopAtOnce(), epochs=5)
    metrics = run.read_metrics()
    assert metrics["epochs"] == 1
    assert metrics["planned_epochs"] == 5
    assert metrics["status"] == "interrupted"
    assert kit.predict(run, out="run.csv").rows == 30


def test_a_run_that_failed_keeps_the_epochs_before(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch of five steps at a good rate, then at one that no weights survive."""
    rates = np.array([0.003] * 5 + [1e38] * 45, np.float32)
    monkeypatch.setattr("kit.training.preparation.learning_rates", lambda *schedule: rates)
    with pytest.raises(kit.KitError, match=r"the loss became (nan|inf) in epoch 2, step \d, at learning rate 1e\+38"):
        kit.train("tiny", optimizer="sgd", epochs=10, name="run")
    run = kit.api.RunDirectory(Path("runs/tiny/run"))
    assert run.read_metrics()["status"] == "failed"
    assert run.read_metrics()["epochs"] == 1
    assert "failed: RunError" in run.log_file.read_text()
    assert kit.export(run)[0].labels_that_differ == 0


def test_nothing_is_left_of_a_run_that_failed_before_there_was_anything_to_keep(
    tiny: Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.training.preparation.learning_rates", lambda *schedule: np.full(50, 1e38, np.float32))
    with pytest.raises(kit.KitError, match="the loss became"):
        kit.train("tiny", optimizer="sgd", epochs=10)
    assert not Path("runs/tiny").exists()


def test_a_run_that_goes_on_is_never_discarded(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr("kit.training.session.train_fold", kill)
        kit.train("tiny", optimizer="sgd", epochs=10, name="run")
    monkeypatch.setattr("kit.training.preparation.learning_rates", lambda *schedule: np.full(50, 1e38, np.float32))
    with pytest.raises(kit.KitError, match="the loss became"):
        kit.api.resume("runs/tiny/run")
    assert Path("runs/tiny/run/recipe.json").is_file()


def test_a_time_limit_that_was_not_kept_is_told(tiny: Competition, caplog: pytest.LogCaptureFixture) -> None:
    kit.train("tiny", epochs=5, time_limit=0.01)
    (told,) = [line for line in caplog.messages if "time limit" in line]
    assert re.fullmatch(r"it took \d+ s longer than the time limit of 0.01 s: a step, scoring and the .*", told)


def test_a_full_disk_is_told_and_the_epochs_before_are_kept(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    left = [usage, usage, usage._replace(free=1000)]  # asked before last, best; then before last again
    monkeypatch.setattr(shutil, "disk_usage", lambda path: left.pop(0) if left else usage)
    with pytest.raises(kit.KitError, match=r"cannot write .*last.weights.h5: 0.0 MB are free, .* MB are needed; free"):
        kit.train("tiny", epochs=3, name="run")
    run = kit.api.RunDirectory(Path("runs/tiny/run"))
    assert run.read_metrics()["status"] == "failed"
    assert run.read_metrics()["epochs"] == 1  # the second one is not on disk
    assert kit.export(run)[0].labels_that_differ == 0


def test_weights_that_answer_nothing_are_a_failure(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step of a run may diverge without a loss that tells it."""
    nothing = np.full((9, 3), np.nan, np.float32)
    monkeypatch.setattr("kit.training.trainer.predict_probabilities", lambda *arguments, **options: nothing)
    with pytest.raises(kit.KitError, match="validation rows with probabilities that are not numbers: its training div"):
        kit.train("tiny", epochs=1, name="run")
    assert not list(Path("runs").glob("*/*/model.onnx"))
    assert not Path("runs/tiny/run/metrics.json").exists()


def test_export_wants_the_images_of_the_run(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=1)
    object.__setattr__(tiny, "load_train", lambda: striped_images(90, seed=5))
    with pytest.raises(kit.KitError, match="the tiny images are not those that this run was trained on"):
        kit.export(run)


def test_predict_looks_where_the_run_found_its_data(tiny: Competition, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    asked = []

    def open_tiny(spec: str, data: Path | None = None, known: object = None) -> Competition:
        asked.append(data)
        return replace(tiny, data=data and data.resolve())

    monkeypatch.setattr(kit.opening, "open_competition", open_tiny)
    (tmp_path / "mine").mkdir()
    run = kit.train("tiny", epochs=1, data="mine")
    asked.clear()
    kit.predict(run, out="a.csv")
    kit.predict(run, out="b.csv", data=tmp_path)
    kit.predict(run.path / "model.onnx", out="c.csv")  # which is as much the run's
    assert json.loads(Path("c.json").read_text())["models"][0]["run"] == str(run.path)
    kit.predict(shutil.copy(run.path / "model.onnx", "elsewhere.onnx"), out="c.csv")
    assert json.loads(Path("c.json").read_text())["models"][0]["run"] is None
    assert asked == [tmp_path / "mine", tmp_path, tmp_path / "mine", None]
    (tmp_path / "mine").rmdir()
    with pytest.raises(kit.KitError, match=r"trained on the files in .*mine, which is gone: name their directory with"):
        kit.predict(run, out="d.csv")


def test_labels_that_were_others_when_the_model_was_trained(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=1)
    kit.predict(run, out="a.csv")
    object.__setattr__(tiny, "label_values", (3, 42, 7))
    with pytest.raises(
        kit.KitError, match="the model was trained for the labels 42, 3, 7, and tiny now has 3, 42, 7: put"
    ):
        kit.predict(run, out="b.csv")
    assert not Path("b.csv").exists()


def test_the_same_words_as_the_command_line(tiny: Competition) -> None:
    run = kit.train("tiny", folds=2, epochs=1)
    assert run.read_recipe()["recipe"]["split"] == "stratified_kfold(2)"
    with pytest.raises(kit.KitError, match="unknown recipe field 'fold_count'"):
        kit.train("tiny", fold_count=2)
    with pytest.raises(kit.KitError, match="unknown model 'notebook_elastic'"):
        kit.train("fashion_mnist", model="notebook_elastic")


@pytest.mark.parametrize("backend", ["jax"])
def test_a_run_trained_on_another_backend_is_exported_by_a_child(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    words = [sys.executable, "-m", "kit", "train", "digits", "--epochs", "1"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "digits" / "deeper-1"
    assert json.loads((run / "recipe.json").read_text())["resolved"]["backend"] == backend
    assert kit.predict(run, out="run.csv").rows == 360


def test_the_competitions_metric_scores_orders_and_chooses(tiny: Competition) -> None:
    """Log loss, where the lower is the better."""
    object.__setattr__(tiny, "metric", "log_loss")
    run = kit.train("tiny", keep="best", epochs=4)
    metrics = run.read_metrics()
    assert (metrics["metric"], metrics["higher_is_better"]) == ("log_loss", False)
    assert metrics["score"] == pytest.approx(metrics["validation"]["log_loss"])
    history = run.trained_folds()[0].read_history()
    assert metrics["best_epoch"]["validation_score"] == min(epoch.validation_loss for epoch in history)
    card = load_model(run.path / "model.onnx").card
    assert (card.metric, card.score) == ("log_loss", metrics["score"])
    assert card.probability_columns == ("42", "3", "7")


def test_a_sample_of_something_else_stops_no_training(tiny: Competition) -> None:
    """It is told of where it is followed."""
    object.__setattr__(tiny, "sample_submission", TextFile("sample.csv", "id,a,b\n1000,0,0\n"))
    run = kit.train("tiny", epochs=1)
    assert load_model(run.path / "model.onnx").card.probability_columns == ()
    with pytest.raises(KitError, match="^sample.csv: the header is 'id,a,b', expected an id and"):
        kit.predict(run, out="run.csv")


def test_labelled_test_images_are_scored_once_and_change_nothing(tiny: Competition) -> None:
    without = kit.train("tiny", split="holdout_80_20", epochs=2)
    assert "test" not in without.read_metrics()
    object.__setattr__(tiny, "load_test", lambda: striped_images(30, seed=1))
    object.__setattr__(tiny, "test_is_labelled", True)
    run = kit.train("tiny", split="holdout_80_20", epochs=2)
    assert run.read_metrics()["test"]["rows"] == 30
    assert run.read_metrics()["validation"] == without.read_metrics()["validation"]
    folds = kit.train("tiny", folds=2, epochs=2)
    members = [fold.read_predictions()["test_probabilities"] for fold in folds.trained_folds()]
    mean = np.mean(members, axis=0)
    labels, tested = striped_images(30, seed=1).labels, folds.read_metrics()["test"]
    assert tested["accuracy"] == (mean.argmax(axis=1) == labels).mean()
    assert tested["members"]["scores"] == [(member.argmax(axis=1) == labels).mean() for member in members]
    assert kit.train("tiny", epochs=1).read_metrics()["test"]["rows"] == 30
    held_out = kit.train("tiny", split="holdout", epochs=1)  # holds out test rows itself
    assert held_out.read_metrics()["test"]["rows"] == 9


def test_test_images_without_the_labels_that_they_should_have(
    tiny: Competition, caplog: pytest.LogCaptureFixture
) -> None:
    object.__setattr__(tiny, "test_is_labelled", True)
    assert "test" not in kit.train("tiny", epochs=1).read_metrics()
    assert (
        "not scored: competition 'tiny': the test images have no labels, the competition says that they" in caplog.text
    )
    assert broken_promises(tiny) == ["the test images have no labels, the competition says that they are labelled"]


def test_repeated_folds_count_every_row_once(tiny: Competition) -> None:
    run = kit.train("tiny", folds=2, repeats=2, epochs=1)
    assert len(run.trained_folds()) == 4
    metrics = run.read_metrics()
    assert metrics["out_of_fold"]["rows"] == 90
    assert metrics["scored_on"] == "out of fold, mean of 2 repeats, 4 of 4 folds"
    assert metrics["score"] == pytest.approx(metrics["fold_mean"])  # folds of one size, and not an average of models
    assert metrics["averaged_over_repeats"]["rows"] == 90
    with np.load(run.path / "out_of_fold.npz") as out_of_fold:
        assert sorted(out_of_fold["ids"].tolist()) == list(range(1000, 1090))
        assert out_of_fold["probabilities"].sum(axis=1) == pytest.approx(np.ones(90), abs=1e-5)


def test_a_run_of_an_option_is_reopened_with_it(tmp_path: Path) -> None:
    layouts.cifar100_python(tmp_path / "files")
    run = kit.train("cifar100", labels="coarse", data=tmp_path / "files", model="brief", epochs=1)
    assert run.path.parent.name == "cifar100"
    assert run.read_recipe()["recipe"]["competition"] == "cifar100(labels='coarse')"
    kit.predict(run.path / "model.onnx", out="run.csv", data=tmp_path / "files")
    assert {line.split(",")[1] for line in Path("run.csv").read_text().splitlines()[1:]} <= set(COARSE)
    assert "cifar100(labels=" in kit.api.report(run).read_text()
