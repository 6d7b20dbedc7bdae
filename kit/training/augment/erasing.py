"""Augmentations that take a part of an image away."""

from __future__ import annotations

import math
from typing import Any, Literal

from kit.errors import RecipeError
from kit.training.augment.catalog import AUGMENTATIONS, Augmentation, check_probability, chosen
from kit.training.augment.mixing import paste


@AUGMENTATIONS.register
def erase(
    area: tuple[float, float] = (0.02, 0.33),
    aspect: tuple[float, float] = (0.3, 3.3),
    fill: Literal["noise", "black", "mean"] = "noise",
    probability: float = 0.5,
) -> Augmentation:
    """Fill a random box of an image, which lies wholly inside it.

    Args:
        area: share of the image's pixels in the box, drawn from this range.
        aspect: the box's height divided by its width in pixels, drawn from this range on a logarithmic scale, so
            that tall and wide boxes are equally likely in (1 / a, a). Where the box would not fit the image, the
            nearest aspect that does is taken; the paper draws again.
        fill: ``noise``, uniform for each pixel and channel; ``black``, 0; or ``mean``, the image's own, a channel.
        probability: share of the images that are changed.

    Zhong, Zheng, Kang, Li and Yang, "Random Erasing Data Augmentation", AAAI 2020, arXiv 1708.04896.
    """
    check_probability("erase", probability)
    if not 0 < area[0] <= area[1] <= 1:
        raise RecipeError(f"erase: area is {area}, expected 0 < area[0] <= area[1] <= 1, as shares of the image")
    if not 0 < aspect[0] <= aspect[1] < math.inf:
        raise RecipeError(f"erase: aspect is {aspect}, expected 0 < aspect[0] <= aspect[1], as height / width")

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops, random

        height, width = images.shape[1:3]
        draws = random.uniform((4, ops.shape(images)[0]), seed=seed)
        share = area[0] + (area[1] - area[0]) * draws[0]
        ratio = aspect[0] * ops.power(aspect[1] / aspect[0], draws[1])
        boxes = inner_boxes(share, ratio, draws[2:], height, width)
        if probability < 1:
            boxes = ops.where(chosen(images, seed, probability)[:, 0, 0], boxes, 0.0)
        return paste(images, _filling(images, fill, seed), boxes), targets

    return apply


def inner_boxes(share: Any, aspect: Any, places: Any, height: int, width: int) -> Any:
    """Boxes of whole pixels inside an image, of at least one pixel.

    Args:
        share: float32 (batch,), 0..1, of the image's pixels.
        aspect: float32 (batch,), height divided by width in pixels; clipped to what fits.
        places: float32 (2, batch), 0 to below 1: from topmost to lowest, from leftmost to rightmost.

    Returns:
        float32 (batch, 4): top, left, bottom, right; the last two are exclusive.
    """
    from keras import ops

    aspect = ops.clip(aspect, share * height / width, height / width / share)
    pixels = share * (height * width)
    sides = [ops.sqrt(pixels * aspect), ops.sqrt(pixels / aspect)]
    starts, ends = [], []
    for side, place, size in zip(sides, ops.unstack(places, 2), (height, width), strict=True):
        side = ops.clip(ops.floor(side + 0.5), 1, size)
        starts.append(ops.floor(place * (size - side + 1)))
        ends.append(starts[-1] + side)
    return ops.stack(starts + ends, axis=1)


def _filling(images: Any, fill: str, seed: Any) -> Any:
    """What shows in the boxes, of the images' shape or one that broadcasts to it."""
    from keras import ops, random

    if fill == "noise":
        return random.uniform(ops.shape(images), 0.0, 255.0, seed=seed)
    if fill == "mean":
        return ops.mean(images, axis=(1, 2), keepdims=True)
    return ops.zeros_like(images)
