"""The epochs of a training as TensorBoard shows them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from kit.errors import RecipeError
from kit.training.events import Epoch, Listener


class TensorBoard(Listener):
    """Writes each figure of an epoch into ``directory/fold-<n>``; ``tensorboard --logdir runs`` shows all."""

    def __init__(self, directory: Path) -> None:
        """Raises RecipeError if the package is missing."""
        try:
            from tensorboard.summary import Writer
        except ImportError:
            raise RecipeError("--tensorboard needs the package tensorboard: pip install 'kit[tensorboard]'") from None
        self._open = Writer
        self._directory = directory
        self._writer: Any = None

    def fold_started(self, fold: int, folds_left: int, epochs: int, steps_per_epoch: int) -> None:
        self._writer = self._open(str(self._directory / f"fold-{fold}"))

    def epoch_ended(self, epoch: Epoch) -> None:
        figures = asdict(epoch)
        number = figures.pop("epoch")
        for name, figure in figures.items():
            if figure == figure:  # not a number where no rows are watched
                self._writer.add_scalar(name, figure, step=number)
        self._writer.flush()
