"""Runs in a table: what the terminal and pages show of each, in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kit.training.outline import RunOutline, metric_named

UNKNOWN = "–"
GAP_NOTE = (
    "gap: training accuracy of the epoch that was kept less the accuracy on rows that were not trained on, in points; "
    "training rows count as they were augmented and with dropout, so that it may be below zero"
)
PUBLISHED_NOTE = (
    "published: what a recipe's authors reached by their own program, on rows of their own and not on these"
)


@dataclass(frozen=True)
class Cell:
    """What a table shows, and the number that it is sorted by if it is one; ``mark`` says that it is an extreme."""

    text: str
    number: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Columns that say nothing of any row are left out.

    is_number: of each column.
    """

    header: list[str]
    is_number: list[bool]
    rows: list[list[Cell]]


def table_of(rows: Sequence[RunOutline], names: Sequence[str], places: Sequence[int] | None = None) -> Table:
    """Rows as a table.

    Args:
        names: what the runs are called in it.
        places: of the rows in a ranking, from 1.
    """
    metrics = {row.metric for row in rows if row.metric}
    highest, lowest = gap_extremes(rows)
    metric_title = metrics.pop() if len(metrics) == 1 else ""
    columns = {
        "": [Cell(str(place), place) for place in places or ()],
        "run": [Cell(f"{name} (published)" if row.published else name) for row, name in zip(rows, names, strict=True)],
        "model": [Cell((row.model or UNKNOWN).partition("(")[0]) for row in rows],
        metric_title or "score": [_score(row, row.score, with_name=not metric_title) for row in rows],
        "deviation": [_deviation(row) for row in rows],
        "scored on": [Cell(_scored_on(row)) for row in rows],
        "test": [_score(row, row.test) for row in rows],
        "gap": [_gap(row, highest, lowest) for row in rows],
        "parameters": [_count(row.parameters) for row in rows],
        "seconds": [_count(row.seconds) for row in rows],
        "images/s": [_count(row.images_per_second) for row in rows],
        "best class": [_class(row.best_class, row.best_class_accuracy) for row in rows],
        "worst class": [_class(row.worst_class, row.worst_class_accuracy) for row in rows],
        "submitted": [_submitted(row.submitted) for row in rows],
    }
    if any(row.status not in ("complete", "published") for row in rows):
        columns["status"] = [Cell(row.status) for row in rows]
    shown = {title: cells for title, cells in columns.items() if any(cell.text != UNKNOWN for cell in cells)}
    is_number = [all(c.number is not None or c.text == UNKNOWN for c in cells) for cells in shown.values()]
    return Table(list(shown), is_number, [list(cells) for cells in zip(*shown.values(), strict=True)])


def gap_extremes(rows: Sequence[RunOutline]) -> tuple[float | None, float | None]:
    """The highest gap between training and held-out rows, and the lowest; None where there are no two to compare."""
    gaps = [row.gap for row in rows if row.gap is not None]
    differ = len({round(gap, 4) for gap in gaps}) > 1  # as they are shown
    return (max(gaps), min(gaps)) if differ else (None, None)


def short_names(rows: Sequence[RunOutline]) -> list[str]:
    """The last part of each run's path, where it tells them apart; else the path."""
    names = [Path(row.run).name or Path(row.run).resolve().name for row in rows]  # of ".", too
    return [name if names.count(name) == 1 else row.run for row, name in zip(rows, names, strict=True)]


def flat_rows(rows: Sequence[RunOutline], places: Sequence[int | None]) -> list[dict[str, Any]]:
    """Rows as CSV and JSON have them: every field, figures as numbers, and the public score of the submission."""
    return [
        {"place": place, **asdict(row), "public_score": (row.submitted or {}).get("public_score")}
        for row, place in zip(rows, places, strict=True)
    ]


def _score(row: RunOutline, figure: float | None, *, with_name: bool = False) -> Cell:
    if figure is None or row.metric is None:
        return Cell(UNKNOWN)
    text = metric_named(row.metric).show(figure)
    return Cell(f"{row.metric} {text}" if with_name else text, figure)


def _deviation(row: RunOutline) -> Cell:
    if row.fold_deviation is None or row.metric is None:
        return Cell(UNKNOWN)
    text = metric_named(row.metric).show_spread(row.fold_deviation).removesuffix(" points")
    return Cell(f"{text}, {row.models} models", row.fold_deviation)


def _scored_on(row: RunOutline) -> str:
    return f"{row.scored_on or UNKNOWN}{', selected' if row.selected else ''}"


def _gap(row: RunOutline, highest: float | None, lowest: float | None) -> Cell:
    if row.gap is None:
        return Cell(UNKNOWN)
    mark = "highest" if row.gap == highest else "lowest" if row.gap == lowest else ""
    return Cell(f"{100 * row.gap:+.2f}", row.gap, mark)


def _count(number: float | None) -> Cell:
    return Cell(UNKNOWN) if number is None else Cell(f"{number:,.0f}", number)


def _class(name: str | None, accuracy: float | None) -> Cell:
    if name is None or accuracy is None:
        return Cell(UNKNOWN)
    return Cell(f"{name}: {100 * accuracy:.1f} %", accuracy)


def _submitted(submission: dict[str, Any] | None) -> Cell:
    if submission is None:
        return Cell(UNKNOWN)
    score = submission.get("public_score")
    if score is None:
        return Cell(str(submission.get("status") or UNKNOWN))
    return Cell(str(score), float(score) if _is_number(score) else None)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
