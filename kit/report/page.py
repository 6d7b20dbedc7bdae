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
from kit.scoring.metrics import make_metric
from kit.training.runs import RunDirectory

SHOWN_MISTAKES = 12


def write_report(run: RunDirectory, competition: Competition, images: Images, path: Path) -> Path:
    """Write the page of a finished run.

    Raises:
        RunError: the run did not finish or is damaged, or the page cannot be written.
    """
    from markupsafe import Markup

    recipe, metrics = run.read_recipe(), run.read_metrics()
    folds = run.trained_folds()
    labels, probabilities, ids = _validated(run)
    names = [_class_title(competition, index) for index in range(len(competition.class_names))]
    text = _render(
        run.path,
        recipe,
        metrics,
        title=f"{competition.name}: {run.path.name}",
        competition=competition.title,
        command=shlex.join(["kit", "train", competition.spec, "--recipe", str(run.path / "recipe.json")]),
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


def _render(run: Path, recipe: dict[str, Any], metrics: dict[str, Any], **parts: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError

    pages = Environment(loader=PackageLoader("kit.report", "."), autoescape=True, undefined=StrictUndefined)
    try:
        return pages.get_template("page.html").render(
            recipe=recipe,
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
