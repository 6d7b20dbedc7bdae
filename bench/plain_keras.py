"""``model_s`` by its notebook's recipe, in kit and in plain Keras: whether they learn the same.

Both are float32, train on the same rows, stop and choose the epoch by the same validation rows, and are scored on the
official test images. They train at once, each in a process and on half of the cores of its own. Needs CIFAR-10 in
``KIT_DATA``; with all rows and 40 epochs on two cores a seed takes more than two hours.

    python -m bench.plain_keras [--rows 40000] [--epochs 40] [--seeds 0 1] [--save]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.pairs import Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.data.folds import Fold
    from kit.data.images import Images
    from kit.training.recipe import Recipe

    Score = tuple[float, int, float]  # accuracy on the validation rows, epochs until it stopped, on the test images
    Side = Callable[[Images, Images, Fold, Recipe], Score]


def main() -> None:
    from competitions import open_competition
    from kit.data.folds import make_split
    from kit.training.recipe import Recipe

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=40_000, help="to train on, at most so many")
    options.add_argument("--epochs", type=int, default=40, help="at most; by default 40, as the notebook")
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="by default 0 1")
    options.add_argument("--save", action="store_true", help="write bench/results/plain_keras.json")
    asked = options.parse_args()
    competition = open_competition("cifar10", None)
    images, test = competition.load_train(), competition.load_test()
    fields = competition.recipes["model_s"]  # on folders by theirs, on other files 80/20
    recipe = Recipe(**{**fields, "competition": "cifar10", "epochs": asked.epochs, "precision": "float32"})
    (fold,) = make_split(recipe.split).make_folds(images, 0)
    fold = replace(fold, train=np.random.default_rng(0).permutation(fold.train)[: asked.rows])
    rows = f"{len(fold.train):,} training, {len(fold.watched):,} validation and {len(test):,} test images of CIFAR-10"
    report = Report("plain_keras", "model_s by the notebook's recipe", rows)
    sides = {"kit": _kit, "plain Keras": _plain}
    halves = _halves()
    table = []
    for seed in asked.seeds:
        # A process each: Keras keeps state, and the cores that TensorFlow finds at its start are those it uses.
        with ProcessPoolExecutor(len(sides), multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
            trainings = {
                name: pool.submit(_timed, side, half, images, test, fold, replace(recipe, seed=seed))
                for (name, side), half in zip(sides.items(), halves, strict=True)
            }
            for name, training in trainings.items():
                (best, epochs, accuracy), seconds = training.result()
                table.append([name, seed, epochs, f"{100 * best:.2f}", f"{100 * accuracy:.2f}", f"{seconds:.0f}"])
                print(*table[-1], flush=True)
    report.table("epoch of the lowest validation loss", ["by", "seed", "epochs", "validation", "test", "s"], table)
    report.finish(asked.save)


def _halves() -> tuple[set[int], set[int]]:
    """The cores of either side: the same for both where there is one, or where no process can be kept on some."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    half = len(cores) // 2
    return (set(cores[:half]), set(cores[half : 2 * half]))


def _timed(side: Side, cores: set[int], *given: Any) -> tuple[Score, float]:
    if cores:
        os.sched_setaffinity(0, cores)
    started = time.perf_counter()
    return side(*given), time.perf_counter() - started


def _kit(images: Images, test: Images, fold: Fold, recipe: Recipe) -> Score:
    from kit.training.events import Epoch, Listener
    from kit.training.fold_directory import FoldDirectory
    from kit.training.preparation import Task
    from kit.training.switches import resolve_switches
    from kit.training.trainer import train_fold

    class Progress(Listener):
        def epoch_ended(self, epoch: Epoch) -> None:
            print(
                f"kit {epoch.epoch}: validation {epoch.validation_loss:.4f}, {epoch.validation_accuracy:.4f}",
                flush=True,
            )

    with tempfile.TemporaryDirectory() as scratch:
        task = Task(recipe, resolve_switches("float32"), 0, fold, 10, FoldDirectory(Path(scratch)))
        scores = train_fold(images, task, Progress(), test)
    assert scores is not None  # noqa: S101  nothing ends it early
    return scores["validation"]["accuracy"], scores["epochs"], scores["test"]["accuracy"]


def _plain(images: Images, test: Images, fold: Fold, recipe: Recipe) -> Score:
    """As a notebook writes it."""
    import keras
    import tensorflow as tf
    from keras import layers, regularizers

    keras.backend.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    weak, strong = regularizers.L1L2(1e-5, 1e-4), regularizers.L1L2(1e-3, 1e-2)
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255)])
    for pair in ((32, 64), (128, 128)):
        for filters in pair:
            model.add(layers.Conv2D(filters, 3, activation="relu", kernel_regularizer=weak))
            model.add(layers.BatchNormalization())
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(512, activation="relu", kernel_regularizer=strong))
    model.add(layers.Dense(10, activation="softmax", kernel_regularizer=strong))
    model.compile(keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    with tempfile.TemporaryDirectory() as scratch:
        best = f"{scratch}/best.weights.h5"
        ended = [
            keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=4),
            keras.callbacks.EarlyStopping(patience=8),
            keras.callbacks.ModelCheckpoint(best, save_best_only=True, save_weights_only=True),
        ]
        validation = images.pixels[fold.watched], images.labels[fold.watched]  # type: ignore[index]
        train = (images.pixels[fold.train], images.labels[fold.train])  # type: ignore[index]
        # fit would deal the same batches every epoch after set_random_seed.
        batches = tf.data.Dataset.from_tensor_slices(train).shuffle(len(fold.train), recipe.seed).batch(32)
        history = model.fit(
            batches,
            shuffle=False,  # the data set does that
            epochs=recipe.epochs,
            validation_data=validation,
            validation_batch_size=256,
            callbacks=ended,
            verbose=2,
        )
        model.load_weights(best)
    scores = [model.evaluate(*rows, batch_size=256, verbose=0)[1] for rows in (validation, (test.pixels, test.labels))]
    return scores[0], len(history.epoch), scores[1]


if __name__ == "__main__":
    main()
