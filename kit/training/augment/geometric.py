"""Augmentations that move whole images."""

from __future__ import annotations

from typing import Any, Literal

from kit.errors import RecipeError
from kit.training.augment.catalog import AUGMENTATIONS, Augmentation, check_probability, chosen


@AUGMENTATIONS.register
def flip(axis: Literal["horizontal", "vertical"] = "horizontal", probability: float = 0.5) -> Augmentation:
    """Mirror images left to right, or top to bottom."""
    check_probability("flip", probability)
    dimension = {"vertical": 1, "horizontal": 2}[axis]

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops

        flipped = ops.flip(images, axis=dimension)
        return ops.where(chosen(images, seed, probability), flipped, images), targets

    return apply


@AUGMENTATIONS.register
def shift(height: int = 2, width: int = 2, probability: float = 1.0) -> Augmentation:
    """Move each image by a whole number of pixels, up to ``height`` down or up and ``width`` right or left.

    What is uncovered is filled with the nearest pixel of the image.
    """
    check_probability("shift", probability)
    if height < 0 or width < 0 or height + width == 0:
        raise RecipeError(f"shift: height is {height} and width {width} pixels, expected 0 or more, not both 0")

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops

        moved = images
        if height:
            moved = ops.transpose(_move_columns(ops.transpose(moved, (0, 2, 1, 3)), height, seed), (0, 2, 1, 3))
        if width:
            moved = _move_columns(moved, width, seed)
        if probability < 1:
            moved = ops.where(chosen(images, seed, probability), moved, images)
        return moved, targets

    return apply


def _move_columns(images: Any, pixels: int, seed: Any) -> Any:
    """Move along the third dimension, as a product with a 0/1 matrix an image."""
    from keras import ops, random

    width = images.shape[2]
    offset = random.randint((ops.shape(images)[0], 1), -pixels, pixels + 1, seed=seed)
    source = ops.clip(ops.arange(width)[None, :] - offset, 0, width - 1)  # (batch, width)
    pick = ops.one_hot(source, width, dtype=images.dtype)  # (batch, width, width)
    return ops.einsum("bow,bhwc->bhoc", pick, images)
