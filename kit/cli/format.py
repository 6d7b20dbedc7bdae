"""How figures and tables look on a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from kit.report.standings import Table


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def shown(metric: str | None, figure: float | None) -> str:
    """A figure as its metric is written."""
    from kit.scoring.metrics import make_metric

    return "-" if metric is None or figure is None else make_metric(metric).show(figure)


def public_score(submission: dict[str, Any] | None) -> str:
    """What the leaderboard answered, or how far a submission is."""
    if submission is None:
        return "-"
    return str(submission.get("status") if submission.get("public_score") is None else submission["public_score"])


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as their widest cell; numbers to the right."""
    cells = [list(map(str, row)) for row in rows]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    _print_columns(header, cells, right)


def print_standings(table: Table) -> None:
    """A table of runs; figures to the right."""
    rows = [[f"{cell.mark} {cell.text}".strip() for cell in row] for row in table.rows]
    _print_columns(table.header, rows, table.is_number)


def _print_columns(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for line in (header, *rows):
        parts = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        )
        typer.echo("  ".join(parts).rstrip())


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))
