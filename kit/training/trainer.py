"""Train one fold: images and a recipe in; weights, history, probabilities and scores out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.data.folds import Fold
from kit.data.images import Images, windows
from kit.errors import RunError
from kit.files import replacing
from kit.models.build import Architecture, build_classifier, build_predictor
from kit.scoring.metrics import log_loss, score
from kit.training.batches import batches, steps_per_epoch
from kit.training.events import Epoch, Listener
from kit.training.normalization import NORMALIZATIONS
from kit.training.optimizers import OPTIMIZERS
from kit.training.recipe import Recipe
from kit.training.runs import FoldDirectory
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


def train_fold(images: Images, task: Task, listener: Listener) -> dict[str, Any]:
    """Train a fold and write its files; the result depends on the arguments alone.

    Sets the global seeds of Python, NumPy and Keras, and ends Keras's session: models built before are detached.

    Returns:
        What is in the fold's scores.json: scores of the validation and test rows, the best epoch, sizes and times.

    Raises:
        RunError: the loss stopped being finite; the epochs before that are scored and kept.
    """
    import keras

    recipe = task.recipe
    keras.backend.clear_session()
    keras.utils.set_random_seed(recipe.seed)  # Keras draws initial weights and dropout from global generators
    architecture = _architecture(images, task)
    classifier = build_classifier(architecture, task.switches.precision)
    steps = steps_per_epoch(len(task.fold.train), recipe.batch_size)
    rates = learning_rates(recipe.schedule, recipe.learning_rate, recipe.epochs, steps)

    model = training_step(classifier, recipe.augment, task.num_classes)
    optimizer = OPTIMIZERS.bind_one(recipe.optimizer)(rate_table(rates))
    if task.switches.precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)  # small gradients would become zero
    model.compile(optimizer, jit_compile=task.switches.jit_compile)
    classifier.compile(jit_compile=task.switches.jit_compile)  # for predict_on_batch
    task.directory.write_architecture(architecture)
    monitor = _monitor(_Validation(images, task, classifier, rates), listener)
    try:
        model.fit(
            batches(images, task.fold.train, recipe.batch_size, recipe.seed, recipe.epochs),
            steps_per_epoch=steps,
            epochs=recipe.epochs,
            callbacks=[monitor],
            shuffle=False,
            verbose=0,
        )
    except RunError:
        if monitor.validation.history:
            _finish(images, task, architecture, monitor.validation)
        raise
    return _finish(images, task, architecture, monitor.validation)


def _architecture(images: Images, task: Task) -> Architecture:
    normalization = NORMALIZATIONS.bind_one(task.recipe.normalization)
    scale, offset = normalization(images.pixels, task.fold.train)
    return Architecture(
        model=task.recipe.model,
        image_shape=images.pixels.shape[1:],
        num_classes=task.num_classes,
        scale=tuple(scale.tolist()),
        offset=tuple(offset.tolist()),
    )


class _Validation:
    """What happens between epochs: score the validation rows, keep weights and history on disk."""

    def __init__(self, images: Images, task: Task, classifier: Any, rates: np.ndarray) -> None:
        self.task = task
        self.classifier = classifier
        self.rates = rates
        self.pixels, self.labels = _rows(images, task.fold.validation)
        self.history: list[Epoch] = []

    @property
    def best(self) -> Epoch:
        """The first epoch of the highest validation accuracy."""
        return max(self.history, key=lambda epoch: epoch.validation_accuracy)

    def epoch_ended(self, steps: int, loss: float, accuracy: float, seconds: float) -> Epoch:
        probabilities = predict_probabilities(self.classifier, self.pixels, logits=True)
        batch_size = min(self.task.recipe.batch_size, len(self.task.fold.train))
        steps_before = sum(epoch.steps for epoch in self.history)
        epoch = Epoch(
            epoch=len(self.history) + 1,
            steps=steps,
            learning_rate=float(self.rates[steps_before + steps - 1]),
            loss=loss,
            accuracy=accuracy,
            validation_loss=log_loss(probabilities, self.labels),
            validation_accuracy=float((probabilities.argmax(axis=1) == self.labels).mean()),
            seconds=seconds,
            images_per_second=steps * batch_size / seconds,
        )
        self.history.append(epoch)
        directory = self.task.directory
        save_weights(self.classifier, directory, "last")
        if self.best is epoch:
            save_weights(self.classifier, directory, "best")
        directory.write_history(self.history)
        return epoch


def _monitor(validation: _Validation, listener: Listener) -> Any:
    import keras

    class Monitor(keras.callbacks.Callback):
        """Passes Keras's events on, and stops the training when it should."""

        def __init__(self) -> None:
            super().__init__()
            self.validation = validation
            self.steps = 0
            self.started = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.steps = 0
            self.started = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.steps += 1
            loss = float(logs["loss"])
            epoch = len(validation.history) + 1
            if not math.isfinite(loss):
                rate = validation.rates[sum(e.steps for e in validation.history) + self.steps - 1]
                raise RunError(
                    f"the loss became {loss} in epoch {epoch}, step {self.steps}, at learning rate {rate:.3g}: "
                    "try a lower --learning-rate or a longer warm-up"
                )
            listener.batch_ended(epoch, self.steps, loss)
            if not listener.keep_going():
                self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds = time.perf_counter() - self.started
            listener.epoch_ended(
                validation.epoch_ended(self.steps, float(logs["loss"]), float(logs["accuracy"]), seconds)
            )

    return Monitor()


def _finish(images: Images, task: Task, architecture: Architecture, validation: _Validation) -> dict[str, Any]:
    """Score the weights that the recipe keeps, in the float32 form that is exported."""
    predictor = load_predictor(task.directory, task.recipe.keep)
    history, best = validation.history, validation.best
    ended_early = sum(epoch.steps for epoch in history) < len(validation.rates)
    scores: dict[str, Any] = {
        "epochs": len(history),
        "planned_epochs": task.recipe.epochs,
        "kept": task.recipe.keep,
        # The best of many epochs was chosen by these rows, so its score on them is too good.
        "best_epoch": {
            "epoch": best.epoch,
            "validation_accuracy": best.validation_accuracy,
            "validation_loss": best.validation_loss,
            "selected": True,
        },
        "trainable_parameters": int(sum(math.prod(w.shape) for w in predictor.trainable_weights)),
        "seconds": sum(epoch.seconds for epoch in history),
        "images_per_second": float(np.median([epoch.images_per_second for epoch in history])),
    }
    arrays: dict[str, np.ndarray] = {}
    for part in ("validation", "test"):
        rows = getattr(task.fold, part)
        if len(rows):
            pixels, labels = _rows(images, rows)
            probabilities = predict_probabilities(predictor, pixels)
            # Whoever ended the training early may have looked at these rows' score.
            selected = part == "validation" and (task.recipe.keep == "best" or ended_early)
            scores[part] = {**score(probabilities, labels), "selected": selected}
            arrays |= {
                f"{part}_ids": images.ids[rows],
                f"{part}_labels": labels,
                f"{part}_probabilities": probabilities,
            }
    task.directory.write_predictions(arrays)
    task.directory.write_scores(scores)
    return scores


def _rows(images: Images, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if images.labels is None:
        raise ValueError("training needs labels")
    return images.pixels[rows], images.labels[rows]


def save_weights(classifier: Any, directory: FoldDirectory, which: str) -> None:
    with replacing(directory.weights_file(which)) as scratch:
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
