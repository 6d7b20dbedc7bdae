"""Runs against each other: the ranking of a competition's, and a few of them in detail."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.deploy.provenance import latest_submissions
from kit.errors import DataError, RecipeError, RunError
from kit.opening import StrPath, claims_of_competition, known_competitions, saved_competition
from kit.registry import unknown_name
from kit.report.compared import ComparedRun, Comparison, Group, Leaderboard
from kit.report.standings import GAP_NOTE, PUBLISHED_NOTE, short_names
from kit.scoring.metrics import make_metric
from kit.scoring.pairs import Shared, judge_pairs
from kit.training.answered import PART_TITLES, Answered, answered_rows
from kit.training.outline import RunOutline, class_extremes, outline, rank
from kit.training.runs import RunDirectory, find_runs

if TYPE_CHECKING:
    from kit.data.claims import Claim
    from kit.training.events import Epoch

HELD_OUT, TEST = "rows that both held out", "test rows"
OTHER_IMAGES = "no test, as they have other images or labels, or these in another order"
NO_ROWS = "no test, as there is no row that both held out: train them with --folds, or with the same split and seed"
LISTED = 5  # pairs that a note names


def leaderboard(
    competition: str, *, runs: StrPath = "runs", submissions: StrPath = "submissions", out: StrPath | None = None
) -> Leaderboard:
    """Rank all runs of a competition by its metric on validated rows, among the results that were published.

    Args:
        competition: its name; runs with other options are ranked apart.
        submissions: where CSVs are kept, beside which their scores are noted.
        out: a ``.csv``, ``.json`` or ``.html`` file to write it to.

    Raises:
        KitError: there is no such competition, or ``out`` cannot be written.
    """
    from kit.report.comparison import FORMATS, write_leaderboard
    from kit.report.pages import check_out

    if out is not None:
        check_out(Path(out), *FORMATS)
    root = Path(runs)
    found = [run for run in find_runs(root) if run.path.parent.name == competition]
    if not found and competition not in (names := known_competitions()):
        raise RecipeError(unknown_name("competition", competition, names))
    submitted = latest_submissions(Path(submissions))
    rows = sorted((outline(run, submitted.get(run.path.resolve())) for run in found), key=rank)
    ranked = [row for row in rows if row.score is not None]
    claims = claims_of_competition(competition)
    groups = _groups(ranked, claims, competition) or _published_alone(claims, competition)
    unranked = tuple(row for row in rows if row.score is None)
    board = Leaderboard(competition, tuple(groups), unranked, tuple(_notes(groups)))
    if out is not None:
        write_leaderboard(board, Path(out))
    return board


def _groups(ranked: Sequence[RunOutline], claims: Mapping[str, Claim], competition: str) -> list[Group]:
    by_task: dict[tuple[str, str, str], list[RunOutline]] = {}
    for row in ranked:
        spec, _, images = str(row.task).rpartition(" ")
        by_task.setdefault((spec, images, str(row.metric)), []).append(row)
    groups = []
    for (spec, images, metric), rows in by_task.items():
        # What was published is of the competition with its options at their defaults.
        published = _published(claims, competition, metric) if spec == competition else []
        key = make_metric(metric).key
        together = sorted([*rows, *published], key=lambda row: -key(row.score))  # type: ignore[arg-type]
        groups.append(Group(spec, images, metric, tuple(together)))
    return sorted(groups, key=lambda group: -sum(not row.published for row in group.rows))


def _published(claims: Mapping[str, Claim], competition: str, metric: str) -> list[RunOutline]:
    return [
        RunOutline(
            run=name,
            competition=competition,
            status="published",
            metric=metric,
            score=claim.published,
            scored_on=claim.published_on,
            selected=claim.published_on == "validation",
            published=True,
        )
        for name, claim in claims.items()
        if claim.published is not None and claim.metric == metric
    ]


def _published_alone(claims: Mapping[str, Claim], competition: str) -> list[Group]:
    metrics = {claim.metric for claim in claims.values() if claim.published is not None}
    groups = []
    for metric in sorted(metrics):
        key = make_metric(metric).key
        rows = sorted(_published(claims, competition, metric), key=lambda row: -key(row.score))  # type: ignore[arg-type]
        groups.append(Group(competition, "", metric, tuple(rows)))
    return groups


def _notes(groups: Sequence[Group]) -> list[str]:
    notes = []
    for group in groups:
        best = next((place for place, row in enumerate(group.rows, 1) if not row.published), None)
        published = sum(row.published for row in group.rows)
        if best and published:
            name = Path(group.rows[best - 1].run).name
            notes.append(f"{name}, the best run, has rank {best} of {published + 1} with the published results")
    if len(groups) > 1:
        notes.append("runs of other images, labels, options or metric are not ranked with each other: a table for each")
    if any(row.gap is not None for group in groups for row in group.rows):
        notes.append(GAP_NOTE)
    if any(row.published for group in groups for row in group.rows):
        notes.append(PUBLISHED_NOTE)
    return notes


def compare_runs(
    *sources: RunDirectory | StrPath, submissions: StrPath = "submissions", out: StrPath | None = None
) -> Comparison:
    """Compare runs of one competition: scores, recipes, curves, mistakes, and whether they differ by more than noise.

    Args:
        sources: two runs or more, or their paths.
        submissions: where CSVs are kept, beside which their scores are noted.
        out: a ``.csv``, ``.json`` or ``.html`` file to write it to.

    Raises:
        KitError: fewer than two runs, one that did not finish or is damaged, runs of several competitions, or ``out``
            cannot be written.
    """
    from kit.report.comparison import FORMATS, write_comparison
    from kit.report.pages import check_out

    if out is not None:
        check_out(Path(out), *FORMATS)
    opened = [source if isinstance(source, RunDirectory) else RunDirectory.open(Path(source)) for source in sources]
    _check_comparable(opened)
    submitted = latest_submissions(Path(submissions))
    outlines = [outline(run, submitted.get(run.path.resolve())) for run in opened]
    for row in outlines:
        if row.status == "damaged":
            raise RunError(
                f"the run {row.run} is damaged: its recipe.json or metrics.json is not what kit train writes"
            )
    names = short_names(outlines)
    lost: list[str] = []
    runs = [_read(run, row, name, lost) for run, row, name in zip(opened, outlines, names, strict=True)]
    metrics = {run.outline.metric for run in runs}
    if len(metrics) == 1:
        runs.sort(key=lambda run: rank(replace(run.outline, task="")))  # by the score alone
    shared, notes = _shared_rows(runs)
    notes += _lacking_histories(runs)
    pairs = judge_pairs(shared, metrics.pop() if len(metrics) == 1 else None)
    if any(run.outline.gap is not None for run in runs):
        notes.append(GAP_NOTE)
    comparison = Comparison(tuple(runs), _recipe_differences(runs), tuple(pairs), (*lost, *notes))
    if out is not None:
        write_comparison(comparison, Path(out))
    return comparison


def _check_comparable(runs: Sequence[RunDirectory]) -> None:
    if len(runs) < 2:
        raise RunError(
            f"received {len(runs)} run to compare, expected two or more: name them, or see 'kit leaderboard'"
        )
    known: dict[Path, RunDirectory] = {}
    for run in runs:
        if run.path.resolve() in known:
            raise RunError(f"{run.path} is named twice, expected different runs: leave one out")
        known[run.path.resolve()] = run
        if not run.is_finished:
            raise RunError(f"{run.path} did not finish: {run.way_on}, or leave it out")
    of = [str(run.read_recipe()["recipe"]["competition"]).partition("(")[0] for run in runs]
    for run, competition in zip(runs, of, strict=True):
        if competition != of[0]:
            raise RunError(
                f"{runs[0].path} is of {of[0]} and {run.path} is of {competition}, expected runs of one competition: "
                "their scores say nothing of each other"
            )


def _read(run: RunDirectory, row: RunOutline, name: str, notes: list[str]) -> ComparedRun:
    saved, answered = run.read_recipe(), {}
    for part, rows in answered_rows(run).items():
        if lost := len(rows) - len(rows.finite):
            notes.append(f"{name}, {PART_TITLES[part]}: {lost:,} of {len(rows):,} answers are not numbers and left out")
        if len(rows) > lost:
            answered[part] = rows.finite
    held_out = answered.get("out_of_fold") or answered.get("validation")
    some = held_out or answered.get("test")
    names = _class_names(saved, some.probabilities.shape[1] if some else 0)
    return ComparedRun(
        name,
        _completed(run, row, saved, names),
        saved,
        names,
        _histories(run),
        held_out,
        answered.get("test"),
        run.tests_own_rows,
    )


def _histories(run: RunDirectory) -> tuple[list[Epoch], ...]:
    """Of the folds whose history can be read: scores and answers are compared without it."""
    found = []
    for fold in run.trained_folds():
        with suppress(RunError):
            found.append(fold.read_history())
    return tuple(found)


def _lacking_histories(runs: Sequence[ComparedRun]) -> list[str]:
    notes = []
    for run in runs:
        models = len(RunDirectory(Path(run.outline.run)).trained_folds())
        if lacking := models - len(run.histories):
            notes.append(
                f"{run.name}: history.csv of {lacking} of {models} models is missing or damaged, and not in its curves"
            )
    return notes


def _class_names(saved: dict[str, Any], classes: int) -> tuple[str, ...]:
    """As noted in the run, or as the competition has them now; their numbers where its files are gone."""
    try:
        names = tuple(map(str, saved.get("class_names") or saved_competition(saved).class_names))
    except (DataError, RecipeError):
        names = ()
    return names if len(names) == classes or not classes else tuple(f"class {index}" for index in range(classes))


def _completed(run: RunDirectory, row: RunOutline, saved: dict[str, Any], names: tuple[str, ...]) -> RunOutline:
    """With what a run did not note of itself before there were comparisons, taken from its predictions and history."""
    from kit.training.summary import fit_of

    if row.gap is not None and row.best_class is not None:
        return row
    try:
        trained = run.trained_folds()
        if not trained:
            return row
        found = fit_of(trained, [fold.read_predictions() for fold in trained], saved["recipe"])
    except (RunError, KeyError):  # without its history, or what was kept of it
        return row
    extremes = class_extremes(found["class_accuracies"], list(names)) if "class_accuracies" in found else {}
    return replace(row, training_accuracy=found["fit"]["training_accuracy"], gap=found["fit"]["gap"], **extremes)


def _recipe_differences(runs: Sequence[ComparedRun]) -> dict[str, list[Any]]:
    """Fields of the recipe, and how its switches were resolved, where the runs are not all alike."""
    from kit.training.recipe import Recipe

    defaults = {field.name: field.default for field in fields(Recipe) if field.default is not MISSING}
    each = [
        {**defaults, **run.saved["recipe"], **{f"resolved {name}": v for name, v in run.saved["resolved"].items()}}
        for run in runs
    ]
    each = [{"images": run.saved["images"]["hash"], **values} for run, values in zip(runs, each, strict=True)]
    names = dict.fromkeys(name for values in each for name in values)
    columns = {name: [values.get(name) for values in each] for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}


def _shared_rows(runs: Sequence[ComparedRun]) -> tuple[list[Shared], list[str]]:
    """What each two runs answered to the same rows, and why there is nothing of some."""
    shared: list[Shared] = []
    apart: dict[str, list[str]] = {OTHER_IMAGES: [], NO_ROWS: []}
    for first, second in combinations(runs, 2):
        images = [run.saved["images"] for run in (first, second)]
        orders = {each.get("order") for each in images} - {None}  # ids are row numbers, at times
        if len({each["hash"] for each in images}) > 1 or len(orders) > 1:
            apart[OTHER_IMAGES].append(f"{first.name} and {second.name}")
            continue
        found = [_common(first, second, HELD_OUT, first.held_out, second.held_out)]
        if first.tests_own_rows == second.tests_own_rows:  # else the ids are of other images
            found.append(_common(first, second, TEST, first.test, second.test))
        shared += [each for each in found if each is not None]
        if found[0] is None and first.held_out is not None and second.held_out is not None:
            apart[NO_ROWS].append(f"{first.name} and {second.name}")
    notes = [f"{_listed(pairs)}: {why}" for why, pairs in apart.items() if pairs]
    refits = [run.name for run in runs if run.held_out is None and "refit_of" in run.saved]
    return shared, notes + [f"{name} has no held-out rows: it was trained on every row" for name in refits]


def _listed(pairs: Sequence[str]) -> str:
    more = f"; and {len(pairs) - LISTED} more" if len(pairs) > LISTED else ""
    return "; ".join(pairs[:LISTED]) + more


def _common(
    first: ComparedRun, second: ComparedRun, part: str, one: Answered | None, other: Answered | None
) -> Shared | None:
    """Rows that neither run was trained on: each answered to them as to rows that it had put aside."""
    if one is None or other is None or one.ids.dtype.kind != other.ids.dtype.kind:
        return None
    ids, here, there = np.intersect1d(one.ids, other.ids, assume_unique=True, return_indices=True)
    if not len(ids) or not np.array_equal(one.labels[here], other.labels[there]):
        return None
    if one.probabilities.shape[1] != other.probabilities.shape[1]:
        return None
    answers = one.probabilities, other.probabilities
    places = slice(None) if len(ids) == len(one) else here, slice(None) if len(ids) == len(other) else there
    selected = tuple(run.name for run, rows in ((first, one), (second, other)) if rows.selected)
    key = hashlib.sha256(np.ascontiguousarray(ids).tobytes()).hexdigest()
    models = one.models, other.models
    return Shared(first.name, second.name, part, key, one.labels[here], answers, places, selected, models)
