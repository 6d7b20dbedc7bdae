"""Rotation, zoom, shear and shift by fractions of a pixel.

Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document
Analysis", ICDAR 2003. A stage moves every image by an affine map of its own, about the image's centre, and
interpolates once; ``rotate|zoom`` interpolates, and so blurs, twice, where ``affine`` does once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kit.errors import RecipeError
from kit.training.augment.catalog import AUGMENTATIONS, Augmentation, Ranged, applied_to, check_probability
from kit.training.augment.interpolation import Fill, sample


class Motions(NamedTuple):
    """How each image of a batch is moved, in this order; every field float32 (batch, 1, 1)."""

    factor: Any  # above 1 enlarges
    slant: Any  # radians; the tangent is how many columns right a row moves for each row below the centre
    angle: Any  # radians, counter-clockwise
    down: Any  # pixels
    right: Any  # pixels


@AUGMENTATIONS.register
def rotate(degrees: float = 8.0, fill: Fill = "nearest", probability: float = 1.0) -> Augmentation:
    """Turn each image about its centre.

    Args:
        degrees: the angle is drawn from -degrees to degrees.
        fill: what is uncovered: the nearest pixel, the image reflected, or black (``constant``).
        probability: share of the images that are turned.
    """
    if not 0 < degrees <= 180:
        raise RecipeError(f"rotate: degrees is {degrees}, expected more than 0, at most 180")
    return _moving("rotate", Motions(0.0, 0.0, math.radians(degrees), 0.0, 0.0), fill, probability)


@AUGMENTATIONS.register
def zoom(amount: float = 0.1, fill: Fill = "nearest", probability: float = 1.0) -> Augmentation:
    """Enlarge or shrink each image about its centre, by one factor for both directions.

    Args:
        amount: the factor is drawn from 1 - amount to 1 + amount.
        fill: what is uncovered: the nearest pixel, the image reflected, or black (``constant``).
        probability: share of the images that are zoomed.
    """
    if not 0 < amount < 1:
        raise RecipeError(f"zoom: amount is {amount}, expected more than 0, less than 1")
    return _moving("zoom", Motions(amount, 0.0, 0.0, 0.0, 0.0), fill, probability)


@AUGMENTATIONS.register
def shear(degrees: float = 10.0, fill: Fill = "nearest", probability: float = 1.0) -> Augmentation:
    """Slant each image, as italics do: rows slide sideways, the middle one stays.

    Args:
        degrees: the angle between a slanted and an upright line is drawn from -degrees to degrees.
        fill: what is uncovered: the nearest pixel, the image reflected, or black (``constant``).
        probability: share of the images that are slanted.
    """
    if not 0 < degrees < 90:
        raise RecipeError(f"shear: degrees is {degrees}, expected more than 0, less than 90")
    return _moving("shear", Motions(0.0, math.radians(degrees), 0.0, 0.0, 0.0), fill, probability)


@AUGMENTATIONS.register
def affine(
    rotate: float = 8.0,
    zoom: float = 0.1,
    shear: float = 0.0,
    height: float = 0.0,
    width: float = 0.0,
    fill: Fill = "nearest",
    probability: float = 1.0,
) -> Augmentation:
    """Zoom, slant, turn and shift each image, with one interpolation.

    Args:
        rotate: degrees; see ``rotate``.
        zoom: share; see ``zoom``.
        shear: degrees; see ``shear``.
        height: shift down or up, drawn up to this share of the height.
        width: shift right or left, drawn up to this share of the width.
        fill: what is uncovered: the nearest pixel, the image reflected, or black (``constant``).
        probability: share of the images that are moved.
    """
    valid = 0 <= rotate <= 180 and 0 <= zoom < 1 and 0 <= shear < 90 and 0 <= height <= 1 and 0 <= width <= 1
    if not valid or rotate == zoom == shear == height == width == 0:
        raise RecipeError(
            f"affine: rotate is {rotate}, zoom {zoom}, shear {shear}, height {height}, width {width}; expected "
            "0 or more, not all 0: at most 180 degrees, less than 1, less than 90 degrees, at most 1, at most 1"
        )
    most = Motions(zoom, math.radians(shear), math.radians(rotate), height, width)
    return _moving("affine", most, fill, probability)


def _moving(name: str, most: Motions, fill: Fill, probability: float) -> Augmentation:
    check_probability(name, probability)

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        moved = sample(images, *places(images, draw(images, most, seed)), fill)
        return applied_to(images, moved, seed, probability), targets

    def end(part: int, sign: int) -> Callable[[Any], Any]:
        """Images moved as far as one part of the motions goes, the other parts at rest."""
        shares = np.zeros((len(most), 1, 1, 1), np.float32)
        shares[part] = sign
        return lambda images: sample(images, *places(images, motions(images, most, shares)), fill)

    ends = {words: (part, sign) for part in range(len(most)) if most[part] for words, sign in _words(part, most[part])}
    return Ranged(apply, {words: end(*place) for words, place in ends.items()})


def _words(part: int, limit: float) -> list[tuple[str, int]]:
    """What the two ends of one part of the motions are called."""
    degrees = f"{math.degrees(limit):g}°"
    names = Motions(
        ("zoom {:g}", "zoom {:g}"),
        (f"shear {degrees} left", f"shear {degrees} right"),
        (f"rotate {degrees} right", f"rotate {degrees} left"),
        (f"up {100 * limit:g} %", f"down {100 * limit:g} %"),
        (f"left {100 * limit:g} %", f"right {100 * limit:g} %"),
    )[part]
    return [(words.format(1 + sign * limit), sign) for words, sign in zip(names, (-1, 1), strict=True)]


def draw(images: Any, most: Motions, seed: Any) -> Motions:
    """Draw motions up to ``most``: there the share of a zoom, radians, and the shares of height and width."""
    from keras import ops, random

    return motions(images, most, random.uniform((len(most), ops.shape(images)[0], 1, 1), -1.0, 1.0, seed=seed))


def motions(images: Any, most: Motions, shares: Any) -> Motions:
    """The motions that are these shares, -1..1 (5, batch, 1, 1), of ``most``."""
    factor, slant, angle, down, right = (shares[index] * limit for index, limit in enumerate(most))
    return Motions(1.0 + factor, slant, angle, down * images.shape[1], right * images.shape[2])


def places(images: Any, motions: Motions) -> tuple[Any, Any]:
    """Where each pixel of the moved images comes from: rows and columns, float32 (batch, height, width)."""
    from keras import ops

    middle_row, middle_column = ((size - 1) / 2 for size in images.shape[1:3])
    row = ops.arange(images.shape[1], dtype="float32")[:, None] - middle_row - motions.down
    column = ops.arange(images.shape[2], dtype="float32")[None, :] - middle_column - motions.right
    cosine, sine = ops.cos(motions.angle), ops.sin(motions.angle)
    row, column = cosine * row + sine * column, cosine * column - sine * row  # (batch, height, width)
    column = column - ops.tan(motions.slant) * row
    return row / motions.factor + middle_row, column / motions.factor + middle_column
