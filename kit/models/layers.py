"""Layers that several families share."""

from __future__ import annotations

import math
from typing import Any

from kit.errors import RecipeError


def logits(features: Any, num_classes: int, penalty: Any = None, start: str = "glorot_uniform") -> Any:
    """The last layer of a classifier: (batch, features) -> float32 (batch, num_classes).

    Always float32: the loss of half-precision logits is too coarse to train on.

    penalty: on the weights. start: Keras initialiser of the weights.
    """
    from keras import layers

    return layers.Dense(
        num_classes, dtype="float32", kernel_initializer=start, kernel_regularizer=penalty, name="logits"
    )(features)


def batch_norm(features: Any, momentum: float) -> Any:
    """Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167); ``momentum`` is of its moving averages."""
    from keras import layers

    if not 0 <= momentum < 1:
        raise RecipeError(f"momentum is {momentum}, expected 0 up to, not including, 1")
    return layers.BatchNormalization(momentum=momentum)(features)


def dropout(features: Any, rate: float) -> Any:
    """Dropout (Srivastava et al., JMLR 15, 2014) that decides by one random byte a number.

    ``keras.layers.Dropout`` draws a float for each number, which on a CPU took a quarter of the training step of
    ``deeper``; four decisions from one random word take less than half of that. The rate becomes the nearest
    256th, and what is kept is scaled to match it.
    """
    import keras
    from keras import ops

    if not 0 <= rate < 1:
        raise RecipeError(f"dropout is {rate}, expected 0 up to, not including, 1")
    threshold = min(round(rate * 256), 255)
    if threshold == 0:
        return features
    scale = 256 / (256 - threshold)

    class ByteDropout(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.generator = keras.random.SeedGenerator()
            self.rate = threshold / 256

        def call(self, inputs: Any, training: bool = False) -> Any:
            if not training:
                return inputs
            batch, size = ops.shape(inputs)[0], math.prod(inputs.shape[1:])
            words = keras.random.randint((batch, -(-size // 4)), -(2**31), 2**31 - 1, "int32", self.generator)
            draws = ops.reshape(ops.view(words, "uint8"), (batch, -1))[:, :size]
            kept = ops.reshape(draws >= threshold, ops.shape(inputs))
            return ops.where(kept, inputs * scale, ops.zeros((), inputs.dtype))

    return ByteDropout()(features)
