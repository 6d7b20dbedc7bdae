"""A run that shows itself where it is the value of a notebook's cell."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import KitError
from kit.opening import StrPath
from kit.training.events import Epoch
from kit.training.runs import RunDirectory

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

_ODD = (KitError, LookupError, TypeError, ValueError, AttributeError)  # what files of other versions may lead to
_PARTS = {"validation": "validation", "out_of_fold": "out of fold", "test": "test"}
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

    name = metrics.get("metric", "accuracy")  # before there was a choice
    rows = []
    for part in (part for part in _PARTS if part in metrics):
        found = metrics[part]
        low, high = found["accuracy_interval"]
        figures = [f"accuracy {100 * found['accuracy']:.2f} % ({100 * low:.2f} to {100 * high:.2f} %)"]
        if name != "accuracy":
            figures.insert(0, f"{name} {make_metric(name).show(found['score'])}")
        figures.append(f"log loss {found['log_loss']:.4f}")
        rows.append(
            {"part": _PARTS[part], "figures": figures, "rows": found["rows"], "selected": bool(found.get("selected"))}
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

    from kit.report.drawing import Figures

    histories = [_try(fold.read_history, []) for fold in run.begun_folds()]
    histories = [history for history in histories if history]
    if not histories:
        return ""
    svg = Figures().add(id, "Loss and accuracy against epochs", _small_curves, histories)
    return Markup(svg.replace("*{", f"#{id} svg *{{"))


def _small_curves(histories: Sequence[Sequence[Epoch]]) -> Figure:
    from matplotlib.figure import Figure

    from kit.report.drawing import BLUE, ORANGE

    figure = Figure(figsize=(4.8, 1.9), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    # Folds may have no rows that are watched, and then no figures of them.
    watched = any(math.isfinite(each.validation_loss) for history in histories for each in history)
    for number, history in enumerate(histories):
        epochs = [each.epoch for each in history]
        style: dict[str, Any] = {"linewidth": 1.2, "marker": "o" if len(history) == 1 else "", "markersize": 3}
        names = ("training", "watched" if watched else None) if number == 0 else (None, None)
        loss.plot(epochs, [each.loss for each in history], color=BLUE, label=names[0], **style)
        loss.plot(epochs, [each.validation_loss for each in history], color=ORANGE, label=names[1], **style)
        accuracy.plot(epochs, [100 * each.accuracy for each in history], color=BLUE, **style)
        accuracy.plot(epochs, [100 * each.validation_accuracy for each in history], color=ORANGE, **style)
    for axes, title in ((loss, "loss"), (accuracy, "accuracy, %")):
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(True)
    loss.legend(fontsize=7)
    return figure
