"""What a training will do: settled from a person's words, and checked, before any file is written."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import DataError, RecipeError
from kit.opening import StrPath, load_training_images, open_task, resolve_recipe

if TYPE_CHECKING:
    from kit.data.folds import Fold
    from kit.data.images import Competition, Images
    from kit.training.recipe import Recipe
    from kit.training.rehearsal import Rehearsal
    from kit.training.switches import Switches

logger = logging.getLogger("kit")


@dataclass(frozen=True)
class Plan:
    """A training that can begin.

    folds: all of the split; ``chosen`` are the numbers of those that are trained.
    test: the competition's own labelled test images, where no fold holds out test rows.
    parameters, trainable_parameters: of the model; a recipe may keep some of the latter still in its first epochs.
    """

    competition: Competition
    recipe: Recipe
    switches: Switches
    images: Images
    folds: tuple[Fold, ...]
    chosen: tuple[int, ...]
    test: Images | None
    parameters: int
    trainable_parameters: int

    @property
    def steps_per_epoch(self) -> tuple[int, ...]:
        """Of each chosen fold."""
        from kit.training.batches import steps_per_epoch

        return tuple(steps_per_epoch(len(self.folds[n].train), self.recipe.batch_size) for n in self.chosen)

    @property
    def steps(self) -> int:
        """Of all chosen folds, if none ends early."""
        return self.recipe.epochs * sum(self.steps_per_epoch)


@dataclass(frozen=True)
class Estimate:
    """How long a plan takes on this machine, from what its first fold was measured to take.

    seconds: if every step is like the median one; ``fastest`` and ``slowest``, if like the first and last tenth.
        A machine that is busier or calmer later is not foreseen. Reading the data and the ONNX export come on top.
    """

    rehearsal: Rehearsal
    seconds: float
    fastest: float
    slowest: float


def plan_training(
    competition: str,
    *,
    recipe: str | None = None,
    folds: int | StrPath | None = None,
    repeats: int | None = None,
    group: str | None = None,
    fold: int | None = None,
    data: StrPath | None = None,
    labels: str | int | None = None,
    image_size: int | None = None,
    **changes: Any,
) -> Plan:
    """Settle everything that a training needs. See ``kit.api.train`` for the arguments.

    Raises:
        KitError: something that the caller can mend.
    """
    from kit.data.folds import make_split, separated_duplicates, shared_images
    from kit.training.switches import resolve_switches

    if folds is not None and changes.get("split") is not None:
        raise RecipeError("split and folds both say how to split: give one of them")
    changes["split"] = _split_spec(folds, repeats, group) or changes.get("split")
    _check_changes(changes)
    task = open_task(competition, data, labels=labels, image_size=image_size)
    resolved = resolve_recipe(task, recipe, changes)
    split = make_split(resolved.split)
    _check_fold(fold, split.num_folds, resolved.split)
    switches = resolve_switches(resolved.precision)
    parameters, trainable = _check_buildable(resolved, task)
    images = load_training_images(task)
    parts = split.make_folds(images, resolved.seed)
    _check_fold(fold, len(parts), resolved.split)
    test = _labelled_test(task, parts)
    duplicates = separated_duplicates(images, parts), test and shared_images(images, test)
    for line in (*resolved.without_effect(), *images.notes, *duplicates):
        if line:
            logger.warning(line)
    chosen = tuple(range(len(parts))) if fold is None else (fold,)
    return Plan(task, resolved, switches, images, tuple(parts), chosen, test, parameters, trainable)


def estimate(plan: Plan) -> Estimate:
    """Measure how long a plan takes, by some steps of its first fold; writes nothing.

    Raises:
        KitError: what would also end the training at its start.
    """
    from kit.training.rehearsal import rehearse

    recipe, first = plan.recipe, plan.chosen[0]
    classes = len(plan.competition.label_values)
    measured = rehearse(plan.images, plan.folds[first], recipe, plan.switches, classes, first)
    folds = plan.steps / (recipe.epochs * plan.steps_per_epoch[0])  # as many as the first one
    return Estimate(measured, *(folds * measured.seconds(quantile) for quantile in (0.5, 0.1, 0.9)))


def _check_changes(changes: dict[str, Any]) -> None:
    """Refuse a wrong word before the competition is opened, which may read many files."""
    from kit.training.recipe import Recipe

    # What a recipe may say beside these words is not known yet: here it is whatever lets most of them pass.
    lenient = {"competition": "any", "model": "deeper", "learning_rate": 1e30, "weights": "imagenet", "epochs": 100_000}
    Recipe.from_dict(lenient | {name: value for name, value in changes.items() if value is not None})


def _split_spec(folds: int | StrPath | None, repeats: int | None, group: str | None) -> str | None:
    """The split that the words of the command line ask for; None for the recipe's own."""
    from kit.registry import with_options

    if folds is None or not isinstance(folds, int):
        if repeats is not None or group is not None:
            raise RecipeError("repeats and group need a number of folds, such as folds 5")
        if folds is not None and not Path(folds).exists():
            raise RecipeError(
                f"folds is {os.fspath(folds)!r}, expected a whole number, or a CSV of id,fold that is there"
            )
        return None if folds is None else f"folds_file({os.fspath(folds)!r})"
    if repeats is None:
        return with_options(f"stratified_kfold({folds})", group=group)
    if group is not None:
        raise RecipeError("repeats and group cannot be had together: leave one of them out")
    return f"repeated_stratified_kfold({folds}, {repeats})"


def _check_fold(fold: int | None, num_folds: int | None, split: str) -> None:
    if fold is not None and not 0 <= fold < (num_folds or fold + 1):
        raise RecipeError(
            f"fold is {fold}, expected 0 to {(num_folds or 0) - 1}, counting from 0, with split {split!r}"
        )


def _labelled_test(competition: Competition, folds: Sequence[Fold]) -> Images | None:
    """The competition's test images where their labels are known and the split holds out no test rows itself."""
    if not competition.test_is_labelled or all(len(fold.test) for fold in folds):
        return None
    try:
        test = competition.load_test()
    except DataError as error:  # people may train before they have the test files
        logger.warning("the test images are not scored: %s", error)
        return None
    if test.pixels.shape[1:] != competition.image_shape:
        logger.warning(
            "the test images are not scored: they are %s, expected %s (height, width, channels) as in training",
            test.pixels.shape[1:],
            competition.image_shape,
        )
        return None
    return test


def _check_buildable(recipe: Recipe, competition: Competition) -> tuple[int, int]:
    """Build the model and the optimiser, so that a value that they refuse is met before data is read.

    Returns:
        The numbers of all parameters, and of those that are trained.
    """
    from kit.models.build import Architecture, build_classifier
    from kit.models.carry import weighted_layers
    from kit.training.fine_tuning import check_weights
    from kit.training.optimizers import build_optimizer

    check_weights(recipe.weights, recipe.model)
    channels = competition.image_shape[-1]
    size = len(competition.label_values)
    architecture = Architecture(recipe.model, competition.image_shape, size, (1.0,) * channels, (0.0,) * channels)
    with _refused_by_keras(f"optimizer {recipe.optimizer!r} cannot be had"):
        build_optimizer(recipe.optimizer, recipe.learning_rate, recipe.weight_decay, recipe.clip_norm)
    shape = "x".join(map(str, competition.image_shape))
    with _refused_by_keras(f"model {recipe.model!r} cannot be built for images of {shape}"):
        model = build_classifier(architecture)
    layers = weighted_layers(model)
    frozen = sum(not layer.trainable for layer in layers)
    if frozen and recipe.weights == "random":
        raise RecipeError(
            f"{frozen} of the {len(layers)} layers of {recipe.model} are frozen, and would keep their random weights: "
            "name --weights (imagenet, a file or a run), or let all of them train with train_blocks=-1"
        )
    if recipe.frozen_epochs and not any(layer.trainable and not _is_of_the_head(layer.name) for layer in layers):
        raise RecipeError(
            f"frozen_epochs is {recipe.frozen_epochs}, but the layers of {recipe.model} stay frozen after them: "
            "say how many of its last blocks train then, such as train_blocks=2, or -1 for all"
        )
    total, trained = (sum(math.prod(each.shape) for each in some) for some in (model.weights, model.trainable_weights))
    return total, trained


@contextmanager
def _refused_by_keras(what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise RecipeError(f"{what}: {str(error).strip().splitlines()[0]}") from None


def _is_of_the_head(layer: str) -> bool:
    return layer == "logits" or layer.startswith("head_")
