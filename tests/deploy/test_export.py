import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

import kit.deploy.export
from kit import KitError, export, predict
from kit.deploy.model_file import load_model
from kit.errors import ModelFileError
from kit.training.runs import RunDirectory
from tests.exported import export_onnx


@pytest.fixture
def run(digits_runs: Path, tmp_path: Path) -> RunDirectory:
    """A copy, so that tests may spoil it."""
    return RunDirectory(shutil.copytree(digits_runs / "digits" / "deeper-1", tmp_path / "runs" / "digits" / "deeper-1"))


def test_the_file_answers_like_the_model_for_any_number_of_raw_images(run: RunDirectory) -> None:
    from kit.training.weights import load_predictor

    model = load_model(run.path / "model.onnx")
    trained = load_predictor(run.trained_folds()[0], "last")
    random = np.random.default_rng(0)
    for rows in (1, 2, 300):
        pixels = random.integers(0, 256, (rows, 28, 28, 1), np.uint8)
        received, expected = model.probabilities(pixels), np.asarray(trained.predict_on_batch(pixels))
        assert received.dtype == np.float32
        np.testing.assert_allclose(received, expected, atol=1e-4)
        np.testing.assert_array_equal(received.argmax(axis=1), expected.argmax(axis=1))
        np.testing.assert_allclose(received.sum(axis=1), 1, atol=1e-5)


def test_the_file_knows_what_it_is_for(run: RunDirectory) -> None:
    card = load_model(run.path / "model.onnx").card
    assert card.competition == "digits"
    assert card.class_names == tuple("0123456789")
    assert card.label_values == tuple(range(10))
    assert card.input_shape == (28, 28, 1)
    assert card.input_dtype == "uint8"
    assert (card.id_column, card.target_column) == ("id", "target")
    assert card.recipe_hash == run.read_recipe()["recipe_hash"]
    assert card.score == run.read_metrics()["validation"]["accuracy"]
    graph = onnx.load(run.path / "model.onnx", load_external_data=False).graph
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in graph.initializer)  # weights inline
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_export_says_what_it_compared(run: RunDirectory) -> None:
    (exported,) = export(run.path)
    assert exported.path == run.path / "model.onnx"
    assert exported.size_bytes == exported.path.stat().st_size
    assert exported.images == 256
    assert exported.labels_that_differ == 0
    assert 0 <= exported.largest_difference <= 1e-4


def test_a_difference_stops_the_export(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch normalisation of the converted graph is spoilt, as in the fault that this check is for."""
    describe = kit.deploy.export.describe

    def spoil(path: Path, card: object) -> None:
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 4:
                values = onnx.numpy_helper.to_array(tensor) * 1.05
                tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))
        onnx.save(model, path)
        describe(path, card)

    monkeypatch.setattr(kit.deploy.export, "describe", spoil)
    before = (run.path / "model.onnx").read_bytes()
    with pytest.raises(KitError, match=r"differs from the trained one by .*model.onnx was not written"):
        export(run)
    assert (run.path / "model.onnx").read_bytes() == before
    assert not list(run.path.glob(".writing*"))


class _Predictor:
    """Stands in for a trained model, whose outputs are all the same number."""

    def __init__(self, number: float) -> None:
        self.number = number

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        return np.full((len(pixels), 10), self.number, np.float32)


def test_a_diverged_model_is_not_blamed_on_the_export(run: RunDirectory) -> None:
    path = run.path / "model.onnx"
    before = path.read_bytes()
    message = "the trained model's probabilities are not numbers, .*the training diverged; .*lower --learning-rate"
    with pytest.raises(ModelFileError, match=message):
        export_onnx(_Predictor(np.nan), load_model(path).card, np.zeros((3, 28, 28, 1), np.uint8), path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written(run: RunDirectory) -> None:
    path = run.path / "recipe.json" / "model.onnx"
    card = load_model(run.path / "model.onnx").card
    with pytest.raises(ModelFileError, match=r"cannot write .*: .*recipe.json is a file, not a directory"):
        export_onnx(_Predictor(0.1), card, np.zeros((3, 28, 28, 1), np.uint8), path)


def test_predict_exports_a_run_that_was_not(run: RunDirectory) -> None:
    (run.path / "model.onnx").unlink()
    assert predict(run, out="run.csv").rows == 360
    assert (run.path / "model.onnx").is_file()


def test_a_run_that_cannot_be_exported_says_why(run: RunDirectory) -> None:
    (run.path / "model.onnx").unlink()
    (run.path / "last.weights.h5").write_bytes(b"nothing")
    with pytest.raises(KitError, match=r"could not be exported: .*last.weights.h5 is not what was scored"):
        predict(run, out="run.csv")
    assert not Path("run.csv").exists()
