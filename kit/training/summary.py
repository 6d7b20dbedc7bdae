"""What is written about a run as a whole: its context at the start, its log, its scores at the end."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import math
import platform
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from kit.data.duplicates import row_keys
from kit.data.images import Images
from kit.errors import Interrupted
from kit.scoring.ensembles import compare_members
from kit.scoring.metrics import make_metric, score
from kit.training.control import best_epoch
from kit.training.events import Epoch, Listener
from kit.training.fold_directory import FoldDirectory
from kit.training.recipe import Recipe
from kit.training.runs import RunDirectory
from kit.training.switches import Switches
from kit.version import __version__

logger = logging.getLogger("kit")


def run_context(
    recipe: Recipe, switches: Switches, images: Images, data: Path | None, labelled: Images | None = None
) -> dict[str, Any]:
    """What recipe.json says besides the recipe.

    Args:
        labelled: the competition's own images, where models gave some of ``images`` their labels.
    """
    versions = {name: importlib.metadata.version(name) for name in ("keras", "numpy", switches.backend)}
    return {
        "recipe_hash": recipe.hash(),
        "resolved": asdict(switches),
        "data": str(data.resolve()) if data else None,  # None: the competition needs no files
        "images": {
            "rows": len(labelled or images),
            "hash": images_hash(labelled or images),
            "order": order_hash(labelled or images),
        },
        "taught": taught_hash(images),
        "versions": {"kit": __version__, "python": platform.python_version(), **versions},
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def images_hash(images: Images) -> str:
    """Tells whether two runs had the same images and labels, in whatever order."""
    keys = row_keys(images.pixels, seed=0)
    pairs = np.stack([keys, images.labels.astype("<u8")], axis=1)  # type: ignore[union-attr]
    return hashlib.sha256(pairs[np.lexsort(pairs.T)].tobytes()).hexdigest()[:16]


def order_hash(images: Images) -> str:
    """Tells whether the images also stand in the same rows, under the same ids: what splits and teachers name."""
    keys = row_keys(images.pixels, seed=0)
    names = "\n".join(map(str, images.ids.tolist()))
    return hashlib.sha256(keys.tobytes() + names.encode()).hexdigest()[:16]


def taught_hash(images: Images) -> str | None:
    """Tells whether two runs were told the same of each image by other models; None where they were told nothing."""
    if images.targets is None:
        return None
    return hashlib.sha256(images.targets.tobytes() + np.asarray(images.labels).tobytes()).hexdigest()[:16]


class LogFile(Listener):
    """log.txt: a line an event, written at once; Python's logger ``kit`` gets the same lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str]

    def __enter__(self) -> LogFile:
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._line("ended" if error is None else str(error) if kind is Interrupted else f"failed: {error!r}")
        with suppress(OSError):
            self._file.close()

    def _line(self, text: str) -> None:
        with suppress(OSError):  # a full disk is told by what cannot do without it
            self._file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        logger.info(text)

    def fold_started(self, fold: int, folds_left: int, epochs: int, steps_per_epoch: int) -> None:
        self._line(f"fold {fold}, {folds_left} to follow: {epochs} epochs of {steps_per_epoch} steps")

    def epoch_ended(self, epoch: Epoch) -> None:
        self._line(" ".join(f"{name}={value:.6g}" for name, value in asdict(epoch).items()))


def _by_repeat(out_of_fold: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Repeated folds validate a row several times: one set of rows for each time, in the order of the folds."""
    _, row = np.unique(out_of_fold["ids"], return_inverse=True)
    order = np.argsort(row, kind="stable")
    first = np.searchsorted(row[order], np.arange(np.max(row) + 1))
    repeat = np.empty(len(row), np.int64)
    repeat[order] = np.arange(len(row)) - first[row[order]]
    return [{name: values[repeat == n] for name, values in out_of_fold.items()} for n in range(int(np.max(repeat)) + 1)]


def _mean_over_repeats(repeats: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One entry a row, with the mean of the probabilities that it got."""
    ids = np.unique(np.concatenate([part["ids"] for part in repeats]))
    total = np.zeros((len(ids), repeats[0]["probabilities"].shape[1]), np.float32)
    count, labels = np.zeros((len(ids), 1), np.float32), np.zeros(len(ids), np.int64)
    for part in repeats:
        row = np.searchsorted(ids, part["ids"])
        total[row] += part["probabilities"]
        count[row] += 1
        labels[row] = part["labels"]
    return {"ids": ids, "labels": labels, "probabilities": total / count}


def _mean_score(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each figure: of one model an image, as without repeats, and not of several that vote."""
    figures = [name for name, value in scores[0].items() if isinstance(value, float | list)]
    return {name: np.mean([each[name] for each in scores], axis=0).tolist() for name in figures} | {
        "rows": scores[0]["rows"]
    }


def _score_mean_on_test(predictions: list[dict[str, np.ndarray]], metric: str) -> dict[str, Any] | None:
    """What the models' mean answer scores on the test rows, as it is predicted, and what each scores alone.

    None where they tested other rows.
    """
    first = predictions[0]
    if not all(
        "test_ids" in arrays and np.array_equal(arrays["test_ids"], first["test_ids"]) for arrays in predictions
    ):
        return None
    members, labels = [arrays["test_probabilities"] for arrays in predictions], first["test_labels"]
    of_mean = score(np.mean(members, axis=0), labels, metric)
    return of_mean if len(members) == 1 else {**of_mean, "members": compare_members(members, labels, metric)}


def fit_of(
    trained: list[FoldDirectory], predictions: list[dict[str, np.ndarray]], recipe: dict[str, Any]
) -> dict[str, Any]:
    """How closely a run's models fit what they were trained on, and how each class fares on rows that they were not.

    Args:
        predictions: what each of them has answered; answers that are not numbers do not count.

    Returns:
        ``fit``, means over the models at the epoch that each has kept: ``training_accuracy``, as augmented;
        ``held_out_accuracy``, on the rows that the training watched or else on those that were scored; and ``gap``,
        the first less the second. What is not known, as in a history with NaN, is None.
        ``class_accuracies``, one a class in the order of the class indices, None for a class without such rows.
    """
    pairs, labels, predicted, classes = [], [], [], 0
    for fold, arrays in zip(trained, predictions, strict=True):
        scores = fold.read_scores()
        epoch = _kept_epoch(fold.read_history(), scores, recipe)
        scored = scores.get("validation", {}).get("accuracy", math.nan)
        pairs.append(
            (epoch.accuracy, epoch.validation_accuracy if math.isfinite(epoch.validation_accuracy) else scored)
        )
        if "validation_labels" in arrays:
            answers = arrays["validation_probabilities"]
            known = np.isfinite(answers).all(axis=1)
            labels.append(arrays["validation_labels"][known])
            predicted.append(answers[known].argmax(axis=1))
            classes = answers.shape[1]
    trained_on, held_out = (float(value) if math.isfinite(value) else None for value in np.mean(pairs, axis=0))
    gap = None if trained_on is None or held_out is None else trained_on - held_out
    fit = {"training_accuracy": trained_on, "held_out_accuracy": held_out, "gap": gap}
    if not labels:
        return {"fit": fit}
    true, right = np.concatenate(labels), np.concatenate(labels) == np.concatenate(predicted)
    rows, found = np.bincount(true, minlength=classes), np.bincount(true, weights=right, minlength=classes)
    accuracies = [float(part / whole) if whole else None for part, whole in zip(found, rows, strict=True)]
    return {"fit": fit, "class_accuracies": accuracies}


def _kept_epoch(history: list[Epoch], scores: dict[str, Any], recipe: dict[str, Any]) -> Epoch:
    """The one whose weights are scored; of several snapshots, the last."""
    if scores["kept"] in ("best", ["best"]):
        return best_epoch(history, recipe.get("monitor", "score"), recipe["metric"])
    return history[-1]


def summarize(run: RunDirectory, status: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The run's metrics.json and, when it has several folds, its out-of-fold probabilities.

    ``score`` is by the competition's metric, on all validated rows: of the one fold, or out of fold.
    """
    saved, trained, folds = run.read_recipe(), run.trained_folds(), len(run.read_split())
    metric, seeds = saved["recipe"]["metric"], saved.get("seeds", 1)
    scores, predictions = [fold.read_scores() for fold in trained], [fold.read_predictions() for fold in trained]
    metrics: dict[str, Any] = {
        "status": status,
        "metric": metric,
        "higher_is_better": make_metric(metric).higher_is_better,
        "epochs": max(fold["epochs"] for fold in scores),
        "trainable_parameters": scores[0]["trainable_parameters"],
        "seconds": sum(fold["seconds"] for fold in scores),
        "images_per_second": float(np.median([fold["images_per_second"] for fold in scores])),
        **fit_of(trained, predictions, saved["recipe"]),
    }
    if "refit_of" in saved:
        found = saved["refit_of"]
        told = f"nothing, as every row was trained on; {found['run']} has {found['score']:.6g} {found['scored_on']}"
        return {**metrics, "score": None, "scored_on": told, **scores[0]}, {}
    if folds == 1:
        return {
            **metrics,
            "score": scores[0]["validation"]["score"],
            "scored_on": "validation",
            **scores[0],
        }, {}

    out_of_fold = {
        name: np.concatenate([arrays[f"validation_{name}"] for arrays in predictions])
        for name in ("ids", "labels", "probabilities")
    }
    repeats = _by_repeat(out_of_fold)
    total = _mean_score([score(part["probabilities"], part["labels"], metric) for part in repeats])
    of_repeats = ""
    if len(repeats) > 1:
        out_of_fold = _mean_over_repeats(repeats)
        metrics["averaged_over_repeats"] = score(out_of_fold["probabilities"], out_of_fold["labels"], metric)
        of_what = "repeats" if seeds == 1 else "seeds" if seeds == len(repeats) else "repeats of several seeds"
        of_repeats = f"mean of {len(repeats)} {of_what}, "
    selected = any(fold["validation"]["selected"] for fold in scores)
    tested = any(fold["test"]["selected"] for fold in scores if "test" in fold)
    fold_scores = [fold["validation"]["score"] for fold in scores]
    if test := _score_mean_on_test(predictions, metric):
        metrics["test"] = {**test, "selected": tested}
    metrics |= {
        "score": total["score"],
        "scored_on": f"out of fold, {of_repeats}{len(trained)} of {folds} folds",
        "out_of_fold": {**total, "selected": selected},
        "fold_scores": fold_scores,
        "fold_mean": float(np.mean(fold_scores)),
        "fold_deviation": float(np.std(fold_scores, ddof=1)) if len(fold_scores) > 1 else None,
        "folds": {fold.path.name: values for fold, values in zip(trained, scores, strict=True)},
    }
    if seeds == folds:
        metrics["validation"] = metrics.pop("out_of_fold")
        metrics["scored_on"] = f"validation, {of_repeats}{len(trained)} of {folds} trained"
        return metrics, {}
    return metrics, out_of_fold
