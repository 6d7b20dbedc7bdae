"""What a list says of a run, from its two small JSON files alone: hundreds of runs are listed in a moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from kit.errors import RecipeError, RunError
from kit.scoring.metrics import make_metric
from kit.training.runs import RunDirectory

metric_named = cache(make_metric)  # hundreds of rows have the same: parsing its spec anew was a fifth of the time


@dataclass(frozen=True)
class RunOutline:
    """A run in a list; what is not known of it is None. A run that is damaged or did not finish is outlined as such.

    task: the competition's spec and the hash of images and labels: with the metric, what runs share that are ranked.
    score: by the competition's metric on validated rows. selected: those had a say in the training.
    models: trained ones, folds or seeds. fold_mean, fold_deviation: of their scores, where there are several.
    training_accuracy: of the epoch that was kept, as augmented; the mean over the models.
    gap: by how much that is above the accuracy on rows that were not trained on.
    best_class, worst_class: names of the classes of highest and lowest accuracy on validated rows.
    submitted: the latest submission, as the leaderboard answered it.
    published: no run, but what a recipe's authors reached.
    """

    run: str
    competition: str
    status: str = "unfinished"
    model: str | None = None
    task: str | None = None
    metric: str | None = None
    score: float | None = None
    scored_on: str | None = None
    selected: bool | None = None
    models: int | None = None
    fold_mean: float | None = None
    fold_deviation: float | None = None
    test: float | None = None
    training_accuracy: float | None = None
    gap: float | None = None
    parameters: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    images_per_second: float | None = None
    best_class: str | None = None
    best_class_accuracy: float | None = None
    worst_class: str | None = None
    worst_class_accuracy: float | None = None
    submitted: dict[str, Any] | None = None
    published: bool = False


def outline(run: RunDirectory, submitted: dict[str, Any] | None = None) -> RunOutline:
    """Outline a run, whatever state it is in.

    Args:
        submitted: its latest submission, of ``kit.deploy.provenance.latest_submissions``.
    """
    known: dict[str, Any] = {"run": str(run.path), "competition": run.path.parent.name, "submitted": submitted}
    if not run.is_finished:
        return RunOutline(**known)
    try:
        read = _read(run)
        metric_named(read["metric"])
    except (RunError, RecipeError, LookupError, TypeError, AttributeError, ValueError):
        read = {}
    return RunOutline(**{**known, **read}) if _is_whole(read) else RunOutline(**known, status="damaged")


def rank(row: RunOutline) -> tuple[Any, ...]:
    """What sorts runs of the same images, labels and metric together, the best first, those without a score last."""
    if row.score is None or row.metric is None:
        return (row.competition, True, "", "", 0, row.run)
    return (row.competition, False, row.task, row.metric, -metric_named(row.metric).key(row.score))


def class_extremes(accuracies: list[float | None], names: list[str]) -> dict[str, Any]:
    """Fields of an outline: which class is best and which is worst.

    Args:
        accuracies: one a class, in the order of the class indices; None for a class without rows.
    """
    known = [(accuracy, name) for accuracy, name in zip(accuracies, names, strict=True) if accuracy is not None]
    if not known:
        return {}
    best, worst = max(known, key=lambda each: each[0]), min(known, key=lambda each: each[0])
    return {
        "best_class": best[1],
        "best_class_accuracy": best[0],
        "worst_class": worst[1],
        "worst_class_accuracy": worst[0],
    }


def _read(run: RunDirectory) -> dict[str, Any]:
    saved, metrics = run.read_recipe(), run.read_metrics()
    recipe = saved["recipe"]
    validated = metrics.get("validation") or metrics.get("out_of_fold") or {"selected": False}
    fit, names, accuracies = (
        metrics.get("fit") or {},  # as what follows, not there before it was noted
        saved.get("class_names"),
        metrics.get("class_accuracies"),
    )
    return {
        "competition": recipe["competition"].partition("(")[0],  # a path within the directory does not say
        "model": recipe["model"],
        "task": f"{recipe['competition']} {saved['images']['hash']}",
        "selected": bool(validated["selected"]),
        "models": len(metrics["fold_scores"]) if "fold_scores" in metrics else 1,
        "fold_mean": metrics.get("fold_mean"),
        "fold_deviation": metrics.get("fold_deviation"),
        "test": metrics["test"]["score"] if "test" in metrics else None,
        "training_accuracy": fit.get("training_accuracy"),
        "gap": fit.get("gap"),
        "parameters": metrics.get("trainable_parameters"),
        "images_per_second": metrics.get("images_per_second"),
        **{name: metrics[name] for name in ("metric", "score", "scored_on", "epochs", "seconds", "status")},
        **(class_extremes(accuracies, names) if accuracies and names else {}),
    }


_NUMBERS = (
    "models", "fold_mean", "fold_deviation", "score", "test", "training_accuracy", "gap", "parameters", "epochs",
    "seconds", "images_per_second", "best_class_accuracy", "worst_class_accuracy",
)  # fmt: skip
_NEEDED = ("model", "task", "metric", "scored_on", "epochs", "seconds", "status")
_TEXTS = ("model", "task", "metric", "scored_on", "status", "best_class", "worst_class")


def _is_whole(read: dict[str, Any]) -> bool:
    """Whether what a list and its order need is there, and every value is of its kind."""
    numbers = [read[name] for name in _NUMBERS if read.get(name) is not None]
    texts = [read[name] for name in _TEXTS if read.get(name) is not None]
    return (
        all(read.get(name) is not None for name in _NEEDED)
        and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and all(isinstance(text, str) for text in texts)
    )
