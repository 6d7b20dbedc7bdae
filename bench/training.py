"""How fast kit trains, against plain Keras.

The training loop of `kit train`, which is kit/training/trainer.py itself, against `compile` and `fit` with Keras's
defaults on float32 arrays: the same layers (`deeper`), the same optimiser (Adam), the same images, batch 128, no
augmentation, epochs in turn; the first epoch of each is the warm-up. Bound: kit handles at least 1.3 times as many
images per second. A second table backs the rule of kit/training/switches.py: the same loop under each switch.

    python -m bench.training [--pairs 8] [--save]
"""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.inputs import fashion_mnist
from bench.pairs import Report, parser
from kit.cli.quiet import import_keras_quietly
from kit.data.images import Images
from kit.training.events import Epoch, Listener

BATCH_SIZE = 128
STEPS = 100  # an epoch
NUM_CLASSES = 5
VALIDATION_ROWS = 256  # few: validation is not what is measured
SWITCH_STEPS = 40  # of each combination in the second table, of which the first 5 are warm-up
TIME_CAP = 10  # seconds after the first step of a combination


def main() -> None:
    from competitions.fashion_mnist import load_train
    from kit.training.switches import resolve_switches

    options = parser(__doc__, pairs=8).parse_args()
    import_keras_quietly()
    with fashion_mnist() as (scratch, data):
        report = Report("training", "images per second, kit's loop against plain Keras", data)
        switches = resolve_switches("auto")
        report.note("switches that kit resolves here", asdict(switches))
        images = load_train()
        turns = Turns(images)
        _train(images, switches, scratch / "turns", turns, epochs=1 + options.pairs)
        seconds = {"kit": turns.kit[1:], "plain Keras": turns.plain[1:]}
        under = {}
        for precision in ("float32", "bfloat16"):
            for jit_compile in (False, True):
                steps = Steps()
                changed = replace(switches, precision=precision, jit_compile=jit_compile)
                _train(images, changed, scratch / f"{precision}-{jit_compile}", steps, epochs=1)
                under[precision, jit_compile] = steps

    speeds = {side: [STEPS * BATCH_SIZE / elapsed for elapsed in times] for side, times in seconds.items()}
    report.table(
        f"deeper at batch {BATCH_SIZE}, epochs of {STEPS * BATCH_SIZE:,} images",
        ["side", "median images/s", "min", "max"],
        [[side, int(statistics.median(s)), int(min(s)), int(max(s))] for side, s in speeds.items()],
    )
    what = "kit / plain Keras"
    report.ratios("images per second", {what: (speeds["kit"], speeds["plain Keras"])}, at_least={what: 1.3})
    report.table(
        "kit's loop under each switch",
        ["precision", "jit_compile", "images/s at the median step", "steps", "s to first step"],
        [[p, str(j), int(s.images_per_second()), len(s.times), f"{s.times[0]:.1f}"] for (p, j), s in under.items()],
    )
    report.finish(options.save)


def _train(images: Images, switches: Any, path: Path, listener: Listener, epochs: int) -> None:
    """kit's own training of one fold, into a directory that is thrown away."""
    from kit.data.folds import Fold
    from kit.training.fold_directory import FoldDirectory
    from kit.training.preparation import Task
    from kit.training.recipe import Recipe
    from kit.training.trainer import train_fold

    rows = np.arange(STEPS * BATCH_SIZE + VALIDATION_ROWS)
    fold = Fold(rows[:-VALIDATION_ROWS], rows[-VALIDATION_ROWS:], rows[:0])
    like_keras = {"optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant"}  # what compile("adam") means
    recipe = Recipe("fashion_mnist", "deeper", epochs=epochs, batch_size=BATCH_SIZE, **like_keras)
    path.mkdir()
    directory = FoldDirectory(path)
    task = Task(recipe, switches, number=0, fold=fold, num_classes=NUM_CLASSES, directory=directory)
    train_fold(images, task, listener)


class Turns(Listener):
    """After each epoch of kit's, one of plain Keras; both as seconds from epoch begin to epoch end."""

    def __init__(self, images: Images) -> None:
        self.pixels = images.pixels[: STEPS * BATCH_SIZE].astype(np.float32)
        self.labels = images.labels[: STEPS * BATCH_SIZE]  # type: ignore[index]
        self.model: Any = None
        self.kit: list[float] = []
        self.plain: list[float] = []

    def epoch_ended(self, epoch: Epoch) -> None:
        import keras

        self.kit.append(epoch.seconds)
        self.model = self.model or plain_keras(self.pixels.shape[1:])
        marks: list[float] = []
        timer = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: marks.append(time.perf_counter()),
            on_epoch_end=lambda epoch, logs: marks.append(time.perf_counter()),
        )
        self.model.fit(self.pixels, self.labels, batch_size=BATCH_SIZE, shuffle=True, verbose=0, callbacks=[timer])
        self.plain.append(marks[1] - marks[0])


def plain_keras(shape: tuple[int, ...]) -> Any:
    """`deeper` as a notebook writes it."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            layers.Input(shape),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Dropout(0.25),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(NUM_CLASSES, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


class Steps(Listener):
    """Seconds of each step of an epoch that ends early; the first includes building and compiling."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.last = time.perf_counter()

    def batch_ended(self, epoch: int, step: int, loss: float) -> None:
        now = time.perf_counter()
        self.times.append(now - self.last)
        self.last = now

    def keep_going(self) -> bool:
        return len(self.times) < SWITCH_STEPS and sum(self.times[1:]) < TIME_CAP

    def images_per_second(self) -> float:
        return BATCH_SIZE / statistics.median(self.times[5:] or self.times[1:] or self.times)


if __name__ == "__main__":
    main()
