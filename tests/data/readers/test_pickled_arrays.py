"""kit.data.readers.pickled_arrays: what is no dict of arrays, and arrays that lie; read from `.npy` files."""

from __future__ import annotations

import codecs
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy._core.multiarray import _reconstruct, scalar
from numpy._core.numeric import _frombuffer

from kit.data.readers.faults import FaultError
from kit.data.readers.pickled_arrays import read_arrays
from tests.data.readers.conftest import CUBE, TERABYTE, Reduced, array, dtype, failure, write

OTHER_CONTENT: dict[str, tuple[Any, str]] = {
    "a list": ([CUBE, CUBE], "its pickle is not of a dict"),
    "a text": ("hello", "its pickle is not of a dict"),
    "an array": (CUBE, "its pickle is not of a dict"),
    "no entries": ({}, "its dict holds no arrays (its keys: [])"),
    "no arrays": ({"epochs": 3, "name": "brief"}, "its dict holds no arrays (its keys: ['epochs', 'name'])"),
    "keys are numbers": ({1: CUBE}, "its dict has a key of type int"),
    "keys are tuples": ({("a",): CUBE}, "its dict has a key of type tuple"),
    "None": ({"a": CUBE, "b": None}, "its entry 'b' holds NoneType in place of"),
    "dict in dict": ({"a": {"b": CUBE}}, "its entry 'a' holds dict in place of"),
    "mixed objects": ({"a": np.array(["x", 3], object)}, "its entry 'a' holds int and str in place of"),
    "objects of arrays": (
        {"a": np.array([CUBE[0], None], object)},
        "holds NoneType and call of _reconstruct",
    ),
    "list of arrays": ({"a": [CUBE[0], CUBE[0]]}, "its entry 'a' holds call of _reconstruct in place of"),
    "bool and int": ({"a": [True, 2]}, "its entry 'a' holds bool and int"),
    "beyond int64": ({"a": [2**63]}, "its entry 'a' holds a number beyond int64"),
    "beyond int64, one": ({"a": 10**600}, "its entry 'a' holds a number beyond int64"),
    "text of 10 MB": ({"a": ["x" * 10_000_001]}, "holds a text that is too long"),
    "final zero": ({"a": ["x\0"]}, "ends in a zero character"),
    "complex": ({"a": CUBE.astype(complex)}, "its entry 'a' has the dtype 'c16'"),
    "dates": ({"a": np.zeros(3, "M8[s]")}, "its entry 'a' has a dtype that is neither"),
    "longdouble": ({"a": np.zeros(3, np.longdouble)}, "its entry 'a' has the dtype 'f16'"),
    "void": ({"a": np.zeros(3, "V3")}, "its entry 'a' has the dtype 'V3'"),
    "structured": ({"a": np.zeros(3, [("x", "f8")])}, "its entry 'a' has a dtype that is neither"),
    "subarray": (
        {"a": array(bytes(16), (1,), dtype("V16", subarray=("f8", (2,))))},
        "neither numbers nor text",
    ),
    "masked": ({"a": np.ma.masked_array(CUBE[0])}, "which is code"),
    "matrix": ({"a": Reduced(_reconstruct, (np.memmap, (0,), b"b"))}, "asks for 'numpy.memmap'"),
    "set": ({"a": {1, 2}}, "its pickle has the operation EMPTY_SET"),
    "complex number": ({"a": 1j}, "asks for 'builtins.complex'"),
    "name too long": ({"x" * 500: None}, "its entry 'xxxx"),
    "many entries": ({str(i): i for i in range(300)}, "it has 300 entries, the limit is 256"),
}


@pytest.mark.parametrize("name", OTHER_CONTENT)
def test_other_content(tmp_path: Path, name: str) -> None:
    content, received = OTHER_CONTENT[name]
    assert received in failure(write(tmp_path / "data.npy", content))


# --- files that lie ---------------------------------------------------------------------------------------

HIDDEN_OBJECT = dtype("V8", "|", names=("a",), fields={"a": (dtype("O8", "|", flags=63), 0)}, size=8, flags=63)
LIES: dict[str, tuple[Any, str]] = {
    "too many bytes": (
        array(bytes(32), (3,)),
        "claims the shape (3,) of float64, which takes 24 bytes, and has 32",
    ),
    "too few bytes": (array(bytes(16), (3,)), "takes 24 bytes, and has 16"),
    "too few bytes, large": (array(bytes(80_000), (2**20, 2**19)), "and has 80,000"),
    "1 TB": (array(bytes(8), (TERABYTE // 8,)), "takes 1099511627776 bytes, and has 8"),
    "overflow": (array(bytes(8), (2**32, 2**32, 2**3)), "more than any file holds"),
    "empty and huge": (array(b"", (0, 2**62)), "more than any file holds"),
    "negative": (array(bytes(8), (-1,)), "claims the shape (-1,)"),
    "two negatives": (array(bytes(8), (-1, -1)), "claims the shape (-1, -1)"),
    "shape of bools": (array(bytes(8), (True,)), "claims the shape (True,)"),
    "shape of text": (array(bytes(8), ("1",)), "claims the shape ('1',)"),
    "shape of lists": (array(bytes(8), ([1],)), "claims the shape ('list',)"),
    "shape of digits": (array(bytes(8), (10**600,)), "claims the shape (1000"),
    "dimensions": (array(bytes(8), (1,) * 33), "claims the shape (1, 1"),
    "shape is an int": (array(bytes(8), 1), "holds call of _reconstruct"),
    "hidden object": (array(bytes(8), (1,), HIDDEN_OBJECT), "a dtype that is neither numbers nor text"),
    "object flag": (array(bytes(8), (1,), dtype("f8", flags=63)), "has the dtype 'f8'"),
    "object bytes": (array(bytes(8), (1,), dtype("O8", "|", flags=63)), "has the dtype 'O8'"),
    "object buffer": (
        Reduced(_frombuffer, (bytes(8), dtype("O8", "|", flags=63), (1,), "C")),
        "has the dtype 'O8'",
    ),
    "object scalar": (Reduced(scalar, (dtype("O8", "|", flags=63), bytes(8))), "has the dtype 'O8'"),
    "hidden scalar": (Reduced(scalar, (HIDDEN_OBJECT, bytes(8))), "a dtype that is neither"),
    "list of an object array": (
        array(["a"], (2,), dtype("O8", "|", flags=63)),
        "claims the shape (2,), and has 1",
    ),
    "field list": (array(bytes(8), (1,), dtype("i4,O")), "has the dtype 'i4,O'"),
    "itemsize": (array(bytes(8), (1,), dtype("f8", size=1)), "has the dtype 'f8'"),
    "text size": (array(bytes(8), (1,), dtype("U2", size=4)), "has the dtype 'U2'"),
    "text of no size": (array(b"", (2**39,), dtype("S0", "|", size=0)), "has the dtype 'S0'"),
    "text of 4 GB": (array(b"", (1,), dtype("U1073741824", size=2**32)), "has the dtype 'U1073741824'"),
    "byte order": (array(bytes(8), (1,), dtype("f8", "O")), "has the dtype 'f8'"),
    "two-letter order": (array(bytes(8), (1,), dtype("f8", "<>")), "has the dtype 'f8'"),
    "dtype without state": (
        array(bytes(8), (1,), Reduced(np.dtype, ("f8", False, True))),
        "a dtype that is neither",
    ),
    "dtype is a text": (array(bytes(8), (1,), "f8"), "a dtype that is neither"),
    "order": (Reduced(_frombuffer, (bytes(8), dtype(), (1,), "A")), "holds call of _frombuffer"),
    "axes": (Reduced(_frombuffer, (bytes(8), dtype(), (1, 1), "K", (0, 0))), "axes in the order (0, 0)"),
    "axes beyond": (
        Reduced(_frombuffer, (bytes(8), dtype(), (1, 1), "K", (0, 7))),
        "axes in the order (0, 7)",
    ),
    "axes of text": (Reduced(_frombuffer, (bytes(8), dtype(), (1, 1), "K", (0, "1"))), "axes in the order"),
    "bytes are a list": (array([0.0], (1,)), "has a list for its bytes"),
    "bytes are text": (array("€" * 8, (1,)), "has text for its bytes"),
    "bytes are an array": (array(np.zeros(1), (1,)), "has a call of _reconstruct for its bytes"),
    "other codec": (
        array(Reduced(codecs.encode, ("x" * 8, "utf-8")), (1,)),
        "has a call of encode for its bytes",
    ),
    "bytes of a size": (array(Reduced(bytes, (TERABYTE,)), (1,)), "has a call of bytes for its bytes"),
    "truth 2": (array(b"\x00\x02", (2,), dtype("b1", "|")), "not valid as bool"),
    "truth 2, large": (array(b"\x01" * 70_000 + b"\x02", (70_001,), dtype("b1", "|")), "not valid as bool"),
    "no such character": (array(b"\x00\x00\x11\x00", (1,), dtype("U1", size=4)), "not valid as <U1"),
    "no such character, big-endian": (
        array(b"\x00\x11\x00\x00", (1,), dtype("U1", ">", size=4)),
        "not valid as >U1",
    ),
    "an array's class": (
        Reduced(_reconstruct, (np.dtype, (0,), b"b"), (1, (1,), dtype(), False, bytes(8))),
        "holds call",
    ),
    "no content": (Reduced(_reconstruct, (np.ndarray, (0,), b"b")), "holds call of _reconstruct"),
    "a name": (np.ndarray, "holds call of ndarray"),
    "a call of a class": (Reduced(np.ndarray, ((2**40,),)), "holds call of ndarray"),
    "state for a list": (Reduced(list, (), (1,)), "asks for 'builtins.list'"),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", LIES)
def test_lies(tmp_path: Path, name: str, protocol: int) -> None:
    value, received = LIES[name]
    path = write(tmp_path / "data.npy", {"features": CUBE, "lie": value}, protocol)
    if protocol == 2 and name == "state for a list":
        received = "asks for '__builtin__.list'"
    assert received in failure(path)


# --- pickles without a .npy file around them --------------------------------------------------------------


def test_a_pickle_at_an_offset(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    content = {b"data": CUBE, b"labels": [3, 1, 2], b"batch_label": "batch 1 of 5"}
    path.write_bytes(b"before" + pickle.dumps(content, protocol=2))
    with path.open("rb") as file:
        file.seek(6)
        arrays = read_arrays(file, path.stat().st_size)
    np.testing.assert_array_equal(arrays["data"], CUBE)
    assert (arrays["labels"].tolist(), arrays["batch_label"].item()) == ([3, 1, 2], "batch 1 of 5")


def test_boxed_or_not_is_for_the_caller_to_say(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    for content, boxed in (({"a": CUBE}, True), (np.array({"a": CUBE}, object), False)):
        path.write_bytes(pickle.dumps(content))
        with path.open("rb") as file, pytest.raises(FaultError, match="its pickle is not of a dict"):
            read_arrays(file, path.stat().st_size, boxed=boxed)
