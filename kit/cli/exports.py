"""What kit export prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from kit.cli.format import percent, print_json, print_table

if TYPE_CHECKING:
    from kit.deploy.export import Exported
    from kit.exporting import Compared

_HEADER = ("", "MB", "gzip MB", "accuracy", "ms an image", "images/s")


def print_export(exported: Exported) -> None:
    """One line on how it compares with the trained model, and one on what it costs."""
    typer.echo(
        f"{exported.path}  {exported.size_bytes / 1e6:.2f} MB  largest difference "
        f"{exported.largest_difference:.1e} and {exported.labels_that_differ} other labels "
        f"on {exported.images} images and {exported.random_images} of noise"
    )
    costs = []
    if exported.zeros is not None:
        costs.append(f"{percent(exported.zeros)} of the weights of convolutions and dense layers are zero")
    if exported.distinct is not None:
        costs.append(f"at most {exported.distinct} distinct weights a layer")
    if exported.accuracy is not None and exported.accuracy_before is not None:
        change = f"accuracy {percent(exported.accuracy_before)} before, {percent(exported.accuracy)} now"
        if (exported.score_before, exported.score) != (exported.accuracy_before, exported.accuracy):
            change += f", score {exported.score_before:.4f} before, {exported.score:.4f} now"
        costs.append(f"{change}, {exported.validation_rows:,} validation rows")
    if costs:
        typer.echo(f"  {'; '.join(costs)}")


def print_comparison(tables: list[list[Compared]], as_json: bool) -> None:
    """A table a model, and below it why a form is not in it."""
    if as_json:
        return print_json([[_plain(row) for row in table] for table in tables])
    for table in tables:
        made = [(row, row.exported) for row in table if row.exported]
        typer.echo(str(made[0][1].path.parent))
        print_table(_HEADER, [_cells(row, exported) for row, exported in made])
        for row in table:
            if row.reason:
                typer.echo(f"{row.variant}: not made, as {row.reason}")


def _cells(row: Compared, exported: Exported) -> tuple[Any, ...]:
    return (
        row.variant,
        round(exported.size_bytes / 1e6, 2),
        round(row.gzip_bytes / 1e6, 2),
        percent(exported.accuracy),
        round(1e3 * row.seconds_per_image, 2),
        round(row.images_per_second),
    )


def _plain(row: Compared) -> dict[str, Any]:
    values = asdict(row)
    if row.exported:
        values["exported"]["path"] = str(row.exported.path)
    return values
