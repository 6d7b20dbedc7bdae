"""kit compare"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.format import print_json, print_standings, print_table
from kit.cli.options import Json

if TYPE_CHECKING:
    from kit.report.compared import Comparison

SHOWN_CHANGES = 3  # comparisons up to which the terminal lists the classes that changed


def compare(
    runs_to_compare: Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Of one competition.")],
    submissions: Annotated[Path, typer.Option(help="Where their CSVs are kept.")] = Path("submissions"),
    out: Annotated[Path | None, typer.Option(help="Also write it there: .csv, .json or .html.")] = None,
    as_json: Json = False,
) -> None:
    """Runs side by side: scores, recipes, curves, mistakes, and whether they differ by more than noise."""
    from kit.cli.quiet import silence_matplotlib
    from kit.comparing import compare_runs

    silence_matplotlib()
    compared = compare_runs(*runs_to_compare, submissions=submissions, out=out)
    if as_json:
        return print_json(compared.to_dict())
    _print(compared)
    if out is not None:
        typer.echo(f"\ncomparison  {out}")


def _print(compared: Comparison) -> None:
    from kit.report.standings import table_of

    names = [run.name for run in compared.runs]
    print_standings(table_of([run.outline for run in compared.runs], names, compared.places))
    typer.echo("\nrecipes, where they differ:" if compared.recipe else "\nthe recipes are the same in every field")
    if compared.recipe:
        values = [["-" if value in (None, "") else str(value) for value in each] for each in compared.recipe.values()]
        print_table(["run", *compared.recipe], [[*row] for row in zip(names, *values, strict=True)])
    typer.echo()
    for pair in compared.told:
        typer.echo(pair.words)
    if len(compared.told) < len(compared.pairs):
        typer.echo(f"these are the comparisons with {names[0]}: --out and --json have all {len(compared.pairs)}")
    if len(compared.pairs) <= SHOWN_CHANGES:
        _print_changes(compared)
    typer.echo()
    for note in compared.notes:
        typer.echo(note)


def _print_changes(compared: Comparison) -> None:
    class_names = {run.name: run.class_names for run in compared.runs}
    for pair in compared.pairs:
        if pair.changes:
            typer.echo(f"\nclasses on which {pair.first} and {pair.second} differ most, of {pair.rows:,} {pair.part}:")
            print_table(
                ["class", "rows", f"{pair.first} right", f"{pair.second} right"],
                [
                    [class_names[pair.first][change.label], change.rows, change.first_right, change.second_right]
                    for change in pair.largest_changes
                ],
            )
