"""`.npy` files that hold a pickled dict of arrays, from people nobody vouches for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

import numpy as np

from kit.data.readers.faults import FaultError, reading, shown, stranger
from kit.data.readers.pickled_arrays import ONE_DICT, read_arrays

_EXPECTED = 'expected a pickled dict of arrays, as np.save(path, {"features": ..., "target": ...}) writes it'
_MAX_HEADER = 10_000  # bytes; NumPy's own limit, which it drops for pickled files

# As np.save writes it; `ast.literal_eval` prints the syntax warnings of a hostile header, or overflows.
_HEADER = re.compile(
    r"\{'descr': (?P<dtype>'[^'\\]{1,20}'|\[.*\]), 'fortran_order': (?:True|False), "
    r"'shape': \((?P<shape>(?:\d{1,19}L?(?:, ?|(?=\))))*)\),? ?\}\s*"
)


def read_pickled_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a `.npy` file that holds a pickled dict of arrays, without running any code of it.

    Equal to ``np.load(path, allow_pickle=True).item()``, with these differences: every value is an array
    (an object array or list of plain values of one type becomes a text, int64, float64 or bool array, a
    single value a 0-d array), arrays are read-only and in the file's byte order, keys are text, and arrays
    of 64 KiB and more are memory maps of the file, which must stay as it is while they are used.

    Returns:
        name -> array of any shape; bool, int8..int64, uint8..uint64, float16..float64, or text or bytes of a
        fixed width.

    Raises:
        DataError: the file is missing, unreadable, damaged, something else, or asks for anything but arrays.
    """
    with reading(path, ".npy file", _EXPECTED) as (file, size):
        dtype, shape = _header(file)
        if dtype != "|O" or shape != ():
            raise FaultError(f"it is an array of dtype {shown(dtype)} and shape {shown(shape)}", ONE_DICT)
        return read_arrays(file, size, boxed=True)


def _header(file: IO[bytes]) -> tuple[str, tuple[int, ...]]:
    """Read the header of a `.npy` file -> dtype, shape; the file then stands at the data."""
    start = file.read(8)
    if not start:
        raise FaultError("it is empty (0 bytes)", "download or copy it again")
    if not start.startswith(b"\x93NUMPY"[: len(start)]):
        raise stranger(start + file.read(500), "a .npy file", "unpack it, or save it with np.save")
    width = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}.get(start[6:])
    if width is None:
        raise FaultError(f"its .npy version {start[6:].hex()} is none of 0100, 0200 and 0300")
    length = int.from_bytes(file.read(width), "little")
    if length > _MAX_HEADER:
        raise FaultError(f"its header claims {length:,} bytes, the limit is {_MAX_HEADER:,}")
    text = file.read(length).decode("latin-1")
    found = _HEADER.fullmatch(text)
    if not found or len(text) < length:
        raise FaultError(f"its header of {len(text):,} bytes (claimed: {length:,}) is {shown(text)}")
    shape = tuple(map(int, re.findall(r"\d+", found["shape"])))
    return found["dtype"].strip("'"), shape
