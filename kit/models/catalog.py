"""The registry of models, and the facts that each states about itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from kit.errors import RecipeError
from kit.registry import Registry, option_parameters, parse_spec

F = TypeVar("F", bound=Callable[..., Any])

MODELS = Registry("model", "kit.models")
"""Functions (images, num_classes, /, options) -> logits, from and to symbolic Keras tensors:
float (batch, height, width, channels), already normalised -> float32 (batch, num_classes)."""


@dataclass(frozen=True)
class Reference:
    """The setting in which a model was published, and its size there, which a test compares with the model."""

    image_shape: tuple[int, int, int]  # (height, width, channels)
    num_classes: int
    trainable_parameters: int

    def __call__(self, model: F) -> F:
        """Attach these facts to a model function."""
        model.reference = self  # type: ignore[attr-defined]
        return model


@dataclass(frozen=True)
class Backbone:
    """Says that a model stands on a network of ``keras.applications``, for which there are weights of ImageNet.

    name: as Keras spells it, or empty where the model's ``option`` says it.
    normalization: spec of what its pixels must have gone through; most scale raw ones (0..255) themselves.
    """

    name: str = ""
    option: str = ""
    normalization: str = "none"

    def __call__(self, model: F) -> F:
        """Attach this fact to a model function."""
        model.backbone = self  # type: ignore[attr-defined]
        return model


def imagenet_backbone(model: str) -> str:
    """The network of ``keras.applications`` that the model of a spec stands on.

    Raises:
        RecipeError: it stands on none; the message says which models do.
    """
    MODELS.bind_one(model)
    (spec,) = parse_spec(model)
    fact = getattr(MODELS[spec.name], "backbone", None)
    if fact is None:
        able = [name for name in MODELS.names() if hasattr(MODELS[name], "backbone")]
        raise RecipeError(
            f"there are no ImageNet weights for the model {spec.name!r}: expected one of {', '.join(able)}"
        )
    if fact.name:
        return fact.name
    options = option_parameters(MODELS[spec.name])
    bound = inspect.Signature(options).bind(*spec.args, **spec.kwargs)
    bound.apply_defaults()
    return bound.arguments[fact.option]
