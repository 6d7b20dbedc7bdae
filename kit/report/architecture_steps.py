"""From layers to what a diagram has room for: steps of several layers, branches, and repeats that are folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

MOST_PARTS = 26  # of a diagram; beyond, what has one size becomes one part
_MAIN = re.compile(r"Conv|Dense|Pool|Flatten|Add|Concat|Multiply|Merge|Attention|Reshape|Resiz|UpSampl|Input")
_SHORT = {
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "Rescaling": "Rescale",
    "InputLayer": "Pixels",
    "ByteDropout": "Dropout",
    "Resizing": "Resize",
    "Concatenate": "Concatenation",
    "ZeroPadding2D": "Padding",
    "GlobalAveragePooling2D": "Global average pooling",
    "GlobalMaxPooling2D": "Global max pooling",
    "AveragePooling2D": "Average pooling",
    "MaxPooling2D": "Max pooling",
    "SeparableConv2D": "Separable convolution",
    "DepthwiseConv2D": "Depthwise convolution",
    "Conv2D": "Convolution",
    "GetItem": "Selection",
    "Take": "Channel order",
}
_ACTIVATIONS = {
    "relu": "ReLU", "leaky_relu": "Leaky ReLU", "tanh": "tanh", "silu": "SiLU", "swish": "SiLU", "gelu": "GELU",
    "relu6": "ReLU6", "hard_silu": "hard SiLU", "sigmoid": "sigmoid", "softmax": "softmax",
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One layer of a model, or what stands for one.

    shape: of its output, without the batch: (height, width, channels), or (units,).
    parameters, trainable: all of its weights' numbers, and those that train.
    inputs: names of the layers that it takes its input from.
    detail: such as ``3×3, stride 2``.
    activation: as Keras calls it; empty where there is none.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    trainable: int
    inputs: tuple[str, ...] = ()
    detail: str = ""
    activation: str = ""

    @property
    def named(self) -> str:
        """``Convolution 3×3``."""
        return f"{_SHORT.get(self.kind, self.kind)} {self.detail}".strip()

    @property
    def words(self) -> str:
        """``Convolution 3×3 + ReLU``."""
        activation = _ACTIVATIONS.get(self.activation, self.activation)
        if self.kind == "Activation" and activation:
            return activation
        return f"{self.named} + {activation}" if activation else self.named


@dataclass(frozen=True)
class Step:
    """Layers that a diagram shows as one, such as a convolution with its normalisation and activation.

    title: instead of the layers' names, where they are many.
    times: so many steps of these layers follow each other.
    """

    layers: tuple[Layer, ...]
    title: str = ""
    times: int = 1

    @property
    def words(self) -> str:
        return self.title or " + ".join(layer.words for layer in self.layers)

    @property
    def short(self) -> str:
        """The layer alone that the rest serves."""
        return (self.title or self._main.named).partition(":")[0].partition(",")[0]

    @property
    def _main(self) -> Layer:
        return max(self.layers, key=lambda layer: (bool(_MAIN.search(layer.kind)), layer.parameters))

    @property
    def kind(self) -> str:
        return self._main.kind

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output."""
        return self.layers[-1].shape

    @property
    def parameters(self) -> int:
        """Of one of them."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self) -> int:
        return sum(layer.trainable for layer in self.layers)

    @property
    def all_layers(self) -> tuple[Layer, ...]:
        return self.layers


@dataclass(frozen=True)
class Block:
    """Branches that begin with the same features and meet again, as in a residual block.

    branches: the longest first; an empty one is a shortcut that changes nothing.
    end: where they meet.
    times: so many blocks of these layers follow each other.
    """

    branches: tuple[tuple[Step, ...], ...]
    end: Step
    times: int = 1

    @property
    def steps(self) -> tuple[Step, ...]:
        return (*(step for branch in self.branches for step in branch), self.end)

    @property
    def words(self) -> str:
        return "Residual block" if "Add" in self.end.kind else f"Block of {len(self.branches)} branches"

    @property
    def short(self) -> str:
        return self.words

    @property
    def kind(self) -> str:
        return "Block"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.end.shape

    @property
    def parameters(self) -> int:
        return sum(step.parameters for step in self.steps)

    @property
    def trainable(self) -> int:
        return sum(step.trainable for step in self.steps)

    @property
    def all_layers(self) -> tuple[Layer, ...]:
        return tuple(layer for step in self.steps for layer in step.layers)


Part = Step | Block


def parts_of(layers: Sequence[Layer]) -> list[Part]:
    """The parts of a diagram, in the order of the flow; each layer is in one of them, or in a repeat of it.

    Equal parts that follow each other are one. Frozen parts of one size become one, as nobody trained them; the
    others do where there are too many for a diagram.
    """
    steps = _joined(layers)
    parts = _repeats_folded(_branches_found(steps))
    parts = _stages_folded(parts, frozen=True)
    if len(parts) > MOST_PARTS:
        parts = _stages_folded(parts, frozen=False)
    return parts


def shown_size(shape: tuple[int, ...]) -> str:
    """``28 × 28 × 64``"""
    return " × ".join(f"{side:,}" for side in shape)


# --- layers to steps --------------------------------------------------------------------------------------


def _joined(layers: Sequence[Layer]) -> list[Step]:
    """Each layer that only works on what the one before it made joins that one's step."""
    followers = _consumers((layer.name, layer.inputs) for layer in layers)
    shapes = {layer.name: layer.shape for layer in layers}
    steps: list[list[Layer]] = []
    step_of: dict[str, list[Layer]] = {}
    for layer in layers:
        before = layer.inputs[0] if len(layer.inputs) == 1 else None
        alone = before is not None and len(followers[before]) == 1
        step = step_of[before] if alone and before else None
        if step and (_is_minor(layer, shapes[before or ""]) or all(_leads(each, shapes) for each in step)):
            step.append(layer)
        else:
            steps.append(step := [layer])
        step_of[layer.name] = step
    return [Step(tuple(step)) for step in steps]


def _consumers(rows: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, inputs in rows:
        found.setdefault(name, [])
        for each in inputs:
            found[each].append(name)
    return found


def _is_minor(layer: Layer, before: tuple[int, ...]) -> bool:
    """Normalisation, activation, dropout and the like: they change neither the shape nor have many weights."""
    small = layer.parameters <= 4 * before[-1]
    return not _MAIN.search(layer.kind) and layer.shape == before and small


def _leads(layer: Layer, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Padding, and what normalises or activates before the layer that it does that for."""
    if layer.kind.startswith("ZeroPadding"):
        return True
    return len(layer.inputs) == 1 and _is_minor(layer, shapes[layer.inputs[0]])


# --- steps to branches ------------------------------------------------------------------------------------


def _branches_found(steps: Sequence[Step]) -> list[Part]:
    place = {layer.name: number for number, step in enumerate(steps) for layer in step.layers}
    inputs = [sorted({place[name] for name in step.layers[0].inputs}) for step in steps]
    return _cut(steps, inputs, range(len(steps)))


def _cut(steps: Sequence[Step], inputs: list[list[int]], within: range) -> list[Part]:
    """Cut where all paths meet; what lies between two cuts is a block.

    Each step follows its inputs, so that all paths pass through one that no connection leads past.
    """
    furthest: dict[int, int] = {}
    for number in within:
        furthest |= dict.fromkeys(inputs[number], number)
    parts: list[Part] = []
    reach, begin = furthest.get(within.start - 1, within.start), within.start
    for number in within:
        if reach <= number:
            inside = range(begin, number)
            parts.append(_block(steps, inputs, inside, number) if inside else steps[number])
            begin = number + 1
        reach = max(reach, furthest.get(number, 0))
    return parts


def _block(steps: Sequence[Step], inputs: list[list[int]], inside: range, end: int) -> Part:
    """The branches from the step before ``inside`` to ``end``; a step of its own where they are too many to be drawn.

    What branches once more within a branch is one step of it.
    """
    fork = inside.start - 1
    if inputs[end] == [fork, inside.stop - 1]:
        long = [part if isinstance(part, Step) else _module(part.all_layers) for part in _cut(steps, inputs, inside)]
        return Block((tuple(long), ()), steps[end])
    everything = _module([layer for number in (*inside, end) for layer in steps[number].layers])
    branch_of: dict[int, list[int]] = {}
    for number in inside:
        before = inputs[number]
        if before == [fork]:
            branch_of[number] = [number]
        elif len(before) == 1 and before[0] in branch_of and branch_of[before[0]][-1] == before[0]:
            branch_of[number] = branch_of[before[0]]
            branch_of[number].append(number)
        else:
            return everything
    branches = list({id(branch): branch for branch in branch_of.values()}.values())
    if len(branches) != 2 or sorted(branch[-1] for branch in branches) != inputs[end]:
        return everything
    found = sorted((tuple(steps[number] for number in branch) for branch in branches), key=len, reverse=True)
    return Block(tuple(found), steps[end])


def _module(layers: Sequence[Layer]) -> Step:
    """What branches more than a diagram has room for, as one step."""
    main = [layer for layer in layers if re.search("Conv|Dense|Attention", layer.kind)]
    names = list(dict.fromkeys(layer.named for layer in main))
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    title = f"Module of {len(layers)} layers"
    return Step(tuple(layers), f"{title}: {shown}" if shown else title)


# --- folding ----------------------------------------------------------------------------------------------


def _signature(part: Part) -> tuple[object, ...]:
    """Parts with equal ones differ in nothing but the values of their weights."""

    def facts(layers: Iterable[Layer]) -> tuple[object, ...]:
        return tuple((e.kind, e.shape, e.parameters, e.trainable, e.detail, e.activation) for e in layers)

    if isinstance(part, Step):
        return facts(part.layers)
    return (*(tuple(facts(step.layers) for step in branch) for branch in part.branches), facts(part.end.layers))


def _repeats_folded(parts: Sequence[Part]) -> list[Part]:
    folded: list[Part] = []
    for part in parts:
        if folded and _signature(folded[-1]) == _signature(part):
            folded[-1] = replace(folded[-1], times=folded[-1].times + 1)
        else:
            folded.append(part)
    return folded


def _stages_folded(parts: Sequence[Part], *, frozen: bool) -> list[Part]:
    """Neighbours whose outputs have one height and width become one step, frozen ones or any others."""
    folded: list[Part] = []
    run: list[Part] = []

    def close() -> None:
        layers = [layer for part in run for _ in range(part.times) for layer in part.all_layers]
        many = len(run) > 1 and len(layers) > 4
        folded.extend([Step(tuple(layers), _stage_title(run, layers))] if many else run)
        run.clear()

    for part in parts:
        joins = len(part.shape) == 3 and (_is_frozen(part) if frozen else part.kind != "InputLayer")
        if run and not (joins and part.shape[:2] == run[-1].shape[:2]):
            close()
        (run if joins else folded).append(part)
    close()
    return folded


def _is_frozen(part: Part) -> bool:
    return (part.parameters > 0 and part.trainable == 0) or part.kind.startswith(("MaxPooling", "AveragePooling"))


def _stage_title(parts: Sequence[Part], layers: Sequence[Layer]) -> str:
    blocks = [part for part in parts if isinstance(part, Block)]
    kind = "residual blocks" if all("Add" in block.end.kind for block in blocks) else "blocks"
    count = sum(block.times for block in blocks)
    return f"Stage of {len(layers)} layers" + (f", {count} {kind}" if count > 1 else "")
