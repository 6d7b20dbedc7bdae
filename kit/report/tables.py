"""The tables of a run's page, as rows of words and numbers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kit.errors import KitError
from kit.report.material import Material
from kit.report.pages import percent
from kit.scoring.evaluation import Evaluation, figure_title, show_figure
from kit.scoring.metrics import make_metric
from kit.training.answered import PART_TITLES


def score_table(run: Material) -> dict[str, Any]:
    """Figures down, parts across: ``heads`` of (part, rows, selected), ``rows`` of (figure, [(value, interval)])."""
    parts = [part for part in PART_TITLES if part in run.evaluations]
    if not parts:
        return {}
    rows = []
    for name in dict.fromkeys(name for part in parts for name in run.evaluations[part].scores):
        found = [run.evaluations[part].scores.get(name) for part in parts]
        cells = [
            (show_figure(name, one.value), f"{show_figure(name, one.low)} to {show_figure(name, one.high)}")
            if one
            else ("–", "")
            for one in found
        ]
        rows.append((figure_title(name), cells))
    heads = [(PART_TITLES[part], run.evaluations[part].rows, run.evaluations[part].selected) for part in parts]
    return {"heads": heads, "rows": rows}


def lead_score(run: Material) -> dict[str, Any] | None:
    """The competition's metric on the rows that a run is judged by, for a table of several runs."""
    part = run.answered_part
    evaluation = run.evaluations.get(part or "")
    if part is None or evaluation is None:
        return None
    metric, score = next(iter(evaluation.scores.items()))
    shown = {name: show_figure(metric, value) for name, value in asdict(score).items()}
    return {
        "rows_of": PART_TITLES[part],
        "rows": evaluation.rows,
        "selected": evaluation.selected,
        "metric": figure_title(metric),
        "numbers": asdict(score),
        "shown": shown,
    }


def extreme_classes(run: Material) -> list[tuple[str, str, str]]:
    """Part, best class and worst class, each with its recall."""
    titles, found = run.class_titles, []
    for part, evaluation in run.evaluations.items():
        both = (evaluation.classes[label] for label in (evaluation.best_class, evaluation.worst_class))
        best, worst = (f"{titles[one.label]}, {100 * (one.recall or 0):.2f} %" for one in both)
        found.append((PART_TITLES[part], best, worst))
    return found


def fold_scores(run: Material) -> dict[str, Any]:
    """How the folds fare among themselves, by the competition's metric; {} of a single one, or of damaged figures."""
    try:
        metric = make_metric(run.metrics["metric"])
        deviation = run.metrics["fold_deviation"]
        return {
            "metric": run.metrics["metric"],
            "scores": [metric.show(score) for score in run.metrics["fold_scores"]],
            "mean": metric.show(run.metrics["fold_mean"]),
            "deviation": None if deviation is None else metric.show_spread(deviation),
        }
    except (KitError, LookupError, TypeError, ValueError, AttributeError):
        return {}


def best_epochs(run: Material) -> list[dict[str, Any]]:
    """The best epoch of each model, or the last where no rows watched it, with its figures as words."""
    names = [course.name for course in run.courses]
    rows = []
    for best in run.best_epochs:
        shares = {name: percent(getattr(best, name)) for name in ("accuracy", "validation_accuracy")}
        losses = {name: _number(getattr(best, name)) for name in ("loss", "validation_loss")}
        name = names[0] if len(names) == 1 else f"fold-{best.fold}"
        rows.append({"name": name, "epoch": best.epoch, "epochs": best.epochs, "by": best.by, **shares, **losses})
    return rows


def effort(run: Material) -> str:
    """Parameters and time, in a sentence; "" of a run that has no figures, or damaged ones."""
    try:
        parameters, seconds, speed = (
            run.metrics[name] for name in ("trainable_parameters", "seconds", "images_per_second")
        )
        return f"{parameters:,} trainable parameters, {seconds:,.0f} s of training at {speed:,.0f} images/s."
    except (LookupError, TypeError, ValueError):
        return ""


def class_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The figures of each class, the best and the worst marked as such."""
    marks = {evaluation.worst_class: "worst", evaluation.best_class: "best"}
    return [{**asdict(one), "mark": marks.get(one.label, "")} for one in evaluation.classes]


def recipe_rows(run: Material) -> list[tuple[str, Any, Any]]:
    """Name, value, and the value of the competition's own recipe where that is another; else None."""
    rows = []
    for name, value in run.saved["recipe"].items():
        usual = run.usual_recipe.get(name, value)
        rows.append((name, value, None if usual == value else usual))
    return rows


def context_rows(run: Material) -> list[tuple[str, Any]]:
    """What the recipe was resolved to, on which images, with which versions."""
    saved = run.saved
    rows = [*saved["resolved"].items()]
    rows += [
        ("data", saved["data"] or "embedded"),
        *((f"images, {name}", value) for name, value in saved["images"].items()),
    ]
    rows += [(f"version of {name}", version) for name, version in saved["versions"].items()]
    return [*rows, ("recipe hash", saved["recipe_hash"])]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
