"""Smaller forms of a trained model: what is in the files, and what is refused. Heavier ones are in test_slow.py."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

import kit.deploy.export
import kit.deploy.quantize
import kit.exporting
import kit.variants
from kit import KitError, export, predict
from kit.deploy.compress import Tuning, cluster, prune
from kit.deploy.export import OPSETS
from kit.deploy.legacy import to_legacy
from kit.deploy.model_file import Model, load_model
from kit.errors import ModelFileError
from kit.exporting import compare_forms
from kit.models.build import Architecture, build_classifier
from kit.training.recipe import Recipe
from kit.training.runs import RunDirectory
from kit.variants import ExportOptions, TrainedRun
from tests.conftest import striped_images
from tests.models.test_models import as_if_trained


@pytest.fixture
def run(digits_runs: Path, tmp_path: Path) -> RunDirectory:
    """A copy, so that tests may spoil it."""
    return RunDirectory(shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "runs" / "digits" / "deeper-1"))


def initializers(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def validation_accuracy(run: RunDirectory, path: Path) -> float:
    """By hand: the rows of the split, the file, and nothing of what exported it."""
    from kit.opening import saved_competition, training_images

    saved = run.read_recipe()
    images = training_images(saved, saved_competition(saved))
    rows = run.read_split()[0].validation
    assert images.labels is not None
    return float((load_model(path).probabilities(images.pixels[rows]).argmax(axis=1) == images.labels[rows]).mean())


@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[1]])
def test_the_graph_is_plain_and_has_the_operators_that_were_asked_for(run: RunDirectory, opset: int) -> None:
    (exported,) = export(run, opset=opset)
    assert exported.path == run.path / "model.onnx"
    model = onnx.load(exported.path, load_external_data=False)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert {node.domain for node in model.graph.node} == {""}
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert load_model(exported.path).card.score == run.read_metrics()["validation"]["accuracy"]
    assert not any(tensor.data_location for tensor in model.graph.initializer)
    assert (exported.images, exported.random_images, exported.labels_that_differ) == (256, 256, 0)
    assert len(load_model(exported.path).probabilities(np.zeros((3, 28, 28, 1), np.uint8))) == 3


def test_the_last_opset_is_the_last_that_the_converter_writes() -> None:
    from tf2onnx import constants

    assert max(constants.OPSET_TO_IR_VERSION) == OPSETS[1]


def test_another_label_stops_the_export_unless_it_is_a_tie(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run.path / "model.onnx").read_bytes()
    monkeypatch.setattr(kit.deploy.export, "TOLERANCE", 2.0)  # every pair of probabilities is a tie, none too far off
    answers = kit.deploy.export.Answers.differences
    monkeypatch.setattr(
        kit.deploy.export.Answers, "differences", lambda self, path: (answers(self, path)[0], np.array([3]))
    )
    assert export(run)[0].labels_that_differ == 1
    (run.path / "model.onnx").write_bytes(before)
    monkeypatch.setattr(kit.deploy.export, "TOLERANCE", 1e-4)
    with pytest.raises(ModelFileError, match=r"gives 1 of 512 images another label .*model.onnx was not written"):
        export(run)
    assert (run.path / "model.onnx").read_bytes() == before


def test_half_precision(run: RunDirectory) -> None:
    (exported,) = export(run, fp16=True)
    assert exported.path == run.path / "model.fp16.onnx"
    weights = [value for value in initializers(exported.path).values() if value.size > 100]
    assert weights and all(value.dtype == np.float16 for value in weights)
    assert exported.size_bytes < 0.6 * (run.path / "model.onnx").stat().st_size
    graph = onnx.load(exported.path).graph
    kinds = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    assert kinds == [onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT]
    assert exported.largest_difference < 0.01
    assert exported.accuracy == load_model(exported.path).card.score == validation_accuracy(run, exported.path)


def test_numbers_that_are_too_large_for_half_precision(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "probabilities", lambda self, pixels: np.full((len(pixels), 10), np.nan, np.float32))
    trained = TrainedRun.open(run)
    with pytest.raises(
        ModelFileError, match="answers with what is not a number, as some are too large for its precisio"
    ):
        trained._scores(run.trained_folds()[0], load_model(run.path / "model.onnx"))


def test_integers_are_calibrated_on_training_rows_alone(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    quantise = kit.deploy.quantize.to_int8
    monkeypatch.setattr(
        kit.deploy.quantize,
        "to_int8",
        lambda source, target, pixels: (seen.append(pixels), quantise(source, target, pixels)),
    )
    (exported,) = export(run, int8=True, max_loss=100)
    from kit.opening import saved_competition, training_images

    saved = run.read_recipe()
    images, (fold,) = training_images(saved, saved_competition(saved)), run.read_split()
    keys = {part: {image.tobytes() for image in images.pixels[getattr(fold, part)]} for part in ("train", "validation")}
    calibrated = {image.tobytes() for image in seen[0]}
    assert len(seen[0]) == 512
    assert calibrated <= keys["train"]
    assert not calibrated & keys["validation"]

    assert exported.path == run.path / "model.int8.onnx"
    weights = [value for value in initializers(exported.path).values() if value.size > 5_000]
    assert weights and all(value.dtype == np.int8 for value in weights)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in onnx.load(exported.path).graph.node}
    assert exported.accuracy_before == run.read_metrics()["validation"]["accuracy"]
    assert exported.accuracy == validation_accuracy(run, exported.path)
    assert exported.size_bytes < 0.35 * (run.path / "model.onnx").stat().st_size
    assert predict(exported.path, out="run.csv").rows == 360
    first = initializers(exported.path).values()
    again = initializers(export(run, int8=True, max_loss=100)[0].path).values()
    # The same numbers; within a process, the names of the layers count on.
    assert sorted(value.tobytes() for value in again) == sorted(value.tobytes() for value in first)


def test_a_loss_is_refused_and_the_old_file_stays(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run.path / "model.int8.onnx"
    path.write_bytes(b"as it was")
    shrink = kit.deploy.quantize.to_int8

    def badly(source: Path, target: Path, pixels: np.ndarray) -> None:
        shrink(source, target, pixels // 64)  # ranges of images that are nearly black: all others are cut off

    monkeypatch.setattr(kit.deploy.quantize, "to_int8", badly)
    with pytest.raises(
        ModelFileError, match=r"int8 of .* costs .* points of accuracy on .* more than 0.5; .*--max-loss"
    ):
        export(run, int8=True)
    assert path.read_bytes() == b"as it was"
    assert not list(run.path.glob(".writing*"))
    (exported,) = export(run, int8=True, max_loss=100)
    assert exported.accuracy is not None and exported.accuracy_before is not None
    assert exported.accuracy < exported.accuracy_before - 0.005


def test_the_metric_counts_too() -> None:
    before = {"accuracy": 0.9, "score": 0.9, "rows": 100, "higher_is_better": True}
    after = {**before, "score": 0.8}
    with pytest.raises(ModelFileError, match=r"costs 10.00 points of score on 100 validation rows"):
        kit.variants._check_loss("int8", before, after, 0.5)
    kit.variants._check_loss("int8", before, {**after, "higher_is_better": False}, 0.5)  # a log loss has no points
    kit.variants._check_loss("int8", before, after, 10.1)


def test_other_views_go_to_a_file_of_their_own(run: RunDirectory) -> None:
    before = (run.path / "model.onnx").read_bytes()
    (exported,) = export(run, tta="flip('both')")
    assert exported.path == run.path / "model.tta-flip-both.onnx"
    assert (run.path / "model.onnx").read_bytes() == before
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    plain, model = load_model(run.path / "model.onnx"), load_model(exported.path)
    turned = [pixels, pixels[:, ::-1], pixels[:, :, ::-1], pixels[:, ::-1, ::-1]]
    np.testing.assert_allclose(
        model.probabilities(pixels), np.mean([plain.probabilities(view) for view in turned], axis=0), atol=1e-5
    )
    assert model.card.score == validation_accuracy(run, exported.path)
    assert export(run, tta="none")[0].path == run.path / "model.onnx"  # as the recipe has it


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"opset": 12}, "opset is 12, expected 13 to 18"),
    ({"opset": 19}, "opset is 19, expected 13 to 18"),
    ({"tta": "flop"}, "unknown test-time augmentation 'flop': did you mean 'flip'"),
    ({"prune": 1.5}, "prune is 1.5, expected a share"),
    ({"prune": 1.0}, "prune is 1, expected a share"),
    ({"prune": float("nan")}, "prune is nan, expected a share"),
    ({"cluster": 1}, "cluster is 1, expected 2 to 256"),
    ({"cluster": -3}, "cluster is -3, expected 2 to 256"),
    ({"prune": 0.5, "cluster": 4}, "prune and cluster together"),
    ({"fp16": True, "int8": True}, "fp16 and int8 together"),
    ({"prune": 0.5, "tune_epochs": 0}, "tune_epochs is 0, expected at least 1"),
    ({"int8": True, "max_loss": -1.0}, "max_loss is -1, expected 0 to 100 points"),
    ({"int8": True, "max_loss": float("nan")}, "max_loss is nan, expected 0 to 100 points"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_mistake_is_found_before_anything_is_done(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(kit.variants.TrainedRun, "open", lambda *arguments: pytest.fail("it was begun"))
    with pytest.raises(KitError, match=message):
        export(run, **options)


def test_integers_need_validation_rows(run: RunDirectory) -> None:
    (fold,) = run.read_split()
    run.write_split([dataclasses.replace(fold, validation=fold.validation[:0])], "every row", 0)
    with pytest.raises(ModelFileError, match=r"has no validation rows on which to tell what int8 costs"):
        export(run, int8=True)
    (exported,) = export(run, fp16=True)
    assert exported.accuracy is None
    assert load_model(exported.path).card.score is None


def test_a_disk_that_is_full(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run.path / "model.onnx").read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(ModelFileError, match=r"cannot write .*model.onnx: No space left on device; mend that"):
        export(run)
    assert (run.path / "model.onnx").read_bytes() == before
    assert not list(run.path.glob(".writing*"))


def test_a_child_gets_the_options(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def answer(command: list[str], **_: Any) -> Any:
        told.append(command)
        return type("Finished", (), {"returncode": 0, "stdout": json.dumps([], indent=2) + "\n[\n]", "stderr": ""})

    monkeypatch.setattr(kit.exporting.subprocess, "run", answer)
    kit.exporting.export_in_child(run, ExportOptions(prune=0.8, int8=True, tune_epochs=1))
    assert told[0][4:] == ["export", str(run.path), "--int8", "--prune", "0.8", "--tune-epochs", "1", "--json"]
    kit.exporting.export_in_child(run)
    assert told[1][4:] == ["export", str(run.path), "--json"]


def small_model() -> tuple[Any, Tuning, Architecture]:
    architecture = Architecture("deeper(dropout=0.2)", (28, 28, 1), 3, (1 / 255,), (0.0,))
    keras.utils.set_random_seed(0)
    classifier = build_classifier(architecture)
    as_if_trained(classifier)
    recipe = Recipe(competition="tiny", model=architecture.model, batch_size=16, seed=3)
    return classifier, Tuning(striped_images(128), np.arange(0, 128, 2), recipe, epochs=2), architecture


def test_pruned_weights_stay_zero_and_training_rows_alone_are_seen() -> None:
    classifier, tuning, _ = small_model()
    images = tuning.images
    spoilt = images.pixels.copy()
    spoilt[1::2] = 77  # no training row
    told: list[tuple[int, int]] = []
    tuning = dataclasses.replace(
        tuning, images=dataclasses.replace(images, pixels=spoilt), on_step=lambda *step: told.append(step)
    )
    again, other, _ = small_model()
    before = classifier.get_layer("logits").get_weights()[0]
    zeros = prune(classifier, 0.75, tuning)
    assert zeros == pytest.approx(0.75, abs=0.005)
    kernels = [layer.get_weights()[0] for layer in classifier.layers if type(layer).__name__ in ("Conv2D", "Dense")]
    assert len(kernels) == 5
    for kernel in kernels:
        assert (kernel == 0).mean() == pytest.approx(0.75, abs=0.01)
        assert not np.signbit(kernel[kernel == 0]).any()  # which would not compress
    assert told[-1] == (8, 8)
    kept = classifier.get_layer("logits").get_weights()[0] != 0
    assert not np.array_equal(classifier.get_layer("logits").get_weights()[0][kept], before[kept])  # it was trained
    prune(again, 0.75, other)  # other pixels in the rows that take no part
    for one, another in zip(classifier.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)  # and the same seed, so the same bits
    assert "TF_USE_LEGACY_KERAS" not in os.environ


def test_clustered_weights_share_a_few_values() -> None:
    classifier, tuning, _ = small_model()
    assert cluster(classifier, 8, tuning) == 8
    for layer in classifier.layers:
        if type(layer).__name__ in ("Conv2D", "Dense"):
            assert len(np.unique(layer.get_weights()[0])) <= 8


def test_a_layer_without_a_counterpart_is_named() -> None:
    class Doubled(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return 2 * inputs

    pixels = keras.Input((8, 8, 1))
    model = keras.Model(pixels, keras.layers.Flatten()(Doubled(name="twice")(pixels)))
    with pytest.raises(ModelFileError, match=r"the layer twice \(Doubled\) cannot be pruned or clustered around"):
        to_legacy(model, np.zeros((2, 8, 8, 1), np.uint8))


def test_a_pruned_file_has_the_zeros(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pruning itself is another test's; here the weights are cut, and go all the way into the integers."""

    def cut(classifier: Any, share: float, tuning: Tuning) -> float:
        assert set(tuning.rows) <= set(run.read_split()[0].train)
        for layer in classifier.layers:
            if type(layer).__name__ in ("Conv2D", "Dense"):
                kernel, *rest = layer.get_weights()
                layer.set_weights([np.where(np.abs(kernel) < np.quantile(np.abs(kernel), share), 0, kernel), *rest])
        return share

    monkeypatch.setattr("kit.deploy.compress.prune", cut)
    before = (run.path / "model.onnx").read_bytes()
    (pruned,) = export(run, prune=0.5)
    (both,) = export(run, prune=0.5, int8=True, max_loss=100)
    assert (pruned.path.name, both.path.name) == ("model.pruned.onnx", "model.pruned.int8.onnx")
    assert (pruned.zeros, pruned.labels_that_differ) == (0.5, 0)  # of the pruned model's labels
    for exported, least in ((pruned, 0.49), (both, 0.49)):
        weights = [value for value in initializers(exported.path).values() if value.size > 5_000]
        assert len(weights) == 3
        assert all((value == 0).mean() >= least for value in weights)
    assert (run.path / "model.onnx").read_bytes() == before
    with pytest.raises(ModelFileError, match=r"pruned of .* costs .* points"):
        export(run, prune=0.99, max_loss=0.5)


def test_a_comparison_goes_on_without_what_cannot_be_made(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kit.cli.exports import print_comparison

    def refuse(*_: Any) -> None:
        raise ModelFileError("the layer odd has no counterpart")

    monkeypatch.setattr("kit.deploy.compress.prune", refuse)
    monkeypatch.setattr("kit.deploy.compress.cluster", refuse)
    monkeypatch.setattr("kit.deploy.comparison.ROUNDS", 2)
    (table,) = compare_forms(run, max_loss=100.0)
    assert [row.variant for row in table] == ["original", "fp16", "int8", "pruned", "clustered", "pruned + int8"]
    made = [row for row in table if row.exported]
    assert [row.variant for row in made] == ["original", "fp16", "int8"]
    for row in made:
        assert row.exported is not None
        assert row.exported.path.is_file()
        assert 0 < row.gzip_bytes < row.exported.size_bytes
        assert row.seconds_per_image > 0 and row.images_per_second > 0
        assert row.exported.accuracy == validation_accuracy(run, row.exported.path)
    print_comparison([table], as_json=False)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split() == ["MB", "gzip", "MB", "accuracy", "ms", "an", "image", "images/s"]
    assert printed[2].split()[0] == "original"
    assert printed[5:] == [
        f"{name}: not made, as the layer odd has no counterpart" for name in ("pruned", "clustered", "pruned + int8")
    ]
    print_comparison([table], as_json=True)
    (rows,) = json.loads(capsys.readouterr().out)
    assert rows[2]["exported"]["path"] == str(run.path / "model.int8.onnx")
