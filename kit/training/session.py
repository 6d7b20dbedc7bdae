"""Train the folds of a run one after the other, and write what the run as a whole has come to."""

from __future__ import annotations

import logging
import shlex
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from statistics import median
from types import FrameType

from kit.data.images import Images
from kit.errors import Interrupted, RunError
from kit.training.batches import steps_per_epoch
from kit.training.events import Broadcast, Listener
from kit.training.preparation import Task
from kit.training.runs import RunDirectory
from kit.training.summary import LogFile, summarize
from kit.training.trainer import train_fold

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXPORT_SECONDS = 10.0  # that a time limit leaves for each model
logger = logging.getLogger("kit")


def train_run(
    run: RunDirectory, images: Images, tasks: Sequence[Task], listener: Listener, test: Images | None = None
) -> None:
    """Train folds into the directory of a run, which the caller has locked; a listener may end it, and nothing is lost.

    Folds that have ended before are left as they are, and one that was interrupted goes on.

    Args:
        test: the competition's own labelled test images, where there are any.

    Raises:
        RunError: a loss stopped being finite; what was learned before is kept, and the run is marked as failed.
        Interrupted: the listener heard a signal; a checkpoint has been left.
    """
    with LogFile(run.log_file) as log:
        everyone = Broadcast(listener, log)
        left = [task for task in tasks if not task.directory.is_finished]
        for task in tasks:
            if task not in left:  # what a kill left between the scores and the end
                shutil.rmtree(task.directory.checkpoints, ignore_errors=True)
        if left:
            run.discard_derived()  # and once more at the end: a run may be calibrated while it goes on
        try:
            for place, task in enumerate(left):
                if place and not everyone.keep_going():
                    break
                steps = steps_per_epoch(len(task.fold.train), task.recipe.batch_size)
                everyone.fold_started(task.number, len(left) - place - 1, task.recipe.planned_epochs, steps)
                # Part of a training is better than none, and worse than none beside whole ones.
                others = [fold for fold in run.trained_folds() if fold != task.directory]
                train_fold(images, task, everyone, test, score_partial=not others)
        except RunError:
            if run.trained_folds():
                with suppress(RunError):  # what went wrong first is told
                    _write_summary(run, "failed")
            raise
        except Interrupted as stop:
            command = shlex.join(["kit", "train", "--resume", str(run.path)])
            raise Interrupted(stop.number, f"{stop}; go on with: {command}") from None
        if left:
            run.discard_derived()
        _write_summary(run, "complete" if all(task.directory.is_finished for task in tasks) else "interrupted")


def _write_summary(run: RunDirectory, status: str) -> None:
    metrics, out_of_fold = summarize(run, status)
    if out_of_fold:
        run.write_out_of_fold(out_of_fold)
    run.write_metrics(metrics)


class Signals(Listener):
    """Remembers the first Ctrl-C or SIGTERM, and has the training leave a checkpoint; the second ends the process."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        logger.warning("signal %d: ending as soon as nothing is lost; another one ends at once", number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def signalled(self) -> int:
        return self._number


@contextmanager
def signals_heard() -> Iterator[Signals]:
    """While this lasts, the first signal to end is heard by the listener that this yields."""
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield signals
        return
    before = {number: signal.signal(number, signals) for number in SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class TimeLimit(Listener):
    """Ends the training so early that scoring and export fit into the time, too."""

    def __init__(self, deadline: float, rows: int, batch_size: int, models: int) -> None:
        """
        Args:
            deadline: of ``time.monotonic()``.
            rows: that are scored at the end of a fold, or watched; once for each view and each snapshot.
            batch_size: of the training.
            models: that are exported.
        """
        self._deadline, self._rows, self._batch_size = deadline, rows, batch_size
        self._export = EXPORT_SECONDS * models
        self._last: float | None = None
        self._batches: deque[float] = deque(maxlen=25)  # seconds; their median, as a checkpoint may lie between two

    def fold_started(self, fold: int, folds_left: int, epochs: int, steps_per_epoch: int) -> None:
        self._last = None  # the model is built, and the first step compiles

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        now = time.monotonic()
        if self._last is not None and step > 1:  # else a validation lies between
            self._batches.append(now - self._last)
        self._last = now

    def keep_going(self) -> bool:
        # An image takes less to be answered than to be learned from; twice, as what is watched is scored again.
        batch = median(self._batches) if self._batches else 0.0
        scoring = 2 * self._rows / self._batch_size * batch
        return time.monotonic() + scoring + self._export < self._deadline
