"""A fold before its first step: the model is built, earlier weights are in it, and the step is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.data.folds import Fold
from kit.data.images import Images
from kit.models.build import Architecture, build_classifier
from kit.models.carry import weighted_layers
from kit.training.averaging import AVERAGES, WeightAverage
from kit.training.batches import steps_per_epoch
from kit.training.fine_tuning import carry_weights
from kit.training.losses import class_weights
from kit.training.normalization import NORMALIZATIONS
from kit.training.optimizers import build_optimizer
from kit.training.recipe import Recipe
from kit.training.runs import FoldDirectory
from kit.training.schedules import learning_rates
from kit.training.step import training_step
from kit.training.switches import Switches
from kit.training.weights import PREDICTION_BATCH


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


@dataclass(frozen=True)
class Training:
    """A fold under way; validated and kept by ``kit.training.trainer``."""

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

    @property
    def prediction_batch(self) -> int:
        """Images to predict at once: what fits into memory for training fits twice for predicting."""
        return min(2 * self.task.recipe.batch_size, PREDICTION_BATCH)


def prepare(images: Images, task: Task, test: Images | None) -> Training:
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
            layers = weighted_layers(classifier)
            frozen = tuple(layer for layer in layers if layer.name in carried.names and layer.trainable)
            for layer in frozen:
                layer.trainable = False
    balanced = class_weights(labelled_rows(images, task.fold.train)[1], task.num_classes)
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
    training = Training(images, task, test, classifier, step, rates, steps, average, frozen)
    _compile(training)
    classifier.compile(jit_compile=task.switches.jit_compile)  # for predict_on_batch
    return training


def _compile(training: Training) -> None:
    """Give the step a new optimiser, for the layers that learn now."""
    import keras

    recipe, switches = training.task.recipe, training.task.switches
    optimizer = build_optimizer(recipe.optimizer, recipe.learning_rate, recipe.weight_decay, recipe.clip_norm)
    if switches.precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)  # small gradients would become zero
    training.step.compile(optimizer, jit_compile=switches.jit_compile)


def thaw(training: Training) -> None:
    """Begin the second phase of a fine-tuning: the carried layers learn from now on."""
    for layer in training.frozen:
        layer.trainable = True
    _compile(training)


def labelled_rows(images: Images, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and class indices of some rows."""
    if images.labels is None:
        raise ValueError("training needs labels")
    return images.pixels[rows], images.labels[rows]
