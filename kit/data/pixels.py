"""Images as people have them -> uint8 (rows, height, width, channels), 0..255."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kit.data.images import windows
from kit.data.readers.growing import growing
from kit.errors import DataError

ROWS_AT_A_TIME = 128  # 0.8 MB of 28x28 float64: they stay in the processor's cache from check to conversion


def write_as_uint8(features: np.ndarray, shape: tuple[int, int, int], path: Path, source: str) -> None:
    """Convert images in bounded memory and write them as ``.npy``.

    Args:
        features: (rows, height, width) or (rows, height, width, channels), numbers 0..255 or 0..1.
        shape: the expected (height, width, channels).
        path: the file to write.
        source: what to name in an error.

    Raises:
        DataError: another shape, or values that are neither 0..255 nor 0..1.
    """
    if features.ndim and not len(features):
        raise DataError(f"{source}: received no images, expected at least one row")
    if features.shape[1:] not in (shape, shape[:-1] if shape[-1] == 1 else shape):
        raise DataError(f"{source}: received shape {features.shape}, expected (rows, {', '.join(map(str, shape))})")
    if features.dtype.kind not in "biuf":
        raise DataError(f"{source}: received {features.dtype} values, expected numbers 0..255 or 0..1")
    try:
        if _write(features, shape, path, source, factor=1) <= 1:  # then 0..1 was meant
            _write(features, shape, path, source, factor=255)
    except DataError:
        path.unlink()
        raise


def _write(features: np.ndarray, shape: tuple[int, int, int], path: Path, source: str, factor: int) -> float:
    """Write the images times a factor; returns the largest value found."""
    largest = 0.0
    with growing(path, shape) as write:
        for number, window in enumerate(windows(features, ROWS_AT_A_TIME)):
            low, high = float(window.min()), float(window.max())
            _check_range(low, high, window, number * ROWS_AT_A_TIME, source)
            largest = max(largest, high)
            scaled = window if factor == 1 else window * float(factor)
            write(np.rint(scaled).astype(np.uint8))
    return largest


def _check_range(low: float, high: float, window: np.ndarray, first_row: int, source: str) -> None:
    if not np.isfinite([low, high]).all():
        row = first_row + int(np.flatnonzero(~np.isfinite(window).reshape(len(window), -1).all(axis=1))[0])
        raise DataError(f"{source}: row {row} holds values that are not finite, expected 0..255 or 0..1")
    if low < 0 or high > 255:
        raise DataError(
            f"{source}: received values from {low:g} to {high:g} in rows {first_row} to "
            f"{first_row + len(window) - 1}, expected 0..255 or 0..1: bring them into that range"
        )
