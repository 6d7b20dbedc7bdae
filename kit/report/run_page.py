"""One self-contained HTML page about a run, or about several."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kit.report import curves, probabilities, tables
from kit.report.architecture import architecture
from kit.report.confusion import draw_confusion
from kit.report.drawing import Figures
from kit.report.exported import BATCH, measure_files
from kit.report.material import Material
from kit.report.mistakes import BUDGET, CONFIDENT, NEAR, Pictures, choose_mistakes, item_of
from kit.report.pages import figures_directory, write_page
from kit.scoring.confusion import confused_pairs, confused_together, confusion_counts
from kit.training.answered import PART_TITLES

SHOWN_PAIRS = 200  # most confused ones, as a table
SHOWN_SUSPECTS = 48
_TITLES = {
    "scores": "Scores",
    "curves": "Curves",
    "confusion": "Confusion",
    "probabilities": "Probabilities",
    "per_class": "Classes",
    "gallery": "Mistakes",
    "suspects": "Label errors",
    "architecture": "Architecture",
    "files": "Files",
    "recipe": "Recipe",
}


def write_report(runs: Sequence[Material], path: Path) -> Path:
    """Write the page of one run, or of several, each with its own sections below a table of all.

    Raises:
        RunError: the page cannot be written.
    """
    names = _distinct_names(runs)
    several = len(runs) > 1
    views = [
        _view(run, name, Figures(figures_directory(path), f"{name}-" if several else ""), BUDGET // len(runs))
        for run, name in zip(runs, names, strict=True)
    ]
    return write_page(
        path,
        "run.html",
        title=f"{len(runs)} runs" if several else f"{runs[0].saved['recipe']['competition']}: {names[0]}",
        sections=[("summary", "All runs"), *((name, name) for name in names)] if several else views[0]["sections"],
        runs=views,
        near=NEAR,
        confident=CONFIDENT,
        batch=BATCH,
    )


def _distinct_names(runs: Sequence[Material]) -> list[str]:
    """Of the directories, such as ``deeper-1``; fit to be part of a file's name and of an address within the page."""
    names: list[str] = []
    for run in runs:
        parent, name = (re.sub(r"[^\w.+-]+", "-", part) for part in run.path.resolve().parts[-2:])
        if name in names:
            name = f"{parent}-{name}"
        number = 2
        while name in (*names, "summary", "content"):
            name, number = f"{name}-{number}", number + 1
        names.append(name)
    return names


def _view(run: Material, name: str, drawn: Figures, budget: int) -> dict[str, Any]:
    """All that the template speaks of; the prefix of the figures is also that of the page's ids."""
    spec = run.saved["recipe"]["competition"]
    view: dict[str, Any] = {
        "name": name,
        "prefix": drawn.prefix,
        "title": run.title,
        "competition": spec,
        "notes": run.notes,
        "saved": run.saved,
        "status": run.metrics.get("status", "unfinished"),
        "command": shlex.join(["kit", "train", spec, "--recipe", str(run.path / "recipe.json")]),
        "classes": run.class_titles,
        "scores": tables.score_table(run),
        "lead_score": tables.lead_score(run),
        "extremes": tables.extreme_classes(run),
        "folds": tables.fold_scores(run),
        "best_epochs": tables.best_epochs(run),
        "effort": tables.effort(run),
        "recipe": tables.recipe_rows(run),
        "usual_name": run.usual_name,
        "context": tables.context_rows(run),
        "curves": _curves(run, drawn),
        "is_watched": any(course.is_watched for course in run.courses),
        "watches_apart": "out_of_fold" in run.evaluations,
        "has_broken_epochs": any(len(course.broken_epochs) for course in run.courses),
        "files": measure_files(run.path, run.run.onnx_files(), None if run.images is None else run.images.pixels),
        "architecture": architecture(run.run, drawn),
        **_answers(run, drawn, budget),
    }
    return {**view, "sections": [(drawn.prefix + key, title) for key, title in _TITLES.items() if view[key]]}


def _curves(run: Material, drawn: Figures) -> list[tuple[str, Any]]:
    """Captions and figures."""
    if not (courses := run.courses):
        return []
    metric = run.saved["recipe"]["metric"]
    along = "Loss against accuracy: a point an epoch, from the ring to the dot."
    found: list[tuple[str, str, Any, tuple[Any, ...]]] = [
        ("accuracy", "Accuracy of each epoch.", curves.draw_accuracy, ()),
        ("loss", "Loss of each epoch.", curves.draw_loss, ()),
        ("learning-rate", "Learning rate at the end of each epoch.", curves.draw_learning_rate, ()),
        ("loss-accuracy", along, curves.draw_loss_against_accuracy, ()),
    ]
    if metric not in ("accuracy", "log_loss") and any(course.is_watched for course in courses):
        found.insert(1, ("score", f"The competition's metric, {metric}.", curves.draw_score, (metric,)))
    return [(caption, drawn.add(name, caption, draw, courses, *more)) for name, caption, draw, more in found]


def _answers(run: Material, drawn: Figures, budget: int) -> dict[str, Any]:
    """What can be said of rows whose labels are known: nothing, where there are none."""
    if (part := run.answered_part) is None:
        return dict.fromkeys(("part", "confusion", "pairs", "probabilities", "per_class", "gallery", "suspects"))
    answered, titles = run.answered[part], run.class_titles
    pictures = Pictures(run.pictured)
    suspects = [item_of(answered, one.row, one.suggestion, pictures) for one in run.suspects[:SHOWN_SUSPECTS]]
    gallery = choose_mistakes(answered, pictures, budget - sum(len(item.picture) for item in suspects))
    counts = confusion_counts(answered.labels, answered.probabilities.argmax(axis=1), len(titles))
    evaluation = run.evaluations.get(part)
    return {
        "part": {"title": PART_TITLES[part], "rows": len(answered), "models": answered.models},
        "confusion": _confusion(counts, titles, drawn),
        "pairs": _pairs(counts, {(item.label, item.other) for item in gallery.items}),
        "probabilities": _probabilities(answered.probabilities, answered.labels, titles, drawn),
        "per_class": tables.class_rows(evaluation) if evaluation else None,
        "gallery": gallery,
        "suspects": {"items": suspects, "total": len(run.suspects), "is_out_of_fold": part == "out_of_fold"},
        "has_pictures": pictures.are_there,
    }


def _confusion(counts: np.ndarray, titles: list[str], drawn: Figures) -> list[tuple[str, Any]]:
    order = confused_together(counts)
    found = [("counts", "Rows, as counts.", False), ("shares", "Per cent of each true class.", True)]
    return [
        (caption, drawn.add(f"confusion-{name}", caption, draw_confusion, counts, titles, order, shares=shares))
        for name, caption, shares in found
    ]


def _pairs(counts: np.ndarray, pictured: set[tuple[int, int]]) -> dict[str, Any]:
    pairs = confused_pairs(counts)
    shown = [{**asdict(pair), "is_pictured": (pair.true, pair.predicted) in pictured} for pair in pairs[:SHOWN_PAIRS]]
    return {"shown": shown, "total": len(pairs)}


def _probabilities(values: np.ndarray, labels: np.ndarray, titles: list[str], drawn: Figures) -> list[tuple[str, Any]]:
    """ROC and precision-recall need rows of two classes; the reliability diagram does not."""
    found = []
    if roc := probabilities.roc_curves(values, labels):
        caption = "ROC: each class against the rest."
        found.append((caption, drawn.add("roc", caption, probabilities.draw_roc, roc, titles)))
        caption = "Precision against recall: each class against the rest."
        precise = probabilities.precision_recall_curves(values, labels)
        draw = probabilities.draw_precision_recall
        found.append((caption, drawn.add("precision-recall", caption, draw, precise, titles)))
    reliable = probabilities.reliability(values, labels)
    caption = (
        "Reliability: how often predictions of each confidence are right. "
        f"Expected calibration error {reliable.error:.4f}, in {probabilities.BINS} bins."
    )
    found.append((caption, drawn.add("reliability", caption, probabilities.draw_reliability, reliable)))
    return found
