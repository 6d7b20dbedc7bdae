"""From a run to its model files: one form of the trained model, or all of them side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kit.deploy.export import Exported
from kit.errors import KitError, ModelFileError
from kit.opening import StrPath, saved_competition, training_images
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory, open_run
from kit.variants import ExportOptions, OnStep, TrainedRun


def export(
    run: RunDirectory | StrPath | None = None, *, runs: StrPath = "runs", on_step: OnStep | None = None, **options: Any
) -> list[Exported]:
    """Write each trained model of a run as an ONNX file, compared with the trained model on real images.

    Args:
        run: a run, or its path; by default the newest one in ``runs``.
        on_step: hears of the fine-tuning that ``prune`` and ``cluster`` do.
        options: fields of :class:`ExportOptions`, such as ``int8=True``, ``prune=0.8`` or ``tta="flip"``; what is no
            plain export goes to a file of its own, such as ``model.int8.onnx``.

    Returns:
        One entry a model: a fold, or each of its snapshots.

    Raises:
        KitError: the run is incomplete, its images are gone, a file would differ from the trained model, or has lost
            more on validation rows than ``max_loss``.
    """
    import keras

    wanted = ExportOptions(**options)
    wanted.check()
    run = open_run(run, Path(runs))
    if keras.backend.backend() != "tensorflow":
        return export_in_child(run, wanted)  # Keras exports ONNX through TensorFlow
    trained = TrainedRun.open(run, on_step)
    trained.check(wanted)
    return [trained.write(fold, which, wanted) for fold, which in trained.models()]


def export_ensemble(
    run: RunDirectory | StrPath | None = None, *, runs: StrPath = "runs", **options: Any
) -> list[Exported]:
    """Write a run's models, and one file, ``ensemble.onnx``, that answers with their mean.

    Args:
        run, runs, options: as for :func:`export`, which writes the models themselves.

    Returns:
        As :func:`export`, and the one file last.

    Raises:
        KitError: as for :func:`export`, or the run has one model only.
    """
    from kit.deploy.graphs import write_ensemble
    from kit.deploy.parity import record_parity

    run = open_run(run, Path(runs))
    if sum(len(fold.model_files) for fold in run.trained_folds()) == 1:
        raise ModelFileError(f"{run.path} has one model, of which there is no mean: leave --ensemble out")
    models = export(run, **options)
    files = [exported.path for exported in models]
    suffix = files[0].name.removeprefix(files[0].name.partition(".")[0])  # .onnx, or .int8.onnx
    saved = run.read_recipe()
    images = training_images(saved, saved_competition(saved))
    whole = write_ensemble(files, run.path / f"ensemble{suffix}", images.pixels)
    record_parity(whole)
    return [*models, whole]


@dataclass(frozen=True)
class Compared:
    """A row of a comparison: a file and its figures, or why there is none."""

    variant: str
    exported: Exported | None = None
    gzip_bytes: int = 0
    seconds_per_image: float = 0.0  # one image at a time
    images_per_second: float = 0.0  # in batches
    reason: str = ""  # why there is no file


def compare_forms(
    run: RunDirectory | StrPath | None = None, *, runs: StrPath = "runs", on_step: OnStep | None = None, **options: Any
) -> list[list[Compared]]:
    """Write a run's models in every form, and measure them side by side on this machine's processor.

    Args:
        run, runs, on_step: as for :func:`export`.
        options: as for :func:`export`; ``prune`` and ``cluster`` are 0.8 and 16 by default.

    Returns:
        A table a model: original, fp16, int8, pruned, clustered, pruned + int8.

    Raises:
        KitError: not even the original can be exported, or Keras computes with another backend than TensorFlow.
    """
    import keras

    given = ExportOptions(**options)
    base = replace(given, prune=0.0, cluster=0, fp16=False, int8=False)
    for each in (base, replace(base, prune=given.prune), replace(base, cluster=given.cluster)):
        each.check()
    pruned, clustered = replace(base, prune=given.prune or 0.8), replace(base, cluster=given.cluster or 16)
    variants = {
        "original": base,
        "fp16": replace(base, fp16=True),
        "int8": replace(base, int8=True),
        "pruned": pruned,
        "clustered": clustered,
        "pruned + int8": replace(pruned, int8=True),
    }
    if keras.backend.backend() != "tensorflow":
        raise ModelFileError("Keras computes with another backend than TensorFlow here: use kit export --compare")
    trained = TrainedRun.open(open_run(run, Path(runs)), on_step)
    return [_compare_one(trained, fold, which, variants) for fold, which in trained.models()]


def _compare_one(
    trained: TrainedRun, fold: FoldDirectory, which: str, variants: dict[str, ExportOptions]
) -> list[Compared]:
    from kit.deploy.comparison import gzip_size, speeds
    from kit.training.weights import PREDICTION_BATCH

    table = {}
    for name, options in variants.items():
        try:
            trained.check(options)
            table[name] = Compared(name, trained.write(fold, which, options, scored=True))
        except KitError as error:
            if name == "original":
                raise
            table[name] = Compared(name, reason=str(error))
    files = {name: row.exported.path for name, row in table.items() if row.exported}
    measured = speeds(files, trained.images.pixels[:PREDICTION_BATCH], PREDICTION_BATCH)
    return [
        replace(row, gzip_bytes=gzip_size(files[name]), **asdict(measured[name])) if name in files else row
        for name, row in table.items()
    ]


def export_in_child(run: RunDirectory, options: ExportOptions | None = None) -> list[Exported]:
    """Export in a process of its own, so that this one need not load TensorFlow.

    ``-P`` keeps the working directory off its path: a user's random.py is not Python's.
    """
    words = [word for field in fields(ExportOptions) for word in _words(field, options or ExportOptions())]
    command = [sys.executable, "-P", "-m", "kit", "export", str(run.path), *words, "--json"]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = (finished.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("kit: ")
        raise ModelFileError(f"the run {run.path} could not be exported: {reason}")
    answer = finished.stdout[finished.stdout.rindex("[\n") :]  # after what a download may have printed
    return [Exported(**{**values, "path": Path(values["path"])}) for values in json.loads(answer)]


def _words(field: Any, options: ExportOptions) -> list[str]:
    """An option as the command line has it; nothing if it is as by default."""
    value = getattr(options, field.name)
    if value == field.default:
        return []
    word = f"--{field.name.replace('_', '-')}"
    return [word] if value is True else [word, str(value)]
