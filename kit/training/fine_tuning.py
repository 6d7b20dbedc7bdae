"""Start from weights that were learned before: where they come from, and how long they stand still."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.data.folds import Fold
from kit.errors import RecipeError, RunError
from kit.models.carry import carry_file, carry_from, carry_imagenet, imagenet_backbone
from kit.training.runs import RunDirectory
from kit.training.weights import load_classifier

if TYPE_CHECKING:
    from kit.models.carry import Carried


def check_weights(weights: str, model: str) -> None:
    """Refuse weights that are not there, before any data is read.

    Args:
        weights: ``random``, ``imagenet``, a weights file, or the directory of a run.
        model: spec of what they are for.

    Raises:
        RecipeError: the model has no ImageNet weights, or the path does not exist.
        RunError: the directory is no run, or has no trained model.
    """
    if weights == "imagenet":
        imagenet_backbone(model)
    elif weights != "random":
        if not Path(weights).exists():
            raise RecipeError(
                f"weights is {weights!r}, expected random, imagenet, a weights file, or the directory of a run"
            )
        if Path(weights).is_dir() and not RunDirectory.open(Path(weights)).trained_folds():
            raise RunError(f"the run {weights} has no trained model: choose another for --weights")


def carry_weights(
    classifier: Any, weights: str, model: str, number: int, fold: Fold, images_hash: str
) -> Carried | None:
    """Put earlier weights into a new classifier, which keeps its own last layer; None where there are none to put.

    Args:
        weights, model: as for ``check_weights``.
        number, fold: of the fold that is about to be trained; from a run of several folds, the same one is taken.
        images_hash: of the images that it is trained on.

    Raises:
        RunError: the run has trained on rows that this fold is to be scored on.
    """
    if weights == "random":
        return None
    if weights == "imagenet":
        return carry_imagenet(classifier, model)
    path = Path(weights)
    if not path.is_dir():
        return carry_file(classifier, path)
    run = RunDirectory.open(path)
    saved = run.read_recipe()
    directories = run.trained_folds()
    place = number if number < len(directories) else 0
    if saved["images"]["hash"] == images_hash:
        _check_unseen(run, place, fold)
    return carry_from(classifier, load_classifier(directories[place], saved["recipe"]["keep"]), str(path))


def _check_unseen(run: RunDirectory, place: int, fold: Fold) -> None:
    scored = np.concatenate([fold.validation, fold.test])
    seen = np.intersect1d(scored, run.read_split()[place].train)
    if len(seen):
        raise RunError(
            f"the run {run.path} was trained on {len(seen):,} of the {len(scored):,} rows that this one would be "
            "scored on: take its own --split and --seed, or the weights of a run on other images"
        )
