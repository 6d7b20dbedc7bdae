"""One self-contained HTML page about a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import Competition, Images
from kit.errors import RunError
from kit.files import write_text
from kit.report import figures
from kit.training.runs import RunDirectory

SHOWN_MISTAKES = 12


def write_report(run: RunDirectory, competition: Competition, images: Images, path: Path) -> Path:
    """Write the page of a finished run.

    Raises:
        RunError: the run did not finish.
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    recipe, metrics = run.read_recipe(), run.read_metrics()
    folds = run.trained_folds()
    predictions = [fold.read_predictions() for fold in folds]
    labels, probabilities, ids = (
        np.concatenate([arrays[f"validation_{name}"] for arrays in predictions])
        for name in ("labels", "probabilities", "ids")
    )
    names = [_class_title(competition, index) for index in range(len(competition.class_names))]
    page = Environment(loader=PackageLoader("kit.report", "."), autoescape=True).get_template("page.html")
    text = page.render(
        title=f"{competition.name}: {run.path.name}",
        competition=competition.title,
        recipe=recipe,
        metrics=metrics,
        scores=_score_rows(metrics),
        command=shlex.join(["kit", "train", competition.name, "--recipe", str(run.path / "recipe.json")]),
        curves=Markup(figures.curves([fold.read_history() for fold in folds])),
        confusion=Markup(figures.confusion(labels, probabilities.argmax(axis=1), names)),
        mistakes=Markup(_mistakes(images, ids, labels, probabilities, names)),
        shown_mistakes=min(SHOWN_MISTAKES, int((probabilities.argmax(axis=1) != labels).sum())),
        total_mistakes=int((probabilities.argmax(axis=1) != labels).sum()),
    )
    try:
        write_text(path, text)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _class_title(competition: Competition, index: int) -> str:
    """The class's name, and the value a submission has for it where that is another."""
    name, value = competition.class_names[index], str(competition.label_values[index])
    return name if name == value else f"{value} {name}"


def _score_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    parts = {"validation": "validation", "out_of_fold": "out of fold", "test": "test"}
    return [{"rows_of": title, **metrics[part]} for part, title in parts.items() if part in metrics]


def _mistakes(images: Images, ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: list[str]) -> str:
    """The validated images whose wrong answer had the highest probability."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    if not len(wrong):
        return ""
    shown = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:SHOWN_MISTAKES]
    row_of = {name: row for row, name in enumerate(images.ids.tolist())}
    captions = [
        f"id {ids[i]}\nis {names[labels[i]]}, {probabilities[i, labels[i]]:.0%}\n"
        f"taken for {names[predicted[i]]}, {probabilities[i, predicted[i]]:.0%}"
        for i in shown
    ]
    return figures.mistakes(images.pixels[[row_of[ids[i].item()] for i in shown]], captions)
