"""Layers that several families share."""

from __future__ import annotations

from typing import Any


def logits(features: Any, num_classes: int) -> Any:
    """The last layer of a classifier: (batch, features) -> float32 (batch, num_classes).

    Always float32: the loss of half-precision logits is too coarse to train on.
    """
    from keras import layers

    return layers.Dense(num_classes, dtype="float32", name="logits")(features)
