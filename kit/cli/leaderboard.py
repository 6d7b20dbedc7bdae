"""kit leaderboard"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.format import print_json, print_standings, print_table
from kit.cli.options import DEFAULT_RUNS, Json, Runs

if TYPE_CHECKING:
    from kit.report.compared import Leaderboard


def leaderboard(
    competition: Annotated[str, typer.Argument(help="Such as fashion_mnist; kit competitions lists them.")],
    runs: Runs = DEFAULT_RUNS,
    submissions: Annotated[Path, typer.Option(help="Where their CSVs are kept.")] = Path("submissions"),
    out: Annotated[Path | None, typer.Option(help="Also write it there: .csv, .json or .html.")] = None,
    as_json: Json = False,
) -> None:
    """Rank all runs of a competition, among what was published: score, spread, gap, size, speed, classes."""
    from kit.comparing import leaderboard as ranked
    from kit.errors import RunError

    if runs != DEFAULT_RUNS and not runs.is_dir():
        raise RunError(f"--runs {runs} is not a directory: name the one that kit train has as --out")
    board = ranked(competition, runs=runs, submissions=submissions, out=out)
    if as_json:
        return print_json(board.to_dict())
    _print(board, runs)
    if out is not None:
        typer.echo(f"\nleaderboard  {out}")


def _print(board: Leaderboard, runs: Path) -> None:
    from kit.report.standings import short_names, table_of

    for group in board.groups:
        ours = sum(not row.published for row in group.rows)
        of = f"{ours:,} run{'' if ours == 1 else 's'} in {runs / board.competition}"
        typer.echo(f"{group.competition}, {of}, by {group.metric}" + (f", images {group.images}" * bool(group.images)))
        print_standings(table_of(group.rows, short_names(group.rows), group.places))
        typer.echo()
    if not any(not row.published for group in board.groups for row in group.rows) and not board.unranked:
        typer.echo(f"no runs of {board.competition} in {runs}: train one with 'kit train {board.competition}'")
    if board.unranked:
        typer.echo("not ranked:")
        names = short_names(board.unranked)
        print_table(
            ["run", "status", "scored on"],
            [[name, row.status, row.scored_on or "-"] for name, row in zip(names, board.unranked, strict=True)],
        )
        typer.echo()
    for note in board.notes:
        typer.echo(note)
