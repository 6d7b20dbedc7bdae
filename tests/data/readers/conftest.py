"""Files to read: honest ones, and hand-made ones that lie."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy._core.multiarray import _reconstruct

import kit
from kit.data.readers.npy import read_pickled_arrays
from kit.errors import DataError

PROTOCOLS = range(6)
HEADER = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
TERABYTE = 2**40
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="uses pipes, limits and /proc as Linux has them")
CUBE = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.float64)  # 250 KB: stays in the file


class Reduced:
    """Pickled as the call, state and so on that it is given."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


def dtype(code: str = "f8", order: str = "<", *, names: Any = None, fields: Any = None, **state: Any) -> Reduced:
    rest = (state.get("subarray"), names, fields, state.get("size", -1), -1, state.get("flags", 0))
    return Reduced(np.dtype, (code, False, True), (3, order, *rest))


def array(content: Any, shape: Any, of: Any = None, fortran: Any = False) -> Reduced:
    return Reduced(_reconstruct, (np.ndarray, (0,), b"b"), (1, shape, of or dtype(), fortran, content))


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    """What np.save writes for a dict, or the given pickle after the header."""
    if not isinstance(content, bytes):
        holder = np.empty((), object)
        holder[()] = content
        content = pickle.dumps(holder, protocol=protocol)
    path.write_bytes(HEADER + content)
    return path


def pickled(*parts: bytes) -> bytes:
    """A pickle, by hand, of a dict: the parts leave "a" -> something on the stack."""
    holder = pickle.dumps(np.array({"a": b"here"}, object), protocol=3)
    start, end = holder.split(b"C\x04here")
    return start + b"".join(parts) + end[2:]  # without its memo


def failure(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_pickled_arrays(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 450
    assert message.count("; ") >= 2, "received; expected; fix"
    return message


def python(code: str, *arguments: object, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(kit.__file__).parents[1])}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, **options)
