"""The first steps of a long CIFAR-100 study: a net of dense layers and one with a single convolution."""

from __future__ import annotations

from typing import Any

from kit.models.catalog import MODELS, Reference
from kit.models.layers import dropout as drop
from kit.models.layers import logits


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=439_268)
def baseline(images: Any, num_classes: int, /) -> Any:
    """Three dense layers of 128 units: what can be had without looking at neighbourhoods."""
    from keras import layers

    x = layers.Flatten()(images)
    for _ in range(3):
        x = layers.Dense(128, activation="relu")(x)
    return logits(x, num_classes)


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=818_276)
def conv2d(images: Any, num_classes: int, /) -> Any:
    """One 5x5 convolution of 32 filters and one dense layer of 128 units."""
    from keras import layers

    x = layers.Conv2D(32, 5, activation="relu")(images)  # (batch, 28, 28, 32)
    x = layers.MaxPooling2D()(x)
    x = drop(x, 0.2)
    x = layers.Flatten()(x)  # (batch, 6272)
    x = layers.Dense(128, activation="relu")(x)
    return logits(x, num_classes)
