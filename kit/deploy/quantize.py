"""A float32 model file with smaller numbers in it: float16, or 8-bit integers. Neither Keras nor TensorFlow."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kit.data.images import windows
from kit.errors import ModelFileError, first_line

CALIBRATION_IMAGES = 512  # more did not change the accuracy
_AT_ONCE = 32
_IN_INTEGERS = (  # all that a classifier here consists of, but the softmax: 256 steps are too few for a probability
    *("Conv", "MatMul", "Gemm", "Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Concat"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Pad", "Resize"),
)


def to_float16(source: Path, target: Path) -> None:
    """Weights and arithmetic in float16; uint8 pixels go in and float32 probabilities come out as before.

    Raises:
        OSError: the file cannot be written.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with _without_notes():
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def calibration_rows(train: np.ndarray, seed: int) -> np.ndarray:
    """Some of the training rows, in their order: int64 (up to ``CALIBRATION_IMAGES``,)."""
    size = min(CALIBRATION_IMAGES, len(train))
    return np.sort(np.random.default_rng(seed).choice(train, size, replace=False))


def to_int8(source: Path, target: Path, pixels: np.ndarray) -> None:
    """Weights int8, one scale a channel, and activations uint8, whose ranges are those that images bring about.

    Unsigned activations are what the processors' instructions multiply with signed weights; with signed ones, ONNX
    Runtime leaves additions and multiplications in float32.

    Args:
        pixels: uint8 (rows, height, width, channels), training images.

    Raises:
        ModelFileError: the model has something that cannot be quantised.
        OSError: the file cannot be written.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = ({"pixels": window} for window in windows(pixels, _AT_ONCE))

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    prepared = target.with_name("prepared.onnx")
    with _without_notes():
        try:
            quant_pre_process(source, prepared, skip_symbolic_shape=True)  # needs sympy, for other than images
            _scale_before_relu(prepared)
            quantize_static(
                prepared,
                target,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_IN_INTEGERS),
                nodes_to_exclude=_with_constants(prepared),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  whatever its passes raise over an operator
            raise ModelFileError(
                f"the model cannot be quantised: {first_line(error)}; export it without --int8"
            ) from None


def _with_constants(path: Path) -> list[str]:
    """Additions and multiplications of one number a channel, which stay in float32; those of two branches do not.

    One scale for the constants of all channels is too coarse: of a VGG-16, with and without, 84 and 91 % of the labels
    were those of float32.
    """
    import onnx

    graph = onnx.load(path).graph
    constants = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type in ("Add", "Mul") and constants & set(node.input)]


def _scale_before_relu(path: Path) -> None:
    """Move what a batch normalisation after a ReLU multiplies by, if positive, into the convolution before it.

    relu(z) * a = relu(z * a). ONNX Runtime folds a convolution's own normalisation only, and each multiplication that
    is left is a pass over all activations and one rounding more.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    users = Counter(name for node in graph.node for name in node.input)
    for node in [node for node in graph.node if node.op_type == "Mul" and node.input[1] in constants]:
        relu = makers.get(node.input[0])
        convolution = makers.get(relu.input[0]) if relu is not None and relu.op_type == "Relu" else None
        if relu is None or convolution is None or convolution.op_type != "Conv":
            continue
        scale = numpy_helper.to_array(constants[node.input[1]])
        parts = convolution.input[1:]  # weights, and mostly a bias
        moves = all(users[name] == 1 for name in (*node.input[:1], *relu.input, *parts))
        if not moves or not all(name in constants for name in parts) or not (scale > 0).all():
            continue
        if scale.size not in (1, constants[parts[0]].dims[0]) or scale.shape[-2:] != (1, 1):
            continue
        for name in parts:
            values = numpy_helper.to_array(constants[name])
            moved = values * scale.reshape(-1, *[1] * (values.ndim - 1))
            constants[name].CopyFrom(numpy_helper.from_array(moved.astype(values.dtype), name))
        relu.output[0] = node.output[0]
        graph.node.remove(node)
    onnx.save(model, path)


@contextmanager
def _without_notes() -> Iterator[None]:
    """Both libraries log, to the root logger, what they advise."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
