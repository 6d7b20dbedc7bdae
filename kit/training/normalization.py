"""How raw pixels become a network's input: one multiplication and one addition a channel.

Whatever is fitted is fitted on the training rows of the fold, and becomes the first layer of the model.
"""

from __future__ import annotations

import numpy as np

from kit.data.channels import channel_histograms, mean_and_deviation
from kit.data.images import windows
from kit.registry import Registry

NORMALIZATIONS = Registry("normalization")
"""Functions (pixels, training rows, /) -> (scale, offset), each (channels,)."""


@NORMALIZATIONS.register
def none(pixels: np.ndarray, rows: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Pixels stay 0..255."""
    return np.ones(pixels.shape[-1]), np.zeros(pixels.shape[-1])


@NORMALIZATIONS.register
def rescale(pixels: np.ndarray, rows: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Pixels become 0..1."""
    return np.full(pixels.shape[-1], 1 / 255), np.zeros(pixels.shape[-1])


@NORMALIZATIONS.register
def standardize(pixels: np.ndarray, rows: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Each channel gets mean 0 and standard deviation 1 over the training rows."""
    histograms = channel_histograms(pixels[some] for some in windows(rows, 4096))
    mean, deviation = np.array([mean_and_deviation(channel) for channel in histograms]).T
    deviation = np.where(deviation > 0, deviation, 1.0)  # a constant channel carries nothing
    return 1 / deviation, -mean / deviation
