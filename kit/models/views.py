"""Test-time augmentation: a model looks at an image in several ways, and the mean of its answers counts."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from kit.registry import Registry

VIEWS = Registry("test-time augmentation")
"""Functions (pixels, /) -> views, each float (batch, height, width, channels), the image as it is among them."""


@VIEWS.register
def none(pixels: Any, /) -> list[Any]:
    """The image as it is."""
    return [pixels]


@VIEWS.register
def flip(pixels: Any, /, axis: Literal["horizontal", "vertical", "both"] = "horizontal") -> list[Any]:
    """The image and its mirror image; three mirror images along both axes."""
    from keras import ops

    views = [pixels]
    for dimension in {"horizontal": [2], "vertical": [1], "both": [1, 2]}[axis]:
        views += [ops.flip(view, dimension) for view in views]
    return views


def count_views(spec: str) -> int:
    """How many views a test-time augmentation has."""
    return len(VIEWS.bind_one(spec)(np.zeros((1, 1, 1, 1), np.float32)))
