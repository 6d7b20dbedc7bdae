"""The registry of augmentations, and how a spec of several becomes one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kit.errors import RecipeError
from kit.registry import Registry

Augmentation = Callable[[Any, Any, Any], tuple[Any, Any]]
"""(images, targets, seed) -> (images, targets), of the same shapes and dtypes.

images: float32 (batch, height, width, channels), 0..255.
targets: float32 (batch, classes), each row sums to one.
seed: a ``keras.random.SeedGenerator``, the only source of randomness.
"""

AUGMENTATIONS = Registry("augmentation")
"""Functions (options) -> Augmentation; they check their options and import nothing heavy."""


@AUGMENTATIONS.register
def none() -> Augmentation:
    """Leaves every image as it is."""
    return lambda images, targets, seed: (images, targets)


def augmentation(spec: str) -> Augmentation:
    """One function that applies the stages of a spec such as ``flip|elastic``, left to right."""
    stages: list[Augmentation] = [stage() for stage in AUGMENTATIONS.bind(spec)]

    def apply(images: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        for stage in stages:
            images, targets = stage(images, targets, seed)
        return images, targets

    return apply


def check_probability(name: str, probability: float) -> None:
    if not 0 <= probability <= 1:
        raise RecipeError(f"{name}: probability is {probability}, expected 0 to 1")


def chosen(images: Any, seed: Any, probability: float) -> Any:
    """Draw which images an augmentation applies to: bool (batch, 1, 1, 1)."""
    from keras import ops, random

    return random.uniform((ops.shape(images)[0], 1, 1, 1), seed=seed) < probability
