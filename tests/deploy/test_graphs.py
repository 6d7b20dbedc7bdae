import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from kit.deploy.graphs import set_temperature, write_ensemble
from kit.deploy.model_file import load_model
from kit.errors import ModelFileError
from kit.scoring.calibration import tempered

PIXELS = np.random.default_rng(3).integers(0, 256, (50, 28, 28, 1), np.uint8)


@pytest.fixture
def file(digits_runs: Path) -> Path:
    return Path(shutil.copy(digits_runs / "digits" / "deeper-1" / "model.onnx", "model.onnx"))


def another(file: Path, name: str) -> Path:
    """A model that answers otherwise."""
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 2:
            values = onnx.numpy_helper.to_array(tensor)[:, ::-1] * np.float32(0.5)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
    onnx.save(model, name)
    return Path(name)


def test_an_ensemble_is_the_mean_in_one_file(file: Path) -> None:
    files = [file, another(file, "b.onnx"), file]
    exported = write_ensemble(files, Path("all.onnx"), PIXELS)
    assert exported.largest_difference <= 1e-5
    assert (exported.path, exported.images, exported.random_images) == (Path("all.onnx"), 50, 256)
    expected = np.mean([load_model(each).probabilities(PIXELS) for each in files], axis=0)
    whole = load_model(Path("all.onnx"))
    np.testing.assert_allclose(whole.probabilities(PIXELS), expected, atol=1e-5)
    np.testing.assert_allclose(whole.probabilities(PIXELS[:1]), expected[:1], atol=1e-5)
    assert whole.card == replace(load_model(file).card, score=None, weights_sha256="")


def test_models_of_other_competitions_are_no_ensemble(file: Path) -> None:
    card = load_model(file).card
    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, replace(card, competition="other").to_metadata())
    onnx.save(model, "other.onnx")
    with pytest.raises(ModelFileError, match="their competition are digits and other"):
        write_ensemble([file, Path("other.onnx")], Path("all.onnx"), PIXELS)
    assert not Path("all.onnx").exists()


def test_a_temperature_is_in_the_file_and_can_be_changed(file: Path) -> None:
    before = load_model(file)
    plain, score = before.probabilities(PIXELS), before.card.score
    for temperature in (2.5, 0.4, 1.0):
        set_temperature(file, temperature, keep_score=True)
        calibrated = load_model(file)
        np.testing.assert_allclose(calibrated.probabilities(PIXELS), tempered(plain, temperature), atol=1e-5)
        assert (calibrated.card.temperature, calibrated.card.score) == (temperature, score)
    set_temperature(file, 2, keep_score=False)
    assert load_model(file).card.score is None
    assert len(onnx.load(file).graph.node) == len(onnx.load(another(file, "b.onnx")).graph.node)  # appended once
