"""What a page says of a run, gathered before it is drawn; what is missing is empty, and a warning says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.data.images import Images, LabelValue, class_title
from kit.report.curves import Course
from kit.scoring.evaluation import Evaluation
from kit.training.answered import Answered
from kit.training.best_epochs import BestEpoch
from kit.training.runs import RunDirectory


@dataclass(frozen=True)
class Suspect:
    """A row whose label is likely an error. label, suggestion: class indices."""

    row: int
    label: int
    suggestion: int


@dataclass(frozen=True)
class Material:
    """One run.

    saved: what its recipe.json holds.
    metrics: what its metrics.json holds; {} of a run that did not finish.
    class_names, label_values: in the order of the class indices.
    courses: how the training of each of its models went.
    best_epochs: one a model that has a history.
    answered, evaluations: by part; ``answered_part`` is the one that its mistakes are looked for in.
    suspects: likely label errors among the rows of ``answered_part``, the likeliest first.
    images: what it was trained on, None where that is gone.
    pictured: what the rows of ``answered_part`` are of, None where that is gone.
    usual_recipe, usual_name: the competition's own recipe of this model; {} where there is none.
    notes: what a reader should know, and what is missing and why, a line each.
    """

    run: RunDirectory
    title: str
    saved: Mapping[str, Any]
    metrics: Mapping[str, Any]
    class_names: tuple[str, ...]
    label_values: tuple[LabelValue, ...]
    courses: tuple[Course, ...] = ()
    answered: Mapping[str, Answered] = field(default_factory=dict)
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    best_epochs: tuple[BestEpoch, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    images: Images | None = None
    pictured: Images | None = None
    usual_recipe: Mapping[str, Any] = field(default_factory=dict)
    usual_name: str = ""
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def answered_part(self) -> str | None:
        return lead_part(self.answered)

    @property
    def class_titles(self) -> list[str]:
        """What each class is called on the page."""
        return [class_title(*each) for each in zip(self.class_names, self.label_values, strict=True)]


def lead_part(parts: Mapping[str, Any]) -> str | None:
    """The part that a run is judged by: rows that had no part in its weights, rather out of fold than of the test."""
    return next((part for part in ("out_of_fold", "validation", "test") if part in parts), None)
