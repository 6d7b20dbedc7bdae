"""Train the folds of a run one after the other, and write what the run as a whole has come to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from kit.data.images import Images
from kit.errors import RunError
from kit.training.batches import steps_per_epoch
from kit.training.events import Broadcast, Listener
from kit.training.preparation import Task
from kit.training.runs import RunDirectory
from kit.training.summary import LogFile, summarize
from kit.training.trainer import train_fold


def train_run(
    run: RunDirectory, images: Images, tasks: Sequence[Task], listener: Listener, test: Images | None = None
) -> None:
    """Train folds into a run's directory; a listener may end the run early, and what was learned is kept.

    Args:
        test: the competition's own labelled test images, where there are any.

    Raises:
        RunError: a loss stopped being finite; what was learned before is kept, and the run is marked as failed.
    """
    with LogFile(run.log_file) as log:
        everyone = Broadcast(listener, log)
        try:
            for place, task in enumerate(tasks):
                steps = steps_per_epoch(len(task.fold.train), task.recipe.batch_size)
                everyone.fold_started(task.number, len(tasks) - place - 1, task.recipe.epochs, steps)
                train_fold(images, task, everyone, test)
                if not everyone.keep_going():
                    break
        except RunError:
            if run.trained_folds():
                _write_summary(run, "failed")
            raise
        _write_summary(run, "complete" if everyone.keep_going() else "interrupted")


def _write_summary(run: RunDirectory, status: str) -> None:
    metrics, out_of_fold = summarize(run, status)
    if out_of_fold:
        run.write_out_of_fold(out_of_fold)
    run.write_metrics(metrics)


class Interrupt(Listener):
    """Remembers the first Ctrl-C and asks the training to stop; the second one ends the process as usual."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def keep_going(self) -> bool:
        return not self.requested


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """While this lasts, the first Ctrl-C is heard by the listener that this yields."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
