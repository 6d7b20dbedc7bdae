"""A run that shows itself where it is the value of a notebook's cell."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.opening import StrPath
from kit.training.runs import RunDirectory

if TYPE_CHECKING:
    from markupsafe import Markup

_ODD = (KitError, LookupError, TypeError, ValueError, AttributeError)  # what files of other versions may lead to
_FIELDS = ("model", "epochs", "batch_size", "optimizer", "learning_rate", "schedule", "augment", "split", "seed")


class Run(RunDirectory):
    """A run directory, of ``train`` or by its path: ``Run("runs/digits/deeper-1")``.

    It equals the ``RunDirectory`` of the same path. To be shown it reads what there is, and says what is missing.
    """

    def __init__(self, path: StrPath) -> None:
        super().__init__(Path(path))

    @classmethod
    def open(cls, path: StrPath) -> Run:
        """The run at a path.

        Raises:
            RunError: there is none.
        """
        return cls(RunDirectory.open(Path(path)).path)

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, RunDirectory) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.path,))

    def __repr__(self) -> str:
        return f"Run({self.path}: {_status(self)}{_headline(self)})"

    def _repr_html_(self) -> str:
        """What Jupyter shows; it never raises, and nothing in it is fetched."""
        from kit.report.pages import environment

        id = f"kit-{uuid.uuid4().hex[:8]}"  # the same run may be shown twice
        recipe = _try(self.read_recipe, {})
        return (
            environment()
            .get_template("notebook.html")
            .render(
                id=id,
                name=self.path.name,
                path=str(self.path),
                competition=_try(lambda: recipe["recipe"]["competition"], self.path.parent.name),
                status=_status(self),
                scores=_try(lambda: _scores(self.read_metrics()), []),
                folds=_try(lambda: _folds(self.read_metrics()), ""),
                cost=_try(lambda: _cost(self.read_metrics()), ""),
                curves=_try(lambda: _curves(self, id), ""),
                recipe=_try(lambda: ", ".join(f"{name} {recipe['recipe'][name]}" for name in _FIELDS), ""),
            )
        )


def _try(read: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return read()
    except _ODD:
        return otherwise


def _status(run: RunDirectory) -> str:
    if not (run.path / "recipe.json").is_file():
        return "no run is there"
    if not run.is_finished:
        return "no scores yet: it is being trained" if run.is_locked else "no scores: its training was cut off"
    status: str = _try(lambda: str(run.read_metrics()["status"]), "damaged: its metrics.json is not what kit writes")
    return status


def _headline(run: RunDirectory) -> str:
    from kit.scoring.metrics import make_metric

    def told() -> str:
        metrics = run.read_metrics()
        shown = make_metric(metrics["metric"]).show(metrics["score"])
        return f", {metrics['metric']} {shown}, {metrics['scored_on']}"

    headline: str = _try(told, "")
    return headline


def _scores(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each part of the data: its figures with their interval, and whether it had a say in the training."""
    from kit.scoring.metrics import make_metric
    from kit.training.answered import PART_TITLES

    name = metrics.get("metric", "accuracy")  # before there was a choice
    rows = []
    for part in (part for part in PART_TITLES if part in metrics):
        found = metrics[part]
        low, high = found["accuracy_interval"]
        figures = [f"accuracy {100 * found['accuracy']:.2f} % ({100 * low:.2f} to {100 * high:.2f} %)"]
        if name != "accuracy":
            figures.insert(0, f"{name} {make_metric(name).show(found['score'])}")
        figures.append(f"log loss {found['log_loss']:.4f}")
        rows.append(
            {
                "part": PART_TITLES[part],
                "figures": figures,
                "rows": found["rows"],
                "selected": bool(found.get("selected")),
            }
        )
    return rows


def _folds(metrics: dict[str, Any]) -> str:
    from kit.scoring.metrics import make_metric

    metric = make_metric(metrics["metric"])
    spread = metrics["fold_deviation"]
    deviation = "" if spread is None else f", standard deviation {metric.show_spread(spread)}"
    shown = ", ".join(metric.show(each) for each in metrics["fold_scores"])
    return f"{metrics['metric']} {shown}; mean {metric.show(metrics['fold_mean'])}{deviation}"


def _cost(metrics: dict[str, Any]) -> str:
    return (
        f"{metrics['trainable_parameters']:,} trainable parameters, {metrics['seconds']:,.0f} s at "
        f"{metrics['images_per_second']:,.0f} images/s"
    )


def _curves(run: RunDirectory, id: str) -> Markup | str:
    """The folds' curves as ``<svg>``, whose style reaches nothing else in the notebook."""
    from markupsafe import Markup

    from kit.report.curves import draw_loss_and_accuracy
    from kit.report.drawing import Figures
    from kit.reporting import courses_of

    if not (courses := courses_of(run)):
        return ""
    svg = Figures().add(id, "Loss and accuracy against epochs", draw_loss_and_accuracy, courses)
    return Markup(svg.replace("*{", f"#{id} svg *{{"))
