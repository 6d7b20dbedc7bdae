"""Train one fold: images and a recipe in; weights, history, probabilities and scores out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kit.data.folds import Fold
from kit.data.images import Images
from kit.errors import RunError
from kit.models.build import Architecture, build_classifier
from kit.scoring.metrics import make_metric, mean_log_loss, score
from kit.training.averaging import AVERAGES, WeightAverage
from kit.training.batches import epoch_batches, steps_per_epoch
from kit.training.control import PLATEAUS, best_epoch, epochs_without_progress, quality
from kit.training.events import Epoch, Listener
from kit.training.fine_tuning import carry_weights
from kit.training.losses import class_weights
from kit.training.normalization import NORMALIZATIONS
from kit.training.optimizers import build_optimizer
from kit.training.recipe import Recipe
from kit.training.runs import FoldDirectory
from kit.training.schedules import learning_rates
from kit.training.step import training_step
from kit.training.switches import Switches
from kit.training.weights import load_predictor, predict_probabilities, save_weights


@dataclass(frozen=True)
class Task:
    """One fold to train, as plain picklable data."""

    recipe: Recipe
    switches: Switches
    number: int  # of the fold, counting from 0
    fold: Fold
    num_classes: int
    directory: FoldDirectory
    images_hash: str  # of the images that the rows are of


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
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(task.recipe.seed)  # Keras draws initial weights and dropout from global generators
    training = _prepare(images, task, test)
    history: list[Epoch] = []
    try:
        for epoch in range(task.recipe.epochs):
            if epoch and epoch == task.recipe.frozen_epochs:
                _thaw(training)
            ended = _train_epoch(training, epoch, history, listener)
            with _averaged(training):
                ended = _validated(training, ended)
                _keep(training, [*history, ended])
            history.append(ended)  # only now: an epoch that could not be written is not scored
            listener.epoch_ended(history[-1])
            if not listener.keep_going() or _out_of_patience(task.recipe, history):
                break
    except RunError:
        if history:
            _score(training, history)
        raise
    return _score(training, history)


@dataclass(frozen=True)
class _Training:
    """A fold under way."""

    images: Images
    task: Task
    test: Images | None
    classifier: Any  # Keras model: raw pixels -> logits
    step: Any  # Keras model: batch -> loss, around the classifier
    rates: np.ndarray  # float32 (epochs * steps,)
    steps: int  # an epoch
    average: WeightAverage | None
    frozen: tuple[Any, ...]  # layers that stand still in the first phase, and learn in the second

    @property
    def batch_size(self) -> int:
        return min(self.task.recipe.batch_size, len(self.task.fold.train))


def _prepare(images: Images, task: Task, test: Images | None) -> _Training:
    """Build and compile the model, and write what its weights will need around them."""
    recipe = task.recipe
    scale, offset = NORMALIZATIONS.bind_one(recipe.normalization)(images.pixels, task.fold.train)
    architecture = Architecture(
        model=recipe.model,
        image_shape=images.pixels.shape[1:],
        num_classes=task.num_classes,
        scale=tuple(scale.tolist()),
        offset=tuple(offset.tolist()),
    )
    task.directory.write_architecture(architecture)
    classifier = build_classifier(architecture, task.switches.precision)
    carried = carry_weights(classifier, recipe.weights, recipe.model, task.number, task.fold, task.images_hash)
    frozen: tuple[Any, ...] = ()
    if carried is not None:
        task.directory.write_carried(carried.to_dict())
        if recipe.frozen_epochs:
            layers = map(classifier.get_layer, carried.names)
            frozen = tuple(layer for layer in layers if layer.trainable)
            for layer in frozen:
                layer.trainable = False
    balanced = class_weights(_rows(images, task.fold.train)[1], task.num_classes)
    step = training_step(
        classifier,
        recipe.augment,
        task.num_classes,
        recipe.loss,
        recipe.label_smoothing,
        balanced if recipe.balance == "weights" else None,
    )
    steps = steps_per_epoch(len(task.fold.train), recipe.batch_size)
    rates = learning_rates(recipe.schedule, recipe.learning_rate, recipe.epochs, steps)
    average = AVERAGES.bind_one(recipe.average)()
    training = _Training(images, task, test, classifier, step, rates, steps, average, frozen)
    _compile(training)
    classifier.compile(jit_compile=task.switches.jit_compile)  # for predict_on_batch
    return training


def _compile(training: _Training) -> None:
    """Give the step a new optimiser, for the layers that learn now."""
    import keras

    recipe, switches = training.task.recipe, training.task.switches
    optimizer = build_optimizer(recipe.optimizer, recipe.learning_rate, recipe.weight_decay, recipe.clip_norm)
    if switches.precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)  # small gradients would become zero
    training.step.compile(optimizer, jit_compile=switches.jit_compile)


def _thaw(training: _Training) -> None:
    """Begin the second phase of a fine-tuning: the carried layers learn from now on."""
    for layer in training.frozen:
        layer.trainable = True
    _compile(training)


def _train_epoch(training: _Training, number: int, history: list[Epoch], listener: Listener) -> Epoch:
    """Train one epoch, counted from 0; what it says of the validation rows is filled in after it.

    Batches go to ``train_on_batch`` one by one. ``fit`` would wrap them into a tf.data pipeline, whose autotuning
    thread was seen to hold up the end of every second training for up to 20 seconds. The learning rate is a variable
    that is set before each step, which every backend notices.
    """
    recipe, fold = training.task.recipe, training.task.fold
    qualities = [quality(epoch, recipe.monitor, recipe.metric) for epoch in history]
    factor = PLATEAUS.bind_one(recipe.plateau)()(qualities)
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
def _averaged(training: _Training) -> Iterator[None]:
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


def _validated(training: _Training, epoch: Epoch) -> Epoch:
    pixels, labels = _rows(training.images, training.task.fold.validation)
    probabilities = predict_probabilities(training.classifier, pixels, logits=True)
    return replace(
        epoch,
        validation_loss=mean_log_loss(probabilities, labels),
        validation_accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        validation_score=make_metric(training.task.recipe.metric).compute(probabilities, labels),
    )


def _out_of_patience(recipe: Recipe, history: list[Epoch]) -> bool:
    qualities = [quality(epoch, recipe.monitor, recipe.metric) for epoch in history]
    return 0 < recipe.patience <= epochs_without_progress(qualities)


def _keep(training: _Training, history: list[Epoch]) -> None:
    """Put the weights of the epoch that just ended, and the history up to it, on disk."""
    directory, recipe = training.task.directory, training.task.recipe
    save_weights(training.classifier, directory, "last")
    if best_epoch(history, recipe.monitor, recipe.metric) is history[-1]:
        save_weights(training.classifier, directory, "best")
    directory.write_history(history)


def _score(training: _Training, history: list[Epoch]) -> dict[str, Any]:
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
        probabilities = predict_probabilities(predictor, scored.pixels)
        if not np.isfinite(probabilities).all():
            raise RunError(
                f"the trained model answers {part} rows with probabilities that are not numbers: "
                "its training diverged, try a lower --learning-rate"
            )
        labels: np.ndarray = scored.labels  # type: ignore[assignment]
        # Whoever ended the training early may have looked at these rows' score, and a plateau is one of theirs.
        chosen = task.recipe.keep == "best" or task.recipe.plateau != "none" or ended_early
        selected = part == "validation" and chosen
        scores[part] = {**score(probabilities, labels, task.recipe.metric), "selected": selected}
        arrays |= {
            f"{part}_ids": scored.ids,
            f"{part}_labels": labels,
            f"{part}_probabilities": probabilities,
        }
    task.directory.write_predictions(arrays)
    task.directory.write_scores(scores)
    return scores


def _scored_rows(training: _Training) -> dict[str, Images]:
    """The labelled rows that were not trained on: of the fold, and the competition's test set where it has labels."""
    fold, images = training.task.fold, training.images
    scored = {}
    for part, rows in (("validation", fold.validation), ("test", fold.test)):
        if len(rows):
            pixels, labels = _rows(images, rows)
            scored[part] = Images(pixels, images.ids[rows], labels)
    if "test" not in scored and training.test is not None:
        scored["test"] = training.test
    return scored


def _rows(images: Images, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if images.labels is None:
        raise ValueError("training needs labels")
    return images.pixels[rows], images.labels[rows]
