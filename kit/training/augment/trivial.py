"""TrivialAugment: one operation an image, of a strength of its own, and nothing to tune.

Mueller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021, arXiv 2103.10158.
All of the paper's fourteen operations are there. They are Pillow's, applied to a whole batch at once: every image
passes through the same three steps (moved, blended, looked up in a table), and a step that is not its own leaves its
pixels as they are, up to rounding. Running all fourteen and choosing among the results would take several times as
long.

Departures: strengths are drawn from whole ranges, not from 31 levels; images that move are interpolated, where
the authors took the nearest pixel; translations are shares of the image, the paper's pixels being those of 32x32;
and what Pillow rounds on the way to whole grey levels is not rounded, except where a table is looked up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from kit.training.augment.catalog import AUGMENTATIONS, Augmentation, Ranged, applied_to, check_probability
from kit.training.augment.interpolation import Fill, sample

OPERATIONS = (
    "identity",
    "autocontrast",
    "equalize",
    "rotate",
    "solarize",
    "colour",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
LEVELS = 256  # of grey


@dataclass(frozen=True)
class Space:
    """How far the operations go at full strength; solarize inverts everything then."""

    degrees: float  # rotation
    shear: float  # tangent of the angle
    translation: float  # share of the image
    factor: float  # colour, contrast, brightness and sharpness: from 1 - factor to 1 + factor
    bits: int  # that posterize takes away, of 8


SPACES = {"wide": Space(135.0, 0.99, 1.0, 0.99, 6), "narrow": Space(30.0, 0.3, 10 / 32, 0.9, 4)}


@AUGMENTATIONS.register
def trivial_augment(
    space: Literal["wide", "narrow"] = "wide", fill: Fill = "constant", probability: float = 1.0
) -> Augmentation:
    """Apply one operation to each image: drawn from fourteen, its strength drawn from nothing to the most.

    The operations are identity, autocontrast, equalize, rotate, solarize, colour, posterize, contrast, brightness,
    sharpness, and shear and translate in either direction. Of an image with one channel, colour leaves all as it is;
    shears are about the centre, those of the authors' program about a corner.

    Args:
        space: how far they go: the paper's ``wide``, or ``narrow``, which it took from RandAugment.
        fill: what is uncovered: the nearest pixel, the image reflected, or black (``constant``).
        probability: share of the images that are changed.

    Mueller and Hutter, "TrivialAugment", ICCV 2021, arXiv 2103.10158.
    """
    check_probability("trivial_augment", probability)
    limits = SPACES[space]

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        from keras import ops, random

        batch = ops.shape(images)[0]
        operation = random.randint((batch,), 0, len(OPERATIONS), seed=seed)
        strength = random.uniform((batch,), -1.0, 1.0, seed=seed)
        return applied_to(images, operate(images, operation, strength, limits, fill), seed, probability), targets

    def end(operation: int, strength: float) -> Callable[[Any], Any]:
        from keras import ops

        def change(images: Any) -> Any:
            every = ops.ones((ops.shape(images)[0],))
            return operate(images, ops.cast(operation * every, "int32"), strength * every, limits, fill)

        return change

    return Ranged(apply, {words: end(*place) for words, place in _ends(limits).items()})


def _ends(limits: Space) -> dict[str, tuple[int, float]]:
    """Operations at full strength by a few words: (number of the operation, strength -1 or 1)."""
    turn, far = f"{limits.degrees:g}°", f"{100 * limits.translation:g} %"
    low, high = f"{1 - limits.factor:.2g}", f"{1 + limits.factor:.3g}"
    words = {
        "autocontrast": ("", "autocontrast"),
        "equalize": ("", "equalize"),
        "rotate": (f"rotate {turn} right", f"rotate {turn} left"),
        "solarize": ("", "solarize"),
        "posterize": ("", f"posterize {8 - limits.bits} bits"),
        **{name: (f"{name} {low}", f"{name} {high}") for name in ("colour", "contrast", "brightness", "sharpness")},
        "shear_x": (f"shear left {limits.shear:g}", f"shear right {limits.shear:g}"),
        "shear_y": (f"shear up {limits.shear:g}", f"shear down {limits.shear:g}"),
        "translate_x": (f"left {far}", f"right {far}"),
        "translate_y": (f"up {far}", f"down {far}"),
    }
    return {
        title: (OPERATIONS.index(name), float(sign))
        for name, titles in words.items()
        for sign, title in zip((-1, 1), titles, strict=True)
        if title
    }


def operate(images: Any, operation: Any, strength: Any, limits: Space, fill: Fill) -> Any:
    """Apply to each image its own operation.

    Args:
        images: float32 (batch, height, width, channels), 0..255.
        operation: int32 (batch,), a place in ``OPERATIONS``.
        strength: float32 (batch,), -1..1; the sign matters to operations that have two directions.

    Returns:
        float32, shaped as the images, 0..255.
    """
    from keras import ops

    operation, strength = (ops.reshape(each, (-1, 1, 1, 1)) for each in (operation, strength))

    def only(*names: str) -> Any:
        """The images whose operation is one of these: bool (batch, 1, 1, 1)."""
        chosen = [ops.equal(operation, OPERATIONS.index(name)) for name in names]
        while len(chosen) > 1:
            chosen = [ops.logical_or(chosen[0], chosen[1]), *chosen[2:]]
        return chosen[0]

    images = sample(images, *_places(images, only, strength, limits), fill)
    images = ops.clip(_blended(images, only, 1.0 + limits.factor * strength), 0.0, 255.0)
    return _looked_up(images, only, ops.abs(strength), limits.bits)


def _places(images: Any, only: Any, strength: Any, limits: Space) -> tuple[Any, Any]:
    """Where each pixel of the images comes from: rows and columns, float32 (batch, height, width)."""
    from keras import ops

    def amount(name: str, limit: float) -> Any:
        return ops.where(only(name), limit * strength, 0.0)[..., 0]  # (batch, 1, 1)

    height, width = images.shape[1:3]
    down, right = (amount(f"translate_{axis}", limits.translation) for axis in "yx")
    row = ops.arange(height, dtype="float32")[:, None] - (height - 1) / 2 - down * height
    column = ops.arange(width, dtype="float32")[None, :] - (width - 1) / 2 - right * width
    angle = amount("rotate", math.radians(limits.degrees))
    cosine, sine = ops.cos(angle), ops.sin(angle)
    # An image has one of these motions; of the others the sine and the shears are 0.
    return (
        cosine * row + (sine + amount("shear_y", -limits.shear)) * column + (height - 1) / 2,
        cosine * column - (sine + amount("shear_x", limits.shear)) * row + (width - 1) / 2,
    )


def _blended(images: Any, only: Any, factor: Any) -> Any:
    """Brightness, contrast, colour, sharpness and autocontrast: all are linear in the pixels."""
    from keras import ops

    low, high = (extreme(images, axis=(1, 2), keepdims=True) for extreme in (ops.min, ops.max))  # (batch, 1, 1, c)
    stretch = ops.where(high > low, 255.0 / ops.maximum(high - low, 1e-3), 1.0)
    stretched = ops.logical_and(only("autocontrast"), high > low)
    scale = ops.where(only("brightness", "contrast", "colour"), factor, 1.0)
    scale = ops.where(stretched, stretch, scale)
    grey = _grey(images)
    mean = ops.mean(grey, axis=(1, 2), keepdims=True)
    offset = ops.where(only("contrast"), (1.0 - factor) * mean, 0.0)
    offset = ops.where(stretched, -low * stretch, offset)
    drained = ops.where(only("colour"), 1.0 - factor, 0.0)  # share of the grey image
    smoothed = ops.where(only("sharpness"), 1.0 - factor, 0.0)  # share of the smoothed image
    return scale * images + (offset + drained * grey) + smoothed * _smoothing(images)


def _grey(images: Any) -> Any:
    """Brightness as the eye has it, by ITU-R 601-2: (batch, height, width, 1)."""
    from keras import ops

    if images.shape[3] != 3:
        return ops.mean(images, axis=3, keepdims=True)
    return images[..., :1] * 0.299 + images[..., 1:2] * 0.587 + images[..., 2:] * 0.114


def _smoothing(images: Any) -> Any:
    """What a 3x3 mean in which the middle counts five times would add; Pillow leaves the border as it is."""
    from keras import ops

    rows = images[:, :-2] + images[:, 1:-1] + images[:, 2:]
    box = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return ops.pad(box / 13.0 - images[:, 1:-1, 1:-1] * (9.0 / 13.0), ((0, 0), (1, 1), (1, 1), (0, 0)))


def _looked_up(images: Any, only: Any, strength: Any, bits: int) -> Any:
    """Solarize, posterize and equalize: a table of grey levels for each image and channel."""
    from keras import ops

    batch, channels = ops.shape(images)[0], images.shape[3]
    first = LEVELS * ops.reshape(ops.arange(batch * channels, dtype="int32"), (-1, 1, 1, channels))
    entry = ops.reshape(ops.cast(ops.round(images), "int32") + first, (-1,))  # (pixels,)
    counts = ops.segment_sum(ops.ones_like(entry, dtype="float32"), entry, LEVELS * batch * channels)
    table = _equalizing(ops.reshape(counts, (-1, 1, channels, LEVELS)))

    level = ops.arange(LEVELS, dtype="float32")
    step = ops.power(2.0, ops.round(bits * strength))
    table = ops.where(only("posterize"), ops.floor(level / step) * step, table)
    table = ops.where(only("solarize"), ops.where(level < LEVELS * (1.0 - strength), level, 255.0 - level), table)
    result = ops.reshape(ops.take(ops.reshape(table, (-1,)), entry, axis=0), ops.shape(images))
    return ops.where(only("posterize", "solarize", "equalize"), result, images)


def _equalizing(counts: Any) -> Any:
    """The table that spreads grey levels evenly, from how often each occurs: both float32 (..., 256)."""
    from keras import ops

    until = ops.cumsum(counts, axis=-1)
    total = until[..., -1:]
    step = ops.floor(ops.max(ops.where(until < total, until, 0.0), axis=-1, keepdims=True) / 255.0)
    spread = ops.floor((ops.floor(step / 2.0) + until - counts) / ops.maximum(step, 1.0))
    return ops.where(step > 0, ops.minimum(spread, 255.0), ops.arange(LEVELS, dtype="float32"))
