"""Model files made of model files: several whose mean answer counts, and one that is less sure of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kit.deploy.model_file import ModelCard, load_model
from kit.deploy.predict import check_models
from kit.errors import ModelFileError
from kit.files import replacing
from kit.scoring.calibration import tempered

_INVERSE = "inverse_temperature"
_BEFORE = "probabilities_before_temperature"
_CHECKED = 64  # random images


def write_ensemble(files: Sequence[Path], out: Path, card: ModelCard) -> float:
    """One file that answers with the mean of several; weights that files share are not shared in it.

    Args:
        files: model files of one competition, image shape and opset.
        card: of the new file.

    Returns:
        The largest difference of a probability between it and the mean of the files.

    Raises:
        ModelFileError: the files do not belong together, or their mean is not what the new one answers.
        OSError: ``out`` cannot be written; what was there still is.
    """
    import onnx

    loaded = [load_model(file, "cpu") for file in files]
    check_models(loaded, card.input_shape)
    parts = [onnx.compose.add_prefix(onnx.load(file), f"model_{number}_") for number, file in enumerate(files)]
    whole = onnx.ModelProto()
    whole.CopyFrom(parts[0])
    for part in parts[1:]:
        if part.opset_import != whole.opset_import:
            raise ModelFileError(f"{files[0]} and others of the ensemble have different opsets: export them again")
        whole.graph.node.extend(part.graph.node)
        whole.graph.initializer.extend(part.graph.initializer)
        whole.graph.value_info.extend(part.graph.value_info)
        whole.functions.extend(part.functions)
    inputs = {part.graph.input[0].name for part in parts}
    for node in whole.graph.node:
        node.input[:] = ["pixels" if name in inputs else name for name in node.input]
    whole.graph.input[0].name = "pixels"
    answers = [part.graph.output[0].name for part in parts]
    whole.graph.node.append(onnx.helper.make_node("Mean", answers, ["probabilities"], "mean_of_the_models"))
    whole.graph.output[0].name = "probabilities"
    pixels = np.random.default_rng(0).integers(0, 256, (_CHECKED, *card.input_shape), np.uint8)
    expected = np.mean([model.probabilities(pixels) for model in loaded], axis=0)
    return _write(whole, card, out, pixels, expected)


def set_temperature(file: Path, temperature: float, score: float | None) -> None:
    """Have a model file answer with ``p ** (1 / temperature)``, normalised, and no longer with another one.

    Args:
        score: what its card is to say, by the competition's metric; None leaves what it says.

    Raises:
        ModelFileError: the file is not kit's, or would not answer as expected.
        OSError: it cannot be written; it is as it was.
    """
    import onnx

    loaded = load_model(file, "cpu")
    before = loaded.card.temperature
    pixels = np.random.default_rng(0).integers(0, 256, (_CHECKED, *loaded.card.input_shape), np.uint8)
    expected = tempered(loaded.probabilities(pixels), temperature / before)
    model = onnx.load(file)
    card = replace(loaded.card, temperature=temperature, score=loaded.card.score if score is None else score)
    inverse = onnx.numpy_helper.from_array(np.array(1 / temperature, np.float32), _INVERSE)
    known = [tensor for tensor in model.graph.initializer if tensor.name == _INVERSE]
    if known:
        known[0].CopyFrom(inverse)
    else:
        _append_temperature(model, inverse)
    _write(model, card, file, pixels, expected)


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


def _write(model: Any, card: ModelCard, path: Path, pixels: np.ndarray, expected: np.ndarray) -> float:
    import onnx

    del model.metadata_props[:]
    onnx.helper.set_model_props(model, card.to_metadata())
    with replacing(path) as scratch:
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, scratch)
        difference = float(np.abs(load_model(scratch, "cpu").probabilities(pixels) - expected).max())
        if not difference <= 1e-4:
            raise ModelFileError(f"{path} would differ from what it is made of by {difference:.2g}; it was not written")
    return difference
