"""Test-time augmentation: a model looks at an image in several ways, and the mean of its answers counts."""

from __future__ import annotations

from typing import Literal

from kit.registry import Registry

Axes = tuple[int, ...]
"""Of (batch, height, width, channels): those along which a view is mirrored. The image as it is has none."""

VIEWS = Registry("test-time augmentation")
"""Functions (options) -> the axes of each view, the image as it is among them."""


@VIEWS.register
def none() -> list[Axes]:
    """The image as it is."""
    return [()]


@VIEWS.register
def flip(axis: Literal["horizontal", "vertical", "both"] = "horizontal") -> list[Axes]:
    """The image and its mirror image; three mirror images along both axes."""
    return {"horizontal": [(), (2,)], "vertical": [(), (1,)], "both": [(), (2,), (1,), (1, 2)]}[axis]


def view_axes(spec: str) -> list[Axes]:
    """The views of a test-time augmentation."""
    axes: list[Axes] = VIEWS.bind_one(spec)()
    return axes
