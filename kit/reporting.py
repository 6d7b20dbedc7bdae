"""From runs to their page: whatever state a run is in, what is there is gathered, and what is missing is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.errors import KitError, RunError
from kit.opening import StrPath, resolve_recipe, saved_competition, training_images
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory, open_run
from kit.version import __version__

if TYPE_CHECKING:
    from kit.data.images import Competition, Images
    from kit.report.curves import Course
    from kit.report.material import Material, Suspect
    from kit.training.answered import Answered

PAGE = "report.html"
Runs = RunDirectory | StrPath | Sequence[RunDirectory | StrPath]


def report(run: Runs | None = None, out: StrPath | None = None, *, runs: StrPath = "runs") -> Path:
    """Write a run as one self-contained HTML page, by default ``report.html`` in the run itself.

    A run that was interrupted, lacks something or was made by an older version gets a page that says so.

    Args:
        run: a run or its path, by default the newest finished one; or several, which share the page ``out``.
        out: the page. Its figures are also written as files, into a directory beside it.
        runs: where the newest is looked for.

    Raises:
        KitError: it is not a run, its recipe.json is damaged, or the page cannot be written.
    """
    from kit.report.pages import PAGES, check_out
    from kit.report.run_page import write_report

    named = list(run) if isinstance(run, Sequence) and not isinstance(run, str) else [run]
    opened = [open_run(one, Path(runs)) for one in named]
    if out is None and len(opened) != 1:
        raise RunError(f"{len(opened)} runs and no page for all of them: expected --out with its name")
    path = Path(out) if out is not None else opened[0].path / PAGE
    check_out(path, *PAGES)
    return write_report([gather(one) for one in opened], path)


def report_each(named: Sequence[StrPath], out: StrPath | None = None, *, runs: StrPath = "runs") -> list[Path]:
    """Pages of runs: one a run, in the run itself; or with ``out`` one of all.

    Raises:
        KitError: as for :func:`report`; for what can be known before, no page is written.
    """
    from kit.report.pages import PAGES, check_out

    if out is not None or not named:
        return [report(list(named) or None, out, runs=runs)]
    opened = [open_run(one, Path(runs)) for one in named]
    for run in opened:
        run.read_recipe()
        check_out(run.path / PAGE, *PAGES)
    return [report(run) for run in opened]


def takes_keras(named: Sequence[StrPath], *, runs: StrPath = "runs") -> bool:
    """Whether models have to be built for the pages of runs: once each, then their layers are known."""
    for run in [open_run(one, Path(runs)) for one in named] or [open_run(None, Path(runs))]:
        try:
            run.read_layers()
        except RunError:
            return True
    return False


def gather(run: RunDirectory) -> Material:
    """All that a page says of a run.

    Raises:
        KitError: its recipe.json is damaged: nothing is known of it.
    """
    from kit.evaluating import evaluate
    from kit.report.material import Material, lead_part

    saved = run.read_recipe()
    notes: list[str] = []
    kept = [fold.read_training_answers() for fold in run.trained_folds()]
    limit = min((len(answers["rows"]) if answers else 0 for answers in kept), default=0)
    found = evaluate(run, training_rows=limit)  # those that are answered: others may take hours
    if kept and not limit:
        notes.append(f"training rows are not evaluated here: kit evaluate {run.path} does it, and keeps their answers")
    competition, images = _data(saved, notes)
    usual_name, usual = _usual_recipe(saved, competition)
    answered = _answered(run, len(found.class_names))
    return Material(
        run=run,
        title=found.competition,
        saved=saved,
        metrics=_metrics(run, notes),
        class_names=found.class_names,
        label_values=found.label_values,
        courses=courses_of(run),
        answered=answered,
        evaluations=found.parts,
        best_epochs=found.best_epochs,
        suspects=_suspects(answered),
        images=images,
        pictured=_pictured(run, lead_part(answered), competition, images, notes),
        usual_recipe=usual,
        usual_name=usual_name,
        notes=(*found.notes, *notes),
    )


def _metrics(run: RunDirectory, notes: list[str]) -> dict[str, Any]:
    """What metrics.json holds; {} of a run that did not finish, or whose summary is damaged, as the notes tell."""
    if not run.is_finished:
        return {}
    try:
        metrics = run.read_metrics()
    except RunError as error:
        notes.append(f"nothing is told of folds, time and parameters: {error}")
        return {}
    missing = [name for name in ("status", "metric", "seconds", "trainable_parameters") if name not in metrics]
    if missing:
        notes.append(
            f"the summary, metrics.json, does not tell {', '.join(missing)}: it is damaged, or of another version"
        )
    return metrics


def _data(saved: dict[str, Any], notes: list[str]) -> tuple[Competition | None, Images | None]:
    """The competition and the images of a run, as far as they are still there."""
    version = saved["versions"].get("kit")
    if version != __version__:
        notes.append(
            f"the run was made by kit {version or 'of an unknown version'}, and this page by kit {__version__}: "
            "what that version did not write down is missing"
        )
    try:
        competition = saved_competition(saved)
    except KitError as error:
        notes.append(f"the images are not to be had: {error}")
        return None, None
    try:
        return competition, training_images(saved, competition)
    except KitError as error:
        notes.append(f"the training images are not to be had: {error}")
        return competition, None


def _pictured(
    run: RunDirectory, part: str | None, competition: Competition | None, images: Images | None, notes: list[str]
) -> Images | None:
    """The images that the rows of a part are of: a refit has answers to the competition's test images alone."""
    if part != "test" or competition is None:
        return images
    try:
        return images if run.tests_own_rows else competition.load_test()
    except KitError as error:
        notes.append(f"the test images are not to be had: {error}")
        return None


def courses_of(run: RunDirectory) -> tuple[Course, ...]:
    """How each of a run's models was trained, of those whose history can be read; the evaluation tells of others."""
    from kit.report.curves import Course

    courses = []
    for fold in run.begun_folds():
        name = run.path.name if fold.path == run.path else fold.path.name
        try:
            columns = fold.read_curves()
        except RunError:
            continue
        courses.append(Course(name, columns, _kept(fold, columns["epoch"])))
    return tuple(courses)


def _kept(fold: FoldDirectory, epochs: np.ndarray) -> tuple[int, ...]:
    """The epochs whose weights were kept, as far as that is known; of snapshots, it is not."""
    try:
        scores = fold.read_scores()
        kept = scores["kept"]
        best = (scores.get("best_epoch") or {}).get("epoch")
        numbers = {"last": int(epochs[-1]), "best": best}
        found = (numbers.get(which) for which in ([kept] if isinstance(kept, str) else kept))
        return tuple(epoch for epoch in found if isinstance(epoch, int))
    except (RunError, LookupError, AttributeError, TypeError, ValueError):  # not scored yet, or damaged
        return ()


def _answered(run: RunDirectory, classes: int) -> dict[str, Answered]:
    """The answers that are numbers; the evaluation tells of others."""
    from kit.training.answered import answered_rows

    try:
        parts = {part: rows.finite for part, rows in answered_rows(run).items()}
    except RunError:
        return {}
    return {part: rows for part, rows in parts.items() if len(rows) and rows.probabilities.shape[1] == classes}


def _suspects(answered: dict[str, Answered]) -> tuple[Suspect, ...]:
    """Likely label errors among the rows that the page looks for mistakes in, the surest first."""
    from kit.report.material import Suspect, lead_part
    from kit.scoring.label_errors import likely_label_errors

    part = lead_part(answered)
    if part is None:
        return ()
    rows = answered[part]
    found = likely_label_errors(rows.probabilities, rows.labels)
    likeliest = rows.probabilities[found].argmax(axis=1)
    triples = zip(found.tolist(), rows.labels[found].tolist(), likeliest.tolist(), strict=True)
    return tuple(Suspect(*triple) for triple in triples)


def _usual_recipe(saved: dict[str, Any], competition: Competition | None) -> tuple[str, dict[str, Any]]:
    """The competition's own recipe of the run's model, with its name; nothing where there is none."""
    from kit.training.recipe import model_name

    try:
        name = model_name(saved["recipe"]["model"])
        if competition is None or name not in competition.recipes:
            return "", {}
        return name, resolve_recipe(competition, name, {}).to_dict()
    except (KitError, LookupError, TypeError):
        return "", {}
