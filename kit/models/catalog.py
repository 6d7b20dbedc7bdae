"""The registry of models, and the facts that each states about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from kit.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])

MODELS = Registry("model")
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
