"""What a run has answered to rows whose labels are known: one answer a row, whichever models gave it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kit.errors import RunError
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory

PART_TITLES = {"training": "training", "validation": "validation", "out_of_fold": "out of fold", "test": "test"}
"""Parts of the data, in their order, and in words."""


@dataclass(frozen=True)
class Answered:
    """Rows of one part of the data, sorted by their ids.

    ids: (rows,), each once.
    labels: int (rows,), class indices.
    probabilities: float32 (rows, classes), the mean over the models that answered to the row.
    models: how many that were, at most.
    selected: the rows had a say in the training, as by choosing its best epoch.
    """

    ids: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    models: int
    selected: bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def finite(self) -> Answered:
        """The rows whose probabilities all are numbers: a training that broke off may have answered with NaN."""
        known = np.isfinite(self.probabilities).all(axis=1)
        return replace(self, ids=self.ids[known], labels=self.labels[known], probabilities=self.probabilities[known])


def answered_rows(run: RunDirectory) -> dict[str, Answered]:
    """The rows of ``validation`` (one split) or ``out_of_fold`` (several folds), and of ``test``, of those there are.

    Folds that are not trained yet are left out. Of several seeds on the same rows, and of repeated folds, a row has
    the mean of the models that held it out.

    Raises:
        RunError: a file of the run is damaged.
    """
    folds = run.trained_folds()
    saved = [(fold.read_scores(), fold.read_predictions()) for fold in folds]
    held_out = "out_of_fold" if _deals_rows(run, folds) else "validation"
    parts = {}
    for part, name in (("validation", held_out), ("test", "test")):
        members = [(scores, arrays) for scores, arrays in saved if len(arrays.get(f"{part}_ids", ()))]
        if not members:
            continue
        try:
            ids, labels, probabilities = (
                np.concatenate([arrays[f"{part}_{what}"] for _, arrays in members])
                for what in ("ids", "labels", "probabilities")
            )
            selected = any(scores.get(part, {}).get("selected", False) for scores, _ in members)
            _check_rows(ids, labels, probabilities)
            parts[name] = _mean_by_id(ids, labels, probabilities, selected=selected)
        except (KeyError, ValueError, AttributeError) as error:
            raise RunError(
                f"the run {run.path} is damaged: its predictions.npz is not what kit train writes ({error}); "
                "train it anew"
            ) from None
    return parts


def _deals_rows(run: RunDirectory, folds: list[FoldDirectory]) -> bool:
    """Whether the run's models have held out different rows each, and not the same ones, as with several seeds."""
    return any(fold.path != run.path for fold in folds) and run.read_recipe().get("seeds", 1) < len(run.read_split())


def _check_rows(ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Arrays of other shapes would be taken for other rows, or fail far from here."""
    if not probabilities.ndim == 2 or not ids.shape == labels.shape == probabilities.shape[:1]:
        raise ValueError(f"ids {ids.shape}, labels {labels.shape}, probabilities {probabilities.shape}")
    classes = probabilities.shape[1]
    if labels.dtype.kind not in "iu" or not np.isin(labels, np.arange(classes)).all():
        raise ValueError(f"labels that are none of 0 to {classes - 1}")


def _mean_by_id(ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, *, selected: bool) -> Answered:
    order = np.argsort(ids, kind="stable")
    known, first, counts = np.unique(ids[order], return_index=True, return_counts=True)
    total = np.add.reduceat(probabilities[order].astype(np.float64), first)  # a sum of many float32 is not exact
    mean = (total / counts[:, np.newaxis]).astype(np.float32)
    return Answered(known, labels[order][first], mean, int(np.max(counts)), selected)
