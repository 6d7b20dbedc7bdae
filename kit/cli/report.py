"""kit report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[list[Path] | None, typer.Argument(help="Runs; by default the newest finished run.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="One HTML file for all of them; by default report.html in each run.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
) -> None:
    """Write a self-contained HTML page: scores, curves, confusions, probabilities, mistakes, likely label errors."""
    from kit.cli.quiet import import_keras_quietly, silence_matplotlib
    from kit.reporting import report_each, takes_keras

    silence_matplotlib()
    if takes_keras(run or [], runs=runs):
        import_keras_quietly()
    for path in report_each(run or [], out, runs=runs):
        typer.echo(f"report  {path}")
