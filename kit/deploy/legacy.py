"""A trained Keras 3 classifier as a model of tf_keras, which is all that tensorflow-model-optimization takes."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kit.errors import ModelFileError, first_line

_TOLERANCE = 1e-3  # of a logit, relative to the largest one
_OWN = {"ByteDropout": "Dropout"}  # layers of kit's and what does the same


@contextmanager
def optimization_toolkit() -> Iterator[tuple[Any, Any]]:
    """The modules tensorflow_model_optimization and tf_keras.

    The first asks TensorFlow by an environment variable to take tf_keras for its Keras, from then on and in every
    child process; kit's Keras stays Keras 3.
    """
    name = "TF_USE_LEGACY_KERAS"
    before = os.environ.get(name)
    try:
        import tensorflow_model_optimization
        import tf_keras

        yield tensorflow_model_optimization, tf_keras
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def to_legacy(classifier: Any, pixels: np.ndarray) -> Any:
    """Build a classifier's graph anew under tf_keras, layer by layer, with its weights.

    Args:
        classifier: functional Keras 3 model: raw pixels -> logits.
        pixels: uint8 (batch, height, width, channels), images on which both must answer alike.

    Returns:
        A tf_keras model of the same layers, with the same names, in their order.

    Raises:
        ModelFileError: a layer has no counterpart, or the two models answer differently.
    """
    import tf_keras

    graph = classifier.get_config()
    operations = {operation.name: operation for operation in classifier.operations}
    outputs: dict[tuple[str, int], Any] = {}
    for entry in graph["layers"]:  # in an order in which what a layer takes was made before it
        name = entry["name"]
        if entry["class_name"] == "InputLayer":
            outputs[name, 0] = tf_keras.Input(entry["config"]["batch_shape"][1:], dtype="float32", name=name)
            continue
        operation = operations[name]
        if not hasattr(operation, "get_weights"):  # of keras.ops, which computes with the tensors of either
            for number, node in enumerate(entry["inbound_nodes"]):
                outputs[name, number] = _computed(operation, node, outputs)
            continue
        layer = _counterpart(operation, entry)
        for number, node in enumerate(entry["inbound_nodes"]):
            outputs[name, number] = layer(*_resolved(node["args"], outputs))
        layer.set_weights(operation.get_weights())
    (source, target) = (graph[end][:2] for end in ("input_layers", "output_layers"))
    legacy = tf_keras.Model(outputs[tuple(source)], outputs[tuple(target)], name="classifier")
    _check_alike(classifier, legacy, pixels)
    return legacy


def carry_back(legacy: Any, classifier: Any) -> None:
    """Put the weights of a tf_keras model that :func:`to_legacy` made into the classifier that it was made of."""
    for layer in classifier.layers:
        if layer.weights:
            layer.set_weights(legacy.get_layer(layer.name).get_weights())


def _counterpart(layer: Any, entry: dict[str, Any]) -> Any:
    """The layer of tf_keras with the same options; initial values do not matter, as weights follow."""
    import tf_keras

    name = entry["class_name"]
    kind = getattr(tf_keras.layers, _OWN.get(name, name), None)
    if kind is None:
        raise _no_counterpart(layer, "tf_keras has no such layer")
    if name in _OWN:
        return kind(layer.rate, name=entry["name"])
    defaults = inspect.signature(type(layer).__init__).parameters
    known = {*inspect.signature(kind.__init__).parameters, "name", "trainable"}
    config = {}
    for option, value in entry["config"].items():
        if option == "dtype" or option.endswith("_initializer"):
            continue
        if option in known:
            config[option] = _plain(value)
        elif option not in defaults or defaults[option].default != value:
            raise _no_counterpart(layer, f"tf_keras does not know its option {option}={value!r}")
    try:
        return kind.from_config(config)
    except (TypeError, ValueError) as error:
        raise _no_counterpart(layer, first_line(error)) from None


def _computed(operation: Any, node: dict[str, Any], outputs: dict[tuple[str, int], Any]) -> Any:
    """What an operation without weights makes of its arguments."""
    import tf_keras

    history = [value["config"]["keras_history"][:2] for value in _tensors(node["args"])]

    def call(inputs: Any) -> Any:
        known = dict(zip(map(tuple, history), inputs, strict=True))
        return operation(*_resolved(node["args"], known), **node["kwargs"])

    try:
        return tf_keras.layers.Lambda(call, name=operation.name)([outputs[tuple(which)] for which in history])
    except (TypeError, ValueError) as error:
        raise _no_counterpart(operation, first_line(error)) from None


def _tensors(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in _tensors(part)]
    return [value] if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__" else []


def _no_counterpart(layer: Any, reason: str) -> ModelFileError:
    return ModelFileError(
        f"the layer {layer.name} ({type(layer).__name__}) cannot be pruned or clustered around: {reason}; "
        "export the model with --int8 or --fp16 instead"
    )


def _plain(value: Any) -> Any:
    """An object in the configuration, such as a regulariser, without the module that it had in Keras 3."""
    if isinstance(value, dict) and "class_name" in value:
        return {"class_name": value["class_name"], "config": value["config"]}
    return value


def _resolved(value: Any, outputs: dict[tuple[str, int], Any]) -> Any:
    """Arguments of a call, with the tensors that they stand for."""
    if isinstance(value, list | tuple):
        return [_resolved(part, outputs) for part in value]
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        name, node, _ = value["config"]["keras_history"]
        return outputs[name, node]
    return value


def _check_alike(classifier: Any, legacy: Any, pixels: np.ndarray) -> None:
    images = pixels.astype(np.float32)
    expected = np.asarray(classifier.predict_on_batch(images))
    difference = np.abs(np.asarray(legacy.predict_on_batch(images)) - expected).max()
    if not difference <= _TOLERANCE * max(1.0, np.abs(expected).max()):
        raise ModelFileError(
            f"the model that was rebuilt to be pruned or clustered answers otherwise than the trained one, by "
            f"{difference:.2g}: it has a layer that means something else there; export it with --int8 or --fp16 instead"
        )
