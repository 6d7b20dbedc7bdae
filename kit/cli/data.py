"""kit data"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Prepare a competition's files.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    pass


@app.command()
def prepare(
    competition: Annotated[str, typer.Argument(help="Such as fashion_mnist.")],
    out: Annotated[Path | None, typer.Option(help="Directory to write; by default data/COMPETITION.")] = None,
) -> None:
    """Download the public data set behind a competition and write the competition's files from it."""
    from kit import api
    from kit.cli.quiet import import_keras_quietly

    import_keras_quietly()  # the data sets come through Keras
    for path in api.prepare(competition, out):
        typer.echo(path)
