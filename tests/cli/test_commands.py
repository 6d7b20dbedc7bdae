"""The program as people meet it: what it prints, its exit codes, and that mistakes are one clear line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kit.__main__ import run
from kit.cli.main import main
from kit.version import __version__


def kit(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the program in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["kit", *map(str, words)])
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # kit export sets it; restored after the test
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def runs(digits_runs: Path, tmp_path: Path) -> Path:
    return shutil.copytree(digits_runs, tmp_path / "runs")


def fashion_files(directory: Path, **changes: np.ndarray | None) -> None:
    """The competition's two files with forty images; a change of None leaves that array out."""
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    train = {"features": random.integers(0, 256, (40, 28, 28)).astype(float), "target": np.arange(40) % 5 + 1.0}
    test = {"features": random.integers(0, 256, (12, 28, 28)).astype(float), "id": np.arange(12)}
    for arrays, name in ((train, "train"), (test, "kaggle")):
        kept = {**arrays, **{key: value for key, value in changes.items() if key in arrays}}
        kept = {key: value for key, value in kept.items() if value is not None}
        np.save(directory / f"fashion_mnist_dataset_{name}.npy", kept, allow_pickle=True)  # type: ignore[arg-type]


def test_train_export_predict_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fashion_files(Path("data"))
    assert kit("train", "fashion_mnist", "--model", "brief", "--epochs", 2, "--folds", 2, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "fold 0, 1 to follow" in printed.err
    assert "epoch 2/2  loss " in printed.err
    assert "\x1b" not in printed.err + printed.out  # not a terminal: no control characters
    assert "out of fold accuracy " in printed.out
    assert "kit predict runs/fashion_mnist/brief-1 --out submissions/brief-1.csv" in printed.out

    assert kit("export", "--onnx", "--ensemble", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "runs/fashion_mnist/brief-1/ensemble.onnx  " in printed.out
    assert "0 other labels on 40 images and 256 of noise" in printed.out
    ensemble = "runs/fashion_mnist/brief-1/ensemble.onnx"
    assert f"kit predict {ensemble} --out submissions/run.csv" in printed.out
    assert kit("predict", ensemble, "--out", "whole.csv", monkeypatch=monkeypatch) == 0

    assert kit("predict", "--out", "submissions/run.csv", monkeypatch=monkeypatch) == 0
    assert "mean of 2 models on cpu" in capsys.readouterr().out
    lines = Path("submissions/run.csv").read_text().splitlines()
    assert lines[0] == "id,target"
    assert [line.split(",")[0] for line in lines[1:]] == [str(i) for i in range(12)]
    assert {line.split(",")[1] for line in lines[1:]} <= set("12345")
    assert Path("whole.csv").read_text().splitlines() == lines

    assert kit("report", monkeypatch=monkeypatch) == 0
    assert "brief-1/report.html" in capsys.readouterr().out


def test_a_wrong_sample_submission_stops_the_prediction(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fashion_files(Path("data"))
    assert kit("train", "fashion_mnist", "--model", "brief", "--epochs", 1, monkeypatch=monkeypatch) == 0
    Path("data/sample_submission.csv").write_text("id,target\n0,1\n77,1\n")
    assert kit("predict", monkeypatch=monkeypatch) == 2
    assert (
        "data/sample_submission.csv: the ids are not the test set's: 11 missing (1, 2, 3, 4, 5); 1 unknown (77); "
        "sample and test file do not belong together" in capsys.readouterr().err
    )
    assert not Path("submissions").exists()
    Path("data/sample_submission.csv").write_text("Id,Label\n" + "".join(f"{i},1\n" for i in range(12)))
    assert kit("predict", monkeypatch=monkeypatch) == 0
    assert Path("submissions/run.csv").read_text().startswith("Id,Label\n0,")


BAD_COMMANDS = [
    (["train", "digts"], "unknown competition 'digts': did you mean 'digits'? choose one of "),
    (["train", "digits", "--model", "deeperr"], "unknown model 'deeperr': did you mean 'deeper'? choose one of "),
    (["train", "digits", "--model", "deeper(dropout=2)"], "dropout is 2, expected 0 up to, not including, 1"),
    (["train", "digits", "--recipe", "winner"], "unknown recipe of digits 'winner': choose one of "),
    (["train", "digits", "--optimizer", "adamx"], "unknown optimizer 'adamx': did you mean 'adamax'? "),
    (["train", "digits", "--augment", "flip|elastic(alpha=3)"], "alpha is 3, expected (a number, a number)"),
    (["train", "digits", "--schedule", "cosine|"], "cannot read the spec 'cosine|': expected names "),
    (["train", "digits", "--epochs", "0"], "epochs is 0, expected a whole number from 1 to 100000"),
    (["train", "digits", "--learning-rate", "-1"], "learning_rate is -1.0, expected a number above 0"),
    (["train", "digits", "--precision", "half"], "precision is 'half', expected one of auto, float32, bfloat16, float16"),
    (["train", "digits", "--folds", "1"], "folds is 1, expected at least 2"),
    (["train", "digits", "--folds", "5", "--fold", "5"], "fold is 5, expected 0 to 4, counting from 0, with split "),
    (["train", "digits", "--fold", "1"], "fold is 1, but split 'holdout' has one fold, 0: --folds deals more"),
    (["train", "digits", "--split", "folds_file('folds.csv')", "--fold", "-1"], "fold is -1, expected 0 or more, counting from"),
    (["train", "digits", "--name", "../x"], "--name '../x': expected letters, digits"),
    (["train", "fashion_mnist", "--data", "nowhere"], "--data nowhere does not exist: name the directory or .zip"),
    (["train", "fashion_mnist", "--data", "."], "fashion_mnist_dataset_train.npy is not in fashion_mnist or .: put the "),
    (["train", "digits", "--loss", "focal(gamma=-1)"], "focal: gamma is -1, expected 0 or more"),
    (["train", "digits", "--loss", "hinge"], "unknown loss 'hinge': choose one of crossentropy, focal"),
    (["train", "digits", "--balance", "yes"], "balance is 'yes', expected one of none, weights, sampling"),
    (["train", "digits", "--weight-decay", "-1"], "weight_decay is -1.0, expected a number from 0 up"),
    (["train", "digits", "--clip-norm", "nan"], "clip_norm is nan, expected a number from 0 up"),
    (["train", "digits", "--average", "ema(2)"], "ema: decay is 2, expected between 0 and 1"),
    (["train", "digits", "--monitor", "f1"], "monitor is 'f1', expected one of score, accuracy, loss"),
    (["train", "digits", "--plateau", "reduce(2)"], "plateau: factor is 2, patience 4, minimum 0.0, min_delta 0.0001; "),
    (["train", "digits", "--patience", "-1"], "patience is -1, expected a whole number from 0 to 100000"),
    (["train", "digits", "--weights", "nowhere"], "weights is 'nowhere', which is not there: expected random, imagenet"),
    (["train", "digits", "--weights", ""], "weights is '', which is not there: expected random, imagenet, a weights"),
    (["train", "digits", "--weights", "torn.h5"], "torn.h5"),
    (["train", "digits", "--recipe", "gone.json"], "the recipe gone.json is not there: name a recipe.json of a run"),
    (["train", "digits", "--schedule", "cosine|warmup(1)"], "its other stages take every epoch, nothing is left for "),
    (["train", "digits", "--plateau", "reduce(min_delta=-1)"], "min_delta -1; expected factor between 0 and 1"),
    (["train", "digits", "--model", "deeper(momentum=1.5)"], "momentum is 1.5, expected 0 up to, not including, 1"),
    (["train", "digits", "--model", "speed_net(widths=(8, 8, 8, 8, 8))"], "cannot be built for images of 28x28x1: "),
    (["train", "digits", "--model", "backbone(VGG16)"], "cannot read the spec 'backbone(VGG16)': expected names with "),
    (["preview", "digits", "--augment", "flip", "--seed", "-1"], "seed is -1, expected a whole number from 0"),
    (["preview", "digits", "--augment", "flip", "--out", "torn.h5/a.png"], "cannot write torn.h5/a.png: torn.h5 is a "),
    (["train", "digits", "--weights", "imagenet"], "there are no ImageNet weights for the model 'deeper': expected one"),
    (["train", "digits", "--weights", "imagenet", "--model", "backbone", "--frozen-epochs", "2"], "frozen_epochs is 2, but the layers of backbone stay frozen after them: say how many of its last blocks train"),
    (["train", "digits", "--weights", "imagenet", "--model", "efficientnet_v2_b0", "--epochs", "2", "--frozen-epochs", "2"], "frozen_epochs is 2 of 2 epochs: expected fewer"),
    (["train", "digits", "--frozen-epochs", "2"], "frozen_epochs is 2, but no layer is carried over: name --weights"),
    (["train", "digits", "--fine-tune-rate", "0"], "fine_tune_rate is 0.0, expected a number above 0"),
    (["train", "digits", "--model", "vgg16_transfer"], "13 of the 16 layers of vgg16_transfer are frozen, and would ke"),
    (["train"], "name one of a competition to train, such as digits, a run to --resume, or a run to --refit"),
    (["train", "digits", "--resume", "runs/digits/a"], "name one of a competition to train, such as digits, a run to"),
    (["train", "--resume", "runs/digits/a"], "runs/digits/a is not a run: it has no recipe.json (kit runs lists the"),
    (["train", "--refit", "runs/digits/a"], "runs/digits/a is not a run: it has no recipe.json (kit runs lists the ru"),
    (["train", "--resume", "runs/digits/a", "--folds", "5"], "--resume goes on as the run began: leave out --folds"),
    (["train", "--refit", "runs/digits/a", "--epochs", "5"], "--refit trains as the run did: leave out --epochs"),
    (["train", "digits", "--time-limit", "soon"], "--time-limit 'soon': expected a time such as 8h, 90m or 600s"),
    (["train", "digits", "--checkpoint-seconds", "-1"], "checkpoint_seconds is -1.0, expected a number from 0 up"),
    (["train", "digits", "--checkpoint-seconds", "nan"], "checkpoint_seconds is nan, expected a number from 0 up"),
    (["train", "digits", "--seeds", "3", "--seed", "4294967295"], "seed is 4294967295 with 3 seeds, which count up from it: expected at most 4294967293"),
    (["train", "digits", "--schedule", "warmup(1)"], "schedule 'warmup(1)' ends after 1 of 15 epochs: add a last stage"),
    (["train", "digits", "--schedule", "cosine(minimum=-1)"], "minimum is -1, expected 0 up to the learning rate, 0.004"),
    (["train", "digits", "--schedule", "warmup(1e308)|cosine"], "the spec 'warmup(1e308)|cosine' has a number beyond 3e+38"),
    (["train", "digits", "--optimizer", "adamw(beta_1=1.5)"], "beta_1 is 1.5, expected 0 up to, not including, 1"),
    (["train", "digits", "--clip-norm", "1e300"], "clip_norm is 1e+300, expected at most 3e+38, as training is in float32"),
    (["train", "digits", "--augment", "pad_crop(10000000000)"], "augment 'pad_crop(10000000000)': pad_crop moves images by up to 10000000000 pixels down and 10000000000 right, expected fewer than the 28x28 that they have"),
    (["preview", "digits", "--augment", "shift(height=100)"], "shift moves images by up to 100 pixels down and 2 right, expected"),
    (["train", "digits", "--seeds", "0"], "seeds is 0, expected a whole number from 1 to 1000"),
    (["train", "digits", "--snapshots", "5", "--schedule", "cosine"], "snapshots is 5, but the rate has 1 minima in 15"),
    (["train", "digits", "--keep", "snapshots"], "keep is 'snapshots' and snapshots 0: expected both keep 'snapshots'"),
    (["train", "digits", "--progressive", "8,4"], "progressive is '8,4', expected rising sizes such as '16,24,32'"),
    (["train", "digits", "--progressive", "4,6", "--model", "speed_net(widths=(8,))"], "expected sizes that end in 28, th"),
    (["train", "digits", "--model", "backbone('MobileNet', train_blocks=-1)", "--progressive", "14,28"], "cannot grow with its images"),
    (["recipes", "cifar100(bogus=1)"], "got an unexpected keyword argument 'bogus'"),
    (["train", "digits", "--progressive", "14,28"], "cannot grow with its images: its layers fix their size; take one"),
    (["train", "digits", "--distill", "nowhere"], "nowhere is not a run: it has no recipe.json"),
    (["train", "digits", "--pseudo-labels", "no.csv"], "pseudo_labels is 'no.csv', which is not there: expected a CSV"),
    (["train", "digits", "--confidence", "2", "--pseudo-labels", "a.csv"], "confidence is 2.0, expected a number above"),
    (["recipes", "digitz"], "unknown competition 'digitz': did you mean 'digits'? choose one of "),
    (["export"], "there is no finished run in runs: train one with 'kit train digits', or name a run"),
    (["train", "digits", "--data", "nowhere"], "--data nowhere does not exist: name the directory or .zip"),
    (["export", "--prune", "1.5"], "prune is 1.5, expected a share of the weights above 0 and below 1"),
    (["export", "--opset", "99"], "opset is 99, expected 13 to 18"),
    (["export", "--compare", "--cluster", "1"], "cluster is 1, expected 2 to 256 distinct weights a layer"),
    (["export", "nothing"], "nothing is not a run: it has no recipe.json (kit runs lists the runs)"),
    (["predict"], "there is no finished run in runs"),
    (["predict", "gone.onnx"], "there is no model file gone.onnx: expected an .onnx file or a run directory"),
    (["report"], "there is no finished run in runs"),
    (["evaluate"], "there is no finished run in runs"),
    (["evaluate", "--training-rows", "some"], "--training-rows is 'some', expected a whole number from 0 up, or all"),
    (["preview", "csv", "--augment", "flip", "--data", "empty"], "empty: there is none of train.csv, "),
    (["models", "custom_vg(l1=0.1)"], "unknown model 'custom_vg': did you mean 'custom_vgg'?"),
    (["runs", "digitz"], "unknown competition 'digitz': did you mean 'digits'? choose one of "),
    (["runs", "--runs", "nowhere"], "--runs nowhere is not a directory: name the one that kit train has as --out"),
    (["data", "prepare", "csv"], "there is no data/csv or data: put the competition's files there, or name their"),
    (["data", "prepare", "mnist"], "unknown competition 'mnist': "),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD_COMMANDS, ids=lambda value: " ".join(value)[:50])
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("torn.h5").write_bytes(b"not weights")
    Path("empty").mkdir()
    assert kit(*words, monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("kit: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert {path.name for path in Path().iterdir()} <= {"cache", "runs", "torn.h5", "empty"}
    assert not list(Path().glob("runs/*"))


@pytest.mark.parametrize("words", [words for words, _ in BAD_COMMANDS if words[0] == "train"])
def test_a_dry_run_refuses_what_a_training_would(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("torn.h5").write_bytes(b"not weights")
    messages = []
    for command in (words, [*words, "--dry-run"]):
        assert kit(*command, monkeypatch=monkeypatch) == 2
        messages.append(capsys.readouterr().err)
    assert messages[0] == messages[1]


@pytest.mark.parametrize("command", ["train", "lr-find"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "bad.json: model is None, expected a string"),
        ({"model": 5}, "bad.json: model is 5, expected a string"),
        ({"epochs": "ten"}, "bad.json: epochs is 'ten', expected a whole number from 1 to 100000"),
        ({"learning_rate": 10**400}, "bad.json: learning_rate is 1000"),
        ({"split": "folds_file('a\\x00b')"}, "bad.json: cannot read the spec "),
        ("[" * 100_000, "bad.json is not a recipe.json of a run"),
        ('{"recipe": {"competition": "digits"}}', "bad.json: the recipe has no model"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_recipe_file_is_named(
    command: str, changes: object, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {"competition": "digits", "model": "brief"}
    text = changes if isinstance(changes, str) else json.dumps({"recipe": recipe | dict(changes)})  # type: ignore[call-overload]
    Path("bad.json").write_text(text)
    words = ["--snapshots", "2"] if command == "train" else []
    assert kit(command, "digits", "--recipe", "bad.json", *words, monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"kit: {message}")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_name_that_is_taken_is_refused(
    more: list[str], runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kit("train", "digits", "--name", "deeper-1", *more, monkeypatch=monkeypatch) == 2
    told = "kit: the run runs/digits/deeper-1 exists and is never overwritten: choose another --name\n"
    assert capsys.readouterr().err == told


BAD_FILES = [
    ({"target": None}, "has no 'target': it holds features, expected features and target or id"),
    ({"features": np.zeros((40, 28, 27))}, "received shape (40, 28, 27), expected (rows, 28, 28, 1)"),
    (
        {"features": np.zeros((39, 28, 28))},
        "features are (39, 28, 28) and target is (40,), expected one target an image",
    ),
    (
        {"features": np.full((40, 28, 28), -0.5)},
        "received values from -0.5 to -0.5 in rows 0 to 39, expected 0..255 or 0..1",
    ),
    ({"features": np.full((40, 28, 28), np.nan)}, "row 0 holds values that are not finite"),
    ({"target": np.arange(40) % 6 + 1.0}, "6 labels are not in the set {1, 2, 3, 4, 5}; the first is 6.0 in row 5"),
    ({"target": np.full(40, "shoe")}, "labels are text, expected numbers out of {1, 2, 3, 4, 5}"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_FILES, ids=lambda value: str(value)[:40])
def test_a_bad_file_is_named_with_what_is_wrong(
    changes: dict, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fashion_files(Path("data"), **changes)
    assert kit("train", "fashion_mnist", monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert "data/fashion_mnist_dataset_train.npy" in printed.err
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not Path("runs").exists()
    assert not list(Path("cache/arrays").iterdir())


def test_runs_are_listed_best_first(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    better = shutil.copytree(runs / "digits" / "deeper-1", runs / "digits" / "better")
    metrics = json.loads((better / "metrics.json").read_text())
    (better / "metrics.json").write_text(json.dumps(metrics | {"score": 1.5}))
    (shutil.copytree(better, runs / "digits" / "torn") / "metrics.json").write_text("{")
    (shutil.copytree(better, runs / "digits" / "void") / "metrics.json").write_text("{}")
    assert kit("runs", "--json", monkeypatch=monkeypatch) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [Path(row["run"]).name for row in rows] == ["better", "deeper-1", "torn", "void"]
    assert rows[1]["score"] == metrics["score"]
    assert rows[1]["status"] == "complete"
    assert [row["status"] for row in rows[2:]] == ["damaged", "damaged"]
    assert kit("runs", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == [
        "run", "metric", "score", "scored", "on", "selected", "test", "epochs", "seconds", "status", "submitted",
    ]  # fmt: skip


def test_competitions_and_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit("competitions", "--json", monkeypatch=monkeypatch) == 0
    assert {"digits", "fashion_mnist"} <= {row["competition"] for row in json.loads(capsys.readouterr().out)}
    assert kit("models", "--json", monkeypatch=monkeypatch) == 0
    sizes = {row["model"]: row["trainable_parameters"] for row in json.loads(capsys.readouterr().out)}
    assert sizes.items() >= {"brief": 803_973, "deeper": 257_029}.items()
    for command, word in (("competitions", "digits"), ("models", "deeper")):
        assert kit(command, monkeypatch=monkeypatch) == 0
        assert word in capsys.readouterr().out
    assert kit("models", "speed_net", monkeypatch=monkeypatch) == 0
    assert "options  widths=(64, 256, 256), stem=24" in capsys.readouterr().out
    assert kit("models", "custom_vgg(l1=0.1)", monkeypatch=monkeypatch) == 0
    assert "options  l1=0.0, l2=0.0, dropout=0.3" in capsys.readouterr().out
    assert kit("models", "speednet", monkeypatch=monkeypatch) == 2
    assert "unknown model 'speednet': did you mean 'speed_net'?" in capsys.readouterr().err


def test_what_has_no_effect_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--epochs", "10", "--patience", "1", "--average", "swa(0.75)", "--fine-tune-rate", "0.5"]
    assert kit("train", "digits", *words, "--learning-rate", "1e-9", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().err
    assert "kit: fine_tune_rate 0.5 has no effect: it follows frozen_epochs, which is 0" in printed
    assert "kit: the training ended before swa(0.75) began: the weights are those of the last step" in printed


def test_recipes_are_listed_with_what_they_reached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for competition in ("fashion_mnist", "cifar10", "cifar100(labels='coarse')", "digits", "folder"):
        assert kit("recipes", competition, monkeypatch=monkeypatch) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["recipe", "model", "epochs", "score", "minutes", "machine", "published"]
        assert max(map(len, lines)) <= 120
        assert any(line.startswith("fast ") for line in lines)
    assert kit("recipes", "fashion_mnist", monkeypatch=monkeypatch) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert rows["notebook_vgg16_transfer"].split()[2:] == ["100", "not", "measured", "here", "-", "-", "85.42", "%"]
    assert "92.02 % (91.30 to 92.68)" in rows["notebook_elastic"]  # the Wilson interval of 6,000 rows
    assert kit("recipes", "cifar100", "--json", monkeypatch=monkeypatch) == 0
    listed = {row["recipe"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["custom_vgg16_tuned"]["claim"]["published"] == 0.6155
    assert listed["custom_vgg16_tuned"]["fields"]["learning_rate"] == 2.23e-2


def test_recipes_of_ones_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit("new", "leaves", monkeypatch=monkeypatch) == 0
    capsys.readouterr()
    assert kit("recipes", "leaves", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:6] == ["deeper", "deeper", "15", "not", "measured", "here"]


def test_a_dry_run_tells_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kit.training.rehearsal.SECONDS", 0.0)
    fashion_files(Path("data"))
    words = ["--model", "brief", "--folds", 4, "--batch-size", 8, "--epochs", 3, "--patience", 2]
    assert kit("train", "fashion_mnist", *words, "--dry-run", monkeypatch=monkeypatch) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.strip())
    assert told["split"] == "stratified_kfold(4), 4 folds of 27 to train on, 3 to watch, 10 to validate"
    assert told["parameters"] == "803,973 trainable of 804,037"
    assert told["steps"] == "4 an epoch, 48 in 3 epochs and 4 folds"
    assert told["measured"].startswith("3 steps: ")
    assert told["time"].startswith("at most ")
    assert told["patience"] == "2"  # on a line of its own, as what is not by default
    assert told["keep"] == "best"
    assert "learning_rate" not in told
    assert {path.name for path in Path().iterdir()} == {"cache", "data"}


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit("--version", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == f"kit {__version__}\n"


def test_a_backend_that_is_not_there(tmp_path: Path) -> None:
    environment = {**os.environ, "KERAS_BACKEND": "nonsense"}
    words = [sys.executable, "-m", "kit", "train", "digits"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("kit: Keras cannot be loaded with KERAS_BACKEND=nonsense (")
    assert done.stderr.count("\n") == 1


LIGHT = [
    (["--help"], {"numpy", "keras", "tensorflow", "pandas", "sklearn", "onnxruntime"}),
    (["runs"], {"keras", "tensorflow", "pandas", "sklearn", "onnxruntime"}),
    (["leaderboard", "digits"], {"keras", "tensorflow", "pandas", "sklearn", "scipy", "matplotlib", "onnxruntime"}),
    (["models"], {"keras", "tensorflow", "pandas", "sklearn", "onnxruntime"}),
    (["competitions"], {"keras", "tensorflow", "pandas", "sklearn", "onnxruntime"}),
    (["recipes", "cifar100"], {"keras", "tensorflow", "pandas", "sklearn", "onnxruntime"}),
    (["predict", "{runs}/digits/deeper-1"], {"keras", "tensorflow"}),
    (["predict", "--help"], {"numpy", "kit.cli.train", "kit.cli.data", "kit.cli.listings"}),
    (["evaluate", "{runs}/digits/deeper-1"], {"keras", "tensorflow"}),
]


@pytest.mark.parametrize(("words", "heavy"), LIGHT, ids=[words[0] for words, _ in LIGHT])
def test_light_commands_import_nothing_heavy(words: list[str], heavy: set[str], runs: Path) -> None:
    script = (
        "import sys\nfrom kit.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    words = [word.format(runs=runs) for word in words]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("metrics", {"score": "high"}),
        ("metrics", {"score": float("nan")}),
        ("metrics", {"seconds": None}),
        ("metrics", {"validation": [1]}),
        ("metrics", {"test": "none"}),
        ("recipe", {"recipe": 5}),
    ],
)
def test_a_damaged_run_does_not_hide_the_others(
    name: str, changes: dict, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shutil.copytree(runs / "digits" / "deeper-1", runs / "digits" / "spoilt") / f"{name}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    (shutil.copytree(runs / "digits" / "deeper-1", runs / "digits" / "cut") / "metrics.json").unlink()
    assert kit("runs", "--json", monkeypatch=monkeypatch) == 0
    statuses = {Path(row["run"]).name: row["status"] for row in json.loads(capsys.readouterr().out)}
    assert statuses == {"deeper-1": "complete", "spoilt": "damaged", "cut": "unfinished"}
    assert kit("runs", "digits", monkeypatch=monkeypatch) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_runs_of_a_competition_without_any(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit("runs", "fashion_mnist", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "no runs of fashion_mnist in runs: train one with 'kit train fashion_mnist'\n"


def test_the_command_after_an_export_finds_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kit.api.export", lambda run, **_: [])
    for words, next_command in (
        (["--runs", "my runs"], "kit predict --runs 'my runs' --out submissions/run.csv"),
        (["--runs", "other", "other/run"], "kit predict other/run --out submissions/run.csv"),
    ):
        assert kit("export", *words, monkeypatch=monkeypatch) == 0
        assert f"next  {next_command}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (PermissionError(13, "Permission denied", "some/file"), 2, "kit: some/file: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "kit: output: No space left on device\n"),
        (KeyboardInterrupt(), 130, "kit: interrupted\n"),
    ],
)
def test_what_no_command_foresaw_is_one_line(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(root: Path) -> None:
        raise error

    monkeypatch.setattr("kit.training.runs.find_runs", fail)
    assert kit("runs", monkeypatch=monkeypatch) == code
    assert capsys.readouterr().err == message


def test_an_interrupt_while_the_program_is_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "kit.cli.main", Interrupted())
    with pytest.raises(SystemExit, match="130"):
        run()
    assert capsys.readouterr().err == "kit: interrupted\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "kit", "runs"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "kit: output: No space left on device\n")


# Any of them turns its telemetry off; importing kit has set the first, here too.
QUIET_ONNXRUNTIME = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI")


def test_without_a_home_nothing_else_is_printed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", *QUIET_ONNXRUNTIME):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    command = [sys.executable, "-m", "kit", "report"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "report  runs/digits/deeper-1/report.html\n")
    assert done.stderr == ""
    for words in (["predict"], ["evaluate"]):
        done = subprocess.run([*command[:-1], *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_counted_by_onnxruntime(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", *QUIET_ONNXRUNTIME):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    subprocess.run([sys.executable, "-m", "kit", "predict"], capture_output=True, check=True)
    assert not list((tmp_path / "home").rglob("*onnxruntime*"))
