"""How good answers are in every usual figure, each with how far it may be off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kit.data.images import Superclasses
from kit.registry import parse_spec
from kit.scoring.bootstrap import RESAMPLES, Measure, figures, intervals
from kit.scoring.metrics import METRICS, log_losses, make_metric, top_k_accuracy
from kit.scoring.weighted import agreement, any_metric, calibration_error, means, roc_auc

_TITLES = {
    "accuracy": "accuracy",
    "top_5_accuracy": "top-5 accuracy",
    "log_loss": "log loss",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "Cohen's kappa",
    "calibration_error": "expected calibration error",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "weighted_precision": "weighted precision",
    "weighted_recall": "weighted recall",
    "weighted_f1": "weighted F1",
    "roc_auc": "macro ROC AUC, one against rest",
    "superclass_accuracy": "superclass accuracy",
}
"""Figures of every evaluation, in their order; those of the metrics have the metrics' names."""
_SHARES = {"top_5_accuracy", "superclass_accuracy"}
_TOP = 5
_BY_AGREEMENT = {"balanced_accuracy", "kappa", "quadratic_kappa", "macro_f1", "weighted_f1"}


@dataclass(frozen=True)
class Score:
    """A figure with its 95 % interval over bootstrap samples of the rows."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScore:
    """How one class fares against the rest; a share that has no rows to be one of is None.

    label: class index. rows: that are of the class. predicted: that were taken for it.
    recall: the share of its rows that were found, which is the class's accuracy.
    """

    label: int
    rows: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None


@dataclass(frozen=True)
class Evaluation:
    """Figures of one part of the data.

    scores: name of a figure -> Score, the competition's metric first. A figure that these rows cannot have, as when
        they are all of one class, is left out.
    classes: one a class, in the order of the class indices.
    best_class, worst_class: indices of the classes of highest and lowest recall, of those that have rows.
    missing_classes: indices of the classes that have none.
    """

    rows: int
    selected: bool
    scores: dict[str, Score]
    classes: tuple[ClassScore, ...]
    best_class: int
    worst_class: int
    missing_classes: tuple[int, ...]


def figure_title(name: str) -> str:
    """A figure in words: of ``macro_f1``, macro F1; a spec stays as it is."""
    return _TITLES.get(name, name)


def show_figure(name: str, value: float) -> str:
    """``93.30 %`` of shares, ``0.1824`` of others."""
    return f"{100 * value:.2f} %" if is_share(name) else f"{value:.4f}"


def is_share(name: str) -> bool:
    """Whether a figure is from 0 to 1 and shown in per cent."""
    return name in _SHARES or (parse_spec(name)[0].name in METRICS.names() and make_metric(name).is_share)


def evaluate_rows(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    metric: str,
    superclasses: Superclasses | None = None,
    selected: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Every usual figure of answers to labelled rows, each with its 95 % bootstrap interval over the rows.

    Args:
        probabilities: finite float (rows, classes), rows sum to one; at least one row.
        labels: int (rows,), 0..classes-1.
        metric: spec of the competition's, whose figure comes first, under that name.
        superclasses: whose accuracy is told too: the one whose classes have the highest probability in sum decides.
        selected: the rows had a say in the training; kept in the result.
        resamples: bootstrap samples, the same for all figures; drawn by ``seed``.

    Returns:
        The figures; see :class:`Evaluation`. ``top_5_accuracy`` is left out of five classes or fewer.
    """
    measures = _measures(probabilities, labels, metric, superclasses)
    values = figures(measures, len(labels))
    found = intervals(measures, len(labels), resamples, seed)
    named = {name: values[name] for name in dict.fromkeys([metric, *_TITLES]) if name in values and name in found}
    classes = _class_scores(probabilities, labels)
    recalls = {each.label: each.recall for each in classes if each.recall is not None}
    return Evaluation(
        rows=len(labels),
        selected=selected,
        scores={name: Score(value, *found[name]) for name, value in named.items()},
        classes=classes,
        best_class=max(recalls, key=lambda label: recalls[label]),
        worst_class=min(recalls, key=lambda label: recalls[label]),
        missing_classes=tuple(each.label for each in classes if not each.rows),
    )


def measure_metric(metric: str, probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """The measure that has a metric's figure under the name of its spec, and may have others: fast where there is one.

    Raises:
        RecipeError: there is no such metric.
    """
    made, plain = make_metric(metric), METRICS.canonical(metric)
    if made.per_row is not None:
        return means({metric: made.per_row(probabilities, labels)})
    if plain == metric and plain in _BY_AGREEMENT:
        return agreement(probabilities.argmax(axis=1), labels, probabilities.shape[1])
    if plain == metric == "roc_auc":
        return roc_auc(probabilities, labels)
    return any_metric(metric, made, probabilities, labels)


def _measures(
    probabilities: np.ndarray, labels: np.ndarray, metric: str, superclasses: Superclasses | None
) -> list[Measure]:
    predicted, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    per_row: dict[str, np.ndarray] = {"accuracy": predicted == labels, "log_loss": log_losses(probabilities, labels)}
    if classes > _TOP and METRICS.canonical(metric) != "top_k_accuracy":
        is_among = top_k_accuracy(_TOP).per_row
        per_row["top_5_accuracy"] = is_among(probabilities, labels)  # type: ignore[misc]
    if superclasses is not None:
        of_class = np.array(superclasses.of_class)
        summed = probabilities @ np.eye(len(superclasses.names), dtype=probabilities.dtype)[of_class]
        per_row["superclass_accuracy"] = summed.argmax(axis=1) == of_class[labels]
    usual = [
        means(per_row),
        agreement(predicted, labels, classes),
        calibration_error(probabilities, labels),
        roc_auc(probabilities, labels),
    ]
    is_usual = metric in _TITLES or metric in _BY_AGREEMENT
    return usual if is_usual else [measure_metric(metric, probabilities, labels), *usual]


def _class_scores(probabilities: np.ndarray, labels: np.ndarray) -> tuple[ClassScore, ...]:
    from sklearn.metrics import roc_auc_score

    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    true, found = (np.bincount(which, minlength=classes).tolist() for which in (labels, predicted))
    right = np.bincount(labels[predicted == labels], minlength=classes).tolist()
    return tuple(
        ClassScore(
            label=label,
            rows=true[label],
            predicted=found[label],
            precision=right[label] / found[label] if found[label] else None,
            recall=right[label] / true[label] if true[label] else None,
            f1=2 * right[label] / (true[label] + found[label]) if true[label] + found[label] else None,
            roc_auc=float(roc_auc_score(labels == label, probabilities[:, label]))
            if 0 < true[label] < len(labels)
            else None,
        )
        for label in range(classes)
    )
