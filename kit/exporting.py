"""From a trained run to model files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.errors import ModelFileError, RunError
from kit.opening import NOTHING_TRAINED, StrPath, open_run, saved_competition, training_images
from kit.training.runs import FoldDirectory, RunDirectory
from kit.version import __version__

if TYPE_CHECKING:
    from kit.data.images import Competition
    from kit.deploy.export import Exported


def export(run: RunDirectory | StrPath | None = None, *, runs: StrPath = "runs") -> list[Exported]:
    """Write each trained model of a run as an ONNX file, checked against the trained model on real images.

    Args:
        run: a run, or its path; by default the newest one in ``runs``.

    Returns:
        One entry a model: a fold, or each of its snapshots.

    Raises:
        KitError: the run is incomplete, its images are gone, or an exported model would differ from the trained one.
    """
    import keras

    run = open_run(run, Path(runs))
    if keras.backend.backend() != "tensorflow":
        return export_in_child(run)  # Keras exports ONNX through TensorFlow
    from kit.deploy.export import export_onnx
    from kit.training.weights import check_scored, load_predictor

    saved = run.read_recipe()
    competition = saved_competition(saved)
    images = training_images(saved, competition)
    for fold in run.trained_folds():
        check_scored(fold)
    exported = [
        export_onnx(load_predictor(fold, which), _model_card(fold, competition, saved), images.pixels, path)
        for fold in run.trained_folds()
        for which, path in fold.model_files.items()
    ]
    if not exported:
        raise RunError(NOTHING_TRAINED.format(run.path))
    return exported


def _model_card(fold: FoldDirectory, competition: Competition, saved: dict[str, Any]) -> Any:
    from kit.deploy.model_file import ModelCard

    validation = fold.read_scores().get("validation")
    return ModelCard(
        competition=competition.spec,
        class_names=competition.class_names,
        label_values=competition.label_values,
        input_shape=competition.image_shape,
        input_dtype="uint8",
        id_column=competition.id_column,
        target_column=competition.target_column,
        recipe_hash=saved["recipe_hash"],
        kit_version=__version__,
        metric=saved["recipe"]["metric"],
        score=validation and validation["score"],
        selected=bool(validation and validation["selected"]),
    )


def export_in_child(run: RunDirectory) -> list[Exported]:
    """Export in a process of its own, so that this one need not load TensorFlow.

    ``-P`` keeps the working directory off its path: a user's random.py is not Python's.
    """
    from kit.deploy.export import Exported

    command = [sys.executable, "-P", "-m", "kit", "export", str(run.path), "--json"]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = (finished.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("kit: ")
        raise ModelFileError(f"the run {run.path} could not be exported: {reason}")
    answer = finished.stdout[finished.stdout.rindex("[\n") :]  # after what a download may have printed
    return [Exported(**{**values, "path": Path(values["path"])}) for values in json.loads(answer)]
