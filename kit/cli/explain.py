"""kit explain"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kit.cli.format import print_json
from kit.cli.options import DEFAULT_RUNS, Json, Runs


def explain(
    run: Annotated[Path | None, typer.Argument(help="A run; by default the newest finished run.")] = None,
    input: Annotated[
        Path | None, typer.Option(help="A picture; or a folder, .npy, .npz or CSV of paths, of which the first 12.")
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="Id of a training image instead, such as a mistake of the report.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="The ids are of test images.")] = False,
    class_name: Annotated[
        str | None, typer.Option("--class", help="What to explain; by default what the run takes the image for.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .svg or .pdf.")] = Path("explain.png"),
    runs: Runs = DEFAULT_RUNS,
    as_json: Json = False,
) -> None:
    """Show what in an image speaks for a class: a class-activation map."""
    from kit import api
    from kit.cli.quiet import import_keras_quietly, silence_matplotlib

    silence_matplotlib()
    import_keras_quietly()
    found = api.explain(run, input, ids=ids or (), test=test, class_name=class_name, out=out, runs=runs)
    if as_json:
        return print_json(found.to_dict())
    for image in found.images:
        told = ", ".join(f"{100 * image.probabilities[i]:.2f} % {found.class_names[i]}" for i in image.likeliest)
        truth = "" if image.label is None else f"; is {found.class_names[image.label]}"
        typer.echo(f"image   {image.id}: {told}{truth}; shown for {found.class_names[image.explained]}")
    height, width, channels = found.layer_shape
    models = max(map(len, found.models))
    averaged = f", mean of {models} models" if models > 1 else ""
    typer.echo(f"layer   {found.layer}, {channels} features of {height}x{width}{averaged}")
    for note in found.notes:
        typer.echo(f"note    {note}")
    typer.echo(f"wrote   {found.path}")
