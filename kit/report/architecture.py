"""What a run's model is made of: its layers, kept in the run once they are known, and two diagrams of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from kit.errors import KitError, RunError, first_line
from kit.models.graph import Place, places_of
from kit.report.architecture_blocks import layered_blocks
from kit.report.architecture_flow import flow
from kit.report.architecture_steps import Layer, parts_of, shown_size
from kit.report.drawing import Figures
from kit.training.fold_directory import FoldDirectory
from kit.training.runs import RunDirectory

if TYPE_CHECKING:
    from markupsafe import Markup

_SIZES = ("kernel_size", "pool_size", "size", "padding")  # options of layers that say how far they look
_NOT_SHOWN = ("linear", "same", "valid")


@dataclass(frozen=True)
class Architecture:
    """What a page shows of a model.

    layers: in the order of the flow; empty where they are not known.
    parameters, trainable: of the whole model.
    flow, blocks: ``<svg>``: boxes with their branches, of at most 5 inches; blocks as large as the features, for which
        the page should have its full width (``figure.wide``). Empty where the layers are not known.
    note: why they are not known, in one line; else empty.
    """

    layers: tuple[Layer, ...] = ()
    parameters: int = 0
    trainable: int = 0
    flow: Markup | str = ""
    blocks: Markup | str = ""
    note: str = ""


def architecture(run: RunDirectory, drawn: Figures) -> Architecture:
    """The layers of a run's model and their diagrams; or, where the model cannot be built any more, why not."""
    try:
        layers = layers_of(run)
    except KitError as error:
        return Architecture(note=" ".join(str(error).split()))
    parts = parts_of(layers)
    parameters, trainable = sum(each.parameters for each in layers), sum(each.trainable for each in layers)
    said = f"{len(layers)} layers, {parameters:,} parameters, from {shown_size(layers[0].shape)} to "
    said += shown_size(layers[-1].shape)
    return Architecture(
        tuple(layers),
        parameters,
        trainable,
        drawn.add("architecture", f"The model's layers in the order of the flow: {said}", flow, parts),
        drawn.add("architecture-blocks", f"The model's features as blocks: {said}", layered_blocks, parts),
    )


def layers_of(run: RunDirectory) -> list[Layer]:
    """The layers of a run's model, each after those that it takes its input from.

    The model is built to find them, once: then they are kept in the run, so that whoever asks again needs no Keras.

    Raises:
        RunError: the run has no model yet, or kit builds another one from its architecture, or none at all.
    """
    with suppress(RunError, TypeError, AttributeError):  # there are none yet, or those of another version
        return [_from_saved(row) for row in run.read_layers()]
    folds = run.built_folds()
    if not folds:
        raise RunError(f"{run.path} has no model: its training was cut off before the first one was built")
    layers = _build(folds[0])
    if folds[0].is_finished:
        expected = folds[0].read_scores().get("trainable_parameters")
        found = sum(layer.trainable for layer in layers)
        if isinstance(expected, int) and expected != found:
            raise RunError(
                f"the model of {run.path} has {expected:,} trainable parameters, and kit now builds one of {found:,} "
                "by that name: it was trained with another version"
            )
        with suppress(RunError):  # a place where nothing can be written
            run.write_layers([asdict(layer) for layer in layers])
    return layers


def _from_saved(row: dict[str, Any]) -> Layer:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    layer = Layer(**values)
    if not all(isinstance(each, int) for each in (layer.parameters, layer.trainable, *layer.shape)):
        raise TypeError("no numbers")
    return layer


def _build(fold: FoldDirectory) -> list[Layer]:
    from kit.models.build import build_classifier

    saved = fold.read_architecture()
    try:
        model = build_classifier(saved)
    except KitError as error:
        raise RunError(f"the model {saved.model} cannot be built any more: {error}") from None
    except Exception as error:  # noqa: BLE001  the model may be anybody's code, and Keras raises many kinds
        raise RunError(f"the model {saved.model} cannot be built any more: {first_line(error)[:200]}") from None
    return model_layers(model)


def model_layers(model: Any) -> list[Layer]:
    """The layers of a Keras model, and what stands for one in it, such as a sum; each after its inputs."""
    places = places_of(model)
    return [_layer(place, tuple(places[each].name for each in place.inputs)) for place in places]


def _layer(place: Place, inputs: tuple[str, ...]) -> Layer:
    operation = place.operation
    weights = getattr(operation, "weights", ())  # an operation such as a sum has none
    trained = getattr(operation, "trainable_weights", ())
    activation = getattr(operation, "activation", None)
    return Layer(
        name=place.name,
        kind=type(operation).__name__,
        shape=tuple(int(side) for side in place.output.shape[1:]),
        parameters=sum(_count(each) for each in weights),
        trainable=sum(_count(each) for each in trained),
        inputs=inputs,
        detail=_detail(operation),
        activation="" if activation is None else _name_of(activation),
    )


def _count(weight: Any) -> int:
    return prod(weight.shape)


def _name_of(activation: Any) -> str:
    name = getattr(activation, "__name__", type(activation).__name__)
    return "" if name in _NOT_SHOWN else name


def _detail(operation: Any) -> str:
    """``3×3, stride 2`` of a convolution, ``25 %`` of a dropout; no line ends before the numbers."""
    words = []
    for name in _SIZES:
        value = getattr(operation, name, None)
        if isinstance(value, tuple) and len(value) == 2 and all(isinstance(side, int) for side in value):
            words.append(f"{value[0]}×{value[1]}")
            break
    strides = getattr(operation, "strides", None)
    if isinstance(strides, tuple) and len(strides) == 2 and strides not in ((1, 1), getattr(operation, "pool_size", 0)):
        words.append(
            f"stride\u00a0{strides[0]}" if strides[0] == strides[1] else f"strides\u00a0{strides[0]}×{strides[1]}"
        )
    rate = getattr(operation, "rate", None)
    if isinstance(rate, int | float) and 0 < rate < 1:
        words.append(f"{rate:.0%}".replace("%", "\u00a0%"))
    return ", ".join(words)
