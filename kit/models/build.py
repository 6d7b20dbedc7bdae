"""From a model's name to a Keras model that takes raw pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kit.models.catalog import MODELS
from kit.models.views import view_axes

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True)
class Architecture:
    """Everything that a trained model's weights need around them to be a model again.

    scale, offset: one number a channel; the first layer computes ``pixel * scale + offset``.
    """

    model: str  # spec
    image_shape: tuple[int, int, int]  # (height, width, channels)
    num_classes: int
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    tta: str = "none"  # spec: the views of an image whose mean answer is the prediction; training knows none


def build_classifier(architecture: Architecture, precision: str = "float32") -> Any:
    """A Keras model: float32 (batch, height, width, channels) raw pixels 0..255 -> float32 logits (batch, classes)."""
    import keras

    with _dtype_policy(POLICIES[precision]):
        pixels = keras.Input(architecture.image_shape, dtype="float32", name="pixels")
        return keras.Model(pixels, _logits(architecture, pixels), name="classifier")


def build_predictor(architecture: Architecture, classifier: Any) -> Any:
    """A Keras model with a trained classifier's weights: uint8 raw pixels -> float32 probabilities.

    The layers are built anew rather than wrapped, because the classifier may compute in half precision, and because all
    views of an image go through them as one batch.
    """
    import keras
    from keras import ops

    with _dtype_policy("float32"):
        pixels = keras.Input(architecture.image_shape, dtype="uint8", name="pixels")
        image = ops.cast(pixels, "float32")
        views = [ops.flip(image, axes) if axes else image for axes in view_axes(architecture.tta)]
        # One large batch: the layers, and so the weights, are in the exported file once.
        scores = _logits(architecture, ops.concatenate(views) if len(views) > 1 else views[0])
        probabilities = keras.layers.Softmax(name="probabilities")(scores)
        if len(views) > 1:
            answers = ops.reshape(probabilities, (len(views), -1, architecture.num_classes))
            probabilities = ops.mean(answers, axis=0)
        predictor = keras.Model(pixels, probabilities, name="predictor")
    predictor.set_weights(classifier.get_weights())
    return predictor


def _logits(architecture: Architecture, pixels: Any) -> Any:
    import keras

    normalize = keras.layers.Rescaling(
        list(architecture.scale), list(architecture.offset), dtype="float32", name="normalization"
    )
    return MODELS.bind_one(architecture.model)(normalize(pixels), architecture.num_classes)


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
