"""From a Keras model to the operators of ONNX, by way of a TensorFlow function."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kit.errors import ModelFileError, first_line

_COPIES = "TF2ONNX_CATCH_ERRORS"  # there at all, whatever its value, tf2onnx makes none


def convert(predictor: Any, path: Path, opset: int) -> None:
    """Write a Keras model, as it answers in prediction, as an ONNX file of float32; nothing is compared yet.

    ``predictor.export`` calls the model without saying that this is no training, and then the first layer that has an
    opinion of its own decides for all after it: Keras's ``Resizing`` takes a training for granted, so that trained
    batch normalisation behind it was exported with the averages of the batch.

    Args:
        predictor: Keras model of one input and one output, the batch size free.
        path: where the file goes.
        opset: version of the ONNX operators.

    Raises:
        ModelFileError: the model computes what cannot be written in ONNX.
    """
    import onnx
    import tensorflow
    import tf2onnx

    tensorflow.get_logger().setLevel(logging.ERROR)
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it logs as errors is raised here, or compared later
    pixels = predictor.inputs[0]
    signature = [tensorflow.TensorSpec(pixels.shape, pixels.dtype, name=pixels.name)]
    answering = tensorflow.function(
        functools.partial(predictor, training=False), input_signature=signature, autograph=False
    )
    write = functools.partial(
        tf2onnx.convert.from_function,
        answering,
        signature,
        opset=opset,
        output_path=str(path),
        custom_op_handlers={"Erfc": (_write_erfc, [])},
    )
    with _functions_inlined():
        try:
            model, _ = _written(write)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  tf2onnx raises many kinds over what it does not know
            raise ModelFileError(
                f"the model cannot be written in ONNX ({first_line(error)}): take other layers, and train again"
            ) from None
    unknown = sorted({node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)})
    if unknown:
        raise ModelFileError(
            f"the model computes {', '.join(unknown)}, expected what ONNX has operators for: "
            "take another layer or activation for it, and train again"
        )


def _written(write: Callable[[], Any]) -> Any:
    try:
        with _without_copies():
            return write()
    except MemoryError:  # with copies it takes more
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not any(Path(frame.filename).parts[-3:-1] == ("tf2onnx", "optimizer") for frame in frames):
            raise
    return write()  # with copies, the optimiser that failed is left out


@contextlib.contextmanager
def _functions_inlined() -> Iterator[None]:
    """Trace functions within functions as if they were written out.

    Keras computes convolutions in groups in a function of their own, for XLA, and neither TensorFlow's freezing nor
    tf2onnx looks into such a one. As an operator, TensorFlow's processors do not have them; ONNX Runtime does.
    """
    import tensorflow

    before = tensorflow.config.functions_run_eagerly()
    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(before)


@contextlib.contextmanager
def _without_copies() -> Iterator[None]:
    """Keep tf2onnx from copying the whole graph, weights and all, before each of its optimisers.

    The copies are there to go on without an optimiser that fails. A network of 255 MB takes 12 GB without and took more
    than 16 GB with them.
    """
    before = os.environ.get(_COPIES)
    os.environ[_COPIES] = "FALSE"
    try:
        yield
    finally:
        os.environ.pop(_COPIES)
        if before is not None:
            os.environ[_COPIES] = before


def _write_erfc(graph: Any, node: Any, _name: str, _options: Any) -> None:
    """``erfc(x)``, with which TensorFlow computes the exact GELU, as ``1 - erf(x)``: ONNX has erf alone."""
    from tf2onnx import utils

    shape, dtype = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    graph.remove_node(node.name)
    error_function = graph.make_node("Erf", node.input)
    one = graph.make_const(utils.make_name("one"), np.array(1, utils.map_onnx_to_numpy_type(dtype)))
    graph.make_node(
        "Sub", [one.output[0], error_function.output[0]], outputs=node.output, shapes=[shape], dtypes=[dtype]
    )
