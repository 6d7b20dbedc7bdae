"""Augmentations that mix two images of a batch and their targets.

Everything is drawn for each image; the published programs draw one ratio and one box a batch. The partners are a
random permutation of the batch, so that every image is a partner once, now and then its own.
"""

from __future__ import annotations

import math
from typing import Any

from kit.errors import RecipeError
from kit.training.augment.catalog import AUGMENTATIONS, Augmentation, check_probability, chosen

LEAST_ALPHA = 1e-6  # which mixes nothing any more; float32 does not hold the exponent of a far smaller one


@AUGMENTATIONS.register
def mixup(alpha: float = 0.2, probability: float = 1.0) -> Augmentation:
    """Blend each image and its target with those of a partner.

    Args:
        alpha: the image's share is drawn from Beta(alpha, alpha): near 0 or 1 if small, near one half if large.
        probability: share of the images that are blended.

    Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv 1710.09412.
    """
    _check("mixup", alpha, probability)

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops

        partner_images, partner_targets = _partners(images, targets, seed)
        share = 1 - symmetric_beta(ops.shape(images)[0], alpha, seed)
        if probability < 1:
            share = ops.where(chosen(images, seed, probability)[:, 0, 0, 0], share, 0.0)
        return blend(images, partner_images, share), blend(targets, partner_targets, share)

    return apply


@AUGMENTATIONS.register
def cutmix(alpha: float = 1.0, probability: float = 1.0) -> Augmentation:
    """Paste a box of a partner into each image, and mix the targets by the pixels that each of the two supplies.

    Args:
        alpha: the share of the image outside the box is drawn from Beta(alpha, alpha), before the box is cut off at
            the border: near 0 or 1 if small, near one half if large.
        probability: share of the images that get a box.

    Yun, Han, Oh, Chun, Choe and Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", ICCV 2019, arXiv 1905.04899.
    """
    _check("cutmix", alpha, probability)

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops, random

        batch, (height, width) = ops.shape(images)[0], images.shape[1:3]
        partner_images, partner_targets = _partners(images, targets, seed)
        ratio = symmetric_beta(batch, alpha, seed)
        centres = random.uniform((2, batch), seed=seed)
        boxes = cut_boxes(ratio, centres, height, width)
        if probability < 1:
            boxes = ops.where(chosen(images, seed, probability)[:, 0, 0], boxes, 0.0)
        share = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (height * width)
        return paste(images, partner_images, boxes), blend(targets, partner_targets, share)

    return apply


def _check(name: str, alpha: float, probability: float) -> None:
    check_probability(name, probability)
    if not alpha >= LEAST_ALPHA:
        raise RecipeError(f"{name}: alpha is {alpha}, expected {LEAST_ALPHA:g} or more, such as 0.2 or 1")


def _partners(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
    """The images and targets of a batch in another order."""
    from keras import ops, random

    order = random.shuffle(ops.arange(ops.shape(images)[0]), seed=seed)
    return ops.take(images, order, axis=0), ops.take(targets, order, axis=0)


def symmetric_beta(batch: Any, alpha: float, seed: Any) -> Any:
    """Draw from Beta(alpha, alpha), to within 1e-7: float32 (batch,), 0..1.

    Student's t with 2 alpha degrees of freedom, by Bailey's polar method ("Polar Generation of Random Variates with
    the t-Distribution", Mathematics of Computation 62, 1994), is t = sqrt(2 alpha (u^(-1/alpha) - 1)) cos(2 pi v),
    and (1 + t / sqrt(2 alpha + t^2)) / 2 has this beta distribution (Devroye, "Random Variate Generation in One
    Line of Code", 1996). Two uniform numbers, no rejection.

    Not ``keras.random.beta``: on TensorFlow XLA cannot compile it, and kit uses XLA on a GPU. On a CPU it takes
    twice as long there, and for an alpha of 0.01 one sample in six is exactly 0.5.
    """
    from keras import ops, random

    uniform, angle = ops.unstack(random.uniform((2, batch), seed=seed), 2)
    cosine = ops.cos(2 * math.pi * angle)
    radius = ops.power(uniform, 1 / alpha)  # becomes 0 for a small alpha, where 1 / radius would overflow
    square = (1 - radius) * cosine**2  # t^2 / (2 alpha + t^2) is square / (radius + square)
    return 0.5 + 0.5 * ops.sign(cosine) * ops.sqrt(square / ops.maximum(radius + square, 1e-30))


def cut_boxes(ratio: Any, centres: Any, height: int, width: int) -> Any:
    """Boxes of area 1 - ratio around a centre, in whole pixels and cut off at the border.

    Args:
        ratio: float32 (batch,), 0..1.
        centres: float32 (2, batch), 0..1 of the height and of the width.

    Returns:
        float32 (batch, 4): top, left, bottom, right; the last two are exclusive.
    """
    from keras import ops

    side = ops.sqrt(1 - ratio)  # of the image's
    edges = [
        ops.clip(ops.floor((centre + sign * side / 2) * size + 0.5), 0, size)
        for sign in (-1, 1)
        for centre, size in zip(ops.unstack(centres, 2), (height, width), strict=True)
    ]
    return ops.stack(edges, axis=1)


def inside(boxes: Any, height: int, width: int) -> Any:
    """Which pixels lie in the boxes: (batch, 4) as from ``cut_boxes`` -> bool (batch, height, width, 1)."""
    from keras import ops

    top, left, bottom, right = ops.unstack(boxes[:, None, :], 4, axis=2)  # (batch, 1)
    row, column = ops.arange(height, dtype="float32"), ops.arange(width, dtype="float32")
    rows = ops.logical_and(row >= top, row < bottom)  # (batch, height)
    columns = ops.logical_and(column >= left, column < right)  # (batch, width)
    return ops.logical_and(rows[:, :, None, None], columns[:, None, :, None])


def paste(images: Any, partners: Any, boxes: Any) -> Any:
    """Images with the boxes taken from their partners.

    images, partners: (batch, height, width, channels); boxes: (batch, 4) as from ``cut_boxes``.
    """
    from keras import ops

    return ops.where(inside(boxes, *images.shape[1:3]), partners, images)


def blend(first: Any, second: Any, share: Any) -> Any:
    """``first`` with ``share`` (batch,) of ``second``. This form keeps ``first`` exactly where the share is 0."""
    from keras import ops

    share = ops.reshape(share, (-1,) + (1,) * (len(first.shape) - 1))
    return first + share * (second - first)
