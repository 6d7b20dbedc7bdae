"""Three small nets for CIFAR-100 within fifteen epochs."""

from __future__ import annotations

from typing import Any, Literal

from kit.models.catalog import MODELS, Reference
from kit.models.layers import batch_norm, logits
from kit.models.layers import dropout as drop

Activation = Literal["relu", "leaky_relu", "tanh"]


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=1_252_068)
def weak_cnn(images: Any, num_classes: int, /, dropout: float = 0.5, momentum: float = 0.99) -> Any:
    """Convolutions of 32 and 64 filters and one dense layer of 512 units, normalised before each activation.

    momentum: of the moving averages in batch normalisation.
    """
    from keras import layers

    def normalized_relu(x: Any) -> Any:
        return layers.Activation("relu")(batch_norm(x, momentum))

    x = normalized_relu(layers.Conv2D(32, 3)(images))  # (batch, 30, 30, 32)
    x = layers.MaxPooling2D()(x)
    x = normalized_relu(layers.Conv2D(64, 3)(x))  # (batch, 13, 13, 64)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)  # (batch, 2304)
    x = normalized_relu(layers.Dense(512)(x))
    return logits(drop(x, dropout), num_classes)


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=1_195_370)
def preactivation_cnn(images: Any, num_classes: int, /, momentum: float = 0.99) -> Any:
    """Three blocks of normalisation, activation, convolution (32, 64, 128 filters), pooling and growing dropout.

    momentum: of the moving averages in batch normalisation.
    """
    from keras import layers

    x = images
    for filters, size, rate in ((32, 5, 0.2), (64, 3, 0.3), (128, 3, 0.4)):
        x = batch_norm(x, momentum)
        x = layers.Activation("relu")(x)
        x = layers.Conv2D(filters, size, padding="same")(x)
        x = layers.MaxPooling2D()(x)
        x = drop(x, rate)
    x = layers.Flatten()(x)  # (batch, 2048)
    x = layers.Dense(512, activation="relu")(x)
    return logits(drop(x, 0.5), num_classes)


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=1_252_068)
def tunable_cnn(
    images: Any,
    num_classes: int,
    /,
    filters: int = 32,
    more_filters: int = 64,
    activation: Activation = "relu",
    slope: float = 0.1,
    units: int = 512,
    dense_activation: Activation = "relu",
    dropout: float = 0.5,
) -> Any:
    """The search space of a Hyperband study: two convolutions and a dense layer of chosen sizes and activations.

    slope: of leaky ReLU below zero.
    """
    from keras import layers

    def activated(x: Any, name: Activation) -> Any:
        return layers.LeakyReLU(slope)(x) if name == "leaky_relu" else layers.Activation(name)(x)

    x = layers.Conv2D(filters, 3, activation="relu")(images)  # (batch, 30, 30, filters)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D()(x)
    x = activated(layers.Conv2D(more_filters, 3)(x), activation)  # (batch, 13, 13, more_filters)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = activated(layers.Dense(units)(x), dense_activation)
    x = layers.BatchNormalization()(x)
    return logits(drop(x, dropout), num_classes)
