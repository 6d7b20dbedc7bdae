"""What a training step minimises: one number for each image, from its target and its logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kit.errors import RecipeError
from kit.registry import Registry

Loss = Callable[[Any, Any], Any]
"""(targets, logits) -> float32 (batch,); targets float32 (batch, classes), rows sum to one, or to a weight.

Written out, as Keras's own are wrong here: TensorFlow's cross-entropy has the slope of targets that sum to one, and the
focal one has none where the true class has less than 1e-7, where it should be steepest.
"""

LOSSES = Registry("loss")
"""Functions (options) -> Loss; they check their options and import nothing heavy."""


@LOSSES.register
def crossentropy() -> Loss:
    """Cross-entropy between target and predicted probabilities."""

    def loss(targets: Any, logits: Any) -> Any:
        from keras import ops

        return -ops.sum(targets * ops.log_softmax(ops.cast(logits, "float32")), axis=-1)

    return loss


@LOSSES.register
def focal(gamma: float = 2.0) -> Loss:
    """Cross-entropy times (1 - probability) ** gamma: easy images count for less (Lin et al., arXiv 1708.02002)."""
    if not 0 <= gamma < float("inf"):
        raise RecipeError(f"focal: gamma is {gamma}, expected 0 or more")

    def loss(targets: Any, logits: Any) -> Any:
        from keras import ops

        logs = ops.log_softmax(ops.cast(logits, "float32"))
        others = ops.maximum(-ops.expm1(logs), 1e-7)  # 1 - probability; at 0 a power below 1 has no slope
        return -ops.sum(targets * others**gamma * logs, axis=-1)

    return loss


def smoothed(targets: Any, share: float) -> Any:
    """Spread a share of each target evenly over all classes (Szegedy et al., arXiv 1512.00567, section 7)."""
    from keras import ops

    return targets * (1.0 - share) + share * ops.mean(targets, axis=-1, keepdims=True) if share else targets


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The weight of each class that makes all classes count the same: float32 (classes,), mean one over the rows.

    A class without rows gets the weight zero; nothing will ask for it.
    """
    counts = np.bincount(labels, minlength=num_classes)
    present = np.count_nonzero(counts)
    return np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 0.0).astype(np.float32)
