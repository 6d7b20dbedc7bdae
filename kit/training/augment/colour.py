"""Augmentations of brightness, contrast and colour. Results are clipped to 0..255."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kit.errors import RecipeError
from kit.training.augment.catalog import AUGMENTATIONS, Augmentation, Ranged, applied_to, check_probability


@AUGMENTATIONS.register
def brightness(amount: float = 0.1, probability: float = 1.0) -> Augmentation:
    """Multiply the pixels of each image by a factor.

    Args:
        amount: the factor is drawn from 1 - amount to 1 + amount.
        probability: share of the images that are changed.
    """
    return _by_factor("brightness", amount, lambda images, factor: images * factor, probability)


@AUGMENTATIONS.register
def contrast(amount: float = 0.1, probability: float = 1.0) -> Augmentation:
    """Multiply the distance of each pixel from its image's mean by a factor.

    The mean is one number an image, over all of its channels, so that a cast of colour is strengthened or weakened
    with the rest.

    Args:
        amount: the factor is drawn from 1 - amount to 1 + amount.
        probability: share of the images that are changed.
    """

    def change(images: Any, factor: Any) -> Any:
        from keras import ops

        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return mean + (images - mean) * factor

    return _by_factor("contrast", amount, change, probability)


@AUGMENTATIONS.register
def pca_colour(deviation: float = 0.1, probability: float = 1.0) -> Augmentation:
    """Add to each image one random colour along the principal components of the batch's colours.

    Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NeurIPS 2012,
    section 4.1. Two departures. The components are those of the batch at hand, not of the data set: no image that is
    scored has a part in them, and no state is fitted, saved or resumed. And a component is scaled by its standard
    deviation, in pixels; the paper's eigenvalue is a variance, whose effect depends on whether white is 1 or 255.
    An image with one channel becomes brighter or darker.

    Args:
        deviation: standard deviation of what is added, as a share of the standard deviation of the colours.
        probability: share of the images that are changed.
    """
    if not 0 < deviation <= 100:
        raise RecipeError(f"pca_colour: deviation is {deviation}, expected more than 0, at most 100")

    def change(images: Any, seed: Any) -> Any:
        from keras import ops, random

        batch, channels = ops.shape(images)[0], images.shape[3]
        shares = random.normal((batch, channels), stddev=deviation, seed=seed)
        return images + ops.reshape(ops.matmul(shares, colour_root(images)), (-1, 1, 1, channels))

    return _clipped("pca_colour", change, probability)


def colour_root(images: Any) -> Any:
    """The symmetric square root of the covariance of all pixels' colours: float32 (channels, channels).

    A product of independent normal numbers with it has the distribution of the paper's sum over components, and does
    not depend on the components' signs, which every backend chooses for itself.
    """
    from keras import ops

    colours = ops.reshape(images, (-1, images.shape[3]))  # (pixels, channels)
    colours = colours - ops.mean(colours, axis=0)
    covariance = ops.matmul(ops.transpose(colours), colours) / ops.cast(ops.shape(colours)[0], "float32")
    variances, components = ops.linalg.eigh(covariance)  # (channels,), (channels, channels): a column a component
    return ops.matmul(components * ops.sqrt(ops.maximum(variances, 0.0)), ops.transpose(components))


def _by_factor(name: str, amount: float, change: Callable[[Any, Any], Any], probability: float) -> Augmentation:
    """An augmentation from ``change``: (images, factor) -> images of any range."""
    if not 0 < amount <= 1:
        raise RecipeError(f"{name}: amount is {amount}, expected more than 0, at most 1")

    def draw(images: Any, seed: Any) -> Any:
        from keras import ops, random

        factors = random.uniform((ops.shape(images)[0], 1, 1, 1), 1.0 - amount, 1.0 + amount, seed=seed)
        return change(images, factors)

    def end(factor: float) -> Callable[[Any], Any]:
        return lambda images: _clip(change(images, factor))

    ends = {f"{name} {factor:g}": end(factor) for factor in (1 - amount, 1 + amount)}
    return Ranged(_clipped(name, draw, probability), ends)


def _clipped(name: str, change: Any, probability: float) -> Augmentation:
    """An augmentation from ``change``: (images, seed) -> images of any range."""
    check_probability(name, probability)

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        return applied_to(images, _clip(change(images, seed)), seed, probability), targets

    return apply


def _clip(images: Any) -> Any:
    from keras import ops

    return ops.clip(images, 0.0, 255.0)
