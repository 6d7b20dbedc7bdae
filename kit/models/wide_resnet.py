"""Wide residual nets: few residual blocks with many filters (Zagoruyko and Komodakis, arXiv 1605.07146)."""

from __future__ import annotations

from typing import Any

from kit.errors import RecipeError
from kit.models.catalog import MODELS, Reference
from kit.models.layers import batch_norm, logits
from kit.models.layers import dropout as drop


@MODELS.register
@Reference(image_shape=(32, 32, 3), num_classes=10, trainable_parameters=2_748_890)
def wide_resnet(
    images: Any, num_classes: int, /, depth: int = 16, width: int = 4, dropout: float = 0.0, momentum: float = 0.9
) -> Any:
    """Three stages of residual blocks with 16, 32 and 64 times ``width`` filters; WRN-16-4 unless told otherwise.

    depth: convolutions along the longest way, six a block and stage plus four: 10, 16, 22, 28, ...
    dropout: between the two convolutions of a block. momentum: of the moving averages in batch normalisation.
    """
    from keras import layers

    if depth < 10 or depth % 6 != 4 or width < 1:
        raise RecipeError(
            f"wide_resnet: depth {depth}, width {width}: expected depth 10, 16, 22, ... and width 1 or more"
        )

    def convolution(x: Any, filters: int, size: int = 3, stride: int = 1) -> Any:
        return layers.Conv2D(filters, size, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)

    def activated(x: Any) -> Any:
        return layers.Activation("relu")(batch_norm(x, momentum))

    def block(x: Any, filters: int, stride: int) -> Any:
        before = activated(x)
        changes = stride > 1 or x.shape[-1] != filters
        shortcut = convolution(before, filters, 1, stride) if changes else x
        x = drop(activated(convolution(before, filters, 3, stride)), dropout)
        return layers.Add()([convolution(x, filters), shortcut])

    x = convolution(images, 16)
    for stage in range(3):
        for number in range((depth - 4) // 6):
            x = block(x, 16 * width * 2**stage, stride=2 if stage and not number else 1)
    x = layers.GlobalAveragePooling2D()(activated(x))  # (batch, 64 * width)
    return logits(x, num_classes)
