"""kit export"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.exports import print_comparison, print_export
from kit.cli.format import print_json
from kit.cli.options import DEFAULT_RUNS
from kit.errors import ModelFileError


def export(
    run: Annotated[Path | None, typer.Argument(help="A run; by default the newest finished run.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write ONNX, the only format.")] = True,
    opset: Annotated[int | None, typer.Option(help="Version of the ONNX operators, 13 to 18; by default 15.")] = None,
    tta: Annotated[
        str | None, typer.Option(help="Other test-time augmentation than the recipe's, such as flip.")
    ] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="One file with the mean of all folds or snapshots.")
    ] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Half-precision numbers, to model.fp16.onnx.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit integers, to model.int8.onnx.")] = False,
    prune: Annotated[float | None, typer.Option(help="Share of the weights to set to zero, such as 0.8.")] = None,
    cluster: Annotated[int | None, typer.Option(help="Distinct weights a layer, such as 16.")] = None,
    tune_epochs: Annotated[int | None, typer.Option(help="Of fine-tuning after either; by default 2.")] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="Points that may be lost on validation rows; 0.5 for fp16 and int8.")
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Write all forms, and measure them side by side.")] = False,
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = DEFAULT_RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a trained run as one ONNX file a fold, checked against the trained model on real images."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever trained the run: ONNX is written through TensorFlow
    from kit import api
    from kit.cli.progress import steps_shown
    from kit.cli.quiet import import_keras_quietly

    import_keras_quietly()
    given = {"opset": opset, "tta": tta, "prune": prune, "cluster": cluster, "tune_epochs": tune_epochs}
    given |= {"max_loss": max_loss, "fp16": fp16 or None, "int8": int8 or None}
    options = {name: value for name, value in given.items() if value is not None}
    with steps_shown(sys.stderr) as on_step:
        if compare and (ensemble or fp16 or int8):
            what = "measures each model alone: leave --ensemble" if ensemble else "has fp16 and int8: leave them"
            raise ModelFileError(f"--compare {what} out")
        if compare:
            return print_comparison(api.compare_forms(run, runs=runs, on_step=on_step, **options), as_json)
        if ensemble:
            found = api.export_ensemble(run, runs=runs, on_step=on_step, **options)
        else:
            found = api.export(run, runs=runs, on_step=on_step, **options)
    if as_json:
        return print_json([{**asdict(exported), "path": str(exported.path)} for exported in found])
    for exported in found:
        print_export(exported)
    which = [str(run)] if run else ["--runs", str(runs)] if runs != DEFAULT_RUNS else []
    if options or ensemble:
        which = [str(exported.path) for exported in (found[-1:] if ensemble else found)]
    typer.echo(f"next  {shlex.join(['kit', 'predict', *which, '--out', 'submissions/run.csv'])}")
