"""Model files made of model files: several whose mean answer counts, and one that is less sure of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.images import windows
from kit.deploy.export import AT_ONCE, TOLERANCE, Answers, Exported, checked_images, compared, describe, writing_model
from kit.deploy.model_file import load_model
from kit.deploy.predict import check_models
from kit.errors import ModelFileError
from kit.scoring.calibration import tempered

_INVERSE = "inverse_temperature"
_BEFORE = "probabilities_before_temperature"
_CHECKED = 64  # random images


def write_ensemble(files: Sequence[Path], out: Path, images: np.ndarray) -> Exported:
    """One file that answers with the mean of several.

    Args:
        files: model files of one competition and opset.
        images: uint8 (rows, height, width, channels), real images to compare on; bytes by chance are compared too.

    Raises:
        ModelFileError: the files do not belong together, their mean is not what the new one answers, or it cannot be
            written; what was there still is.
    """
    import onnx

    loaded = [load_model(file, "cpu") for file in files]
    check_models(loaded, loaded[0].card.input_shape)
    parts = [onnx.compose.add_prefix(onnx.load(file), f"model_{number}_") for number, file in enumerate(files)]
    whole = onnx.ModelProto()
    whole.CopyFrom(parts[0])
    for part in parts[1:]:
        if list(part.opset_import) != list(whole.opset_import):
            raise ModelFileError(f"{files[0]} and others of the ensemble have different opsets: export them again")
        whole.graph.node.extend(part.graph.node)
        whole.graph.initializer.extend(part.graph.initializer)
    inputs = {part.graph.input[0].name for part in parts}
    for node in whole.graph.node:
        node.input[:] = ["pixels" if name in inputs else name for name in node.input]
    whole.graph.input[0].name = "pixels"
    answers = [part.graph.output[0].name for part in parts]
    whole.graph.node.append(onnx.helper.make_node("Mean", answers, ["probabilities"], "mean_of_the_models"))
    whole.graph.output[0].name = "probabilities"
    del whole.graph.value_info[:]  # can be inferred

    pixels, real = checked_images(images)
    expected = np.concatenate(
        [np.mean([model.probabilities(some) for model in loaded], axis=0) for some in windows(pixels, AT_ONCE)]
    )
    compared_with = Answers(pixels, expected, real)
    with writing_model(out) as scratch:
        onnx.save(whole, scratch)
        of_mean = replace(loaded[0].card, score=None, selected=False, weights_sha256="")  # nothing has scored the mean
        describe(scratch, of_mean)
        exported = compared(scratch, compared_with, out)
        _check(exported.largest_difference, out)
    return exported


def set_temperature(file: Path, temperature: float, keep_score: bool) -> None:
    """Have a model file answer with ``p ** (1 / temperature)``, normalised, and no longer with another one.

    Args:
        keep_score: the score that its card tells is of labels alone, and so still true.

    Raises:
        ModelFileError: the file is not kit's, would not answer as expected, or cannot be written; it is as it was.
    """
    import onnx

    loaded = load_model(file, "cpu")
    before = loaded.card.temperature
    pixels = np.random.default_rng(0).integers(0, 256, (_CHECKED, *loaded.card.input_shape), np.uint8)
    expected = tempered(loaded.probabilities(pixels), temperature / before)
    model = onnx.load(file)
    card = replace(loaded.card, temperature=temperature, score=loaded.card.score if keep_score else None)
    inverse = onnx.numpy_helper.from_array(np.array(1 / temperature, np.float32), _INVERSE)
    known = [tensor for tensor in model.graph.initializer if tensor.name == _INVERSE]
    if known:
        known[0].CopyFrom(inverse)
    else:
        _append_temperature(model, inverse)
    with writing_model(file) as scratch:
        onnx.save(model, scratch)
        describe(scratch, card)
        _check(float(np.abs(load_model(scratch, "cpu").probabilities(pixels) - expected).max()), file)


def _append_temperature(model: Any, inverse: Any) -> None:
    from onnx import helper, numpy_helper

    graph = model.graph
    answer = graph.output[0].name
    for node in graph.node:
        node.output[:] = [_BEFORE if name == answer else name for name in node.output]
        node.input[:] = [_BEFORE if name == answer else name for name in node.input]
    graph.initializer.extend([inverse, numpy_helper.from_array(np.array(1e-12, np.float32), "least_probability")])
    graph.node.extend(
        [
            helper.make_node("Max", [_BEFORE, "least_probability"], ["positive_probabilities"]),
            helper.make_node("Log", ["positive_probabilities"], ["log_probabilities"]),
            helper.make_node("Mul", ["log_probabilities", _INVERSE], ["tempered_scores"]),
            helper.make_node("Softmax", ["tempered_scores"], [answer], axis=1),
        ]
    )


def _check(difference: float, path: Path) -> None:
    if not difference <= TOLERANCE:
        raise ModelFileError(f"{path} would differ from what it is made of by {difference:.2g}; it was not written")
