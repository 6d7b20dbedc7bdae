"""Images as people have them -> uint8 (rows, height, width, channels), 0..255."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kit.data.images import windows
from kit.errors import DataError

ROWS_AT_A_TIME = 1024


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
    low, high = _range(features, source)
    if low < 0 or high > 255:
        raise DataError(
            f"{source}: received values from {low:g} to {high:g}, expected 0..255 or 0..1: bring them into that range"
        )
    factor = 255 if high <= 1 else 1
    # Not through a memory map: on a full disk that would end the process without a word.
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(features), *shape)}
        np.lib.format.write_array_header_2_0(file, header)
        for window in windows(features, ROWS_AT_A_TIME):
            scaled = window if factor == 1 else window * float(factor)
            file.write(np.rint(scaled).astype(np.uint8).tobytes())


def _range(features: np.ndarray, source: str) -> tuple[float, float]:
    """Smallest and largest value."""
    low, high, row = np.inf, -np.inf, 0
    for window in windows(features, ROWS_AT_A_TIME):
        smallest, largest = float(window.min()), float(window.max())
        if not np.isfinite([smallest, largest]).all():
            bad = row + int(np.flatnonzero(~np.isfinite(window).reshape(len(window), -1).all(axis=1))[0])
            raise DataError(f"{source}: row {bad} holds values that are not finite, expected 0..255 or 0..1")
        low, high, row = min(low, smallest), max(high, largest), row + len(window)
    return low, high
