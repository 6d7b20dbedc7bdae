"""Minutes long: on the real files, and damaged files for longer."""

import csv
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import predict, train
from kit.deploy.export import TOLERANCE
from kit.deploy.legacy import to_legacy
from kit.deploy.model_file import load_model
from kit.exporting import compare_forms
from kit.models.backbones import blocks
from kit.models.build import Architecture, build_classifier
from kit.training.runs import RunDirectory
from tests.data.readers.conftest import on_linux, python
from tests.data.readers.test_fuzz import EDITS, FORMATS, MEMORY, Edit, read_damaged, write_corpus
from tests.exported import export_onnx
from tests.models import test_models as contract
from tests.models.test_transfer import NETWORKS, build, network, trained_layers

pytestmark = pytest.mark.slow


def test_deeper_learns_the_real_five_classes(kit_data: Path) -> None:
    run = train("fashion_mnist", data=kit_data, epochs=3)
    metrics = run.read_metrics()
    assert metrics["test"]["rows"] == 6_000
    assert metrics["test"]["accuracy"] > 0.89
    assert predict(run, out="run.csv").rows == 10_000
    with Path("run.csv").open() as file:
        labels = [int(row["target"]) for row in csv.DictReader(file)]
    assert np.bincount(labels, minlength=6)[1:].min() > 1_500  # about 2,000 each


@settings(max_examples=20_000, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(FORMATS)), edits=EDITS, repack=st.booleans())
def test_damaged_files_for_longer(tmp_path: Path, name: str, edits: list[Edit], repack: bool) -> None:
    read_damaged(name, edits, tmp_path, repack)


@on_linux
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris: pip install atheris")
def test_damaged_files_guided_by_coverage(tmp_path: Path) -> None:
    """A minute of libFuzzer over all readers: no exception but DataError, 10 s and bounded memory an input."""
    (tmp_path / "corpus").mkdir()
    write_corpus(tmp_path / "corpus")
    code = """
import sys
from pathlib import Path
import atheris
with atheris.instrument_imports(include=["kit.data"]):
    from tests.data.readers.test_fuzz import read_chosen
directory = Path(sys.argv[1])
atheris.Setup(sys.argv[:1] + sys.argv[2:], lambda data: read_chosen(data, directory))
atheris.Fuzz()
"""
    limits = ["-max_total_time=60", "-timeout=10", f"-rss_limit_mb={300 + MEMORY}", "-max_len=20000"]
    done = python(code, tmp_path, tmp_path / "corpus", *limits, f"-artifact_prefix={tmp_path}/")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr, done.stderr[-3000:]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", contract.LARGE)
def test_large_models_take_other_images_and_classes(name: str, precision: str) -> None:
    contract.takes_other_images_and_classes(name, precision)


@pytest.mark.parametrize("name", contract.LARGE)
def test_large_models_train_and_are_saved(name: str, tmp_path: Path) -> None:
    contract.trains_and_is_saved(name, tmp_path)


@pytest.mark.parametrize("name", contract.SMALL)
def test_every_model_exports(name: str, tmp_path: Path) -> None:
    contract.exports(name, tmp_path)


@pytest.mark.parametrize("name", contract.LARGE)
def test_every_large_model_exports(name: str, tmp_path: Path) -> None:
    """Each in a process of its own: one takes up to 12 GB, which TensorFlow keeps."""
    code = """
import sys
from pathlib import Path
from tests.models.test_models import exports
exports(sys.argv[1], Path(sys.argv[2]))
"""
    done = python(code, name, tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


LIGHTEST = [  # of each family of keras.applications that no other model here stands on
    *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2S", "InceptionResNetV2", "InceptionV3"),
    *("MobileNetV2", "MobileNetV3Small", "NASNetMobile", "ResNet50V2", "VGG19", "Xception"),
]


@pytest.mark.parametrize("name", LIGHTEST)
def test_a_network_of_every_family_trains_and_exports(name: str, tmp_path: Path) -> None:
    spec = f"backbone({name!r}, size=96, train_blocks=1)"
    contract.trains_and_is_saved(spec, tmp_path)
    contract.exports(spec, tmp_path)


def test_a_network_inside_of_a_model_is_not_exported_wrongly(tmp_path: Path) -> None:
    """Behind a resizing, and all of it trained: ``predictor.export`` takes this for a training."""
    core = network("ResNet50", 64)
    contract.as_if_trained(core)
    pixels = keras.Input((32, 32, 3), dtype="uint8")
    maps = core(keras.layers.Resizing(64, 64)(pixels))
    average = keras.layers.GlobalAveragePooling2D()(maps)
    scores = keras.Model(pixels, keras.layers.Dense(10)(average))
    contract.spread_scores(scores)
    predictor = keras.Model(pixels, keras.layers.Softmax()(scores.output))
    images = contract.random_pixels(6, "model_s")
    exported = export_onnx(predictor, contract.card("model_s"), images, tmp_path / "m.onnx")
    assert exported.labels_that_differ == 0
    assert load_model(exported.path).probabilities(images).std(axis=0).max() > 10 * TOLERANCE


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_of_keras_is_a_backbone(name: str) -> None:
    """Blocks have weights each, and start where the one before ends; the last two train where two are asked for."""
    keras.backend.clear_session()
    base = network(name)
    parts = blocks(base, name)
    assert len(parts) >= 5
    assert [layer for part in parts for layer in part] == base.layers
    assert all(any(layer.weights for layer in part) for part in parts)
    expected = [layer.name for part in parts[-2:] for layer in part if layer.trainable_weights]
    assert expected
    keras.backend.clear_session()
    classifier = build(f"backbone({name!r}, size=96, train_blocks=2)")
    assert [part for part in trained_layers(classifier) if part != "logits"] == expected


LIKE = {"resnet50_224": "backbone('ResNet50', size=32)", "efficientnet_v2_b0": "backbone('EfficientNetV2B0', size=32)"}


@pytest.mark.parametrize("spec", [*contract.SMALL, *LIKE.values()])
def test_every_model_has_a_counterpart_to_be_pruned(spec: str) -> None:
    """``to_legacy`` compares the answers of the two by itself."""
    keras.backend.clear_session()
    reference = contract.reference(spec)
    shape, classes = reference.image_shape, reference.num_classes
    channels = shape[-1]
    classifier = build_classifier(Architecture(spec, shape, classes, (1 / 255,) * channels, (0.0,) * channels))
    contract.as_if_trained(classifier)
    legacy = to_legacy(classifier, contract.random_pixels(4, spec))
    with_weights = {layer.name for layer in classifier.layers if layer.weights}
    assert {layer.name for layer in legacy.layers if layer.weights} == with_weights


def test_a_run_in_all_its_forms(digits_runs: Path, tmp_path: Path) -> None:
    """From the command's function to the files: what was pruned and clustered is there, and predicts."""
    run = RunDirectory(shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "runs" / "digits" / "deeper-1"))
    (table,) = compare_forms(run, max_loss=100.0, tune_epochs=1)
    rows = {row.variant: row for row in table}
    assert all(row.exported for row in table), [row.reason for row in table]
    weights = {
        name: [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(row.exported.path).graph.initializer]
        for name, row in rows.items()
    }
    large = {name: [value for value in values if value.size > 5_000] for name, values in weights.items()}
    assert all((value == 0).mean() > 0.79 for name in ("pruned", "pruned + int8") for value in large[name])
    assert all((value == 0).mean() < 0.1 for value in large["original"])
    assert all(len(np.unique(value)) <= 16 for value in large["clustered"])
    assert all(value.dtype == np.int8 for value in large["pruned + int8"])
    for name in ("pruned", "clustered", "pruned + int8"):
        assert rows[name].gzip_bytes < 0.5 * rows["original"].gzip_bytes
        assert rows[name].exported.accuracy > 0.8
        assert predict(rows[name].exported.path, out="run.csv").rows == 360


def test_the_same_model_is_the_same_file_in_every_process(digits_runs: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "run"))
    files = []
    for seed in ("1", "2"):  # sets of strings are in another order
        command = [sys.executable, "-m", "kit", "export", str(path), "--int8", "--max-loss", "100"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        files.append((path / "model.int8.onnx").read_bytes())
    assert files[0] == files[1]
