"""Train one fold: images and a recipe in; weights, history, probabilities and scores out."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.data.folds import Fold
from kit.data.images import Images, windows
from kit.errors import RunError
from kit.models.build import Architecture, build_classifier, build_predictor
from kit.scoring.metrics import make_metric, mean_log_loss, score
from kit.training.batches import epoch_batches, steps_per_epoch
from kit.training.events import Epoch, Listener
from kit.training.normalization import NORMALIZATIONS
from kit.training.optimizers import OPTIMIZERS
from kit.training.recipe import Recipe
from kit.training.runs import FoldDirectory, writing
from kit.training.schedules import learning_rates
from kit.training.step import rate_table, training_step
from kit.training.switches import Switches

PREDICTION_BATCH = 256


@dataclass(frozen=True)
class Task:
    """One fold to train, as plain picklable data."""

    recipe: Recipe
    switches: Switches
    number: int  # of the fold, counting from 0
    fold: Fold
    num_classes: int
    directory: FoldDirectory


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
            ended = _train_epoch(training, epoch, listener)
            _keep(training, [*history, ended])
            history.append(ended)  # only now: an epoch that could not be written is not scored
            listener.epoch_ended(history[-1])
            if not listener.keep_going():
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

    @property
    def batch_size(self) -> int:
        return min(self.task.recipe.batch_size, len(self.task.fold.train))


def _prepare(images: Images, task: Task, test: Images | None) -> _Training:
    """Build and compile the model, and write what its weights will need around them."""
    import keras

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
    steps = steps_per_epoch(len(task.fold.train), recipe.batch_size)
    rates = learning_rates(recipe.schedule, recipe.learning_rate, recipe.epochs, steps)
    optimizer = OPTIMIZERS.bind_one(recipe.optimizer)(rate_table(rates))
    if task.switches.precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)  # small gradients would become zero
    step = training_step(classifier, recipe.augment, task.num_classes, recipe.label_smoothing)
    step.compile(optimizer, jit_compile=task.switches.jit_compile)
    classifier.compile(jit_compile=task.switches.jit_compile)  # for predict_on_batch
    return _Training(images, task, test, classifier, step, rates, steps)


def _train_epoch(training: _Training, number: int, listener: Listener) -> Epoch:
    """Train one epoch, counted from 0, and score the validation rows after it.

    Batches go to ``train_on_batch`` one by one. ``fit`` would wrap them into a tf.data pipeline, whose autotuning
    thread was seen to hold up the end of every second training for up to 20 seconds.
    """
    recipe, fold = training.task.recipe, training.task.fold
    totals = np.zeros(2)
    started = time.perf_counter()
    for step, batch in enumerate(epoch_batches(training.images, fold.train, recipe.batch_size, recipe.seed, number), 1):
        logs = training.step.train_on_batch(batch, return_dict=True)
        totals += (logs["loss"], logs["accuracy"])
        if not math.isfinite(totals[0]):
            rate = training.rates[number * training.steps + step - 1]
            raise RunError(
                f"the loss became {logs['loss']} in epoch {number + 1}, step {step}, at learning rate {rate:.3g}: "
                "try a lower --learning-rate or a longer warm-up"
            )
        listener.batch_ended(number + 1, step, totals[0] / step)
        if not listener.keep_going():
            break
    seconds = time.perf_counter() - started
    pixels, labels = _rows(training.images, fold.validation)
    probabilities = predict_probabilities(training.classifier, pixels, logits=True)
    return Epoch(
        epoch=number + 1,
        steps=step,
        learning_rate=float(training.rates[number * training.steps + step - 1]),
        loss=totals[0] / step,
        accuracy=totals[1] / step,
        validation_loss=mean_log_loss(probabilities, labels),
        validation_accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        validation_score=make_metric(recipe.metric).compute(probabilities, labels),
        seconds=seconds,
        images_per_second=step * training.batch_size / seconds,
    )


def _best(history: list[Epoch], metric: str) -> Epoch:
    """The first epoch of the best validation score."""
    key = make_metric(metric).key
    return max(history, key=lambda epoch: key(epoch.validation_score))


def _keep(training: _Training, history: list[Epoch]) -> None:
    """Put the weights of the epoch that just ended, and the history up to it, on disk."""
    directory = training.task.directory
    save_weights(training.classifier, directory, "last")
    if _best(history, training.task.recipe.metric) is history[-1]:
        save_weights(training.classifier, directory, "best")
    directory.write_history(history)


def _score(training: _Training, history: list[Epoch]) -> dict[str, Any]:
    """Score the weights that the recipe keeps, in the float32 form that is exported."""
    task = training.task
    predictor = load_predictor(task.directory, task.recipe.keep)
    best = _best(history, task.recipe.metric)
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
        # Whoever ended the training early may have looked at these rows' score.
        selected = part == "validation" and (task.recipe.keep == "best" or ended_early)
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


def save_weights(classifier: Any, directory: FoldDirectory, which: str) -> None:
    path = directory.weights_file(which)
    needed = 2 * sum(4 * math.prod(weight.shape) for weight in classifier.weights)  # bytes; twice, to be safe
    free = shutil.disk_usage(directory.path).free
    if free < needed:  # the HDF5 library does not survive a disk that is full
        raise RunError(
            f"cannot write {path}: {free / 1e6:.1f} MB are free, {needed / 1e6:.1f} MB are needed; "
            "free space there or choose another --out"
        )
    with writing(path) as scratch:
        classifier.save_weights(scratch)


def load_predictor(directory: FoldDirectory, which: str) -> Any:
    """The trained model as it is exported: uint8 (batch, height, width, channels) -> float32 probabilities.

    Raises:
        RunError: the weights are missing or damaged.
    """
    architecture = directory.read_architecture()
    classifier = build_classifier(architecture)
    path = directory.weights_file(which)
    if not path.is_file():
        raise RunError(f"the run is incomplete: {path} is missing")
    try:
        classifier.load_weights(path)
    except Exception as error:  # noqa: BLE001  Keras and h5py raise many kinds for a damaged file
        reason = str(error).splitlines()[0]
        raise RunError(f"cannot load {path}: {reason}; the file is damaged or of another model") from None
    return build_predictor(architecture, classifier)


def predict_probabilities(model: Any, pixels: np.ndarray, logits: bool = False) -> np.ndarray:
    """Class probabilities of any number of images, in batches of one size (another size would compile anew).

    Returns:
        float32 (rows, classes).
    """
    from scipy.special import softmax

    outputs = []
    for window in windows(pixels, PREDICTION_BATCH):
        rows = len(window)
        if rows < PREDICTION_BATCH:
            window = np.concatenate([window, np.zeros((PREDICTION_BATCH - rows, *window.shape[1:]), np.uint8)])
        outputs.append(np.asarray(model.predict_on_batch(window))[:rows])
    answers = np.concatenate(outputs)
    return softmax(answers, axis=1) if logits else answers
