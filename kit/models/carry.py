"""Weights of earlier training into a new model: those of ImageNet, of a file, or of another run."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.progress import downloads_shown
from kit.errors import KitError, ModelFileError, first_line
from kit.models.backbones import with_imagenet_weights
from kit.models.catalog import imagenet_backbone

HEAD = "logits"
MOST_LAYERS = 10_000  # of a file; the largest network of keras.applications has some 1,000
MOST_LEVELS = 8
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class CarriedLayer:
    """What became of one layer of the new model."""

    name: str
    shapes: Shapes  # of its weights
    source: str | None  # the layer that its weights come from
    note: str  # "carried from NAME", or why it keeps its random weights


@dataclass(frozen=True)
class Carried:
    """What was carried into a model, layer by layer; ``layers`` are all that have weights, in the model's order."""

    origin: str
    layers: tuple[CarriedLayer, ...]

    @property
    def names(self) -> list[str]:
        """The layers that were carried, as ``weighted_layers`` of the model has them."""
        return [layer.name for layer in self.layers if layer.source is not None]

    def summary(self) -> str:
        carried = [layer for layer in self.layers if layer.source is not None]
        return (
            f"carried {len(carried)} of {len(self.layers)} layers, {_numbers(carried):,} of "
            f"{_numbers(self.layers):,} weights, from {self.origin}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        layers = [
            {
                "name": each.name,
                "shapes": [list(shape) for shape in each.shapes],
                "from": each.source,
                "note": each.note,
            }
            for each in self.layers
        ]
        return {"origin": self.origin, "summary": self.summary(), "layers": layers}


@dataclass(frozen=True)
class _Source:
    """A layer that weights can come from."""

    name: str | None
    kind: str  # its class, lower case and without underscores, where that is known
    shapes: Shapes
    read: Callable[[], list[np.ndarray]]


def carry_imagenet(classifier: Any, model: str) -> Carried:
    """Fill the backbone of a classifier with the ImageNet weights that Keras downloads, or finds in its cache.

    Args:
        model: the spec that the classifier was built from.

    Raises:
        RecipeError: the model stands on no network of keras.applications.
        ModelFileError: the weights cannot be downloaded, or are damaged.
    """
    name = imagenet_backbone(model)
    try:
        with downloads_shown(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = with_imagenet_weights(name)
    except Exception as error:  # noqa: BLE001  Keras raises Exception itself without a network, h5py all kinds
        raise _no_imagenet_weights(name, str(error)) from None
    return carry_from(classifier, source, f"the ImageNet weights of {name}")


def carry_file(classifier: Any, path: Path) -> Carried:
    """Fill a classifier from a file of Keras weights, whole or without its top.

    The file is ``.weights.h5``, the older ``.h5``, or ``.keras``, of which only the weights are read: to load the
    model in it would run its code. Layers are matched by name; those that Keras numbered (conv2d_3), and all of a
    file without names, by their order within their class; those of an older file with other names by their order alone.

    Raises:
        ModelFileError: the file is missing, damaged or something else; nothing in it fits, or not all that is frozen.
    """
    with open_weights(path) as root:
        return _carry(classifier, _file_layers(root), str(path))


@contextmanager
def open_weights(path: Path) -> Iterator[Any]:
    """The root of a file of Keras weights, for as long as this lasts.

    Raises:
        ModelFileError: the file is missing, damaged or something else, then or as it is read.
    """
    try:
        with _opened(path) as root:
            yield root
    except KitError:
        raise
    except Exception as error:  # noqa: BLE001  h5py raises many kinds for a damaged file
        raise ModelFileError(
            f"cannot read {path}: {first_line(error)}; it is damaged or no file of Keras weights, "
            "expected .weights.h5, .h5 or .keras"
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    if not path.is_file():
        raise ModelFileError(f"there is no file {path}: expected Keras weights (.weights.h5, .h5 or .keras)")
    if path.stat().st_size == 0:
        raise ModelFileError(f"{path} is empty: download or copy it again")
    with contextlib.ExitStack() as stack:
        source: Any = path
        if zipfile.is_zipfile(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            member = archive.getinfo("model.weights.h5")
            if member.compress_type != zipfile.ZIP_STORED:  # Keras stores; what was packed may unpack to anything
                raise ValueError("model.weights.h5 in it is compressed")
            source = io.BytesIO(archive.read(member))
        yield stack.enter_context(h5py.File(source, "r"))


def carry_from(classifier: Any, source: Any, origin: str) -> Carried:
    """Fill a classifier from another Keras model with layers of the same names, or the same classes in their order.

    Args:
        origin: what the other model is, in words for the report.

    Raises:
        ModelFileError: nothing in it fits, or not all that is frozen.
    """
    return _carry(classifier, [_model_source(layer) for layer in weighted_layers(source)], origin)


def weighted_layers(model: Any) -> list[Any]:
    """The layers with weights in a model's order, those inside of layers that are models themselves."""
    leaves = []
    for layer in model.layers:
        if hasattr(layer, "layers"):
            leaves += weighted_layers(layer)
        elif layer.weights:
            leaves.append(layer)
    return leaves


def _carry(classifier: Any, sources: Sequence[_Source], origin: str) -> Carried:
    """Match all, read what matches, and only then assign, so that an error leaves the classifier as it was."""
    layers = weighted_layers(classifier)
    targets = [_model_source(layer) for layer in layers]
    report, values = [], {}
    for place, (target, source) in enumerate(zip(targets, _matches(targets, sources), strict=True)):
        taken, note = None, _misfit(target, source)
        if source is not None and not note:
            values[place] = _numbers_of(source, origin)
            taken = source.name or source.kind
            note = f"carried from {taken}"
        report.append(CarriedLayer(str(target.name), target.shapes, taken, note))
    if not values:
        reasons = "; ".join(f"{layer.name}: {layer.note}" for layer in report[:3])
        raise ModelFileError(
            f"nothing in {origin} fits the model's {len(layers)} layers ({reasons}): "
            "expected the weights of the same model or backbone"
        )
    _check_frozen(layers, report, origin)
    for place, arrays in values.items():
        layers[place].set_weights(arrays)
    return Carried(origin, tuple(report))


def _check_frozen(layers: Sequence[Any], report: Sequence[CarriedLayer], origin: str) -> None:
    """Refuse a model of which a part would stay random, whatever it learns."""
    frozen = [told for layer, told in zip(layers, report, strict=True) if not layer.trainable]
    random = [told for told in frozen if told.source is None]
    if random:
        some = "; ".join(f"{told.name}: {told.note}" for told in random[:3])
        raise ModelFileError(
            f"{len(random)} of the model's {len(frozen)} frozen layers would keep random weights, as nothing in "
            f"{origin} fits them ({some}): take the weights of the same backbone, or let all layers train with "
            "train_blocks=-1"
        )


def _matches(targets: Sequence[_Source], sources: Sequence[_Source]) -> list[_Source | None]:
    """For each target the source of its name; layers with a name that Keras made up are matched by class and order.

    Such names (conv2d_3) count all layers of a process, so that two builds of one model have different ones.
    """
    by_name = _by_name(targets, sources)
    body = [place for place, target in enumerate(targets) if not is_of_the_head(target.name or "")]
    # Keras goes by the order alone in older files, which do not tell classes: some have names that its networks no
    # longer have, as DenseNet's conv1/conv. What comes after the body is the file's own head.
    fits = [source.shapes for source in sources[: len(body)]] == [targets[place].shapes for place in body]
    if any(by_name[place] is None for place in body) and fits and not any(source.kind for source in sources):
        in_order = dict(zip(body, sources, strict=False))
        return [in_order.get(place) for place in range(len(targets))]
    return by_name


def is_of_the_head(layer: str) -> bool:
    """Whether a layer comes after the backbone, by its name."""
    return layer == HEAD or layer.startswith("head_")


def _by_name(targets: Sequence[_Source], sources: Sequence[_Source]) -> list[_Source | None]:
    kinds = {target.kind for target in targets}
    named = any(source.name for source in sources)

    def keys(layers: Sequence[_Source]) -> list[tuple[str, int]]:
        seen: Counter[str] = Counter()
        found = []
        for layer in layers:
            made_up = _kind(layer.name or "")
            if layer.name and named and made_up not in kinds:
                found.append((layer.name, -1))
            else:
                kind = made_up if layer.name and named else layer.kind
                found.append((kind, seen[kind]))
                seen[kind] += 1
        return found

    by_key = dict(zip(keys(sources), sources, strict=True))
    return [by_key.get(key) for key in keys(targets)]


def _misfit(target: _Source, source: _Source | None) -> str:
    """Why a source is not carried into a target; empty if it is."""
    if target.name == HEAD:
        return "head: it belongs to the other classes"
    if source is None:
        return "new: no such layer there"
    if source.shapes != target.shapes:
        there, here = (" ".join(map(_shape_words, shapes)) for shapes in (source.shapes, target.shapes))
        return f"shape {there} there, {here} here"
    return ""


def _numbers_of(source: _Source, origin: str) -> list[np.ndarray]:
    arrays = source.read()
    for array in arrays:
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ModelFileError(
                f"{origin} is damaged or was diverging: layer {source.name or source.kind} has weights that are "
                "not numbers; use another file or run"
            )
    return [array.astype(np.float32) for array in arrays]


def _model_source(layer: Any) -> _Source:
    return _Source(
        name=layer.name,
        kind=type(layer).__name__.lower(),
        shapes=tuple(tuple(weight.shape) for weight in layer.weights),
        read=layer.get_weights,
    )


def _file_layers(root: Any) -> list[_Source]:
    if _holds(root, "model_weights"):  # of a whole model in the older format
        root = _child(root, "model_weights")
    if _holds(root, "layers"):
        return list(_layers_of(_child(root, "layers"), Counter()))
    if any(key.startswith("layer_names") for key in root.attrs):
        return list(_older_layers(root))
    raise ValueError(f"it holds {', '.join(sorted(root)[:3]) or 'nothing'}")


def _layers_of(group: Any, found: Counter[str], depth: int = 0) -> Iterator[_Source]:
    """The layers of a ``.weights.h5`` file: layers/conv2d_3/vars/0; a model in the model has ``layers`` of its own."""
    for key in sorted(group, key=_by_number):
        found["layers"] += 1
        if found["layers"] > MOST_LAYERS or depth > MOST_LEVELS:  # a group may contain itself
            raise ValueError(f"it has more than {MOST_LAYERS} layers, or models in models {MOST_LEVELS} levels deep")
        layer = _child(group, key)
        if _holds(layer, "layers"):
            yield from _layers_of(_child(layer, "layers"), found, depth + 1)
        elif _holds(layer, "vars"):
            variables = _child(layer, "vars")
            arrays = [_child(variables, number) for number in sorted(variables, key=_by_number)]
            if arrays:
                yield _file_source(_text(variables.attrs.get("name")), _kind(key), arrays)


def _older_layers(root: Any) -> Iterator[_Source]:
    """The layers of an ``.h5`` file: block1_conv1/block1_conv1/kernel:0, listed in attributes."""
    for name in _listed(root, "layer_names")[:MOST_LAYERS]:
        group = _child(root, name)
        inner: dict[str, list[Any]] = {}
        for path in _listed(group, "weight_names"):
            inner.setdefault(path.split("/")[-2] if "/" in path else name, []).append(_child(group, path))
        for each, arrays in inner.items():  # several: a model in the model
            yield _file_source(each if len(inner) > 1 else name, "", arrays)


def _listed(group: Any, name: str) -> list[str]:
    """An attribute that lists names; a long list is spread over name0, name1, ..."""
    keys = [name] if name in group.attrs else [key for key in group.attrs if re.fullmatch(rf"{name}\d+", key)]
    return [str(_text(value)) for key in sorted(keys, key=_by_number) for value in group.attrs[key]]


def _child(group: Any, path: str) -> Any:
    """What lies at a path in an HDF5 file, and nowhere else: links may lead to any file of the machine."""
    import h5py

    for part in path.strip("/").split("/"):
        if not _holds(group, part):
            raise ValueError(f"{part} is missing, or a link")
        group = group[part]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual):
        raise ValueError(f"{path} lies in another file")
    return group


def _holds(group: Any, name: str) -> bool:
    """Whether a group has a member that is no link. ``name in group`` would open the file that a link leads to."""
    import h5py

    try:
        return bool(group.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD)
    except (KeyError, RuntimeError):  # by version of h5py
        return False


def _file_source(name: str | None, kind: str, arrays: list[Any]) -> _Source:
    shapes = tuple(tuple(array.shape) for array in arrays)
    return _Source(name, kind, shapes, lambda: [array[()] for array in arrays])  # read only where the shapes fit


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def _by_number(key: str) -> tuple[str, int]:
    """conv2d, conv2d_2, conv2d_10."""
    found = re.fullmatch(r"(.*?)_?(\d+)", key)
    return (found[1], int(found[2])) if found else (key, 0)


def _kind(name: str) -> str:
    """The class of a layer whose name Keras made up: batch_normalization_3 -> batchnormalization."""
    return re.sub(r"_\d+$", "", name).replace("_", "")


def _shape_words(shape: Sequence[int]) -> str:
    return f"({','.join(map(str, shape))})"


def _numbers(layers: Sequence[CarriedLayer]) -> int:
    return sum(int(np.prod(shape)) for layer in layers for shape in layer.shapes)


def _no_imagenet_weights(name: str, reason: str) -> ModelFileError:
    found = re.match(r"URL fetch failure on (\S+): (?:.*? -- )?(.*)", reason)
    if not found:
        reason = (reason.splitlines() or ["no reason was given"])[0]
        return ModelFileError(
            f"cannot load the ImageNet weights of {name}: {reason}; "
            "try again, or give a file that was downloaded elsewhere: --weights PATH"
        )
    file = found[1].rpartition("/")[2]
    return ModelFileError(
        f"cannot fetch the ImageNet weights of {name} from {found[1]} ({found[2]}): try on a machine with network, "
        f"or download {file} there and give it here: --weights {file}"
    )
