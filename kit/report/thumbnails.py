"""Images of a data set within a page: PNG data, side by side in strips."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np

GAP = 1  # transparent pixels between the images of a strip


def shrunk(image: np.ndarray, side: int) -> np.ndarray:
    """An image of at most ``side`` pixels a side, so that a page of many stays small.

    Args:
        image: uint8 (height, width, channels). Of two channels the first is shown, of more than three the first three.

    Returns:
        uint8 (height, width, 1 or 3).
    """
    from PIL import Image

    image = image[..., : 3 if image.shape[-1] >= 3 else 1]
    height, width, channels = image.shape
    if max(height, width) <= side:
        return image
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smaller = Image.fromarray(image if channels == 3 else image[..., 0]).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(smaller).reshape(size[1], size[0], channels)


def strip(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images of one size, uint8 (height, width, 1 or 3), side by side, with transparent gaps.

    Returns:
        uint8 (height, width, 4).
    """
    height, width = images[0].shape[:2]
    joined = np.zeros((height, len(images) * (width + GAP) - GAP, 4), np.uint8)
    for number, image in enumerate(images):
        left = number * (width + GAP)
        joined[:, left : left + width, :3] = image
        joined[:, left : left + width, 3] = 255
    return joined


def data_uri(image: np.ndarray) -> str:
    """uint8 (height, width, 1, 3 or 4) -> what an ``<img>`` has as its source."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
