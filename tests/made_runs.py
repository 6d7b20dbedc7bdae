"""Finished runs without a training: answers are made up, and everything else is written as a training writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.folds import Fold
from kit.scoring.metrics import score
from kit.training.events import Epoch
from kit.training.runs import RunDirectory
from kit.training.summary import summarize

ROWS, CLASSES = 400, ("cat", "dog", "<b>mouse</b>")
RESOLVED = {"device": "cpu", "precision": "float32", "jit_compile": False, "backend": "tensorflow", "cores": 1}


def labels_of_rows(rows: int = ROWS, classes: int = len(CLASSES)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, classes, rows)


def made_run(
    root: Path,
    name: str,
    *,
    right: float = 0.8,
    seed: int = 0,
    folds: Sequence[Fold] | None = None,
    class_names: Sequence[str] = CLASSES,
    epochs: int = 3,
    **changes: Any,
) -> RunDirectory:
    """A run that has about a share ``right`` of the rows right that it held out.

    Args:
        seed: of its answers.
        folds: rows to train on, validate and test; by default half of the rows are validated.
        changes: recipe fields; and ``competition``, ``images`` (a hash), ``selected``, ``seeds``.
    """
    selected, seeds, images = changes.pop("selected", False), changes.pop("seeds", 1), changes.pop("images", "abc")
    competition = changes.pop("competition", "digits")
    folds = folds or [fold_of(range(ROWS // 2, ROWS))]
    run = RunDirectory.create(root, competition.partition("(")[0], "made", name)
    recipe = {"competition": competition, "model": "deeper", "split": "holdout", "keep": "last", "metric": "accuracy"}
    saved = {"images": {"rows": ROWS, "hash": images, "order": "1"}, "resolved": RESOLVED, "data": None}
    saved |= {"recipe_hash": "", "versions": {"kit": "0.1.0"}, "class_names": list(class_names), "seeds": seeds}
    run.write_recipe(recipe | {"seed": seed} | changes, saved)
    run.write_split(list(folds), "holdout", seed)
    labels = labels_of_rows(
        max(int(part.max(initial=0)) for fold in folds for part in parts_of(fold)) + 1, len(class_names)
    )
    random = np.random.default_rng(seed)
    for number, fold in enumerate(folds):
        directory = run.fold(number, len(folds))
        directory.path.mkdir(exist_ok=True)
        scores: dict[str, Any] = {"ended": True, "epochs": epochs, "kept": ["last"], "trainable_parameters": 1234}
        scores |= {"seconds": 2.5, "images_per_second": 4321.0}
        arrays: dict[str, np.ndarray] = {}
        for part, rows in (("validation", fold.validation), ("test", fold.test)):
            if not len(rows):
                continue
            answers = _answers(labels[rows], len(class_names), right, random)
            figures = score(answers, labels[rows], changes.get("metric", "accuracy"))
            scores[part] = {**figures, "selected": selected and part == "validation"}
            arrays |= {f"{part}_ids": rows, f"{part}_labels": labels[rows], f"{part}_probabilities": answers}
        directory.write_predictions(arrays)
        directory.write_scores(scores)
        directory.write_history(_history(epochs, right, watched=len(fold.watched) > 0))
    run.write_metrics(summarize(run, "complete")[0])
    return run


def fold_of(validation: Sequence[int], test: Sequence[int] = (), rows: int = ROWS) -> Fold:
    held = np.array([*validation, *test], int)
    train = np.setdiff1d(np.arange(rows), held)
    return Fold(train, np.array(validation, int), np.array(test, int), np.array(validation, int))


def kfold(folds: int, seed: int, rows: int = ROWS) -> list[Fold]:
    """Cross-validation, of which nothing is watched."""
    parts = np.array_split(np.random.default_rng(seed).permutation(rows), folds)
    return [replace(fold_of(part.tolist(), rows=rows), watched=np.zeros(0, int)) for part in parts]


def parts_of(fold: Fold) -> list[np.ndarray]:
    return [fold.train, fold.validation, fold.test]


def _answers(labels: np.ndarray, classes: int, right: float, random: np.random.Generator) -> np.ndarray:
    wrong = (labels + random.integers(1, classes, len(labels))) % classes
    predicted = np.where(random.random(len(labels)) < right, labels, wrong)
    answers = random.random((len(labels), classes)) * 0.1
    answers[np.arange(len(labels)), predicted] += 1
    return (answers / answers.sum(axis=1, keepdims=True)).astype(np.float32)


def _history(epochs: int, right: float, *, watched: bool) -> list[Epoch]:
    return [
        Epoch(
            epoch=number,
            steps=10,
            learning_rate=0.01,
            loss=1 / number,
            accuracy=right - 0.1 / number,
            validation_loss=1.2 / number if watched else float("nan"),
            validation_accuracy=right - 0.1 * (1 + right) / number if watched else float("nan"),
            validation_score=right - 0.1 * (1 + right) / number if watched else float("nan"),
            seconds=1.0,
            images_per_second=4321.0,
        )
        for number in range(1, epochs + 1)
    ]
