"""Options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from kit.errors import RecipeError

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


def limit_seconds(time: str) -> float:
    """``8h``, ``90m``, ``600s`` or ``600`` of --time-limit -> seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", time.strip())
    if not match or not float(match[1]):
        raise RecipeError(f"--time-limit {time!r}: expected a time such as 8h, 90m or 600s")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
