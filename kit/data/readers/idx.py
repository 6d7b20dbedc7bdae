"""The original files of MNIST and Fashion-MNIST: `train-images-idx3-ubyte`, with `.gz` or without.

A header of big-endian 32-bit numbers, then the bytes: 0x00000803, rows, height, width for images, 0x00000801,
rows for labels. Source: LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from kit.data.readers.faults import FaultError, reading, stranger

MAX_BYTES = 2**30  # of one file's content, 20 times MNIST's; a header that claims more is not believed

_DIMENSIONS = {b"\0\0\x08\x03": 3, b"\0\0\x08\x01": 1}  # 08: bytes
_DAMAGED = "it is truncated or damaged: download or copy the file again"


def read_idx(path: Path) -> np.ndarray:
    """Read a file of images -> uint8 (rows, height, width), 0..255, or one of labels -> uint8 (rows,).

    Raises:
        DataError: the file is missing, unreadable, damaged or something else.
    """
    expected = "expected images or labels in the idx format of MNIST, as they are or compressed by gzip"
    with reading(path, "idx file", expected) as (file, size):
        start = file.read(4)
        file.seek(0)
        if not start:
            raise FaultError("it is empty (0 bytes)", "download or copy it again")
        if not start.startswith(b"\x1f\x8b"):
            return _array(file, size)
        try:
            return _array(gzip.GzipFile(fileobj=file, mode="rb"))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FaultError(f"it cannot be decompressed ({error})", _DAMAGED) from None


def _array(file: IO[bytes] | gzip.GzipFile, size: int | None = None) -> np.ndarray:
    """Read the header and so many bytes as it claims; ``size`` is that of the content, where it is known."""
    shape = _shape(file)
    claimed = math.prod(shape)
    if not 0 < claimed <= MAX_BYTES:
        raise FaultError(f"its header claims the shape {shape}, the limit is {MAX_BYTES:,} bytes", _DAMAGED)
    left = size and size - 4 - 4 * len(shape)
    if left is None or left == claimed:
        content = _at_most(file, claimed + 1)  # one more, to see that nothing follows, and for gzip's checksum
        left = len(content)
    if left != claimed:
        follows = "more" if size is None and left > claimed else f"{left:,}"
        raise FaultError(f"its header claims the shape {shape}, and {follows} bytes follow", _DAMAGED)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(file: IO[bytes] | gzip.GzipFile) -> tuple[int, ...]:
    magic = file.read(4)
    dimensions = _DIMENSIONS.get(magic)
    if dimensions is None:
        raise stranger(magic + file.read(500), "an idx file of bytes")
    lengths = file.read(4 * dimensions)
    if len(lengths) < 4 * dimensions:
        raise FaultError("it ends within its header", _DAMAGED)
    return struct.unpack(f">{dimensions}I", lengths)


def _at_most(file: IO[bytes] | gzip.GzipFile, size: int) -> bytes:
    """Memory grows with what is there, not with what a header claims of a compressed file."""
    content = bytearray()
    while piece := file.read(min(2**20, size - len(content))):
        content += piece
    return bytes(content)
