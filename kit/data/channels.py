"""Statistics of pixels, channel by channel, exact to the last bit and the same in whatever order rows are read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def channel_histograms(batches: Iterable[np.ndarray]) -> np.ndarray:
    """How often each value occurs: uint8 (rows, height, width, channels), batch by batch -> int64 (channels, 256)."""
    total = np.zeros((1, 256), np.int64)
    for batch in batches:
        total = total + np.stack([np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(batch, -1, 0)])
    return total


def mean_and_deviation(histogram: np.ndarray) -> tuple[float, float]:
    """Of one channel's int64 (256,) counts: sums are whole numbers, which are rounded once, at the end."""
    counts = histogram.tolist()  # Python's integers: the square of a sum does not fit into 64 bits
    rows = sum(counts)
    first = sum(value * count for value, count in enumerate(counts))
    second = sum(value**2 * count for value, count in enumerate(counts))
    return first / rows, (rows * second - first**2) ** 0.5 / rows
