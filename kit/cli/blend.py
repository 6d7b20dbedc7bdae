"""kit blend"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kit.cli.format import print_json, print_table
from kit.cli.options import DEFAULT_RUNS, Json, Mean, Runs
from kit.cli.predict import judged_in_words


def blend(
    runs_to_blend: Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Trained on the same images.")],
    mean: Mean = "arithmetic",
    runs: Runs = DEFAULT_RUNS,
    as_json: Json = False,
) -> None:
    """What runs are worth together: each alone, their blend, and how alike they err, on rows that none has seen."""
    from kit import api
    from kit.scoring.metrics import make_metric

    told = api.blend(*runs_to_blend, mean=mean, runs=runs)
    if as_json:
        return print_json(told)
    metric = make_metric(told["metric"])
    names = [told["metric"], "log loss"] if told["metric"] == "accuracy" else [told["metric"], "accuracy", "log loss"]
    blends = [{"run": "equal weights", "weight": None, **told["equal"]}]
    blends.append({"run": "fitted weights, judged on other rows", "weight": None, **told["fitted"]})
    print_table(
        ["run", "weight", *names],
        [
            [
                row["run"],
                "-" if row["weight"] is None else f"{row['weight']:.3f}",
                metric.show(row["score"]),
                *([f"{100 * row['accuracy']:.2f} %"] if "accuracy" in names[1:] else []),
                f"{row['log_loss']:.4f}",
            ]
            for row in [*told["members"], *blends]
        ],
    )
    typer.echo(f"\n{judged_in_words(told)}; {told['rows']:,} rows that every run held out")
    typer.echo("\nhow alike they err (correlation of being wrong):")
    numbers = [str(number) for number in range(1, len(told["members"]) + 1)]
    print_table(
        ["", *numbers],
        [
            [f"{number} {row['run']}", *(f"{value:.2f}" for value in values)]
            for number, row, values in zip(numbers, told["members"], told["error_correlation"], strict=True)
        ],
    )
