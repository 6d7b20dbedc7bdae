"""Arrays that are written row by row, before anyone knows how many rows there will be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def growing(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a ``.npy`` file of uint8 (rows, \\*shape) through the function this yields, some rows a call.

    Not through a memory map: on a full disk that would end the process without a word.
    """
    rows = 0
    with path.open("wb") as file:

        def write_header() -> None:  # NumPy pads it, so that it has one length whatever the number of rows
            header = {"descr": "|u1", "fortran_order": False, "shape": (rows, *shape)}
            np.lib.format.write_array_header_2_0(file, header)

        def write(window: np.ndarray) -> None:
            nonlocal rows
            file.write(np.ascontiguousarray(window, np.uint8).data)
            rows += len(window)

        write_header()
        yield write
        file.seek(0)
        write_header()
