"""The graph of a Keras model: what takes its input from what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Place:
    """A layer at its place in a model, or what stands for one, such as a sum.

    name: of the operation, as in the first model of a process: Keras numbers the layers of all models through.
    operation: Keras's.
    output: the symbolic tensor, (batch, height, width, channels) or (batch, units).
    inputs: the places that it takes its input from, by their numbers, each once.
    """

    name: str
    operation: Any
    output: Any
    inputs: tuple[int, ...]


def places_of(model: Any) -> list[Place]:
    """All places of a model with one input and one output, each after its inputs."""
    number_of: dict[str, int] = {}
    places: list[Place] = []
    waiting = [model.output]
    while waiting:
        history = waiting[-1]._keras_history
        name = history.operation.name
        # Not operation.output: a network that was built and then called has two places in two graphs.
        node = history.operation._inbound_nodes[history.node_index]
        before = [each._keras_history.operation.name for each in node.input_tensors]
        missing = [each for each in node.input_tensors if each._keras_history.operation.name not in number_of]
        if missing:
            waiting += reversed(missing)
            continue
        if name not in number_of:
            number_of[name] = len(places)
            inputs = tuple(dict.fromkeys(number_of[each] for each in before))
            places.append(Place(name, history.operation, waiting[-1], inputs))
        waiting.pop()
    alone = names_as_if_alone([place.operation for place in places])
    return [replace(place, name=alone[place.name]) for place in places]


def names_as_if_alone(operations: Iterable[Any]) -> dict[str, str]:
    """The names of a model's operations as in the first model of a process: conv2d, conv2d_1, ..."""
    names: dict[str, str] = {}
    numbered: dict[str, list[tuple[int, str]]] = {}
    for operation in operations:
        names[operation.name] = operation.name
        stem, _, number = operation.name.rpartition("_")
        if not number.isdigit():
            stem, number = operation.name, "0"
        if stem.replace("_", "") == type(operation).__name__.lower():
            numbered.setdefault(stem, []).append((int(number), operation.name))
    for stem, found in numbered.items():
        names |= {name: f"{stem}_{count}" if count else stem for count, (_, name) in enumerate(sorted(found))}
    return names


def cuts(places: list[Place]) -> list[int]:
    """The numbers of the places that all that follows depends on, and on nothing before them otherwise."""
    furthest = list(range(len(places)))
    for number, place in enumerate(places):
        for before in place.inputs:
            furthest[before] = number
    found, reach = [], 0
    for number in range(len(places)):
        if reach <= number:
            found.append(number)
        reach = max(reach, furthest[number])
    return found
