"""Train one fold: images and a recipe in; weights, history, probabilities and scores out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from kit.data.duplicates import row_keys
from kit.data.images import Images
from kit.errors import RunError
from kit.scoring.metrics import make_metric, mean_log_loss, score
from kit.training.batches import epoch_batches
from kit.training.control import PLATEAUS, best_epoch, epochs_without_progress, quality
from kit.training.events import Epoch, Listener
from kit.training.preparation import Task, Training, labels_of, prepare, thaw
from kit.training.recipe import Recipe
from kit.training.weights import load_predictor, predict_probabilities, save_weights

logger = logging.getLogger("kit")


def train_fold(images: Images, task: Task, listener: Listener, test: Images | None = None) -> dict[str, Any]:
    """Train a fold and write its files; the result depends on the arguments alone.

    Args:
        test: the competition's own labelled test images, which are scored if the fold holds out no test rows.

    Sets the global seeds of Python, NumPy and Keras, and ends Keras's session: models built before are detached.

    Returns:
        What is in the fold's scores.json: scores of the validation and test rows, the best epoch, sizes and times.

    Raises:
        RunError: the loss stopped being finite; the epochs before that are scored and kept.
    """
    training = prepare(images, task, test)
    task.directory.write_architecture(training.architecture)
    if training.origin.carried is not None:
        task.directory.write_carried(training.origin.carried.to_dict())
    recipe, history = task.recipe, list[Epoch]()
    try:
        for epoch in range(recipe.epochs):
            if epoch >= recipe.frozen_epochs:
                thaw(training)
            ended = train_epoch(training, epoch, history, listener)
            with _averaged(training):
                ended = _validated(training, ended)
                keep(training, [*history, ended])
            history.append(ended)  # only now: an epoch that could not be written is not scored
            listener.epoch_ended(history[-1])
            if not listener.keep_going() or _out_of_patience(recipe, history):
                break
    except RunError:
        if history:
            _score(training, history)
        raise
    if training.average and training.average.weights() is None:
        logger.warning("the training ended before %s began: the weights are those of the last step", recipe.average)
    return _score(training, history)


def train_epoch(training: Training, number: int, history: list[Epoch], listener: Listener) -> Epoch:
    """Train one epoch, counted from 0; what it says of the validation rows is filled in after it.

    Batches go to ``train_on_batch`` one by one. ``fit`` would wrap them into a tf.data pipeline, whose autotuning
    thread was seen to hold up the end of every second training for up to 20 seconds. The learning rate is a variable
    that is set before each step, which every backend notices.
    """
    recipe, fold = training.task.recipe, training.task.fold
    factor = PLATEAUS.bind_one(recipe.plateau)()(_qualities(recipe, history))
    if recipe.frozen_epochs and number >= recipe.frozen_epochs:
        factor *= recipe.fine_tune_rate
    rates = training.rates[number * training.steps : (number + 1) * training.steps] * factor
    batches = epoch_batches(
        training.images, fold.train, recipe.batch_size, recipe.seed, number, recipe.balance == "sampling"
    )
    totals = np.zeros(2)
    started = time.perf_counter()
    for step, (batch, rate) in enumerate(zip(batches, rates, strict=True), 1):
        training.step.optimizer.learning_rate = float(rate)
        logs = training.step.train_on_batch(batch, return_dict=True)
        totals += (logs["loss"], logs["accuracy"])
        if not math.isfinite(totals[0]):
            raise RunError(
                f"the loss became {logs['loss']} in epoch {number + 1}, step {step}, at learning rate {rate:.3g}: "
                "try a lower --learning-rate or a longer warm-up"
            )
        if training.average:
            training.average.step_ended(number * training.steps + step, training.classifier)
        listener.batch_ended(number + 1, step, totals[0] / step)
        if not listener.keep_going():
            break
    seconds = time.perf_counter() - started
    if training.average:
        training.average.epoch_ended(number + 1, recipe.epochs, training.classifier)
    return Epoch(
        epoch=number + 1,
        steps=step,
        learning_rate=float(rate),
        loss=totals[0] / step,
        accuracy=totals[1] / step,
        validation_loss=math.nan,
        validation_accuracy=math.nan,
        validation_score=math.nan,
        seconds=seconds,
        images_per_second=step * training.batch_size / seconds,
    )


@contextmanager
def _averaged(training: Training) -> Iterator[None]:
    """While this lasts, the classifier has the averaged weights, if there are any."""
    mean = training.average.weights() if training.average else None
    if mean is None:
        yield
        return
    current = training.classifier.get_weights()
    training.classifier.set_weights(mean)
    try:
        yield
    finally:
        training.classifier.set_weights(current)


def _validated(training: Training, epoch: Epoch) -> Epoch:
    rows = training.task.fold.validation
    pixels, labels = training.images.pixels[rows], labels_of(training.images)[rows]
    probabilities = predict_probabilities(training.classifier, pixels, True, training.prediction_batch)
    return replace(
        epoch,
        validation_loss=mean_log_loss(probabilities, labels),
        validation_accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        validation_score=make_metric(training.task.recipe.metric).compute(probabilities, labels),
    )


def _qualities(recipe: Recipe, history: list[Epoch]) -> list[float]:
    """Of the epochs of the present phase: a fine-tuning begins to wait anew."""
    phase = history[recipe.frozen_epochs :] if len(history) >= recipe.frozen_epochs else history
    return [quality(epoch, recipe.monitor, recipe.metric) for epoch in phase]


def _out_of_patience(recipe: Recipe, history: list[Epoch]) -> bool:
    """Whether the training has gone on for too long without progress; never before its last phase."""
    if len(history) <= recipe.frozen_epochs:
        return False
    return 0 < recipe.patience <= epochs_without_progress(_qualities(recipe, history))


def keep(training: Training, history: list[Epoch]) -> None:
    """Put the weights of the epoch that just ended, and the history up to it, on disk."""
    directory, recipe = training.task.directory, training.task.recipe
    save_weights(training.classifier, directory, "last")
    if best_epoch(history, recipe.monitor, recipe.metric) is history[-1]:
        save_weights(training.classifier, directory, "best")
    directory.write_history(history)


def _score(training: Training, history: list[Epoch]) -> dict[str, Any]:
    """Score the weights that the recipe keeps, in the float32 form that is exported."""
    task = training.task
    predictor = load_predictor(task.directory, task.recipe.keep)
    best = best_epoch(history, task.recipe.monitor, task.recipe.metric)
    ended_early = sum(epoch.steps for epoch in history) < len(training.rates)
    scores: dict[str, Any] = {
        "epochs": len(history),
        "planned_epochs": task.recipe.epochs,
        "kept": task.recipe.keep,
        # The best of many epochs was chosen by these rows, so its score on them is too good.
        "best_epoch": {
            "epoch": best.epoch,
            "validation_score": best.validation_score,
            "validation_accuracy": best.validation_accuracy,
            "validation_loss": best.validation_loss,
            "selected": True,
        },
        "trainable_parameters": int(sum(math.prod(w.shape) for w in predictor.trainable_weights)),
        "seconds": sum(epoch.seconds for epoch in history),
        "images_per_second": float(np.median([epoch.images_per_second for epoch in history])),
    }
    arrays: dict[str, np.ndarray] = {}
    for part, scored in _scored_rows(training).items():
        probabilities = predict_probabilities(predictor, scored.pixels, batch_size=training.prediction_batch)
        if not np.isfinite(probabilities).all():
            raise RunError(
                f"the trained model answers {part} rows with probabilities that are not numbers: "
                "its training diverged, try a lower --learning-rate"
            )
        labels: np.ndarray = scored.labels  # type: ignore[assignment]
        # The rows that picked the epoch, lowered the rate or ended the training, or that a person may have looked at
        # before ending it, had a say in the weights.
        chosen = task.recipe.keep == "best" or task.recipe.plateau != "none" or ended_early
        selected = part == "validation" and chosen
        scores[part] = {**score(probabilities, labels, task.recipe.metric), "selected": selected}
        arrays |= {
            f"{part}_ids": scored.ids,
            f"{part}_labels": labels,
            f"{part}_probabilities": probabilities,
        }
    task.directory.write_predictions(arrays)
    task.directory.write_seen(_seen(training, scores["validation"]["selected"]))
    task.directory.write_scores(scores)
    return scores


def _seen(training: Training, with_validation: bool) -> np.ndarray:
    """Keys of the images that had a part in the weights: trained on, here or before, or looked at to choose."""
    fold = training.task.fold
    rows = np.concatenate([fold.train, fold.validation]) if with_validation else fold.train
    return np.union1d(row_keys(training.images.pixels[rows], seed=0), training.origin.seen)


def _scored_rows(training: Training) -> dict[str, Images]:
    """The labelled rows that were not trained on: of the fold, and the competition's test set where it has labels."""
    fold, images = training.task.fold, training.images
    scored = {}
    for part, rows in (("validation", fold.validation), ("test", fold.test)):
        if len(rows):
            scored[part] = Images(images.pixels[rows], images.ids[rows], labels_of(images)[rows])
    if "test" not in scored and training.test is not None:
        scored["test"] = training.test
    return scored
