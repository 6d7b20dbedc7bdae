"""Start from weights that were learned before: where they come from, and how long they stand still."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.data.duplicates import row_keys
from kit.errors import RecipeError, RunError
from kit.models.carry import carry_file, carry_from, carry_imagenet, imagenet_backbone, open_weights
from kit.training.fold_directory import FoldDirectory
from kit.training.run_files import run_around
from kit.training.runs import RunDirectory
from kit.training.weights import load_classifier

if TYPE_CHECKING:
    from kit.models.carry import Carried

logger = logging.getLogger("kit")


def check_weights(weights: str, model: str, normalization: str) -> None:
    """Refuse weights that are not there, before any data is read.

    Args:
        weights: ``random``, ``imagenet``, a weights file, or the directory of a run.
        model: spec of what they are for.
        normalization: spec; if a run had another, that is told, as its layers expect other numbers.

    Raises:
        RecipeError: the model has no ImageNet weights, or the path does not exist.
        RunError: the directory is no run, or has no trained model; the file is of a run that does not tell what it has
            seen, or of one of several folds.
        ModelFileError: the file holds no weights.
    """
    if weights == "imagenet":
        imagenet_backbone(model)
    elif weights != "random":
        if not weights or not Path(weights).exists():  # an empty path is the working directory
            raise RecipeError(
                f"weights is {weights!r}, which is not there: expected random, imagenet, a weights file, or the "
                "directory of a run"
            )
        if not Path(weights).is_dir():
            _check_file_of_run(Path(weights))
            with open_weights(Path(weights)):
                return
        run = RunDirectory.open(Path(weights))
        if not run.trained_folds():
            raise RunError(f"the run {weights} has no trained model: choose another for --weights")
        before = run.read_recipe()["recipe"]["normalization"]
        if before != normalization:
            logger.warning("%s learned from pixels by --normalization %s, not %s", weights, before, normalization)


def _check_file_of_run(path: Path) -> None:
    """Refuse weights of which nobody knows by which images they were learned and chosen, or that fit one fold alone."""
    run, fold = run_around(path), FoldDirectory(path.parent)
    if run is not None and run != path.parent:
        raise RunError(f"{path} is of one fold: name the run {run} for --weights, and each fold begins with its own")
    if run is not None and not fold.has_seen:
        raise RunError(
            f"{path} is of a run that was not scored: go on with it by --resume {run}, or take other weights"
        )
    if fold.has_seen and path not in map(fold.weights_file, kept := [*fold.model_files]):
        raise RunError(
            f"{path} is not what its run was scored with, so nobody knows which images chose it: take "
            f"{fold.weights_file(kept[-1])}"
        )


@dataclass(frozen=True)
class Origin:
    """Where a new classifier's first weights come from.

    carried: what was carried over, layer by layer; None for random weights.
    seen: keys of the images that had a part in those weights, as far as kit knows: uint64 (images,).
    """

    carried: Carried | None
    seen: np.ndarray


def carry_weights(classifier: Any, weights: str, model: str, number: int, scored: Sequence[np.ndarray]) -> Origin:
    """Put earlier weights into a new classifier, which keeps its own last layer.

    Args:
        weights, model: as for ``check_weights``.
        number: of the fold that is about to be trained; from a run of several folds, the same one is taken.
        scored: uint8 (rows, height, width, channels) each, all images that the new model is to be scored on.

    Raises:
        RunError: some of those had a part in the weights of the run, through whatever split or run before it.
    """
    origin = _carry(classifier, weights, model, number, scored)
    if origin.carried is not None and 2 * len(origin.carried.names) < len(origin.carried.layers):
        logger.warning("%s: is it of another model? The rest begins at random", origin.carried.summary())
    return origin


def _carry(classifier: Any, weights: str, model: str, number: int, scored: Sequence[np.ndarray]) -> Origin:
    nothing = np.empty(0, np.uint64)
    if weights == "random":
        return Origin(None, nothing)
    if weights == "imagenet":
        return Origin(carry_imagenet(classifier, model), nothing)
    path = Path(weights)
    if path.is_dir():
        folds = RunDirectory.open(path).trained_folds()
        source = next((fold for fold in folds if fold.number == number), folds[0])
    else:
        source = FoldDirectory(path.parent)
        if not source.has_seen:
            return Origin(carry_file(classifier, path), nothing)
    seen = source.read_seen()
    keys = np.concatenate([row_keys(pixels, seed=0) for pixels in scored])
    if known := int(np.isin(keys, seen).sum()):
        raise RunError(
            f"{known:,} of the {len(keys):,} images that this run would be scored on had a part in the weights of "
            f"{source.path}: take the --split and --seed of that run, or the weights of one on other images"
        )
    if not path.is_dir():
        return Origin(carry_file(classifier, path), seen)
    return Origin(carry_from(classifier, load_classifier(source, [*source.model_files][-1]), str(path)), seen)
