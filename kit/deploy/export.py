"""From a trained fold to one self-contained ONNX file that was checked against it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import windows
from kit.deploy.conversion import convert
from kit.deploy.model_file import ModelCard, load_model
from kit.errors import ModelFileError, first_line
from kit.files import replacing

TOLERANCE = 1e-4  # largest difference of a probability
CHECKED_IMAGES = 256
AT_ONCE = 32
OPSETS = (13, 18)  # from the first that quantises per channel to the last that tf2onnx writes
OPSET = 15


@dataclass(frozen=True)
class Exported:
    """What came out of an export, and how it compares with the trained model.

    The figures of validation rows are None where there are none to score.
    """

    path: Path
    size_bytes: int
    largest_difference: float  # of a probability, between the file and the trained model
    labels_that_differ: int
    images: int  # real images that were compared
    random_images: int  # compared likewise: bytes by chance
    validation_rows: int = 0
    accuracy_before: float | None = None  # of the trained model
    accuracy: float | None = None  # of this file
    score_before: float | None = None  # by the competition's metric
    score: float | None = None
    zeros: float | None = None  # share of the weights that were pruned
    distinct: int | None = None  # weights in the layer that has most of them, after clustering


@dataclass(frozen=True)
class Answers:
    """What the trained model says of the images that its files are compared on.

    pixels: uint8 (rows, height, width, channels), real images first.
    probabilities: float32 (rows, classes).
    """

    pixels: np.ndarray
    probabilities: np.ndarray
    real: int

    def differences(self, path: Path) -> tuple[float, np.ndarray]:
        """How far a model file is from them: the largest difference of a probability, and the rows with other labels.

        The first image is asked about once more alone, as the batch size is free.
        """
        model = load_model(path, "cpu")
        received = np.concatenate([model.probabilities(some) for some in windows(self.pixels, AT_ONCE)])
        alone = model.probabilities(self.pixels[:1])
        received = np.concatenate([received, alone])
        expected = np.concatenate([self.probabilities, self.probabilities[:1]])
        changed = received.argmax(axis=1) != expected.argmax(axis=1)
        return float(np.abs(received - expected).max()), np.flatnonzero(changed[:-1])

    def is_tie(self, rows: np.ndarray) -> np.ndarray:
        """Whether the two best probabilities of each row are within the tolerance of each other: bool (rows,)."""
        best = np.sort(self.probabilities[rows], axis=1)[:, -2:]
        return best[:, -1] - best[:, 0] <= TOLERANCE


def check_opset(opset: int) -> None:
    """Refuse a version of the ONNX operators that cannot be written.

    Raises:
        ModelFileError: so it is.
    """
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise ModelFileError(f"opset is {opset}, expected {OPSETS[0]} to {OPSETS[1]}")


@contextlib.contextmanager
def writing_model(path: Path) -> Iterator[Path]:
    """:func:`kit.files.replacing` for model files.

    Raises:
        ModelFileError: the file cannot be written; what was there still is.
    """
    try:
        with replacing(path) as scratch:
            yield scratch
    except OSError as error:
        raise ModelFileError(
            f"cannot write {path}: {error.strerror or error}; mend that and run kit export again"
        ) from None


def checked_images(images: np.ndarray) -> tuple[np.ndarray, int]:
    """Up to ``CHECKED_IMAGES`` of the images, then as many of bytes by chance; and how many are real."""
    real = images[np.linspace(0, len(images) - 1, min(CHECKED_IMAGES, len(images))).astype(int)]
    by_chance = np.random.default_rng(0).integers(0, 256, (CHECKED_IMAGES, *images.shape[1:]), np.uint8)
    return np.concatenate([real, by_chance]), len(real)


def ask(predictor: Any, images: np.ndarray, path: Path) -> Answers:
    """What a trained model says of up to ``CHECKED_IMAGES`` of the images, and of as many random ones.

    Raises:
        ModelFileError: its answers are not numbers; the message names ``path``, which is for them.
    """
    import keras

    pixels, real = checked_images(images)
    with keras.device("cpu:0"):  # a GPU may round float32 products to 10 bits
        # Few at a time, as large networks need gigabytes for many.
        expected = np.concatenate([np.asarray(predictor.predict_on_batch(some)) for some in windows(pixels, AT_ONCE)])
    if not np.isfinite(expected).all():
        raise ModelFileError(
            f"the trained model's probabilities are not numbers, so that {path} was not written: "
            "the training diverged; train again with a lower --learning-rate"
        )
    return Answers(pixels, expected, real)


def write_checked(predictor: Any, card: ModelCard, answers: Answers, scratch: Path, path: Path, opset: int) -> None:
    """Write float32 to ``scratch``, and refuse what does not answer like the trained model.

    Raises:
        ModelFileError: an output differs by more than ``TOLERANCE`` or is not a number, or a label differs that is no
            tie; the message names ``path``, which the file is for.
    """
    convert(predictor, scratch, opset)
    _simplify(scratch)
    describe(scratch, card)
    difference, changed = answers.differences(scratch)
    if not difference <= TOLERANCE:  # also when it is not a number
        raise ModelFileError(
            f"the exported model differs from the trained one by {difference:.2g} "
            f"on {len(answers.pixels)} images, expected at most {TOLERANCE:g}; {path} was not written"
        )
    if not answers.is_tie(changed).all():
        raise ModelFileError(
            f"the exported model gives {(~answers.is_tie(changed)).sum()} of {len(answers.pixels)} images another "
            f"label than the trained one, expected none; {path} was not written"
        )


def compared(scratch: Path, answers: Answers, path: Path) -> Exported:
    """What is to be said of a file that goes to ``path``.

    Raises:
        ModelFileError: it answers with what is not a number.
    """
    difference, changed = answers.differences(scratch)
    if not np.isfinite(difference):
        raise ModelFileError(
            f"{path} was not written: its probabilities are not numbers, as some are too large for its precision; "
            "export without --fp16"
        )
    images = len(answers.pixels)
    return Exported(path, scratch.stat().st_size, difference, len(changed), answers.real, images - answers.real)


def _simplify(path: Path) -> None:
    """Fold constants and drop what does nothing, with ONNX Runtime's basic optimisations.

    tf2onnx has done most of that. Higher levels write operators that other runtimes do not know.
    """
    import onnx
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    simpler = path.with_name("simpler.onnx")
    if shutil.disk_usage(path.parent).free < path.stat().st_size:  # onnxruntime does not say what keeps it from writing
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    options.optimized_model_filepath = str(simpler)
    try:
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  onnxruntime raises one class per status, of no common base
        raise ModelFileError(f"cannot simplify {path.name}: {first_line(error)}") from None
    model = onnx.load(simpler)
    used = {node.domain for node in model.graph.node}
    if used != {""}:  # an operator that only this runtime has: rather as it was
        return
    standard = [opset for opset in model.opset_import if opset.domain == ""]
    del model.opset_import[:]  # it lists every domain that the runtime knows
    model.opset_import.extend(standard)
    _name_batch(model)
    _number_anew(model.graph)
    onnx.save(model, path)


def _name_batch(model: Any) -> None:
    """The free dimension is called batch, not unk__169."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]  # has the old name; whoever needs it can infer it


def _number_anew(graph: Any) -> None:
    """Number what the converter made up (convolution__63) in the order of its use, and sort the constants likewise.

    It numbers, and names one of equal constants, in the order of sets of strings, which is another in every process:
    the same model is to be the same file.
    """
    ends = {value.name for value in (*graph.input, *graph.output)}
    constant = {tensor.name for tensor in graph.initializer}
    names: dict[str, str] = {}

    def anew(name: str) -> str:
        if name and name not in ends:
            known = "constant" if name in constant else re.sub(r"__\d+(?=$|:)", "", name)
            names.setdefault(name, f"{known}__{len(names)}")
        return names.get(name, name)

    for node in graph.node:
        node.name = anew(node.name)
        node.input[:] = [anew(name) for name in node.input]
        node.output[:] = [anew(name) for name in node.output]
    order = {name: position for position, name in enumerate(names)}
    constants = sorted(graph.initializer, key=lambda tensor: order.get(tensor.name, len(order)))
    for tensor in constants:
        tensor.name = anew(tensor.name)
    constants = [type(tensor).FromString(tensor.SerializeToString()) for tensor in constants]
    del graph.initializer[:]
    graph.initializer.extend(constants)


def describe(path: Path, card: ModelCard) -> None:
    """Write the metadata into a file, and check that it is a valid model."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, card.to_metadata())
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
