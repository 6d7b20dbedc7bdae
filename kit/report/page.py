"""One self-contained HTML page about a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import Competition, Images
from kit.errors import RunError
from kit.report import figures
from kit.report.drawing import Figures
from kit.report.pages import check_page, figures_directory, write_page
from kit.scoring.metrics import make_metric
from kit.training.runs import RunDirectory

SHOWN_MISTAKES = 12


def write_report(run: RunDirectory, competition: Competition, images: Images, path: Path) -> Path:
    """Write the page of a finished run.

    Raises:
        RunError: the run did not finish or is damaged, or the page cannot be written.
    """
    check_page(path)
    recipe, metrics = run.read_recipe(), run.read_metrics()
    folds = run.trained_folds()
    labels, probabilities, ids = _validated(run)
    names = [_class_title(competition, index) for index in range(len(competition.class_names))]
    drawn = Figures(figures_directory(path))
    shown, wrong = _mistakes(images, ids, labels, probabilities, names)
    return _write(
        run.path,
        path,
        recipe=recipe,
        metrics=metrics,
        title=f"{competition.name}: {run.path.name}",
        competition=competition.title,
        command=shlex.join(["kit", "train", competition.spec, "--recipe", str(run.path / "recipe.json")]),
        curves=drawn.add(
            "curves", "Accuracy, loss and learning rate", figures.curves, [f.read_history() for f in folds]
        ),
        confusion=drawn.add(
            "confusion", "Confusion matrix", figures.confusion, labels, probabilities.argmax(axis=1), names
        ),
        mistakes=drawn.add("mistakes", "Mistakes", figures.mistakes, *shown) if wrong else "",
        shown_mistakes=min(SHOWN_MISTAKES, wrong),
        total_mistakes=wrong,
    )


def _write(run: Path, path: Path, metrics: dict[str, Any], **parts: Any) -> Path:
    from jinja2 import UndefinedError

    try:
        return write_page(
            path,
            "run.html",
            sections=[("scores", "Scores"), ("curves", "Curves"), ("mistakes", "Mistakes"), ("recipe", "Recipe")],
            metrics=metrics,
            show=make_metric(metrics["metric"]).show,
            show_spread=make_metric(metrics["metric"]).show_spread,
            scores=_score_rows(metrics),
            **parts,
        )
    except (UndefinedError, LookupError, TypeError, ValueError) as error:
        raise RunError(
            f"the run {run} is damaged: its metrics.json or recipe.json is not what kit train writes "
            f"({error}); train it anew"
        ) from None


def _validated(run: RunDirectory) -> list[np.ndarray]:
    """Labels (rows,), probabilities (rows, classes) and ids (rows,) of all rows that some fold was validated on."""
    if found := run.read_recipe().get("refit_of"):
        raise RunError(f"{run.path} was trained on every row, so there is nothing to report on: see {found['run']}")
    predictions = [fold.read_predictions() for fold in run.trained_folds()]
    try:
        return [
            np.concatenate([arrays[f"validation_{name}"] for arrays in predictions])
            for name in ("labels", "probabilities", "ids")
        ]
    except (KeyError, ValueError) as error:
        raise RunError(
            f"the run {run.path} is damaged: it has no predictions of validated rows ({error}); train it anew"
        ) from None


def _class_title(competition: Competition, index: int) -> str:
    """The class's name, and the value a submission has for it where that is another."""
    name, value = competition.class_names[index], str(competition.label_values[index])
    return name if name == value else f"{value} {name}"


def _score_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    parts = {"validation": "validation", "out_of_fold": "out of fold", "test": "test"}
    return [{"rows_of": title, **metrics[part]} for part, title in parts.items() if part in metrics]


def _mistakes(
    images: Images, ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: list[str]
) -> tuple[tuple[np.ndarray, list[str]], int]:
    """Pixels and captions of the validated images whose wrong answer had the highest probability; and how many."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    shown = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:SHOWN_MISTAKES]
    row_of = {name: row for row, name in enumerate(images.ids.tolist())}
    captions = [
        f"id {ids[i]}\nis {names[labels[i]]}, {probabilities[i, labels[i]]:.0%}\n"
        f"taken for {names[predicted[i]]}, {probabilities[i, predicted[i]]:.0%}"
        for i in shown
    ]
    return (images.pixels[[row_of[ids[i].item()] for i in shown]], captions), len(wrong)
