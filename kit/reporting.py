"""From a run to what its page says: whatever state it is in, what is there is gathered, and what is missing is told."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import KitError, RunError
from kit.opening import StrPath, resolve_recipe, saved_competition, training_images
from kit.training.runs import FoldDirectory, RunDirectory, open_run
from kit.version import __version__

if TYPE_CHECKING:
    from kit.data.images import Competition, Images
    from kit.report.curves import Course
    from kit.report.material import Material
    from kit.scoring.evaluation import Evaluation
    from kit.training.answered import Answered

PAGE = "report.html"
logger = logging.getLogger("kit")


def report(
    run: RunDirectory | StrPath | Sequence[RunDirectory | StrPath] | None = None,
    out: StrPath | None = None,
    *,
    runs: StrPath = "runs",
) -> Path:
    """Write a run as one self-contained HTML page, by default ``report.html`` in the run itself.

    A run that was interrupted, lacks something or was made by an older version gets a page that says so.

    Args:
        run: a run or its path, by default the newest one; or several, which share the page ``out``.
        out: the page. Its figures are also written as files, into a directory beside it.
        runs: where the newest is looked for.

    Raises:
        KitError: it is not a run, its recipe.json is damaged, or the page cannot be written.
    """
    from kit.report.page import write_report
    from kit.report.pages import check_page

    named = [run] if run is None or isinstance(run, RunDirectory | str | Path) else list(run)  # type: ignore[arg-type]
    opened = [open_run(one, Path(runs)) for one in named]
    if not opened or (len(opened) > 1 and out is None):
        raise RunError(f"{len(opened)} runs and no page for them: name it with --out")
    path = Path(out) if out is not None else opened[0].path / PAGE
    check_page(path)
    return write_report([gather(one) for one in opened], path)


def report_each(
    runs_named: Sequence[RunDirectory | StrPath], out: StrPath | None = None, *, runs: StrPath = "runs"
) -> list[Path]:
    """Pages of runs: one a run, or with ``out`` one of all.

    Raises:
        KitError: as for :func:`report`; before any page is written where possible.
    """
    if out is not None or not runs_named:
        return [report(runs_named or None, out, runs=runs)]
    opened = [open_run(one, Path(runs)) for one in runs_named]
    return [report(run) for run in opened]


@dataclass
class _Found:
    """What is to be said of a run beside its figures."""

    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def gather(run: RunDirectory) -> Material:
    """All that a page says of a run.

    Raises:
        KitError: its recipe.json is damaged: nothing is known of it.
    """
    from kit.report.material import Material

    found = _Found()
    saved = run.read_recipe()
    metrics = _metrics(run, saved, found)
    competition, images = _data(saved, found)
    courses = _courses(run, found)
    answered = _answered(run, saved, found)
    names, values = _classes(run, saved, competition, answered, found)
    answered = {part: rows for part, rows in answered.items() if rows.probabilities.shape[1] == len(names)}
    evaluations = _evaluations(run, answered, names, found)
    usual_name, usual = _usual_recipe(saved, competition)
    material = Material(
        run=run,
        title=competition.title if competition else saved["recipe"]["competition"],
        saved=saved,
        metrics=metrics,
        class_names=names,
        label_values=values,
        courses=courses,
        answered=answered,
        evaluations=evaluations,
        images=images,
        usual_recipe=usual,
        usual_name=usual_name,
        warnings=tuple(found.warnings),
        notes=tuple(found.notes),
    )
    return material


def _metrics(run: RunDirectory, saved: dict[str, Any], found: _Found) -> dict[str, Any]:
    """What metrics.json holds, and what it says of how the run ended."""
    command = shlex.join(["kit", "train", "--resume", str(run.path)])
    if run.is_finished:
        try:
            metrics = run.read_metrics()
        except RunError as error:
            found.warnings.append(f"The run's summary cannot be read: {error}.")
            return {}
    else:
        found.warnings.append(f"This run did not finish: what it has so far is below. Go on with: {command}")
        return {}
    status = metrics.get("status")
    if status != "complete":
        ended = {"interrupted": "was interrupted", "failed": "failed: a loss was not a number"}
        told = ended.get(str(status), "has a summary that is damaged")
        found.warnings.append(
            f"This run {told}; what it has so far is below. log.txt in it says more. Go on with: {command}"
        )
    if "refit_of" in saved:
        origin = saved["refit_of"].get("run", "the run that it was made of")
        found.warnings.append(
            f"This run was trained on every row, so that it has no validated rows: {origin} tells how good its recipe is."
        )
    planned, trained = saved.get("folds", ()), run.trained_folds()
    if len(trained) < len(planned):
        found.warnings.append(f"{len(trained)} of {len(planned)} models are trained.")
    return metrics


def _data(saved: dict[str, Any], found: _Found) -> tuple[Competition | None, Images | None]:
    """The competition and the images of a run, as far as they are still there."""
    if (version := saved["versions"].get("kit")) != __version__:
        found.warnings.append(
            f"This run was made by kit {version or 'of an unknown version'}, and this page by kit {__version__}: what that "
            "version did not write down is missing."
        )
    try:
        competition = saved_competition(saved)
    except KitError as error:
        found.warnings.append(f"No pictures, as the competition's files are gone: {error}.")
        return None, None
    try:
        return competition, training_images(saved, competition)
    except KitError as error:
        found.warnings.append(f"No pictures: {error}.")
        return competition, None


def _courses(run: RunDirectory, found: _Found) -> tuple[Course, ...]:
    from kit.report.curves import Course

    courses = []
    for fold in run.begun_folds():
        name = "" if fold.path == run.path else fold.path.name
        try:
            epochs = fold.read_history()
        except RunError as error:
            found.warnings.append(f"Epochs are missing: {error}.")
            continue
        kept, best = _kept(fold, len(epochs))
        course = Course(name or run.path.name, tuple(epochs), kept, best)
        courses.append(course)
        if course.broken_epochs:
            found.warnings.append(
                f"{course.name}: a loss was not a number in epoch {_listed(course.broken_epochs)}: the curves have gaps there."
            )
    if not courses:
        found.warnings.append("No epoch was written down, so that there are no curves.")
    return tuple(courses)


def _kept(fold: FoldDirectory, epochs: int) -> tuple[tuple[int, ...], int | None]:
    """The epochs whose weights were kept, as far as that is known, and the best one."""
    try:
        scores = fold.read_scores()
        best = (scores.get("best_epoch") or {}).get("epoch")
        kept = scores.get("kept", ())
        known = {"last": epochs, "best": best}
        return tuple(known[which] for which in ([kept] if isinstance(kept, str) else kept) if known.get(which)), best
    except (RunError, AttributeError, TypeError):  # not scored yet, or damaged, which others tell of
        return (), None


def _listed(epochs: Sequence[int]) -> str:
    """1, 2, 3, 7 -> 1 to 3, 7"""
    spans: list[list[int]] = []
    for epoch in epochs:
        if spans and epoch == spans[-1][-1] + 1:
            spans[-1].append(epoch)
        else:
            spans.append([epoch])
    return ", ".join(f"{span[0]} to {span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)


def _answered(run: RunDirectory, saved: dict[str, Any], found: _Found) -> dict[str, Answered]:
    """The answers to labelled rows, of those that are numbers."""
    import numpy as np

    from kit.training.answered import answered_rows

    try:
        parts = answered_rows(run)
    except RunError as error:
        found.warnings.append(f"Nothing can be said of its answers: {error}.")
        return {}
    for part, rows in parts.items():
        if not np.isfinite(rows.probabilities).all():
            found.warnings.append(
                f"The probabilities of {part.replace('_', ' ')} rows are not all numbers: they are left out."
            )
    whole = {part: rows for part, rows in parts.items() if np.isfinite(rows.probabilities).all()}
    if not whole and run.trained_folds() and "refit_of" not in saved:
        found.warnings.append("It has no answers to validated rows, so that nothing can be said of mistakes.")
    return whole


def _classes(
    run: RunDirectory,
    saved: dict[str, Any],
    competition: Competition | None,
    answered: dict[str, Answered],
    found: _Found,
) -> tuple[tuple[str, ...], tuple[int | str, ...]]:
    """Names and label values: of the competition, or of a model file, or, where both are gone, numbers."""
    from kit.deploy.model_file import load_model

    if competition is not None:
        return competition.class_names, competition.label_values
    for path in run.onnx_files()[:1]:
        try:
            card = load_model(path, "cpu").card
            return card.class_names, card.label_values
        except KitError:
            break
    count = max((rows.probabilities.shape[1] for rows in answered.values()), default=0)
    found.warnings.append("The classes are numbered, as nothing is left that knows their names.")
    return tuple(f"class {number}" for number in range(count)), tuple(f"class {number}" for number in range(count))


def _evaluations(
    run: RunDirectory, answered: dict[str, Answered], names: Sequence[str], found: _Found
) -> dict[str, Evaluation]:
    from kit.report.material import PART_TITLES
    from kit.scoring.evaluation import evaluate_rows

    metric = run.read_recipe()["recipe"]["metric"]
    evaluations = {
        part: evaluate_rows(rows.probabilities, rows.labels, metric=metric, selected=rows.selected)
        for part, rows in answered.items()
    }
    for part, evaluation in evaluations.items():
        if missing := evaluation.missing_classes:
            few = ", ".join(names[label] for label in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            found.warnings.append(
                f"The {PART_TITLES[part]} rows have none of {few}{more}: nothing can be said of "
                f"{'that class' if len(missing) == 1 else 'those classes'}."
            )
    return evaluations


def _usual_recipe(saved: dict[str, Any], competition: Competition | None) -> tuple[str, dict[str, Any]]:
    """The competition's own recipe of the run's model, with its name; nothing where there is none."""
    from kit.training.recipe import model_name

    try:
        name = model_name(saved["recipe"]["model"])
        if competition is None or name not in competition.recipes:
            return "", {}
        return name, resolve_recipe(competition, name, {}).to_dict()
    except (KitError, KeyError, TypeError):
        return "", {}
