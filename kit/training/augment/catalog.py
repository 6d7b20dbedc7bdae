"""The registry of augmentations, and how a spec of several becomes one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kit.errors import RecipeError
from kit.registry import Registry, parse_spec

Augmentation = Callable[[Any, Any, Any], tuple[Any, Any]]
"""(images, targets, seed) -> (images, targets), of the same shapes and dtypes.

images: float32 (batch, height, width, channels), 0..255.
targets: float32 (batch, classes), each row sums to one.
seed: a ``keras.random.SeedGenerator``, the only source of randomness.
"""


@dataclass(frozen=True)
class Ranged:
    """An augmentation that can also be shown at the ends of what it draws, as ``kit preview --extremes`` does.

    extremes: images -> images by a few words, such as ``brightness 0.9``. They call the functions that ``draw`` calls
    with what it drew, so that what is shown is what a training can get.

    reach: the most pixels down or up, and right or left, that it moves an image by.
    """

    draw: Augmentation
    extremes: Mapping[str, Callable[[Any], Any]]
    reach: tuple[int, int] = (0, 0)

    def __call__(self, images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        return self.draw(images, targets, seed)


AUGMENTATIONS = Registry("augmentation", "kit.training.augment")
"""Functions (options) -> Augmentation; they check their options and import nothing heavy."""


@AUGMENTATIONS.register
def none() -> Augmentation:
    """Leaves every image as it is."""
    return lambda images, targets, seed: (images, targets)


def augmentation(spec: str) -> Augmentation:
    """One function that applies the stages of a spec such as ``flip|elastic``, left to right."""
    stages = augmentation_stages(spec)

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        for _, stage in stages:
            images, targets = stage(images, targets, seed)
        return images, targets

    return apply


def augmentation_stages(spec: str) -> list[tuple[str, Augmentation]]:
    """The stages of a spec with their names, left to right."""
    names = [stage.name for stage in parse_spec(spec)]
    return [(name, stage()) for name, stage in zip(names, AUGMENTATIONS.bind(spec), strict=True)]


def check_reach(spec: str, image_shape: tuple[int, int, int]) -> None:
    """Refuse a spec that would move images of (height, width, channels) out of their own frame.

    Raises:
        RecipeError: so it is.
    """
    height, width, _ = image_shape
    for name, stage in augmentation_stages(spec):
        down, right = stage.reach if isinstance(stage, Ranged) else (0, 0)
        if down >= height or right >= width:
            raise RecipeError(
                f"augment {spec!r}: {name} moves images by up to {down} pixels down and {right} right, expected fewer "
                f"than the {height}x{width} that they have"
            )


def applied_to(images: Any, changed: Any, seed: Any, probability: float) -> Any:
    """``changed`` for a random share of the images, the others as they were."""
    from keras import ops

    return changed if probability >= 1 else ops.where(chosen(images, seed, probability), changed, images)


def check_probability(name: str, probability: float) -> None:
    if not 0 <= probability <= 1:
        raise RecipeError(f"{name}: probability is {probability}, expected 0 to 1")


def chosen(images: Any, seed: Any, probability: float) -> Any:
    """Draw which images an augmentation applies to: bool (batch, 1, 1, 1)."""
    from keras import ops, random

    return random.uniform((ops.shape(images)[0], 1, 1, 1), seed=seed) < probability
