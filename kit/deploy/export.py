"""From a trained fold to one self-contained ONNX file that was checked against it."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import windows
from kit.deploy.model_file import ModelCard, load_model
from kit.errors import ModelFileError
from kit.files import replacing

TOLERANCE = 1e-4  # largest difference of a probability
CHECKED_IMAGES = 256
AT_ONCE = 32


@dataclass(frozen=True)
class Exported:
    """What came out of an export."""

    path: Path
    size_bytes: int
    largest_difference: float  # of a probability, between the file and the trained model
    labels_that_differ: int
    images: int  # real images that were compared


def export_onnx(predictor: Any, card: ModelCard, images: np.ndarray, path: Path) -> Exported:
    """Write a model file; it takes its place only after its outputs were compared with the trained model's.

    Args:
        predictor: Keras model, uint8 (batch, height, width, channels) -> float32 probabilities (batch, classes).
        card: the metadata.
        images: uint8 (rows, height, width, channels), real images to compare on.
        path: where the file goes.

    Raises:
        ModelFileError: an output differs by more than ``TOLERANCE`` or is not a number, or the file cannot be
            written; what was at ``path`` still is.
    """
    import keras

    pixels = images[np.linspace(0, len(images) - 1, min(CHECKED_IMAGES, len(images))).astype(int)]
    with keras.device("cpu:0"):  # a GPU may round float32 products to 10 bits
        # First, as Keras exports only what was called once; few at a time, as large networks need gigabytes for many.
        expected = np.concatenate([np.asarray(predictor.predict_on_batch(some)) for some in windows(pixels, AT_ONCE)])
    if not np.isfinite(expected).all():
        raise ModelFileError(
            f"the trained model's probabilities are not numbers, so that {path} was not written: "
            "the training diverged; train again with a lower --learning-rate"
        )
    try:
        with replacing(path) as scratch:
            _convert(predictor, scratch)
            _describe(scratch, card)
            exported = _compare(scratch, pixels, expected)
            if not exported.largest_difference <= TOLERANCE:  # also when it is not a number
                raise ModelFileError(
                    f"the exported model differs from the trained one by {exported.largest_difference:.2g} "
                    f"on {exported.images} images, expected at most {TOLERANCE:g}; {path} was not written"
                )
    except OSError as error:
        raise ModelFileError(
            f"cannot write {path}: {error.strerror or error}; mend that and run kit export again"
        ) from None
    return replace(exported, path=path)


def _convert(predictor: Any, path: Path) -> None:
    """Keras's own ONNX export, without what it prints."""
    import tensorflow

    tensorflow.get_logger().setLevel(logging.ERROR)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        predictor.export(path, format="onnx", verbose=False)


def _describe(path: Path, card: ModelCard) -> None:
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, card.to_metadata())
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _compare(path: Path, pixels: np.ndarray, expected: np.ndarray) -> Exported:
    model = load_model(path, "cpu")
    received = np.concatenate([model.probabilities(some) for some in windows(pixels, AT_ONCE)])
    alone = model.probabilities(pixels[:1])  # the batch size is free
    difference = max(np.abs(received - expected).max(), np.abs(alone - expected[:1]).max())
    changed = int((received.argmax(axis=1) != expected.argmax(axis=1)).sum())
    return Exported(path, path.stat().st_size, float(difference), changed, len(pixels))
