"""Progress of a training: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from kit.cli.format import percent
from kit.training.events import Epoch, Listener


@contextmanager
def progress_listener(stream: TextIO) -> Iterator[Listener]:
    """A listener that writes to a stream for as long as the context lasts."""
    if not stream.isatty():
        yield _Lines(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("left"))
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        yield _Bar(progress)


def _epoch_line(epoch: Epoch, epochs: int) -> str:
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}  loss {epoch.loss:.4f}  accuracy {percent(epoch.accuracy)}  "
        f"validation {epoch.validation_loss:.4f} {percent(epoch.validation_accuracy)}  "
        f"{epoch.images_per_second:,.0f} images/s"
    )


class _Lines(Listener):
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def fold_started(self, fold: int, folds: int, epochs: int, steps_per_epoch: int) -> None:
        self._epochs = epochs
        self._started = time.monotonic()
        if folds > 1:
            print(f"fold {fold} of {folds}", file=self._stream, flush=True)

    def epoch_ended(self, epoch: Epoch) -> None:
        left = (time.monotonic() - self._started) / epoch.epoch * (self._epochs - epoch.epoch)
        print(f"{_epoch_line(epoch, self._epochs)}  {left:.0f} s left", file=self._stream, flush=True)


class _Bar(Listener):
    def __init__(self, progress) -> None:  # type: ignore[no-untyped-def]
        self._progress = progress

    def fold_started(self, fold: int, folds: int, epochs: int, steps_per_epoch: int) -> None:
        self._epochs, self._steps = epochs, steps_per_epoch
        title = f"fold {fold} of {folds}" if folds > 1 else "training"
        self._title = title
        self._task = self._progress.add_task(title, total=epochs * steps_per_epoch)

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        self._progress.update(
            self._task,
            completed=(epoch - 1) * self._steps + step,
            description=f"{self._title}  epoch {epoch}/{self._epochs}  loss {loss:.4f}",
        )

    def epoch_ended(self, epoch: Epoch) -> None:
        self._progress.console.print(_epoch_line(epoch, self._epochs), highlight=False)
