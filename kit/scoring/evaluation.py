"""How good answers are in every usual figure, each with how far it may be off."""

from __future__ import annotations

from dataclasses import dataclass


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
