"""kit report"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path | None, typer.Argument(help="A run; by default the newest finished run.")] = None,
    out: Annotated[Path | None, typer.Option(help="The HTML file; by default report.html in the run.")] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
) -> None:
    """Write one self-contained HTML page: recipe, scores, curves, confusion matrix, mistakes."""
    from kit import api

    # Where its directory cannot be written, Matplotlib takes a temporary one and warns of it at length.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    typer.echo(f"report  {api.report(run, out, runs=runs)}")
