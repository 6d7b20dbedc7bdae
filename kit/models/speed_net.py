"""A plain convolutional net that learns small photographs in minutes, after the CIFAR-10 speed runs."""

from __future__ import annotations

from typing import Any

from kit.errors import RecipeError
from kit.models.catalog import MODELS, Reference
from kit.models.layers import batch_norm, logits
from kit.models.layers import dropout as drop


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=10, trainable_parameters=1_972_802)
def speed_net(
    images: Any,
    num_classes: int,
    /,
    widths: tuple[int, ...] = (64, 256, 256),
    stem: int = 24,
    depth: int = 2,
    dropout: float = 0.0,
    momentum: float = 0.9,
) -> Any:
    """A 2x2 convolution, then a stage for each width: convolution, pooling, further convolutions; maximum over all.

    The shape of the net is that of Jordan, "94% on CIFAR-10 in 3.29 seconds" (arXiv 2404.00498): pooling right after
    the first convolution of a stage makes what follows cheap. Here the first layer learns like all others, and the
    activation is ReLU, which a CPU computes much faster than GELU.

    widths: filters of each stage. stem: filters of the 2x2 convolution. depth: convolutions a stage.
    dropout: before the last layer. momentum: of the moving averages in batch normalisation.
    """
    from keras import layers

    if depth < 1 or not widths or min(*widths, stem) < 1:
        raise RecipeError(f"speed_net: widths {widths}, stem {stem}, depth {depth}: expected whole numbers above 0")

    def convolution(x: Any, filters: int, pooled: bool) -> Any:
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        if pooled:
            x = layers.MaxPooling2D()(x)
        x = batch_norm(x, momentum)
        return layers.Activation("relu")(x)

    x = layers.Conv2D(stem, 2, activation="relu")(images)  # odd sides: 31 -> 15 -> 7 -> 3
    for filters in widths:
        for number in range(depth):
            x = convolution(x, filters, pooled=number == 0)
    x = layers.GlobalMaxPooling2D()(x)  # (batch, widths[-1])
    # Features after a maximum are large, and random weights would begin by contradicting the labels with confidence.
    return logits(drop(x, dropout), num_classes, start="zeros")
