"""Residual nets after He et al. (arXiv 1512.03385), as a CIFAR-100 study built them for 32x32 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kit.models.catalog import MODELS, Reference
from kit.models.layers import batch_norm, logits
from kit.models.layers import dropout as drop


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=4_958_180)
def custom_resnet10(images: Any, num_classes: int, /, l2: float = 5e-3, momentum: float = 0.99) -> Any:
    """One residual block a stage; ``l2`` on weights, ``momentum`` of the averages in batch normalisation."""
    return _residual_net(images, num_classes, (1, 1, 1, 1), l2, 0.0, momentum)


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=21_342_692)
def custom_resnet34_dropout(
    images: Any, num_classes: int, /, l2: float = 5e-3, dropout: float = 0.3, momentum: float = 0.99
) -> Any:
    """Stages of 3, 4, 6 and 3 residual blocks, each stage followed by dropout; else as ``custom_resnet10``."""
    return _residual_net(images, num_classes, (3, 4, 6, 3), l2, dropout, momentum)


def _residual_net(
    images: Any, num_classes: int, depths: Sequence[int], l2: float, dropout: float, momentum: float
) -> Any:
    from keras import layers, regularizers

    def convolution(x: Any, filters: int, size: int, stride: int = 1, penalised: bool = True) -> Any:
        penalty = regularizers.L2(l2) if penalised else None
        return layers.Conv2D(filters, size, stride, padding="same", kernel_regularizer=penalty)(x)

    def normalized(x: Any) -> Any:
        return batch_norm(x, momentum)

    def block(x: Any, filters: int, stride: int) -> Any:
        """A strided block has a convolution without normalisation on its shortcut, and one without penalty."""
        shortcut = convolution(x, filters, 1, stride) if stride > 1 else x
        x = layers.Activation("relu")(normalized(convolution(x, filters, 3, stride)))
        x = normalized(convolution(x, filters, 3, penalised=stride == 1))
        return layers.Activation("relu")(layers.Add()([x, shortcut]))

    x = layers.ZeroPadding2D(3)(images)  # (batch, 38, 38, 3)
    x = layers.Activation("relu")(normalized(convolution(x, 64, 7, stride=2)))  # (batch, 19, 19, 64)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)  # (batch, 10, 10, 64)
    for stage, depth in enumerate(depths):
        for number in range(depth):
            x = block(x, 64 * 2**stage, stride=2 if stage and not number else 1)
        x = drop(x, dropout)
    x = layers.AveragePooling2D(2, padding="same")(x)  # (batch, 1, 1, 512)
    return logits(layers.Flatten()(x), num_classes)
