"""Networks that were trained on ImageNet, with new layers on top: of two competitions, and of any other.

The models are built with random weights; ``kit.models.carry`` fills in those of ImageNet, of a file or of a run.
``train_blocks`` says how many of the network's last blocks train: 0 for none, -1 for all; the others are frozen.
"""

from __future__ import annotations

from typing import Any

from kit.errors import RecipeError
from kit.models.backbones import ALL, application, features, scaled
from kit.models.catalog import MODELS, Backbone, Reference
from kit.models.layers import dropout as drop
from kit.models.layers import logits

SMALLEST_SIDE = 96  # pixels; ImageNet's details are lost on smaller pictures


@MODELS.register
@Backbone("ResNet152")
@Reference(image_shape=(28, 28, 1), num_classes=5, trainable_parameters=2_054_005)
def resnet152_transfer(images: Any, num_classes: int, /, train_blocks: int = 0) -> Any:
    """ResNet-152 (arXiv 1512.03385) on raw pixels, padded to 32 a side; one dense layer of 1,000 units."""
    from keras import layers

    x = features(_padded(_coloured(images), 32), "ResNet152", train_blocks)  # (batch, 1, 1, 2048)
    x = layers.Flatten(name="head_flatten")(x)
    x = layers.Dense(1000, activation="relu", name="head_dense")(x)
    return logits(x, num_classes)


@MODELS.register
@Backbone("VGG16")
@Reference(image_shape=(28, 28, 1), num_classes=5, trainable_parameters=18_903_045)
def vgg16_transfer(images: Any, num_classes: int, /, train_blocks: int = 0, dropout: float = 0.5) -> Any:
    """VGG-16 (arXiv 1409.1556) on raw pixels, padded to 32 a side; two dense layers of 4,096 units."""
    from keras import layers

    x = features(_padded(_coloured(images), 32), "VGG16", train_blocks)  # (batch, 1, 1, 512)
    x = layers.Flatten(name="head_flatten")(x)
    for number in (1, 2):
        x = layers.Dense(4096, activation="relu", name=f"head_dense_{number}")(x)
        x = drop(x, dropout)
    return logits(x, num_classes)


@MODELS.register
@Backbone("VGG16")
@Reference(image_shape=(32, 32, 3), num_classes=10, trainable_parameters=10_117_810)
def vgg16_224(images: Any, num_classes: int, /, train_blocks: int = 0, dropout: float = 0.2, size: int = 224) -> Any:
    """VGG-16 (arXiv 1409.1556) with its own input scaling, on images resized to ``size`` pixels a side."""
    return _with_two_dense_layers(images, num_classes, "VGG16", train_blocks, dropout, size)


@MODELS.register
@Backbone("ResNet50")
@Reference(image_shape=(32, 32, 3), num_classes=10, trainable_parameters=40_223_410)
def resnet50_224(images: Any, num_classes: int, /, train_blocks: int = 0, dropout: float = 0.2, size: int = 224) -> Any:
    """ResNet-50 (arXiv 1512.03385) with its own input scaling, on images resized to ``size`` pixels a side."""
    return _with_two_dense_layers(images, num_classes, "ResNet50", train_blocks, dropout, size)


@MODELS.register
@Backbone("EfficientNetV2B0", normalization="standardize")
@Reference(image_shape=(32, 32, 3), num_classes=100, trainable_parameters=5_986_804)
def efficientnet_v2_b0(images: Any, num_classes: int, /, train_blocks: int = ALL) -> Any:
    """EfficientNetV2-B0 (arXiv 2104.00298) as the recipe normalises its input, all of it trained; global maxima."""
    from keras import layers

    x = features(_padded(_coloured(images), 32), "EfficientNetV2B0", train_blocks)  # (batch, 1, 1, 1280)
    return logits(layers.GlobalMaxPooling2D(name="head_pool")(x), num_classes)


@MODELS.register
@Backbone(option="name")
@Reference(image_shape=(32, 32, 3), num_classes=10, trainable_parameters=12_810)
def backbone(
    images: Any,
    num_classes: int,
    /,
    name: str = "EfficientNetV2B0",
    size: int | None = None,
    train_blocks: int = 0,
    dropout: float = 0.2,
) -> Any:
    """Any network of keras.applications with its own input scaling, global averages and one last layer.

    name: as Keras spells it, or in lower case (resnet50_v2). size: pixels a side; without it, images keep theirs,
    enlarged so that the shorter side has at least 96. dropout: before the last layer.
    """
    from keras import layers

    application(name)  # an unknown name is told before anything else
    height, width = _enlarged(images) if size is None else (size, size)
    x = features(scaled(_resized(_coloured(images), height, width), name), name, train_blocks)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return logits(drop(x, dropout), num_classes)


def _with_two_dense_layers(
    images: Any, num_classes: int, name: str, train_blocks: int, dropout: float, size: int
) -> Any:
    from keras import layers

    x = features(scaled(_resized(_coloured(images), size, size), name), name, train_blocks)
    x = layers.Flatten(name="head_flatten")(x)
    x = drop(layers.Dense(400, activation="relu", name="head_dense_1")(x), dropout)
    x = drop(layers.Dense(200, activation="relu", name="head_dense_2")(x), dropout)
    return logits(x, num_classes)


def _coloured(images: Any) -> Any:
    """Grey images as three equal channels."""
    from keras import layers

    channels = images.shape[-1]
    if channels not in (1, 3):
        raise RecipeError(f"images have {channels} channels: networks of keras.applications take 1 (grey) or 3 (RGB)")
    return images if channels == 3 else layers.Concatenate(dtype="float32", name="coloured")([images] * 3)


def _padded(images: Any, side: int) -> Any:
    """Zeros around images that are smaller than ``side`` pixels."""
    from keras import layers

    missing = [max(side - length, 0) for length in images.shape[1:3]]
    if not any(missing):
        return images
    both = tuple((length // 2, length - length // 2) for length in missing)
    return layers.ZeroPadding2D(both, dtype="float32", name="padded")(images)


def _resized(images: Any, height: int, width: int) -> Any:
    from keras import layers

    if min(height, width) < 1:
        raise RecipeError(f"size is {min(height, width)}, expected pixels a side, such as 96")
    if (height, width) == tuple(images.shape[1:3]):
        return images
    return layers.Resizing(height, width, dtype="float32", name="resized")(images)


def _enlarged(images: Any) -> tuple[int, int]:
    """Height and width with the shorter one at least ``SMALLEST_SIDE``, in the images' proportions."""
    height, width = images.shape[1:3]
    factor = max(1.0, SMALLEST_SIDE / min(height, width))
    return round(height * factor), round(width * factor)
