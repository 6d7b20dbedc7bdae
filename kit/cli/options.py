"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_RUNS = Path("runs")

Data = Annotated[Path | None, typer.Option("--data", help="Directory or .zip with the competition's files.")]
Labels = Annotated[
    str | None, typer.Option("--labels", help="Which labels: fine or coarse (cifar100), 5 or 10 (fashion_mnist).")
]
ImageSize = Annotated[
    int | None, typer.Option("--image-size", help="Pixels a side, for competitions whose images come in any size.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Runs = Annotated[Path, typer.Option("--runs", help="Where runs are kept.")]
Mean = Annotated[str, typer.Option("--mean", help="arithmetic, geometric or vote.")]
