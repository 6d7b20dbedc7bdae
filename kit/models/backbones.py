"""The networks of ``keras.applications`` as parts of kit's models: their names, input scaling, blocks and sizes."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from kit.errors import RecipeError
from kit.models.graph import names_as_if_alone
from kit.registry import unknown_name

ALL = -1  # blocks that train


@dataclass(frozen=True)
class Scaling:
    """What a network's ImageNet weights expect of pixels 0..255: ``pixel * scale + offset``, by channel."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    blue_first: bool = False


@dataclass(frozen=True)
class Family:
    """What the networks of one module of ``keras.applications`` have in common.

    scaling: stated here, because a third of the families scale inside the network, some with weights.
    block: a regular expression, found in the names of layers; those with equal groups are of one block.
    trunk: the first layer after a scaling inside the network that no argument leaves out.
    """

    scaling: Scaling
    block: str
    trunk: str = ""


_CAFFE = Scaling((1.0, 1.0, 1.0), (-103.939, -116.779, -123.68), blue_first=True)
_UNIT = Scaling((1 / 127.5,) * 3, (-1.0,) * 3)
_UNIT_BY_128 = Scaling((1 / 128,) * 3, (-1.0,) * 3)
_STANDARD = Scaling(
    (1 / 255 / 0.229, 1 / 255 / 0.224, 1 / 255 / 0.225), (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225)
)

# By the module that defines a network, or by its own name where it differs from the others there.
FAMILIES = {
    "convnext": Family(_STANDARD, r"_(stage_\d_block_\d+)_"),
    "densenet": Family(_STANDARD, r"^(conv\d_block\d+)_"),
    # Keras itself scales once more when it loads ImageNet weights, and not otherwise.
    "efficientnet": Family(_STANDARD, r"^(block\d[a-z]+)_", trunk="stem_conv_pad"),
    "efficientnet_v2": Family(_STANDARD, r"^(block\d[a-z]+)_"),
    "EfficientNetV2S": Family(_UNIT_BY_128, r"^(block\d[a-z]+)_"),
    "EfficientNetV2M": Family(_UNIT_BY_128, r"^(block\d[a-z]+)_"),
    "EfficientNetV2L": Family(_UNIT_BY_128, r"^(block\d[a-z]+)_"),
    "inception_resnet_v2": Family(_UNIT, r"^(block\d+_\d+|mixed_\d[ab])"),
    "inception_v3": Family(_UNIT, r"^(mixed\d+)$"),
    "mobilenet": Family(_UNIT, r"^conv_[dp]w_(\d+)"),
    "mobilenet_v2": Family(_UNIT, r"^((?:block_\d+|expanded_conv))_"),
    "mobilenet_v3": Family(_UNIT, r"^(expanded_conv(?:_\d+)?)_(?!conv)"),
    "nasnet": Family(_UNIT, r"^((?:normal|reduction)_concat_.+)"),
    "resnet": Family(_CAFFE, r"^(conv\d_block\d+)_"),
    "resnet_v2": Family(_UNIT, r"^(conv\d_block\d+)_"),
    "vgg16": Family(_CAFFE, r"^(block\d)_"),
    "vgg19": Family(_CAFFE, r"^(block\d)_"),
    # Blocks 2 to 13 end with a sum: the last layer on the shortcut may come after all that the block's name is on.
    "xception": Family(_UNIT, r"^(block1_|add(?:_\d+)?$|block14_)"),
}


def application(name: str) -> Any:
    """A network's function in ``keras.applications``; ``EfficientNetV2B0`` and ``efficientnet_v2_b0`` are the same.

    Raises:
        RecipeError: there is no such network.
    """
    import keras

    found = {
        each: function
        for each, function in vars(keras.applications).items()
        if inspect.isfunction(function) and "include_top" in _parameters(function)
    }
    spelled = {_plain(each): each for each in found}
    if _plain(name) not in spelled:
        valid = sorted(map(_snake, found)) if name == name.lower() else sorted(found)
        raise RecipeError(unknown_name("backbone", name, valid))
    return found[spelled[_plain(name)]]


def scaled(images: Any, name: str) -> Any:
    """Pixels 0..255, RGB (batch, height, width, 3), as the network's ImageNet weights expect them."""
    from keras import layers, ops

    scaling = _family(application(name)).scaling
    if scaling.blue_first:
        images = ops.take(images, [2, 1, 0], axis=-1)
    # In float32 also where the network computes in half precision, like kit's own normalisation.
    return layers.Rescaling(list(scaling.scale), list(scaling.offset), dtype="float32", name="preprocessing")(images)


def features(images: Any, name: str, train_blocks: int) -> Any:
    """A network without its top and without scaling, built flat into the graph of ``images``, with random weights.

    Flat, so that layers are frozen, carried over from other weights and rebuilt to be pruned one by one.

    Args:
        images: (batch, height, width, 3), scaled.
        train_blocks: how many blocks train, counted from the last; 0 for none, ``ALL`` for all. A block is what the
            network's paper repeats: a residual block (ResNet), a dense layer (DenseNet), an inverted bottleneck
            (MobileNet, EfficientNet), the convolutions before a pooling (VGG), a module (Inception), a cell
            (NASNet). What lies before the first block belongs to the first, what lies between two belongs to the
            second, and what follows the last belongs to the last. All other layers are frozen: their weights stay,
            their batch normalisation uses its moving averages, and nothing is dropped out.

    Returns:
        (batch, height / stride, width / stride, filters).

    Raises:
        RecipeError: an unknown network, images that it does not take, or more blocks than it has.
    """
    import keras

    function = application(name)
    shape = tuple(images.shape[1:])
    options: dict[str, Any] = {"include_top": False, "weights": None, "input_shape": shape}
    if "include_preprocessing" in _parameters(function):
        options["include_preprocessing"] = False
    trunk = _family(function).trunk
    try:
        base = function(**options) if trunk else function(**options, input_tensor=images)
    except ValueError as error:
        height, width, _ = shape
        reason = str(error).partition(";")[0].splitlines()[0]
        raise RecipeError(
            f"{function.__name__} does not take images of {height}x{width} pixels ({reason}): choose a larger size"
        ) from None
    name_as_if_alone(base)
    for layer in _frozen(base, function, train_blocks):
        _freeze(layer)
    if not trunk:
        return base.output
    return keras.Model(base.get_layer(trunk).input, base.output).call(images)


def with_imagenet_weights(name: str) -> Any:
    """A network as Keras loads it with its ImageNet weights, those for 224 pixels where there are several.

    Raises what Keras raises: ``Exception`` without a network, ``ValueError`` for a damaged download.
    """
    base = application(name)(include_top=False, weights="imagenet", input_shape=(224, 224, 3))
    name_as_if_alone(base)
    return base


def blocks(base: Any, name: str) -> list[list[Any]]:
    """The layers of a network, block by block; ``features`` says what a block is."""
    pattern = re.compile(_family(application(name)).block)
    keys = [found[1] if (found := pattern.search(layer.name)) else None for layer in base.layers]
    ends = {key: place for place, key in enumerate(keys) if key}  # the last layer of each block
    parts: list[list[Any]] = [[]]
    for place, layer in enumerate(base.layers):
        parts[-1].append(layer)
        if place in ends.values():
            parts.append([])
    after = parts.pop()
    parts[-1] += after
    return parts


def _frozen(base: Any, function: Any, train_blocks: int) -> list[Any]:
    parts = blocks(base, function.__name__)
    if not ALL <= train_blocks <= len(parts):
        raise RecipeError(
            f"train_blocks is {train_blocks}, but {function.__name__} has {len(parts)} blocks: "
            f"expected 0 (frozen) to {len(parts)}, or {ALL} for all"
        )
    trained = len(parts) if train_blocks == ALL else train_blocks
    return [layer for part in parts[: len(parts) - trained] for layer in part]


def _freeze(layer: Any) -> None:
    layer.trainable = False
    for rate in ("rate", "drop_path_rate"):  # Keras drops out in frozen layers too
        if hasattr(layer, rate):
            setattr(layer, rate, 0.0)


def name_as_if_alone(base: Any) -> None:
    """Give the layers that Keras numbered through the process the names of a first network."""
    names = names_as_if_alone(base.layers)
    for layer in base.layers:
        layer.name = names[layer.name]


def _family(function: Any) -> Family:
    return FAMILIES.get(function.__name__) or FAMILIES[function.__module__.rpartition(".")[2]]


def _parameters(function: Any) -> dict[str, Any]:
    return dict(inspect.signature(function).parameters)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _snake(name: str) -> str:
    words = name.replace("NASNet", "Nasnet").replace("NeXt", "next").replace("Net", "net")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()
