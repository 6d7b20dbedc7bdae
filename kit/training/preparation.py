"""A fold before its first step: the model is built, earlier weights are in it, and the step is compiled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kit.data.folds import Fold
from kit.data.images import Images
from kit.errors import RecipeError
from kit.models.build import Architecture, build_classifier
from kit.models.carry import weighted_layers
from kit.models.views import view_axes
from kit.training.averaging import AVERAGES, WeightAverage
from kit.training.batches import steps_per_epoch
from kit.training.fine_tuning import Origin, carry_weights
from kit.training.fold_directory import FoldDirectory
from kit.training.losses import class_weights
from kit.training.normalization import NORMALIZATIONS
from kit.training.optimizers import build_optimizer
from kit.training.recipe import Recipe
from kit.training.schedules import learning_rates, lowest_steps
from kit.training.step import training_step
from kit.training.switches import Switches, set_determinism
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
    checkpoint_seconds: float = 60.0  # between two checkpoints, or more where they take long
    part: int | None = None  # number of the fold among those of one seed, if not ``number``


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
    architecture: Architecture  # of the classifier
    origin: Origin  # of its first weights
    snapshot_steps: tuple[int, ...]  # after so many steps from the start, in their order
    frozen: tuple[Any, ...]  # layers that stand still in the first phase, and learn in the second

    @property
    def scores_competitions_test(self) -> bool:
        """Whether the test rows to score are the competition's own, as the fold holds out none."""
        return self.test is not None and not len(self.task.fold.test)

    @property
    def batch_size(self) -> int:
        return min(self.task.recipe.batch_size, len(self.task.fold.train))

    @property
    def prediction_batch(self) -> int:
        """Images to predict at once: what fits into memory for training fits twice for predicting."""
        return max(1, min(2 * self.task.recipe.batch_size, PREDICTION_BATCH) // len(view_axes(self.task.recipe.tta)))


def prepare(images: Images, task: Task, test: Images | None) -> Training:
    """Build the model, put earlier weights into it, and compile its step; nothing is written.

    Sets the global seeds of Python, NumPy and Keras, and ends Keras's session: models built before are detached.
    """
    import keras

    recipe, fold = task.recipe, task.fold
    set_determinism(task.switches)
    keras.backend.clear_session()
    keras.utils.set_random_seed(recipe.seed)  # Keras draws initial weights and dropout from global generators
    scale, offset = NORMALIZATIONS.bind_one(recipe.normalization)(images.pixels, fold.train)
    architecture = Architecture(
        model=recipe.model,
        image_shape=images.pixels.shape[1:],
        num_classes=task.num_classes,
        scale=tuple(scale.tolist()),
        offset=tuple(offset.tolist()),
        tta=recipe.tta,
    )
    built = growing(architecture) if recipe.progressive else architecture
    classifier = build_classifier(built, task.switches.precision)
    held_out = [images.pixels[rows] for rows in (fold.validation, fold.test)]
    scored = held_out if test is None else [*held_out, test.pixels]
    origin = carry_weights(
        classifier, recipe.weights, recipe.model, task.number if task.part is None else task.part, scored
    )
    frozen: tuple[Any, ...] = ()
    if recipe.frozen_epochs and origin.carried is not None:
        layers = weighted_layers(classifier)
        frozen = tuple(layer for layer in layers if layer.name in origin.carried.names and layer.trainable)
        for layer in frozen:
            layer.trainable = False
    weights_of_classes = None
    if recipe.balance == "weights":
        weights_of_classes = class_weights(labels_of(images)[fold.train], task.num_classes)
    step = training_step(
        classifier, recipe.augment, task.num_classes, recipe.loss, recipe.label_smoothing, weights_of_classes
    )
    steps = steps_per_epoch(len(fold.train), recipe.batch_size)
    rates = learning_rates(recipe.schedule, recipe.learning_rate, recipe.epochs, steps)
    training = Training(
        images=images,
        task=task,
        test=test,
        classifier=classifier,
        step=step,
        rates=rates,
        steps=steps,
        average=AVERAGES.bind_one(recipe.average)(),
        architecture=architecture,
        origin=origin,
        snapshot_steps=_snapshot_steps(rates[: recipe.planned_epochs * steps], lowest_steps(rates), recipe.snapshots),
        frozen=frozen,
    )
    _compile(training)
    if len(training.snapshot_steps) < recipe.snapshots:
        raise RecipeError(
            f"the rate has {len(training.snapshot_steps)} minima in {recipe.epochs} epochs of {steps} steps, expected "
            f"one for each of {recipe.snapshots} snapshots: take fewer, or smaller batches"
        )
    classifier.compile(jit_compile=task.switches.jit_compile)  # for predict_on_batch
    return training


def _snapshot_steps(planned: np.ndarray, lowest: np.ndarray, snapshots: int) -> tuple[int, ...]:
    """After how many steps: at the last minima of the rate that the training comes to."""
    ended = lowest[lowest < len(planned)] + 1
    return tuple(ended[-snapshots:].tolist()) if snapshots else ()


def _compile(training: Training) -> None:
    """Give the step a new optimiser, for the layers that learn now."""
    import keras

    recipe, switches = training.task.recipe, training.task.switches
    optimizer = build_optimizer(recipe.optimizer, recipe.learning_rate, recipe.weight_decay, recipe.clip_norm)
    if switches.precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)  # small gradients would become zero
    training.step.compile(optimizer, jit_compile=switches.jit_compile)
    optimizer.build(training.step.trainable_variables)  # a checkpoint is put into what it has


def growing(architecture: Architecture) -> Architecture:
    """The same for images of any size; only of models whose layers do not fix it."""
    return replace(architecture, image_shape=(None, None, architecture.image_shape[-1]))  # type: ignore[arg-type]


def set_size(training: Training, epoch: int) -> None:
    """From this epoch on, counted from 0, train on images of the size that the recipe has for it."""
    height = training.task.recipe.size_in(epoch)
    full = training.images.pixels.shape[1:3]
    size = None if height is None else (height, max(1, round(height * full[1] / full[0])))
    if training.step.size != size:
        training.step.size = size
        training.step.make_train_function(force=True)  # what was compiled has the size before


def thaw(training: Training) -> None:
    """Begin the second phase of a fine-tuning, unless it has begun: the carried layers learn from now on."""
    if not training.frozen or training.frozen[0].trainable:
        return
    for layer in training.frozen:
        layer.trainable = True
    _compile(training)


def labels_of(images: Images) -> np.ndarray:
    """The class indices of images that have them: int64 (rows,)."""
    if images.labels is None:
        raise ValueError("training needs labels")
    return images.labels
