"""Two small convolutional nets for Fashion-MNIST, as entered in a private five-class competition."""

from __future__ import annotations

from typing import Any

from kit.models.catalog import MODELS, Reference
from kit.models.layers import batch_norm, logits
from kit.models.layers import dropout as drop


@MODELS.register
@Reference(image_shape=(28, 28, 1), num_classes=5, trainable_parameters=803_973)
def brief(images: Any, num_classes: int, /, momentum: float = 0.99) -> Any:
    """One convolution of 32 filters and one dense layer of 128 units; ``momentum`` as in ``deeper``."""
    from keras import layers

    x = layers.Conv2D(32, 3, padding="same", activation="relu")(images)  # (batch, 28, 28, 32)
    x = batch_norm(x, momentum)
    x = layers.MaxPooling2D()(x)  # (batch, 14, 14, 32)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    return logits(x, num_classes)


@MODELS.register
@Reference(image_shape=(28, 28, 1), num_classes=5, trainable_parameters=257_029)
def deeper(images: Any, num_classes: int, /, dropout: float = 0.25, momentum: float = 0.99) -> Any:
    """Three convolutions of 32, 64 and 64 filters and one dense layer of 64 units.

    momentum: of the moving averages in batch normalisation. They need some 5 / (1 - momentum) steps to forget
    their initial values: take a lower one for runs of fewer than 1,000 steps.
    """
    from keras import layers

    x = layers.Conv2D(32, 3, padding="same", activation="relu")(images)  # (batch, 28, 28, 32)
    x = layers.MaxPooling2D()(x)
    x = batch_norm(x, momentum)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)  # (batch, 14, 14, 64)
    x = drop(x, dropout)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)  # (batch, 7, 7, 64)
    x = batch_norm(x, momentum)
    x = drop(x, dropout)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    return logits(x, num_classes)
