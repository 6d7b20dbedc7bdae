"""Model S: a small VGG-like net for CIFAR-10 from image folders, regularised throughout."""

from __future__ import annotations

from typing import Any

from kit.models.catalog import MODELS, Reference
from kit.models.layers import batch_norm, logits
from kit.models.layers import dropout as drop


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=10, trainable_parameters=1_885_578)
def model_s(images: Any, num_classes: int, /, dropout: float = 0.5, momentum: float = 0.99) -> Any:
    """Convolutions of 32, 64 and 128, 128 filters and one dense layer of 512 units, with L1 and L2 penalties.

    momentum: of the moving averages in batch normalisation.
    """
    from keras import layers, regularizers

    def convolution(x: Any, filters: int) -> Any:
        penalty = regularizers.L1L2(1e-5, 1e-4)
        x = layers.Conv2D(filters, 3, activation="relu", kernel_regularizer=penalty)(x)
        return batch_norm(x, momentum)

    x = convolution(images, 32)  # (batch, 30, 30, 32)
    x = convolution(x, 64)  # (batch, 28, 28, 64)
    x = layers.MaxPooling2D()(x)
    x = convolution(x, 128)  # (batch, 12, 12, 128)
    x = convolution(x, 128)  # (batch, 10, 10, 128)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)  # (batch, 3200)
    x = drop(x, dropout)
    x = layers.Dense(512, activation="relu", kernel_regularizer=regularizers.L1L2(1e-3, 1e-2))(x)
    return logits(x, num_classes, regularizers.L1L2(1e-3, 1e-2))
