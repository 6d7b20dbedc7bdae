"""Labels that models give: pseudo-labels of test images, and soft labels of a teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kit.data.duplicates import row_keys
from kit.data.images import Images
from kit.errors import DataError, RecipeError, RunError
from kit.training.runs import RunDirectory

if TYPE_CHECKING:
    from kit.data.images import Competition
    from kit.training.recipe import Recipe


def taught(images: Images, competition: Competition, recipe: Recipe) -> Images:
    """Labelled images with what a recipe's ``pseudo_labels`` and ``distill`` add to them.

    Returns:
        The images in their order, with targets, and after them test images that were given labels. Those are only to be
        trained on; their ids say nothing.

    Raises:
        RecipeError, RunError, SubmissionError: the file or the run is not of this competition and these images.
    """
    if not recipe.pseudo_labels and not recipe.distill:
        return images
    hard = np.eye(len(competition.label_values), dtype=np.float32)
    targets = hard[images.labels]
    if recipe.distill:
        soft = _out_of_fold(RunDirectory.open(Path(recipe.distill)), images, competition)
        targets = _softened(targets, soft, recipe.distill_share)
    if not recipe.pseudo_labels:
        return replace(images, targets=targets)
    test = competition.load_test()
    probabilities = _probabilities(Path(recipe.pseudo_labels), test, competition)
    sure = np.flatnonzero(probabilities.max(axis=1) >= recipe.confidence)
    if not len(sure):
        raise RecipeError(
            f"{recipe.pseudo_labels}: no image has a probability of {recipe.confidence:g} or more: lower --confidence"
        )
    if test.pixels.shape[1:] != images.pixels.shape[1:]:
        raise DataError(
            f"the test images are {test.pixels.shape[1:]}, expected {images.pixels.shape[1:]} (height, width, "
            "channels) as in training"
        )
    # What is also in the training set may be held out there.
    sure = sure[~np.isin(row_keys(test.pixels[sure], seed=0), row_keys(images.pixels, seed=0))]
    labels = probabilities[sure].argmax(axis=1)
    added = hard[labels]
    if recipe.distill:  # no teacher has seen a test image, so here too its doubts are worth more than its label
        added = _softened(added, probabilities[sure], recipe.distill_share)
    note = f"{len(sure):,} of {len(test):,} test images train too, by the labels that {recipe.pseudo_labels} is sure of"
    return Images(
        pixels=np.concatenate([images.pixels, test.pixels[sure]]),
        ids=np.concatenate([images.ids, np.zeros(len(sure), images.ids.dtype)]),
        labels=np.concatenate([images.labels, labels]),
        notes=(*images.notes, note),
        targets=np.concatenate([targets, added]),
    )


def _softened(hard: np.ndarray, soft: np.ndarray, share: float) -> np.ndarray:
    return ((1 - share) * hard + share * soft).astype(np.float32)


def _out_of_fold(run: RunDirectory, images: Images, competition: Competition) -> np.ndarray:
    """What a cross-validated run has said of each image without having seen it: float32 (images, classes)."""
    saved = run.read_recipe()
    if saved["recipe"]["competition"] != competition.spec:
        raise RunError(f"{run.path} is a run of {saved['recipe']['competition']}, expected one of {competition.spec}")
    from kit.training.summary import images_hash, order_hash

    order = saved["images"].get("order")
    if images_hash(images) != saved["images"]["hash"] or order not in (None, order_hash(images)):
        raise RunError(f"{run.path} was trained on other images, or with other ids: a teacher must know the same")
    if not run.has_out_of_fold:
        raise RunError(
            f"{run.path} has no out-of-fold probabilities, as it is no finished cross-validation: train a teacher with "
            "--folds 5"
        )
    arrays = run.read_out_of_fold()
    order = np.argsort(arrays["ids"], kind="stable")
    place = np.searchsorted(arrays["ids"][order], images.ids)
    place = order[np.minimum(place, len(order) - 1)]
    known = arrays["ids"][place] == images.ids
    if not known.all():
        raise RunError(
            f"{run.path} has out-of-fold probabilities of {int(known.sum()):,} of {len(images):,} images: a teacher "
            "needs all folds of a run on the same images"
        )
    probabilities: np.ndarray = arrays["probabilities"][place]
    return probabilities


def _probabilities(path: Path, test: Images, competition: Competition) -> np.ndarray:
    """A CSV of an id and a column a class, as ``kit predict --probabilities`` writes: float64 (rows, classes)."""
    from kit.deploy.validator import expected_probabilities, read_rows, validate_submission

    expected = expected_probabilities(competition.id_column, test.ids, competition.label_values)
    if not path.is_file():
        raise RecipeError(f"pseudo_labels is {str(path)!r}, which is not there: expected a CSV of test probabilities")
    validate_submission(path, expected)
    rows = read_rows(path, path)
    next(rows)
    values = {row[0]: row[1:] for row in rows}
    return np.array([values[str(name)] for name in test.ids.tolist()], np.float64)
