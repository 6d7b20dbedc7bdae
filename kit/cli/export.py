"""kit export"""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.format import print_json
from kit.cli.options import DEFAULT_RUNS


def export(
    run: Annotated[Path | None, typer.Argument(help="A run; by default the newest finished run.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write ONNX, the only format.")] = True,
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = DEFAULT_RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a trained run as one ONNX file a fold, checked against the trained model on real images."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever trained the run: ONNX is written through TensorFlow
    from kit import api
    from kit.cli.quiet import import_keras_quietly

    import_keras_quietly()
    found = api.export(run, runs=runs)
    if as_json:
        return print_json([{**asdict(exported), "path": str(exported.path)} for exported in found])
    for exported in found:
        typer.echo(
            f"{exported.path}  {exported.size_bytes / 1e6:.2f} MB  largest difference "
            f"{exported.largest_difference:.1e} and {exported.labels_that_differ} other labels "
            f"on {exported.images} images"
        )
    which = [str(run)] if run else ["--runs", str(runs)] if runs != DEFAULT_RUNS else []
    typer.echo(f"next  {shlex.join(['kit', 'predict', *which, '--out', 'submissions/run.csv'])}")
