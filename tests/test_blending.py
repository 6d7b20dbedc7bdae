"""Ensembles of runs: what they are worth is judged on rows that none of them has seen."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kit import api, export, predict, train
from kit.blending import fit_temperature_of
from kit.data.images import Competition
from kit.deploy.model_file import load_model
from kit.deploy.parity import read_parity
from kit.errors import KitError, ModelFileError, RunError, SubmissionError
from kit.members import open_members
from kit.scoring.calibration import fit_temperature, mean_tempered
from kit.scoring.metrics import mean_log_loss
from kit.training.events import Listener
from kit.training.runs import RunDirectory


@pytest.fixture
def run(digits_runs: Path) -> RunDirectory:
    return RunDirectory(shutil.copytree(digits_runs / "digits" / "deeper-1", Path("one")))


def copied(run: RunDirectory, name: str, **predictions: np.ndarray) -> RunDirectory:
    """The same run, whose held-out answers are others."""
    other = RunDirectory(shutil.copytree(run.path, Path(name)))
    (fold,) = other.trained_folds()
    fold.write_predictions({**fold.read_predictions(), **predictions})
    return other


def knowing(run: RunDirectory, share: float, seed: int) -> np.ndarray:
    """Answers that are right for that share of the held-out rows."""
    labels = run.trained_folds()[0].read_predictions()["validation_labels"]
    random = np.random.default_rng(seed)
    said = np.where(random.random(len(labels)) < share, labels, random.integers(0, 10, len(labels)))
    return (0.9 * np.eye(10)[said] + 0.01).astype(np.float32)


@pytest.fixture
def mistaken(run: RunDirectory) -> RunDirectory:
    """With a few held-out rows answered wrongly, without which no temperature is fitted."""
    answers = run.trained_folds()[0].read_predictions()["validation_probabilities"]
    answers[:8] = np.roll(answers[:8], 1, axis=1)
    return copied(run, "mistaken", validation_probabilities=answers)


def test_blend_tells_of_members_and_of_them_together(run: RunDirectory) -> None:
    good = copied(run, "good", validation_probabilities=knowing(run, 0.8, 1))
    other = copied(run, "other", validation_probabilities=knowing(run, 0.8, 2))
    poor = copied(run, "poor", validation_probabilities=knowing(run, 0.1, 3))
    told = api.blend(good, other, poor)
    assert told["rows"] == len(run.trained_folds()[0].read_predictions()["validation_labels"])
    weights = [member["weight"] for member in told["members"]]
    assert sum(weights) == pytest.approx(1)
    assert weights[2] < min(weights[:2])
    assert told["members"][0]["accuracy"] > told["members"][2]["accuracy"]
    assert told["fitted"]["accuracy"] - told["equal"]["accuracy"] == pytest.approx(told["gain"])
    assert np.shape(told["error_correlation"]) == (3, 3)


def test_rows_are_matched_by_their_ids(run: RunDirectory) -> None:
    (fold,) = run.trained_folds()
    order = np.random.default_rng(0).permutation(len(fold.read_predictions()["validation_ids"]))[:100]
    moved = {f"validation_{name}": fold.read_predictions()[f"validation_{name}"][order] for name in NAMES}
    told = api.blend(run, copied(run, "moved", **moved))
    assert told["rows"] == 100
    assert told["members"][0]["accuracy"] == told["members"][1]["accuracy"]
    assert told["error_correlation"][0][1] == pytest.approx(1)


NAMES = ("ids", "labels", "probabilities")


def edited(run: RunDirectory, file: str, edit) -> None:  # type: ignore[no-untyped-def]
    values = json.loads((run.path / file).read_text())
    edit(values)
    (run.path / file).write_text(json.dumps(values))


def test_runs_that_cannot_be_compared(run: RunDirectory) -> None:
    with pytest.raises(RunError, match="received 1 runs to blend, expected two or more"):
        api.blend(run)
    with pytest.raises(RunError, match="model.onnx is a model file, which has no out-of-fold answers: name its run"):
        api.blend(run, run.path / "model.onnx")
    chosen = copied(run, "chosen")
    edited(chosen, "metrics.json", lambda metrics: metrics["validation"].update(selected=True))
    with pytest.raises(RunError, match="chosen chose by the rows that it is scored on"):
        api.blend(run, chosen)
    elsewhere = copied(run, "elsewhere")
    edited(elsewhere, "recipe.json", lambda saved: saved["images"].update(hash="0"))
    with pytest.raises(
        RunError, match="one and elsewhere were trained on different images or labels, or in another order"
    ):
        api.blend(run, elsewhere)
    moved = copied(run, "moved")
    edited(moved, "recipe.json", lambda saved: saved["images"].update(order="0"))
    with pytest.raises(RunError, match="one and moved were trained on different images or labels, or in another order"):
        api.blend(run, moved)
    labels = run.trained_folds()[0].read_predictions()["validation_labels"]
    with pytest.raises(RunError, match="one and mislabelled have different labels for the same ids"):
        api.blend(run, copied(run, "mislabelled", validation_labels=(labels + 1) % 10))
    apart = copied(run, "apart", validation_ids=np.arange(len(knowing(run, 1, 0))) + 5000)
    with pytest.raises(RunError, match="one, apart have no held-out row in common: train them with --folds"):
        api.blend(run, apart)


def test_fitted_weights_are_taken_where_they_gain_on_other_rows(run: RunDirectory) -> None:
    good, poor = (
        copied(run, name, validation_probabilities=knowing(run, share, 1)) for name, share in (("g", 0.9), ("p", 0.2))
    )
    done = predict(good, poor, weights="oof", out="a.csv")
    assert done.blend["judged"]["gain"] > 0
    assert dict(done.blend["weights"])["g/model.onnx"] > 0.8
    twins = predict(good, copied(good, "twin"), weights="oof", out="b.csv")
    assert "weights" not in twins.blend


def test_a_temperature_is_fitted_to_held_out_rows_and_stored(mistaken: RunDirectory) -> None:
    arrays = mistaken.trained_folds()[0].read_predictions()
    expected = fit_temperature(arrays["validation_probabilities"][None], arrays["validation_labels"])
    plain = load_model(mistaken.path / "model.onnx")
    done = predict(mistaken, out="a.csv", calibrate=True)
    (told,) = done.blend["temperatures"]
    assert told["temperature"] == pytest.approx(expected)
    assert load_model(mistaken.path / "model.onnx").card.temperature == pytest.approx(expected)
    again = fit_temperature_of(open_members([mistaken], Path("runs"))[0])
    assert again.temperature == pytest.approx(expected)  # of the answers as they were
    predict(plain.path, out="b.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()  # the likeliest label stays so
    with pytest.raises(RunError, match="is a model file, which has no out-of-fold answers"):
        predict(plain.path, out="c.csv", calibrate=True)


def test_a_prediction_that_is_refused_calibrates_nothing(run: RunDirectory) -> None:
    before = (run.path / "model.onnx").read_bytes()
    for options in ({"weights": "best"}, {"input": "gone.npy"}, {"top": 11}, {"provider": "openvino"}):
        with pytest.raises(KitError):
            predict(run, out="a.csv", calibrate=True, **options)  # type: ignore[arg-type]
    assert (run.path / "model.onnx").read_bytes() == before
    assert run.read_temperature() == 1


def test_of_several_runs_all_are_calibrated_or_none(run: RunDirectory) -> None:
    few = copied(run, "few")
    (fold,) = few.trained_folds()
    fold.write_predictions({name: array[:40] for name, array in fold.read_predictions().items()})
    with pytest.raises(
        RunError, match="few held 40 rows out, expected at least 50 to fit a temperature to: leave --cali"
    ):
        predict(run, few, out="a.csv", calibrate=True)
    with pytest.raises(KitError, match="40 out-of-fold rows are too few to fit weights to"):
        predict(run, copied(run, "cut", **fold.read_predictions()), out="a.csv", weights="oof")
    assert run.read_temperature() == 1


def test_temperatures_are_put_back_where_the_weights_fail(run: RunDirectory) -> None:
    first, second = (copied(run, name, validation_probabilities=knowing(run, 0.8, 1)) for name in ("first", "second"))
    ids = run.trained_folds()[0].read_predictions()["validation_ids"]
    for each, part in ((first, slice(0, 80)), (second, slice(50, 130))):  # thirty in common
        (fold,) = each.trained_folds()
        fold.write_predictions({name: array[part] for name, array in fold.read_predictions().items()})
    assert len(ids) >= 130
    with pytest.raises(KitError, match="30 out-of-fold rows are too few to fit weights to"):
        predict(first, second, out="a.csv", weights="oof", calibrate=True)
    assert first.read_temperature() == second.read_temperature() == 1


def test_where_no_row_is_wrong_nothing_tells_how_sure_to_be(run: RunDirectory) -> None:
    right = copied(run, "right", validation_probabilities=knowing(run, 1, 1))
    (told,) = predict(right, out="a.csv", calibrate=True).blend["temperatures"]
    assert told["temperature"] == right.read_temperature() == 1


def test_a_temperature_outlives_an_export(mistaken: RunDirectory) -> None:
    predict(mistaken, out="a.csv", calibrate=True, probabilities=True)
    temperature = load_model(mistaken.path / "model.onnx").card.temperature
    assert temperature != 1
    export(mistaken)
    assert load_model(mistaken.path / "model.onnx").card.temperature == temperature
    predict(mistaken, out="b.csv", probabilities=True)
    assert Path("a.csv").read_text() == Path("b.csv").read_text()


def test_models_of_the_same_rows_have_one_temperature_for_their_mean() -> None:
    """As they are deployed: each has it, and their mean counts; not the temperature of the mean."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 3000)
    answers = random.normal(size=(3, 3000, 4))
    answers[:, np.arange(3000), labels] += 1
    sure = np.exp(5 * answers) / np.exp(5 * answers).sum(axis=2, keepdims=True)
    temperature = fit_temperature(sure, labels)
    best = mean_log_loss(mean_tempered(sure, temperature), labels)
    for other in (0.8 * temperature, 1.2 * temperature, fit_temperature(sure.mean(axis=0)[None], labels)):
        assert best <= mean_log_loss(mean_tempered(sure, other), labels)


def test_views_are_averaged(run: RunDirectory) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1), np.uint8)
    np.save("x.npy", pixels)
    np.save("mirrored.npy", pixels[:, :, ::-1])
    for name in ("x", "mirrored"):
        predict(run, input=f"{name}.npy", out=f"{name}.csv", tta="flip", probabilities=True)
    assert Path("x.csv").read_text() == Path("mirrored.csv").read_text()
    predict(run, input="x.npy", out="plain.csv", probabilities=True)
    assert Path("plain.csv").read_text() != Path("x.csv").read_text()


def test_beside_the_csv_stands_what_made_it(run: RunDirectory) -> None:
    predict(run, run.path / "model.onnx", out="run.csv", weights=[3, 1], mean="geometric", batch_size=64)
    facts = json.loads(Path("run.json").read_text())
    assert facts["competition"] == "digits"
    assert (facts["rows"], facts["mean"], facts["batch_size"], facts["provider"]) == (360, "geometric", 64, "cpu")
    assert [(model["run"], model["weight"]) for model in facts["models"]] == [("one", 0.75), ("one", 0.25)]
    assert facts["models"][0]["score"] == run.read_metrics()["score"]
    Path("mine.json").write_text("{}")
    with pytest.raises(SubmissionError, match="mine.json is damaged, or is not what kit writes beside a CSV"):
        predict(run, out="mine.csv")
    assert not Path("mine.csv").exists()


def test_one_picture_is_answered_without_a_file(run: RunDirectory) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((40, 40), np.uint8)).save("p.png")
    done = predict(run, input="p.png", top=3)
    assert done.path is None
    assert len(done.likeliest) == 3
    assert not Path("submissions").exists()


def test_a_run_is_calibrated_once_whoever_is_a_member(tiny: Competition) -> None:
    run = train("tiny", folds=2, epochs=1)
    done = predict(run, mean="vote", calibrate=True, out="a.csv")
    assert [told["run"] for told in done.blend["temperatures"]] == [str(run.path)]


def test_what_an_export_found_is_still_told_of_a_calibrated_file(mistaken: RunDirectory) -> None:
    file = export(mistaken)[0].path
    found = read_parity(file)
    assert found is not None
    predict(mistaken, out="a.csv", calibrate=True)
    assert load_model(file).card.temperature != 1
    assert read_parity(file) == found


def test_going_on_with_what_has_ended_forgets_nothing(mistaken: RunDirectory) -> None:
    predict(mistaken, out="a.csv", calibrate=True)
    temperature = mistaken.read_temperature()
    assert temperature != 1
    api.resume(mistaken)
    assert mistaken.read_temperature() == temperature
    assert load_model(mistaken.path / "model.onnx").card.temperature == temperature


def test_a_run_that_was_calibrated_while_it_trained_is_not_when_it_ends(tiny: Competition) -> None:
    run = train("tiny", folds=2, epochs=1)
    shutil.rmtree(run.trained_folds()[1].path)

    class Meanwhile(Listener):
        def fold_started(self, *numbers: int) -> None:
            run.write_temperature(2.0)

    api.resume(run, listener=Meanwhile())
    assert run.read_temperature() == 1


def test_a_file_of_other_weights_is_not_believed(run: RunDirectory, tiny: Competition) -> None:
    one, other = (train("tiny", epochs=1, seed=seed) for seed in (0, 1))
    predict(one, out="a.csv")
    kept = load_model(one.path / "model.onnx").card
    shutil.copy(other.path / "model.onnx", one.path / "model.onnx")
    message = "model.onnx was made of other weights than those of the run: remove it, and it is exported anew"
    with pytest.raises(ModelFileError, match=message):
        predict(one, out="b.csv")
    note = next(note for note in api.evaluate(one).notes if note.startswith("training rows are not evaluated"))
    assert "was made of other weights" in note
    (one.path / "model.onnx").unlink()
    api.export(one)
    assert load_model(one.path / "model.onnx").card == kept
    predict(one, out="b.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
