"""Comparisons and leaderboards as CSV, JSON, or a page with curves and confusion matrices side by side."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kit.files import write_text
from kit.report.compared import ComparedRun, Comparison, Leaderboard
from kit.report.pages import cannot_write, figures_directory, write_page
from kit.report.standings import short_names, table_of
from kit.scoring.confusion import confusion_counts, differing_confusions

FORMATS = (".csv", ".json", ".html")
NAMED_CLASSES = 20  # up to which a confusion matrix beside others has room for the names of its classes
SHOWN_PAIRS = 10  # of runs, of which the classes that changed are listed


def write_leaderboard(board: Leaderboard, path: Path) -> None:
    """Write it as the file's ending says.

    Raises:
        RunError: nothing can be written there.
    """
    if path.suffix != ".html":
        return _write_data(path, board)

    tables = [
        {
            "title": f"{group.competition}, {group.metric}",
            "images": group.images,
            "runs": sum(not row.published for row in group.rows),
            "table": table_of(group.rows, short_names(group.rows), group.places),
            "published": [row.published for row in group.rows],
        }
        for group in board.groups
    ]
    sections = [(f"group-{number}", table["title"]) for number, table in enumerate(tables, 1)]
    if board.unranked:
        sections.append(("unranked", "Not ranked"))
    write_page(
        path,
        "leaderboard.html",
        title=f"{board.competition}: leaderboard",
        sections=sections,
        tables=tables,
        unranked=list(zip(short_names(board.unranked), board.unranked, strict=True)),
        notes=board.notes,
    )


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write it as the file's ending says; a page's figures also lie in a directory beside it, as PNG and SVG.

    Raises:
        RunError: nothing can be written there.
    """
    if path.suffix != ".html":
        return _write_data(path, comparison)
    from kit.report import comparison_figures as draw
    from kit.report.drawing import Figures

    runs = comparison.runs
    names = [run.name for run in runs]
    figures = Figures(figures_directory(path))
    curves = [
        figures.add(f"curves-{name}", f"{name} of {len(runs)} runs against epochs", draw.curves, which, lines)
        for name, which, lines in draw.curve_figures(runs)
    ]
    confusions, differing = _confusions(comparison, figures)
    sections = [("runs", "Runs"), ("tests", "More than noise?"), ("recipes", "Recipes"), ("curves", "Curves")]
    write_page(
        path,
        "comparison.html",
        title=f"{runs[0].outline.competition}: {len(runs)} runs compared",
        sections=[*sections, ("confusion", "Confusion matrices")],
        names=names,
        table=table_of([run.outline for run in runs], names, comparison.places),
        published=[False] * len(runs),
        pairs=comparison.pairs,
        told=comparison.told,
        shown_pairs=comparison.told[:SHOWN_PAIRS],
        class_names={run.name: run.class_names for run in runs},
        notes=comparison.notes,
        recipe=comparison.recipe,
        curves=curves,
        without_validation=[run.name for run in runs if not draw.has_validation(run)],
        confusions=confusions,
        small=max(len(run.class_names) for run in runs) <= draw.SMALL,
        differing=differing,
    )


def _confusions(comparison: Comparison, figures: Any) -> tuple[list[Any], list[Any]]:
    """Of few classes a matrix a run; of many, the mistakes that the runs make most differently often."""
    from kit.report import comparison_figures as draw

    known = [run for run in comparison.runs if run.held_out is not None or run.test is not None]
    counts = [_confusion_counts(run) for run in known]
    if known and max(len(run.class_names) for run in known) > NAMED_CLASSES:
        alike = [run.class_names == known[0].class_names for run in known]
        matrices = [matrix for matrix, same in zip(counts, alike, strict=True) if same]
        names = known[0].class_names
        rows = [(names[true], names[taken], each) for true, taken, each in differing_confusions(matrices)]
        return [], [[run.name for run, same in zip(known, alike, strict=True) if same], rows]
    drawn = [
        {
            "name": run.name,
            "rows": int(matrix.sum()),
            "part": "held-out" if run.held_out is not None else "test",
            "figure": figures.add(
                f"confusion-{number}", f"Confusion matrix of {run.name}", draw.confusion, matrix, run.class_names
            ),
        }
        for number, (run, matrix) in enumerate(zip(known, counts, strict=True), 1)
    ]
    return drawn, []


def _confusion_counts(run: ComparedRun) -> np.ndarray:
    """int (classes, classes): rows of each true class that were taken for each class."""
    answered: Any = run.test if run.held_out is None else run.held_out
    return confusion_counts(answered.labels, answered.probabilities.argmax(axis=1), answered.probabilities.shape[1])


def _write_data(path: Path, told: Comparison | Leaderboard) -> None:
    text = f"{json.dumps(told.to_dict(), indent=2)}\n" if path.suffix == ".json" else _as_csv(told.flat_rows())
    try:
        write_text(path, text)
    except OSError as error:
        raise cannot_write(path, error) from None


def _as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Figures in full, nothing for what is not known."""
    text = io.StringIO()
    columns = [name for name in (rows[0] if rows else ()) if name != "submitted"]
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
