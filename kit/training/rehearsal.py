"""A few real training steps, to tell how long a training will take on this machine."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from kit.data.folds import Fold
from kit.data.images import Images
from kit.training.checkpoints import Standing
from kit.training.events import Epoch, Listener
from kit.training.fold_directory import FoldDirectory
from kit.training.preparation import Task, Training, prepare, set_size, thaw
from kit.training.recipe import Recipe
from kit.training.switches import Switches
from kit.training.trainer import keep, train_epoch
from kit.training.weights import predict_probabilities

WARM_UP = 3  # steps that are not counted: the first compiles, and the next ones find caches and memory cold
FEWEST = 3  # steps that are
SECONDS = 4.0  # to measure steps for, if there is time for more than the fewest
VALIDATION_SECONDS = 1.5


@dataclass(frozen=True)
class Phase:
    """Epochs whose steps cost the same.

    title: what sets them apart from other epochs, such as ``frozen, 16x16``.
    """

    epochs: int
    steps: int  # an epoch
    step_seconds: tuple[float, ...]  # measured, one by one
    title: str = ""

    def epoch_seconds(self, quantile: float) -> float:
        """What an epoch of the phase takes if every step were as the one at this quantile."""
        return self.steps * float(np.quantile(self.step_seconds, quantile))


@dataclass(frozen=True)
class Rehearsal:
    """What was measured of one fold.

    start_seconds: until the first step of each phase ended: building the model, carrying weights, compiling.
    epoch_seconds: what an epoch takes besides its steps: validation, and putting the weights on disk.
    """

    phases: tuple[Phase, ...]
    start_seconds: float
    epoch_seconds: float

    def seconds(self, quantile: float = 0.5, trained: int = 0) -> float:
        """The training of the fold, its last epoch's scoring included, after so many epochs of it."""
        left = [phase for phase in self.phases for _ in range(phase.epochs)][trained:]
        steps = sum(phase.epoch_seconds(quantile) for phase in left)
        return self.start_seconds + steps + (len(left) + 1) * self.epoch_seconds


def rehearse(
    images: Images, fold: Fold, recipe: Recipe, switches: Switches, num_classes: int, number: int = 0
) -> Rehearsal:
    """Train a new model for some steps of each phase, validate on some rows, and leave no file.

    The steps are the trainer's own, so that augmentation, averaging of weights and the reading of the pixels are in
    them. Like ``train_fold`` this sets the global seeds and ends Keras's session.

    Args:
        number: of the fold, for a recipe that carries over the weights of a run.

    Raises:
        KitError: as ``train_fold``.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kit-rehearsal-") as scratch:  # what is timed writes weights
        task = Task(recipe, switches, number, fold, num_classes, FoldDirectory(Path(scratch)))
        training = prepare(images, task, None)
        phases, start_seconds = [], 0.0
        for first, epochs in _alike(recipe):
            watch = _Stopwatch(time.perf_counter() if first else started)
            if first >= recipe.frozen_epochs:
                thaw(training)
            set_size(training, first)
            phases.append(_measured(training, first, epochs, watch))
            start_seconds += watch.first
        return Rehearsal(tuple(phases), start_seconds, _validation_seconds(training) + _keeping_seconds(training))


def _alike(recipe: Recipe) -> Iterator[tuple[int, int]]:
    """Spans of epochs whose steps cost the same: the first of each, and how many there are."""
    first = 0
    for _, span in groupby(range(recipe.planned_epochs), lambda e: (e < recipe.frozen_epochs, recipe.size_in(e))):
        epochs = len(list(span))
        yield first, epochs
        first += epochs


class _Stopwatch(Listener):
    """Stops the time of each step, until there are enough of them."""

    def __init__(self, started: float) -> None:
        self.ends = [started]

    @property
    def first(self) -> float:
        return self.ends[1] - self.ends[0]

    @property
    def steps(self) -> tuple[float, ...]:
        return tuple(np.diff(self.ends[WARM_UP:]).tolist())

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        self.ends.append(time.perf_counter())

    def keep_going(self) -> bool:
        return len(self.steps) < FEWEST or sum(self.steps) < SECONDS


def _measured(training: Training, epoch: int, epochs: int, watch: _Stopwatch) -> Phase:
    while watch.keep_going():  # an epoch may be too short
        train_epoch(training, epoch, Standing(), watch)
    size = training.step.size
    titles = ["frozen"] if epoch < training.task.recipe.frozen_epochs else []
    titles += ["x".join(map(str, size))] if size else []
    return Phase(epochs, training.steps, watch.steps, ", ".join(titles))


def _validation_seconds(training: Training) -> float:
    """The time for all validation rows, from that for some of them."""
    rows = training.task.fold.watched
    if not len(rows):
        return 0.0
    size = training.prediction_batch
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    predict_probabilities(training.classifier, training.images.pixels[batches[0]], True, size)  # compiles
    started, done = time.perf_counter(), 0
    while done < len(batches) and time.perf_counter() - started < VALIDATION_SECONDS:
        predict_probabilities(training.classifier, training.images.pixels[batches[done]], True, size)
        done += 1
    return (time.perf_counter() - started) * len(batches) / done


def _keeping_seconds(training: Training) -> float:
    never = math.nan
    ended = Epoch(1, 1, never, never, never, never, never, never, never, never)
    started = time.perf_counter()
    keep(training, [ended])
    return time.perf_counter() - started
