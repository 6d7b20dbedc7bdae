"""The weights of one model on disk, and what the model answers with them."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import windows
from kit.errors import RunError, first_line
from kit.files import file_hash
from kit.models.build import build_classifier, build_predictor
from kit.training.fold_directory import FoldDirectory
from kit.training.memory import out_of_memory_told
from kit.training.run_files import writing

PREDICTION_BATCH = 256  # images; larger batches fall out of a processor's cache


def save_weights(classifier: Any, directory: FoldDirectory, which: str) -> None:
    path = directory.weights_file(which)
    # The HDF5 library does not survive a disk that is full; twice the bytes, to be safe.
    check_space(path, 2 * sum(4 * math.prod(weight.shape) for weight in classifier.weights))
    with writing(path) as scratch:
        classifier.save_weights(scratch)


def check_space(path: Path, needed: int) -> None:
    """Refuse to write so many bytes where they do not fit.

    Raises:
        RunError: so it is.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise RunError(
            f"cannot write {path}: {free / 1e6:.1f} MB are free, {needed / 1e6:.1f} MB are needed; "
            "free space there or choose another --out"
        )


def check_scored(directory: FoldDirectory) -> None:
    """Refuse weights that are not those of the scores, as after a kill of a training that went on.

    Raises:
        RunError: so it is.
    """
    for which, digest in directory.read_scores().get("weights_sha256", {}).items():
        path = directory.weights_file(which)
        if path.is_file() and file_hash(path) != digest:
            raise RunError(
                f"{path} is not what was scored: the training went on since, or the file is damaged; end it by --resume"
            )


def load_predictor(directory: FoldDirectory, which: str) -> Any:
    """The trained model as it is exported: uint8 (batch, height, width, channels) -> float32 probabilities.

    Raises:
        RunError: the weights are missing or damaged.
    """
    architecture = directory.read_architecture()
    return build_predictor(architecture, load_classifier(directory, which))


def load_classifier(directory: FoldDirectory, which: str) -> Any:
    """The trained model as it was trained, in float32: raw pixels -> logits.

    Raises:
        RunError: the weights are missing or damaged.
    """
    classifier = build_classifier(directory.read_architecture())
    path = directory.weights_file(which)
    if not path.is_file():
        raise RunError(f"the run is incomplete: {path} is missing")
    try:
        classifier.load_weights(path)
    except Exception as error:  # noqa: BLE001  Keras and h5py raise many kinds for a damaged file
        raise RunError(f"cannot load {path}: {first_line(error)}; the file is damaged or of another model") from None
    return classifier


def predict_probabilities(
    model: Any, pixels: np.ndarray, logits: bool = False, batch_size: int = PREDICTION_BATCH
) -> np.ndarray:
    """Class probabilities of any number of images, in batches of one size (another size would compile anew).

    Returns:
        float32 (rows, classes).
    """
    from scipy.special import softmax

    outputs = []
    for window in windows(pixels, batch_size):
        rows = len(window)
        if rows < batch_size:
            window = np.concatenate([window, np.zeros((batch_size - rows, *window.shape[1:]), np.uint8)])
        with out_of_memory_told(f"answering {batch_size} images at once", "try a smaller --batch-size"):
            outputs.append(np.asarray(model.predict_on_batch(window))[:rows])
    answers = np.concatenate(outputs)
    return softmax(answers, axis=1) if logits else answers
