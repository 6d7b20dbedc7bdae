"""What a trainer tells whoever listens; it knows none of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One row of history.csv. Epochs count from 1; an interrupted one has fewer steps."""

    epoch: int
    steps: int
    learning_rate: float  # of the epoch's last step
    loss: float  # mean over the epoch's batches, as augmented
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_score: float  # by the competition's metric
    seconds: float  # training steps alone
    images_per_second: float


class Listener:
    """Override what you want to hear."""

    def fold_started(self, fold: int, folds_left: int, epochs: int, steps_per_epoch: int) -> None:
        """Folds count from 0; ``folds_left`` of them follow this one."""

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        """Epochs and steps count from 1; loss is the epoch's mean so far."""

    def epoch_ended(self, epoch: Epoch) -> None:
        """Weights and history of this epoch are on disk by now."""

    def keep_going(self) -> bool:
        """Asked after every batch; False ends the training there, and what was learned is kept."""
        return True

    def signalled(self) -> int:
        """Asked after every batch; the number of a signal leaves a checkpoint there and ends the process's work."""
        return 0


class Broadcast(Listener):
    """Passes every event on to several listeners; each of them may stop the training."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def fold_started(self, fold: int, folds_left: int, epochs: int, steps_per_epoch: int) -> None:
        for listener in self.listeners:
            listener.fold_started(fold, folds_left, epochs, steps_per_epoch)

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        for listener in self.listeners:
            listener.batch_ended(epoch, step, loss)

    def epoch_ended(self, epoch: Epoch) -> None:
        for listener in self.listeners:
            listener.epoch_ended(epoch)

    def keep_going(self) -> bool:
        answers = [listener.keep_going() for listener in self.listeners]  # everyone is asked
        return all(answers)

    def signalled(self) -> int:
        return max(listener.signalled() for listener in self.listeners)
