"""Augmentations that move whole images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from kit.errors import RecipeError
from kit.training.augment.catalog import AUGMENTATIONS, Augmentation, Ranged, applied_to, check_probability
from kit.training.augment.interpolation import Fill


@AUGMENTATIONS.register
def flip(axis: Literal["horizontal", "vertical"] = "horizontal", probability: float = 0.5) -> Augmentation:
    """Mirror images left to right, or top to bottom."""
    check_probability("flip", probability)
    dimension = {"vertical": 1, "horizontal": 2}[axis]

    def mirror(images: Any) -> Any:
        from keras import ops

        return ops.flip(images, axis=dimension)

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        return applied_to(images, mirror(images), seed, probability), targets

    return Ranged(apply, {f"{axis} flip": mirror})


@AUGMENTATIONS.register
def shift(height: int = 2, width: int = 2, fill: Fill = "nearest", probability: float = 1.0) -> Augmentation:
    """Move each image by a whole number of pixels, up to ``height`` down or up and ``width`` right or left.

    Args:
        height: the most pixels down or up.
        width: the most pixels right or left.
        fill: what is uncovered: the nearest pixel, the image reflected, or black (``constant``).
        probability: share of the images that are moved.
    """
    check_probability("shift", probability)
    if height < 0 or width < 0 or height + width == 0:
        raise RecipeError(f"shift: height is {height} and width {width} pixels, expected 0 or more, not both 0")

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops

        batch = ops.shape(images)[0]
        down, right = (whole_pixels(batch, most, seed) if most else 0 for most in (height, width))
        return applied_to(images, move(images, down, right, fill), seed, probability), targets

    ends = {f"up {height}": (-height, 0), f"down {height}": (height, 0)} if height else {}
    ends |= {f"left {width}": (0, -width), f"right {width}": (0, width)} if width else {}
    return Ranged(apply, {words: _moved_by(*distance, fill) for words, distance in ends.items()}, (height, width))


@AUGMENTATIONS.register
def pad_crop(padding: int = 4, fill: Fill = "constant", probability: float = 1.0) -> Augmentation:
    """Pad each image on every side, and crop a random window of its own size.

    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.

    Args:
        padding: pixels on each side.
        fill: the padding is black (``constant``), the nearest pixel, or the image reflected with its border pixel
            repeated.
        probability: share of the images that are cropped.
    """
    check_probability("pad_crop", probability)
    if padding < 1:
        raise RecipeError(f"pad_crop: padding is {padding} pixels, expected 1 or more")

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops

        batch = ops.shape(images)[0]
        cropped = move(images, whole_pixels(batch, padding, seed), whole_pixels(batch, padding, seed), fill)
        return applied_to(images, cropped, seed, probability), targets

    corners = {
        f"crop {across} {along}": _moved_by(down, right, fill)
        for across, down in (("top", padding), ("bottom", -padding))
        for along, right in (("left", padding), ("right", -padding))
    }
    return Ranged(apply, corners, (padding, padding))


def _moved_by(down: int, right: int, fill: Fill) -> Callable[[Any], Any]:
    return lambda images: move(images, down, right, fill)


def whole_pixels(batch: Any, most: int, seed: Any) -> Any:
    """Draw a distance for each image, from -most to most: int32 (batch, 1)."""
    from keras import random

    return random.randint((batch, 1), -most, most + 1, seed=seed)


def move(images: Any, down: Any, right: Any, fill: Fill) -> Any:
    """Move images by whole pixels, each by its own: down and right are int32 (batch, 1), or 0.

    A gather copies pixels as they are. A product with 0/1 matrices takes as long, and rounds them where a GPU
    multiplies in TF32.
    """
    from keras import ops

    batch = ops.shape(images)[0]
    height, width, channels = images.shape[1:]
    row = ops.arange(height)[None, :] - down  # (batch, height), or (1, height)
    column = ops.arange(width)[None, :] - right
    place = _back_inside(row, height, fill)[:, :, None] * width + _back_inside(column, width, fill)[:, None, :]
    place = place + ops.reshape(ops.arange(batch) * (height * width), (-1, 1, 1))  # (batch, height, width)
    moved = ops.take(ops.reshape(images, (-1, channels)), ops.reshape(place, (-1,)), axis=0)
    moved = ops.reshape(moved, (-1, height, width, channels))
    if fill == "constant":
        covered = (_is_inside(row, height)[:, :, None] & _is_inside(column, width)[:, None, :])[..., None]
        moved = ops.where(covered, moved, 0.0)
    return moved


def _back_inside(index: Any, size: int, fill: Fill) -> Any:
    from keras import ops

    if fill == "reflect":  # d c b a | a b c d | d c b a
        index = ops.mod(index, 2 * size)
        return ops.minimum(index, 2 * size - 1 - index)
    return ops.clip(index, 0, size - 1)


def _is_inside(index: Any, size: int) -> Any:
    return (index >= 0) & (index < size)
