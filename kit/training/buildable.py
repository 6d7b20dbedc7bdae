"""Whether a recipe can be trained on images of a shape; settled before any image is read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kit.errors import RecipeError
from kit.models.build import Architecture, build_classifier
from kit.models.carry import is_of_the_head, weighted_layers
from kit.training.augment.catalog import check_reach
from kit.training.fine_tuning import check_weights
from kit.training.memory import out_of_memory_told
from kit.training.optimizers import build_optimizer
from kit.training.preparation import growing
from kit.training.recipe import Recipe


def check_buildable(recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int) -> tuple[int, int]:
    """Build the model and the optimiser, so that a value that they refuse is met before data is read.

    Args:
        image_shape: height, width, channels.

    Returns:
        The numbers of all parameters, and of those that are trained.

    Raises:
        RecipeError: something in the recipe does not fit the images, or the rest of it.
        ModelFileError: its weights cannot be read.
    """
    check_reach(recipe.augment, image_shape)
    check_weights(recipe.weights, recipe.model, recipe.normalization)
    channels = image_shape[-1]
    architecture = Architecture(recipe.model, image_shape, num_classes, (1.0,) * channels, (0.0,) * channels)
    with _refused_by_keras(f"optimizer {recipe.optimizer!r} cannot be had"):
        build_optimizer(recipe.optimizer, recipe.learning_rate, recipe.weight_decay, recipe.clip_norm)
    shape = "x".join(map(str, image_shape))
    with _refused_by_keras(f"model {recipe.model!r} cannot be built for images of {shape}"):
        model = build_classifier(architecture)
    if recipe.progressive:
        _check_growth(recipe, architecture)
    _check_frozen(recipe, weighted_layers(model))
    total, trained = (sum(math.prod(each.shape) for each in some) for some in (model.weights, model.trainable_weights))
    return total, trained


def _check_growth(recipe: Recipe, architecture: Architecture) -> None:
    height, width, channels = architecture.image_shape
    if recipe.sizes[-1] != height:
        raise RecipeError(f"progressive is {recipe.progressive!r}, expected sizes that end in {height}, the images'")
    try:
        build_classifier(growing(architecture))
    except (ValueError, TypeError):  # a size that is None is compared, or calculated with
        raise RecipeError(
            f"model {recipe.model!r} cannot grow with its images: its layers fix their size; take one that ends in "
            "global pooling, such as speed_net"
        ) from None
    width = max(1, round(recipe.sizes[0] * width / height))
    with _refused_by_keras(f"model {recipe.model!r} cannot be built for images of {recipe.sizes[0]}x{width}"):
        build_classifier(replace(architecture, image_shape=(recipe.sizes[0], width, channels)))


def _check_frozen(recipe: Recipe, layers: Sequence[Any]) -> None:
    frozen = sum(not layer.trainable for layer in layers)
    if frozen and recipe.weights == "random":
        raise RecipeError(
            f"{frozen} of the {len(layers)} layers of {recipe.model} are frozen, and would keep their random weights: "
            "name --weights (imagenet, a file or a run), or let all of them train with train_blocks=-1"
        )
    if recipe.frozen_epochs and not any(layer.trainable and not is_of_the_head(layer.name) for layer in layers):
        raise RecipeError(
            f"frozen_epochs is {recipe.frozen_epochs}, but the layers of {recipe.model} stay frozen after them: "
            "say how many of its last blocks train then, such as train_blocks=2, or -1 for all"
        )


@contextmanager
def _refused_by_keras(what: str) -> Iterator[None]:
    try:
        with out_of_memory_told(what, "make it smaller: fewer filters or units, or a smaller image"):
            yield
    except ValueError as error:
        lines = [line.strip() for line in re.sub(r"\x1b\[\d+m", "", str(error)).splitlines() if line.strip()]
        told = [line for line in lines if not line.startswith("Exception encountered")]  # which says nothing
        raise RecipeError(f"{what}: {(told or lines)[0]}") from None
