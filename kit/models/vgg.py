"""Stacks of 3x3 convolutions, after Simonyan and Zisserman (arXiv 1409.1556), scaled to 32x32 pixels."""

from __future__ import annotations

from typing import Any

from kit.models.catalog import MODELS, Reference
from kit.models.layers import batch_norm, logits
from kit.models.layers import dropout as drop


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=2_002_372)
def custom_vgg(
    images: Any, num_classes: int, /, l1: float = 0.0, l2: float = 0.0, dropout: float = 0.3, momentum: float = 0.99
) -> Any:
    """Blocks of 2, 2, 3 and 3 convolutions with 32, 64, 128 and 256 filters, each block normalised at its end.

    l1, l2: penalties on the convolutions' weights. momentum: of the moving averages in batch normalisation.
    """
    from keras import layers, regularizers

    x = images
    for depth, filters in ((2, 32), (2, 64), (3, 128), (3, 256)):
        for _ in range(depth):
            penalty = regularizers.L1L2(l1, l2)
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_regularizer=penalty)(x)
        x = batch_norm(x, momentum)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)  # (batch, 256)
    x = layers.Dense(256, activation="relu")(x)
    return logits(drop(x, dropout), num_classes)


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=15_038_116)
def custom_vgg16(
    images: Any, num_classes: int, /, l2: float = 5e-4, dense_l2: float = 5e-4, momentum: float = 0.99
) -> Any:
    """VGG-16 with normalisation and dropout after its convolutions, and one dense layer of 512 units.

    l2, dense_l2: penalties on the weights of the convolutions and of the dense layer.
    momentum: of the moving averages in batch normalisation.
    """
    from keras import layers, regularizers

    x = images
    # Filters, and the dropout after each convolution of the block.
    for filters, rates in (
        (64, (0.3, 0)),
        (128, (0.4, 0)),
        (256, (0.4, 0.4, 0)),
        (512, (0.4, 0.4, 0)),
        (512, (0.4, 0.4, 0)),
    ):
        for rate in rates:
            penalty = regularizers.L2(l2)
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_regularizer=penalty)(x)
            x = batch_norm(x, momentum)
            x = drop(x, rate)
        x = layers.MaxPooling2D()(x)
    x = drop(x, 0.5)
    x = layers.GlobalAveragePooling2D()(x)  # (batch, 512)
    x = layers.Dense(512, activation="relu", kernel_regularizer=regularizers.L2(dense_l2))(x)
    x = batch_norm(x, momentum)
    return logits(drop(x, 0.5), num_classes)
