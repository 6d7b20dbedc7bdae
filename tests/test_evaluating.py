"""What is told of a run, whole or not: figures, best epochs, and what is missing."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import kit
import kit.evaluating
from kit import KitError, evaluate
from kit.data.images import Competition, Superclasses
from kit.training.runs import RunDirectory
from tests.conftest import striped_images
from tests.made_runs import kfold, made_run


@pytest.fixture
def run(digits_runs: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "runs" / "digits" / "a"))


def notes(run: RunDirectory, **options: int | None) -> str:
    return "\n".join(evaluate(run, **options).notes)


def change_history(run: RunDirectory, **columns: object) -> None:
    """Set columns of history.csv to values, one an epoch; None takes a column out."""
    path = run.path / "history.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, values in columns.items():
        for number, row in enumerate(rows):
            row.pop(name)
            if values is not None:
                row[name] = values[number]  # type: ignore[index]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_run_in_figures(run: RunDirectory) -> None:
    found, metrics = evaluate(run), run.read_metrics()
    assert list(found.parts) == ["training", "validation", "test"]
    for part in ("validation", "test"):
        scores = found.parts[part].scores
        assert scores["accuracy"].value == pytest.approx(metrics[part]["accuracy"])
        assert scores["log_loss"].value == pytest.approx(metrics[part]["log_loss"], rel=1e-6)
        assert scores["accuracy"].low < scores["accuracy"].value < scores["accuracy"].high
    training = found.parts["training"]
    trained = len(run.read_split()[0].train)
    assert training.rows == trained  # fewer than 5,000
    history = run.trained_folds()[0].read_history()
    (best,) = found.best_epochs
    expected = max(history, key=lambda epoch: epoch.validation_accuracy)
    assert (best.epoch, best.epochs, best.by) == (expected.epoch, 3, "score")
    assert (best.validation_loss, best.loss) == (expected.validation_loss, expected.loss)
    (note,) = found.notes
    assert note == (
        f"training: {trained:,} of {trained:,} rows, chosen by a fixed seed and not augmented; they were trained on"
    )
    assert found.class_title(3) == "3"


def test_training_rows_are_answered_once_and_never_by_other_weights(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = evaluate(run, training_rows=40).parts["training"]
    assert few.rows == 40
    kept = run.path / "training_answers.npz"
    assert kept.is_file()
    answered: list[Path] = []
    real = kit.evaluating._answer
    monkeypatch.setattr(kit.evaluating, "_answer", lambda fold, *rest: answered.append(fold.path) or real(fold, *rest))
    assert evaluate(run, training_rows=40).parts["training"] == few
    assert evaluate(run, training_rows=0).parts.keys() == {"validation", "test"}
    assert not answered
    whole = evaluate(run, training_rows=None).parts["training"]
    assert whole.rows == len(run.read_split()[0].train)
    assert evaluate(run, training_rows=40).parts["training"] == few  # some of those that are kept
    assert len(answered) == 1
    scores = run.trained_folds()[0].read_scores()
    run.trained_folds()[0].write_scores({**scores, "weights_sha256": {"last": "others"}})
    assert "training" not in (found := evaluate(run, training_rows=40)).parts
    assert any("model.onnx was made of other weights than those of the run" in note for note in found.notes)
    run.trained_folds()[0].write_scores(scores)
    kept.write_bytes(b"torn")
    assert evaluate(run, training_rows=40).parts["training"] == few
    with pytest.raises(KitError, match="training_rows is -1, expected a whole number from 0 up"):
        evaluate(run, training_rows=-1)


def test_answers_are_those_of_the_model_file_before_its_temperature(run: RunDirectory) -> None:
    from kit.deploy.model_file import load_model

    images = kit.open_competition("digits").load_train()
    rows = run.read_split()[0].train[:40]
    plain = load_model(run.path / "model.onnx").probabilities(images.pixels[rows])
    run.write_temperature(2.0)
    kit.predict(run, out="a.csv")
    model = load_model(run.path / "model.onnx")
    assert model.card.temperature == 2
    assert any(
        note.startswith("probabilities are those before the temperature of 2,") for note in kit.evaluate(run).notes
    )
    labels, answers = kit.evaluating._answer(run.trained_folds()[0], rows, images, [])
    np.testing.assert_array_equal(labels, images.labels[rows])
    np.testing.assert_allclose(answers, plain, atol=1e-4)
    assert np.abs(model.probabilities(images.pixels[rows]) - plain).max() > 1e-3


def test_folds_and_a_missing_export(tiny: Competition, monkeypatch: pytest.MonkeyPatch) -> None:
    run = kit.train("tiny", split="stratified_kfold(3)", epochs=2)
    exported: list[RunDirectory] = []
    fold = run.trained_folds()[1]
    (fold.path / "model.onnx").rename(fold.path / "away")

    def export(run: RunDirectory) -> None:
        exported.append(run)
        (fold.path / "away").rename(fold.path / "model.onnx")

    monkeypatch.setattr("kit.exporting.export_in_child", export)
    found = evaluate(run, training_rows=15)
    assert exported == [run]
    assert list(found.parts) == ["training", "out_of_fold"]
    assert (found.parts["training"].rows, found.parts["out_of_fold"].rows) == (45, 90)
    assert "training: 15 of 60 rows of each of 3 models, chosen by a fixed seed and not augmented" in found.notes[0]
    assert [best.fold for best in found.best_epochs] == [0, 1, 2]
    answered = [fold.read_training_answers()["rows"] for fold in run.trained_folds()]  # type: ignore[index]
    assert len(set(np.concatenate(answered).tolist())) == 45  # no image twice
    assert found.label_values == (42, 3, 7)
    assert found.class_title(0) == "42 lying"
    told = found.to_dict()
    assert json.loads(json.dumps(told))["parts"]["out_of_fold"]["classes"][1]["label"] == 3
    assert told["parts"]["out_of_fold"]["best_class"] in (42, 3, 7)


def test_superclasses(tiny: Competition) -> None:
    object.__setattr__(tiny, "superclasses", Superclasses(("stripes", "none"), (0, 0, 1)))
    run = kit.train("tiny", epochs=1)
    found = evaluate(run, training_rows=10)
    assert all("superclass_accuracy" in part.scores for part in found.parts.values())
    arrays = run.trained_folds()[0].read_predictions()
    is_none = arrays["test_probabilities"][:, 2] > 0.5
    right = (is_none == (arrays["test_labels"] == 2)).mean()
    assert found.parts["test"].scores["superclass_accuracy"].value == pytest.approx(right)


def test_images_that_are_gone_take_the_training_rows_with_them(tiny: Competition) -> None:
    run = kit.train("tiny", epochs=1)
    object.__setattr__(tiny, "load_train", lambda: striped_images(90, seed=5))
    found = evaluate(run)
    assert list(found.parts) == ["validation", "test"]
    assert (
        "training rows are not evaluated: the tiny images are not those that this run was trained on" in found.notes[0]
    )


def test_data_that_is_gone_leaves_the_names_to_the_model_file(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = json.loads((run.path / "recipe.json").read_text())
    (run.path / "recipe.json").write_text(json.dumps({**saved, "data": str(tmp_path / "gone")}))
    found = evaluate(run)
    assert list(found.parts) == ["validation", "test"]
    assert found.class_names == tuple("0123456789")
    assert "gone, which is gone: set KIT_DATA to where they are now" in found.notes[0]
    (run.path / "model.onnx").unlink()
    named = {**saved, "data": str(tmp_path / "gone"), "class_names": list("abcdefghij")}
    (run.path / "recipe.json").write_text(json.dumps(named))
    found = evaluate(run)
    assert found.class_names == found.label_values == tuple("abcdefghij")
    assert any("they go by their names" in note for note in found.notes)
    del named["class_names"]  # as it was before they were noted
    (run.path / "recipe.json").write_text(json.dumps(named))
    assert "the names of the classes are not known: they are numbered, from 0" in notes(run)


def test_a_run_that_cannot_be_written_to_is_evaluated(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object) -> None:
        raise KitError("cannot write there")

    monkeypatch.setattr("kit.training.fold_directory.write_arrays", refuse)
    found = evaluate(run, training_rows=40)
    assert found.parts["training"].rows == 40
    assert found.notes[0] == "the answers to training rows are not kept: cannot write there"


def test_a_history_with_holes(run: RunDirectory) -> None:
    change_history(run, validation_loss=["nan", 0.5, 0.4], validation_score=["nan", 0.9, 0.8], loss=[1, 0.5, "nan"])
    found = evaluate(run, training_rows=0)
    assert found.best_epochs[0].epoch == 2
    assert "the loss of the training is not a number in epoch 3" in found.notes
    assert "the validation loss of the training is not a number in epoch 1" in found.notes
    change_history(run, validation_score=None, validation_accuracy=None, validation_loss=None, seconds=None)
    found = evaluate(run, training_rows=0)
    (last,) = found.best_epochs
    assert (last.epoch, last.by, last.loss, last.accuracy is None) == (3, "", None, False)
    assert last.validation_accuracy is None
    assert "no rows watched the training: the last epoch is told instead of the best" in found.notes
    (run.path / "history.csv").write_text("")
    assert "history.csv is damaged" in notes(run, training_rows=0)
    (run.path / "history.csv").unlink()
    assert "there is no history.csv in" in notes(run, training_rows=0)


def test_a_run_that_was_killed_has_its_curves_alone(run: RunDirectory) -> None:
    for name in ("metrics.json", "scores.json", "predictions.npz", "model.onnx"):
        (run.path / name).unlink()
    found = evaluate(run)
    assert not found.parts
    assert len(found.best_epochs) == 1
    assert found.notes == (f"the run has not ended: go on with 'kit train --resume {run.path}'",)
    assert found.class_names == tuple("0123456789")


def test_a_run_of_an_older_version(run: RunDirectory) -> None:
    saved = json.loads((run.path / "recipe.json").read_text())
    for field in ("metric", "monitor"):
        del saved["recipe"][field]
    del saved["images"]["order"], saved["images"]["rows"]
    (run.path / "recipe.json").write_text(json.dumps(saved))
    scores = json.loads((run.path / "scores.json").read_text())
    del scores["weights_sha256"], scores["validation"]["selected"]
    (run.path / "scores.json").write_text(json.dumps({**scores, "kept": "last"}))
    change_history(run, validation_score=None)
    found = evaluate(run, training_rows=40)
    assert list(found.parts) == ["training", "validation", "test"]
    assert found.metric == "accuracy"
    assert found.best_epochs[0].validation_score == found.best_epochs[0].validation_accuracy
    (run.path / "scores.json").write_text("{}")
    found = evaluate(run, training_rows=40)
    assert list(found.parts) == ["validation", "test"]
    (note,) = found.notes
    assert note.startswith("training rows are not evaluated: ")
    assert note.endswith("scores.json does not say which weights were kept; train the run anew")


def test_what_else_is_said(run: RunDirectory) -> None:
    arrays = run.trained_folds()[0].read_predictions()
    keep = arrays["validation_labels"] != 4
    few = {name: values[keep] if name.startswith("validation") else values for name, values in arrays.items()}
    few["test_probabilities"][0] = np.nan
    run.trained_folds()[0].write_predictions(few)
    scores = run.trained_folds()[0].read_scores()
    run.trained_folds()[0].write_scores({**scores, "validation": {**scores["validation"], "selected": True}})
    saved = run.read_recipe()
    saved["recipe"]["metric"] = "of_yesterday"
    run.write_recipe(saved.pop("recipe"), {**saved, "refit_of": {"run": "runs/digits/b"}})
    run.write_metrics({**run.read_metrics(), "status": "interrupted"})
    found = evaluate(run, training_rows=0)
    assert found.parts["validation"].missing_classes == (4,)
    assert found.parts["validation"].selected
    told = "\n".join(found.notes)
    for line in (
        "the training is interrupted: what was learned until then is evaluated",
        "the run was trained on every row, so none is held out: see runs/digits/b",
        f"test: 1 of {len(arrays['test_ids'])} answers are not numbers and left out",
        "unknown metric 'of_yesterday': choose one of",
        "validation: its rows had a say in the training, so that its figures are too good",
        "validation: it has no rows of 4",
    ):
        assert line in told
    with np.load(run.path / "split.npz") as saved_split:
        np.savez(run.path / "split.npz", scheme=saved_split["scheme"])
    assert "split.npz is damaged: it is not what kit train writes (ValueError('it has no folds'))" in notes(run)
    (run.path / "predictions.npz").unlink()
    assert "predictions.npz is missing" in notes(run, training_rows=0)


def test_the_split_of_another_run_is_told(tmp_path: Path) -> None:
    run, other = made_run(tmp_path, "five", folds=kfold(5, 0)), made_run(tmp_path, "two", folds=kfold(2, 0))
    shutil.copy(other.path / "split.npz", run.path)
    assert "has no fold 2: it is of another run; put its own back" in notes(run)
