"""Progress of reading and training: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

from kit.cli.format import percent
from kit.data.progress import progress_told_to
from kit.training.events import Epoch, Listener

SECONDS_BETWEEN_LINES = 5  # of a reading, where there is no terminal


@contextmanager
def reading_shown(stream: TextIO) -> Iterator[None]:
    """While this lasts, the reading of many files shows how far it is."""
    with ExitStack() as stack:
        shown = _Reading(stream, stack)
        with progress_told_to(shown):
            yield


class _Reading:
    """Opens a bar with the first image that is told of: most commands read nothing that takes time."""

    def __init__(self, stream: TextIO, stack: ExitStack, unit: str = "images") -> None:
        self._stream, self._stack, self._unit = stream, stack, unit
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._told: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if not self._stream.isatty():
            if time.monotonic() - self._told.setdefault(what, time.monotonic()) > SECONDS_BETWEEN_LINES:
                self._told[what] = time.monotonic()
                print(f"{what}: {done:,} of {total:,} {self._unit}", file=self._stream, flush=True)
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = self._stack.enter_context(
                Progress(*columns, console=Console(file=self._stream), transient=True)
            )
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done)
        if done >= total:
            self._bar.remove_task(self._tasks.pop(what))
        if not self._tasks:  # two bars on one terminal would draw over each other
            self._stack.pop_all().close()
            self._bar = None


@contextmanager
def line_redrawn(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Shows lines in the place of each other, and none where there is no terminal."""
    shown = stream.isatty()
    yield lambda line: print(f"\r\x1b[K{line}", end="", file=stream, flush=True) if shown else None
    if shown:
        print("\r\x1b[K", end="", file=stream, flush=True)


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


@contextmanager
def steps_shown(stream: TextIO) -> Iterator[Callable[[str, int, int], None]]:
    """While this lasts, steps of what is named are shown as they are told: (what, step, of how many)."""
    with ExitStack() as stack:
        yield _Reading(stream, stack, "steps")


def _epoch_line(epoch: Epoch, epochs: int) -> str:
    watched = ""
    if not math.isnan(epoch.validation_loss):  # else no rows are watched
        watched = f"validation {epoch.validation_loss:.4f} {percent(epoch.validation_accuracy)}  "
    score = (
        ""
        if not watched or epoch.validation_score == epoch.validation_accuracy
        else f"score {epoch.validation_score:.4f}  "
    )
    number = f"{epoch.epoch:>{len(str(epochs))}}/{epochs}"
    return (
        f"epoch {number}  loss {epoch.loss:.4f}  accuracy {percent(epoch.accuracy)}  "
        f"{watched}{score}{epoch.images_per_second:,.0f} images/s"
    )


def _fold_title(fold: int, folds_left: int) -> str:
    return f"fold {fold}, {folds_left} to follow"


class _Lines(Listener):
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def fold_started(self, fold: int, folds_left: int, epochs: int, steps_per_epoch: int) -> None:
        self._epochs, self._folds_left = epochs, folds_left
        self._started, self._first = time.monotonic(), 0
        if folds_left or fold:
            print(_fold_title(fold, folds_left), file=self._stream, flush=True)

    def epoch_ended(self, epoch: Epoch) -> None:
        self._first = self._first or epoch.epoch  # of a run that goes on
        seconds_per_epoch = (time.monotonic() - self._started) / (epoch.epoch - self._first + 1)
        left = seconds_per_epoch * (self._epochs * (1 + self._folds_left) - epoch.epoch)
        print(f"{_epoch_line(epoch, self._epochs)}  {left:.0f} s left", file=self._stream, flush=True)


class _Bar(Listener):
    def __init__(self, progress) -> None:  # type: ignore[no-untyped-def]
        self._progress = progress
        self._task = None

    def fold_started(self, fold: int, folds_left: int, epochs: int, steps_per_epoch: int) -> None:
        self._epochs, self._steps = epochs, steps_per_epoch
        self._title = _fold_title(fold, folds_left) if folds_left or fold else "training"
        steps = epochs * steps_per_epoch
        if self._task is None:
            self._task = self._progress.add_task(self._title, total=steps * (1 + folds_left))
        self._done = self._progress.tasks[0].total - steps * (1 + folds_left)

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        self._progress.update(
            self._task,
            completed=self._done + (epoch - 1) * self._steps + step,
            description=f"{self._title}  epoch {epoch}/{self._epochs}  loss {loss:.4f}",
        )

    def epoch_ended(self, epoch: Epoch) -> None:
        self._progress.console.print(_epoch_line(epoch, self._epochs), highlight=False)
