"""Which epoch of a finished or broken history was the best, as it is told; ``control`` chooses while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kit.training.control import higher_is_better


@dataclass(frozen=True)
class BestEpoch:
    """The epoch of a fold that was best on the rows that it was watched by.

    fold: counting from 0. epochs: that it was trained.
    by: score, accuracy or loss of the watched rows; "" where none were watched, and the last epoch stands here.
    loss, accuracy: of the epoch's training batches, as augmented; None where the history has none.
    validation_loss, validation_accuracy, validation_score: on the watched rows, which chose the epoch.
    """

    fold: int
    epoch: int
    epochs: int
    by: str
    loss: float | None
    accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    validation_score: float | None


def best_of_curves(fold: int, curves: Mapping[str, np.ndarray], monitor: str, metric: str) -> BestEpoch:
    """The best epoch of a history that may lack columns and numbers, unlike that of a training which goes on.

    Args:
        curves: of ``FoldDirectory.read_curves``, column -> float (epochs,).
        monitor, metric: of the recipe.
    """
    epochs = len(curves["epoch"])
    nothing = np.full(epochs, np.nan)
    watched = curves.get(f"validation_{monitor}", nothing)
    sign = 1 if higher_is_better(monitor, metric) else -1
    quality = np.where(np.isfinite(watched), sign * watched, -np.inf)
    is_watched = bool(np.isfinite(watched).any())
    best = int(np.argmax(quality)) if is_watched else epochs - 1
    columns = ("loss", "accuracy", "validation_loss", "validation_accuracy", "validation_score")
    values = {name: float(curves.get(name, nothing)[best]) for name in columns}
    return BestEpoch(
        fold=fold,
        epoch=int(curves["epoch"][best]) if np.isfinite(curves["epoch"][best]) else best + 1,
        epochs=epochs,
        by=monitor if is_watched else "",
        **{name: value if np.isfinite(value) else None for name, value in values.items()},
    )
