"""kit eda"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.format import print_json
from kit.cli.options import Data, ImageSize, Labels
from kit.cli.progress import reading_shown


def eda(
    competition: Annotated[str, typer.Argument(help="Such as fashion_mnist, or folder with --data.")],
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; by default COMPETITION-eda.html in the working directory.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Whose split and normalisation are shown; by default the default model's.")
    ] = None,
    data: Data = None,
    labels: Labels = None,
    image_size: ImageSize = None,
    near: Annotated[
        float, typer.Option(help="Also look for near-duplicates: root mean square difference, in grey levels.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON; a page only with --out.")] = False,
) -> None:
    """Show a competition's images on one page: classes, samples, pixels, averages, duplicates, drift."""
    from kit import exploring
    from kit.cli.quiet import silence_matplotlib

    silence_matplotlib()
    with reading_shown(sys.stderr):
        explored = exploring.eda(
            competition,
            data,
            out=out,
            write=bool(out or not as_json),
            recipe=recipe,
            labels=labels,
            image_size=image_size,
            near=near,
        )
    if as_json:
        return print_json(explored.to_dict())
    if explored.found.drift:
        typer.echo(f"drift   {explored.found.drift.verdict}")
    typer.echo(f"eda     {explored.page}")
