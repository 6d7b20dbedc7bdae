"""The average image of a set and of each of its classes, in one pass and bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kit.data.images import windows

ROWS_AT_A_TIME = 4096  # float32 sums of so many pixels are whole numbers below 2**24, and so exact


@dataclass(frozen=True)
class Averages:
    """float64 images, 0..255.

    mean, deviation: (height, width, channels), over all rows.
    of_classes: (classes, height, width, channels), NaN for a class without images.
    """

    mean: np.ndarray
    deviation: np.ndarray
    of_classes: np.ndarray


def average_images(pixels: np.ndarray, labels: np.ndarray, classes: int) -> Averages:
    """uint8 (rows, height, width, channels) with class indices (rows,) -> their averages."""
    shape = pixels.shape[1:]
    sums, squares = np.zeros((classes, int(np.prod(shape)))), np.zeros(int(np.prod(shape)))
    row = 0
    for window in windows(pixels, ROWS_AT_A_TIME):
        values = window.reshape(len(window), -1)
        is_of = (labels[row : row + len(window)] == np.arange(classes)[:, np.newaxis]).astype(np.float32)
        sums += is_of @ values.astype(np.float32)
        squares += np.square(values, dtype=np.uint16).sum(axis=0, dtype=np.int64)
        row += len(window)
    counts = np.bincount(labels, minlength=classes)[:, np.newaxis]
    mean = sums.sum(axis=0) / len(pixels)
    deviation = np.sqrt(np.maximum(squares / len(pixels) - mean**2, 0))
    of_classes = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return Averages(mean.reshape(shape), deviation.reshape(shape), of_classes.reshape(classes, *shape))
