"""What single layers of networks ask of the way to ONNX; tests/test_slow.py exports the networks themselves."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf2onnx
from keras import layers
from tf2onnx import optimizer

from kit.deploy.export import TOLERANCE
from kit.deploy.model_file import load_model
from kit.errors import ModelFileError
from tests.exported import export_onnx
from tests.models.test_models import as_if_trained, card, random_pixels

LIKE = "model_s"  # 32x32x3 pixels, ten classes


def _resized(x: Any) -> Any:
    return layers.BatchNormalization()(layers.Conv2D(4, 3)(layers.Resizing(12, 12)(x)))


def _within(x: Any) -> Any:
    inner = keras.Input((12, 12, 3))
    return keras.Model(inner, layers.BatchNormalization()(layers.Conv2D(4, 3)(inner)))(layers.Resizing(12, 12)(x))


def _grouped(x: Any) -> Any:
    return layers.Conv2D(8, 3, groups=4)(layers.Conv2D(4, 3, strides=2)(x))


def _each_channel_alone(x: Any) -> Any:
    return layers.Conv2D(4, 7, padding="same", groups=4)(layers.Conv2D(4, 4, strides=4)(x))


def _gelu(x: Any) -> Any:
    return layers.Activation("gelu")(layers.Conv2D(4, 3, strides=2)(x))


def predictor(body: Callable[[Any], Any]) -> Any:
    pixels = keras.Input((32, 32, 3), dtype="uint8", name="pixels")
    maps = layers.GlobalMaxPooling2D()(body(layers.Rescaling(1 / 255)(pixels)))
    scores = keras.Model(pixels, layers.Dense(10, name="logits")(maps))
    as_if_trained(scores)
    return keras.Model(pixels, layers.Softmax()(scores.output))


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("body", [_resized, _within, _grouped, _each_channel_alone, _gelu])
def test_it_answers_like_the_model(body: Callable[[Any], Any], opset: int, tmp_path: Path) -> None:
    """``export_onnx`` compares. Batch normalisation behind a resizing once used the averages of the batch."""
    exported = export_onnx(predictor(body), card(LIKE), random_pixels(6, LIKE), tmp_path / "m.onnx", opset)
    assert load_model(exported.path).probabilities(random_pixels(6, LIKE)).std(axis=0).max() > 10 * TOLERANCE


def test_what_onnx_has_no_operator_for(tmp_path: Path) -> None:
    answering = predictor(lambda x: keras.ops.erfinv(layers.Conv2D(4, 3, activation="tanh")(x) * 0.9))
    message = "the model computes Erfinv, expected what ONNX has operators for: take another layer"
    with pytest.raises(ModelFileError, match=message):
        export_onnx(answering, card(LIKE), random_pixels(6, LIKE), tmp_path / "m.onnx")
    assert not list(tmp_path.glob("*.onnx"))


def test_nothing_else_is_traced_otherwise_afterwards(tmp_path: Path) -> None:
    export_onnx(predictor(_gelu), card(LIKE), random_pixels(6, LIKE), tmp_path / "m.onnx")
    assert not tf.config.functions_run_eagerly()
    assert np.isfinite(np.asarray(predictor(_grouped).predict_on_batch(random_pixels(2, LIKE)))).all()


def test_an_optimiser_that_fails_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def optimize(self, *graph: Any) -> None:
            raise LookupError("a graph it does not know")

    monkeypatch.setitem(optimizer._optimizers, "failing", Failing)
    exported = export_onnx(predictor(_resized), card(LIKE), random_pixels(6, LIKE), tmp_path / "m.onnx")
    assert exported.labels_that_differ == 0
    assert "TF2ONNX_CATCH_ERRORS" not in os.environ


@pytest.mark.parametrize("error", [ValueError("an operator it does not know\nand more"), MemoryError()])
def test_what_fails_elsewhere_is_told_and_not_tried_again(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fail(*given: Any, **more: Any) -> None:
        tried.append(given)
        raise error

    monkeypatch.setattr(tf2onnx.convert, "from_function", fail)
    with pytest.raises((ModelFileError, MemoryError)) as told:
        export_onnx(predictor(_resized), card(LIKE), random_pixels(6, LIKE), tmp_path / "m.onnx")
    assert len(tried) == 1
    if isinstance(error, ValueError):
        assert "cannot be written in ONNX (an operator it does not know): take other" in str(told.value)
    assert not list(tmp_path.glob("*.onnx"))
