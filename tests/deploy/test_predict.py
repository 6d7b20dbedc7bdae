import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from kit.data.images import Images
from kit.data.inputs import ImageSource
from kit.deploy.model_file import Model, load_model
from kit.deploy.predict import Ensemble, predict_windows
from kit.errors import ModelFileError


@pytest.fixture
def file(digits_runs: Path) -> Path:
    return digits_runs / "digits" / "deeper-1" / "model.onnx"


def edited(file: Path, name: str, **metadata: str) -> Path:
    """A copy of a model file with other metadata; None removes an entry."""
    model = onnx.load(file)
    entries = {entry.key: entry.value for entry in model.metadata_props} | metadata
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in entries.items() if value is not None})
    onnx.save(model, name)
    return Path(name)


def pixels(rows: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, 28, 28, 1), np.uint8)


def predict_probabilities(models: list[Model], images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    source = ImageSource.of(Images(images, np.arange(len(images))))
    answers = predict_windows(Ensemble(tuple((model,) for model in models)), source, batch_size)
    return np.concatenate([np.empty((0, 10), np.float32), *answers])


def test_any_number_of_rows_and_a_memory_map(file: Path) -> None:
    model = load_model(file)
    images = pixels(600)
    expected = model.probabilities(images)
    np.testing.assert_allclose(predict_probabilities([model], images), expected, atol=1e-6)
    np.save("images.npy", images)
    mapped = np.load("images.npy", mmap_mode="r")
    np.testing.assert_allclose(predict_probabilities([model], mapped), expected, atol=1e-6)
    assert predict_probabilities([model], images[:0]).shape == (0, 10)


def test_several_models_are_averaged(file: Path) -> None:
    weights = onnx.load(file)
    for tensor in weights.graph.initializer:
        if len(tensor.dims) == 2:
            halved = onnx.numpy_helper.to_array(tensor) * np.float32(0.5)
            tensor.CopyFrom(onnx.numpy_helper.from_array(halved, tensor.name))
    onnx.save(weights, "other.onnx")
    one, other = load_model(file), load_model(Path("other.onnx"))
    images = pixels(10)
    mean = (one.probabilities(images) + other.probabilities(images)) / 2
    assert not np.allclose(mean, one.probabilities(images))
    np.testing.assert_allclose(predict_probabilities([one, other], images), mean, atol=1e-6)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"competition": '"other"'}, "cannot be averaged: their competition are digits and other"),
        ({"label_values": "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"}, "cannot be averaged: their label_values"),
        ({"input_shape": "[32, 32, 3]"}, r"takes images of \(32, 32, 3\) .* but the images are \(28, 28, 1\)"),
    ],
)
def test_models_and_images_must_fit(file: Path, metadata: dict[str, str], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        predict_probabilities([load_model(file), load_model(edited(file, "o.onnx", **metadata))], pixels(3))


def test_files_that_are_no_models_of_kit(file: Path) -> None:
    with pytest.raises(ModelFileError, match=r"there is no model file gone.onnx: expected an .onnx file or a run"):
        load_model(Path("gone.onnx"))
    for content in (b"", b"<!doctype html>", file.read_bytes()[:5000]):
        Path("bad.onnx").write_bytes(content)
        with pytest.raises(ModelFileError, match=r"bad.onnx"):
            load_model(Path("bad.onnx"))
    with pytest.raises(ModelFileError, match="was not exported by kit: its metadata lacks class_names; use kit export"):
        load_model(edited(file, "o.onnx", class_names=None))  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match="damaged metadata"):
        load_model(edited(file, "o.onnx", class_names="["))
    with pytest.raises(ModelFileError, match="damaged metadata"):
        load_model(edited(file, "o.onnx", label_values="5"))
    for name, value in (
        ("label_values", "[0, 1, 2, 3, 4, 5, 6, 7, 8, [9]]"),
        ("probability_columns", "5"),
        ("probability_columns", "[0]"),
        ("probability_columns", '["one", "two"]'),
        ("probability_columns", '["second"]'),
        ("class_names", '["one"]'),
        ("input_shape", '["x", 28, 1]'),
        ("input_shape", "[28, 28]"),
        ("input_shape", "[28, 0, 1]"),
        ("temperature", '"hot"'),
        ("temperature", "0"),
        ("tta", "3"),
        ("metric", "null"),
    ):
        with pytest.raises(ModelFileError, match="damaged metadata"):
            load_model(edited(file, "o.onnx", **{name: value}))


def test_a_file_of_before_its_competition_asked_for_anything(file: Path) -> None:
    assert load_model(edited(file, "o.onnx", probability_columns=None)).card.probability_columns == ()  # type: ignore[arg-type]
    columns = tuple("9876543210")
    asked = edited(file, "o.onnx", probability_columns=json.dumps(columns))
    assert load_model(asked).card.probability_columns == columns


def test_as_many_label_values_as_outputs(file: Path) -> None:
    model = load_model(edited(file, "o.onnx", label_values="[1, 2]", class_names='["a", "b"]'))
    with pytest.raises(ModelFileError, match="o.onnx gives 10 probabilities an image, but its metadata has 2 label"):
        predict_probabilities([model], pixels(1))


def test_a_file_that_may_not_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelFileError, match=r"cannot read .*model.onnx: Permission denied; make it readable"):
        load_model(file)


def test_providers(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    assert load_model(file, "cpu").provider == "cpu"
    with pytest.raises(
        ModelFileError, match="unknown provider 'gpu': choose one of auto, cuda, tensorrt, openvino, cpu"
    ):
        load_model(file, "gpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(ModelFileError, match="provider 'cuda' is not in this onnxruntime .* --provider auto"):
            load_model(file, "cuda")


def test_an_installed_provider_that_does_not_start(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime then falls back to the CPU by itself: right for auto, an error for an explicit choice."""
    import onnxruntime

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda path, settings, providers: real(path, settings, providers=both[1:])
    )
    assert load_model(file, "auto").provider == "cpu"
    with pytest.raises(ModelFileError, match="provider 'cuda' is installed but does not start on this machine"):
        load_model(file, "cuda")


def test_a_model_file_needs_nothing_beside_it(file: Path) -> None:
    shutil.copy(file, "alone.onnx")
    assert load_model(Path("alone.onnx")).probabilities(pixels(1)).shape == (1, 10)
