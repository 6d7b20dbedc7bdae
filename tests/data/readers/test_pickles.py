"""kit.data.readers.pickles: nothing is run, broken pickles are named, memory stays bounded; read from `.npy` files."""

from __future__ import annotations

import codecs
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy._core.numeric import _frombuffer

from kit.data.readers.npy import read_pickled_arrays
from tests.data.readers.conftest import (
    CUBE,
    PROTOCOLS,
    TERABYTE,
    Reduced,
    array,
    dtype,
    failure,
    on_linux,
    pickled,
    python,
    write,
)

SMALL = pickle.dumps(np.arange(3), protocol=3)[2:-1]
BROKEN: dict[str, tuple[bytes, str]] = {
    "1 TB of bytes": (b"\x8e" + TERABYTE.to_bytes(8, "little"), "it claims 1,099,511,627,776 bytes"),
    "2**63 of bytes": (b"\x8e" + (2**63).to_bytes(8, "little"), "it claims 9,223,372,036,854,775,808 bytes"),
    "1 TB of bytearray": (b"\x96" + TERABYTE.to_bytes(8, "little"), "it claims 1,099,511,627,776 bytes"),
    "1 TB of text": (b"\x8d" + TERABYTE.to_bytes(8, "little"), "it claims 1,099,511,627,776 bytes"),
    "4 GB of bytes": (b"B\xff\xff\xff\xff", "it claims 4,294,967,295 bytes"),
    "4 GB of text": (b"X\xff\xff\xff\xff", "it claims 4,294,967,295 bytes"),
    "2 GB of Python 2 text": (b"T\xff\xff\xff\x7f", "it claims 2,147,483,647 bytes"),
    "2 GB of digits": (b"\x8b\xff\xff\xff\x7f", "the operation LONG4"),
    "unknown memo": (b"j\xff\xff\xff\x7f", "its LONG_BINGET before byte"),
    "memo of 30 digits": (b"Np" + b"9" * 30 + b"\n", "its PUT before byte"),
    "negative memo": (b"Np-1\n", "its PUT before byte"),
    "memo of a mark": (b"(q\x00", "its BINPUT before byte"),
    "no mark": (b"tttt", "its TUPLE before byte"),
    "empty stack": (b"(R", "its REDUCE before byte"),
    "append to a number": (b"K\x01K\x02a", "its APPEND before byte"),
    "set in a list": (b"]K\x01K\x02s", "its SETITEM before byte"),
    "odd dict": (b"(X\x01\x00\x00\x00ad", "its DICT before byte"),
    "call of a number": (b"K\x01)R", "a REDUCE of int with tuple"),
    "call with a list": (b"cnumpy\ndtype\n]R", "a REDUCE of call of dtype with list"),
    "call of a call": (b"cnumpy\ndtype\n)R)R", "a REDUCE of call of dtype with tuple"),
    "state of a name": (b"cnumpy\ndtype\n)b", "a BUILD of call of dtype with tuple"),
    "state twice": (b"cnumpy\ndtype\n)R)b)b", "a BUILD of call of dtype with tuple"),
    "state of a dict": (b"})b", "a BUILD of dict with tuple"),
    "names by numbers": (b"K\x01K\x02\x93", "a STACK_GLOBAL of int with int"),
    "not UTF-8": (b"X\x01\x00\x00\x00\xff", "its BINUNICODE at byte"),
    "surrogate": (b"X\x03\x00\x00\x00\xed\xa0\x80", "its BINUNICODE at byte"),
    "no character": (b"V\\U00110000\n", "its UNICODE at byte"),
    "5,000 digits": (b"L" + b"9" * 5000 + b"L\n", "its LONG at byte"),
    "letters": (b"Iabc\n", "its INT at byte"),
    "names in other letters": ("cnümpy\ndtype\n".encode(), "its GLOBAL at byte"),
    "name with an escape": (b"cnump\\q\ndtype\n", "asks for 'nump\\\\q.dtype'"),
    "no such operation": (b"\xff", "the operation 0xff"),
    "extension": (b"\x82\x01", "the operation EXT1"),
    "persistent": (b"Q", "the operation BINPERSID"),
    "buffer": (b"\x97", "the operation NEXT_BUFFER"),
    "new object": (b"cnumpy\nndarray\n)\x81", "the operation NEWOBJ"),
    "repeat": (b"]2", "the operation DUP"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("error")
def test_broken_pickles(tmp_path: Path, name: str) -> None:
    content, received = BROKEN[name]
    assert received in failure(write(tmp_path / "data.npy", pickled(content)))


def test_hand_made_pickle_can_be_right(tmp_path: Path) -> None:
    """What test_broken_pickles breaks is read when nothing is broken; a huge memo index costs nothing."""
    path = write(tmp_path / "data.npy", pickled(SMALL, b"r\xff\xff\xff\x7f"))
    assert read_pickled_arrays(path)["a"].tolist() == [0, 1, 2]


def test_what_follows_the_pickle_is_ignored_as_numpy_does(tmp_path: Path) -> None:
    path = write(tmp_path / "data.npy", pickled(SMALL) + b"rest")
    assert read_pickled_arrays(path)["a"].tolist() == np.load(path, allow_pickle=True).item()["a"].tolist()


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "posix.system", "numpy.ndarray.tofile", "numpy.load"])
def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    module, _, attribute = name.partition(".")
    by_line = f"c{module}\n{attribute}\n".encode()
    by_stack = b"\x8c%c%b\x8c%c%b\x93" % (len(module), module.encode(), len(attribute), attribute.encode())
    for content in (by_line, by_stack):
        message = failure(write(tmp_path / "data.npy", pickled(content)))
        assert f"its pickle asks for '{name}', which is code (none of it was run)" in message
        assert "never open it with np.load(allow_pickle=True)" in message


# --- attacks, in processes of their own ---------------------------------------------------------------------


def attacks(folder: Path) -> dict[str, Path]:
    """Files that create <name>.ran when they are trusted."""

    def call(name: str) -> Reduced:
        return Reduced(os.system, (f"touch {folder / name}.ran",))

    def text(name: str) -> bytes:
        command = f"touch {folder / name}.ran".encode()
        return b"X" + len(command).to_bytes(4, "little") + command

    contents: dict[str, Any] = {
        f"protocol{protocol}": pickle.dumps(np.array({"a": call(f"protocol{protocol}")}, object), protocol)
        for protocol in PROTOCOLS
    }
    contents |= {
        "eval": {"a": CUBE, "b": Reduced(eval, (f"open({str(folder / 'eval.ran')!r}, 'w')",))},
        "nested": {"a": [{"b": (1, call("nested"))}]},
        "key": {call("key"): CUBE},
        "top": call("top"),
        "dtype": {"a": array(bytes(8), (1,), Reduced(np.dtype, ("f8", False, True), (3, call("dtype"))))},
        "shape": {"a": array(bytes(8), (call("shape"),))},
        "object": {"a": np.array([call("object")], object)},
        "stack": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + text("stack") + b"\x85R.",
        "inst": b"(" + text("inst") + b"ios\nsystem\n.",
        "obj": b"(cos\nsystem\n" + text("obj") + b"o.",
    }
    return {name: write(folder / f"{name}.npy", content) for name, content in contents.items()}


@on_linux
def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    files = attacks(tmp_path)
    code = """
import sys
from pathlib import Path
from kit.data.readers.npy import read_pickled_arrays
from kit.errors import DataError
for path in sys.argv[1:]:
    try:
        print(read_pickled_arrays(Path(path)))
    except DataError as error:
        print("refused", error)
"""
    done = python(code, *files.values())
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["refused"] * len(files)
    assert not list(tmp_path.glob("*.ran"))
    library = """
import contextlib, sys
import numpy
for path in sys.argv[1:]:
    with contextlib.suppress(Exception):
        numpy.load(path, allow_pickle=True)
"""
    python(library, *files.values())  # the attacks are real: it falls for each of them
    assert {path.stem for path in tmp_path.glob("*.ran")} == files.keys()


DEEP = 100_000
TEXT = "x" * 1_000_000
ENCODED = Reduced(codecs.encode, (TEXT, "latin1"))
ONE_BYTE = dtype("S1", "|", size=1)
FLAGS = b"\1" * 1_000_000
SHAPE = pickle.dumps(array(bytes(8), ("here",)), 3)[2:-1]
BOMBS: dict[str, tuple[Any, str]] = {
    "text of 1 MB, 1,000 times": ({"a": [TEXT] * 1000}, "far more memory than the file"),
    "one list a time": ({f"{i}": [TEXT] for i in range(100)}, "far more memory than the file"),
    "text encoded again and again": (
        {f"{i}": array(ENCODED, (len(TEXT),), ONE_BYTE) for i in range(200)},
        "far more memory than the file",
    ),
    "flags checked again and again": (
        {f"{i}": Reduced(_frombuffer, (FLAGS, dtype("b1", "|"), (len(FLAGS),), "C")) for i in range(200)},
        "far more memory than the file",
    ),
    "deep tuples": (pickled(b")" + b"\x85" * DEEP), "holds tuple"),
    "deep lists": (pickled(b"](" * DEEP + b"e" * DEEP), "in place of plain"),
    "deep marks": (pickled(b"(" * DEEP + b"t" * DEEP), "holds tuple"),
    "deep calls": (
        pickled(b"(cnumpy\ndtype\nq\x01)R" + b"\x85q\x02h\x01h\x02R" * DEEP + b"t"),
        "holds tuple",
    ),
    "deep key": (pickled(b"}" + b")" + b"\x85" * DEEP + b"Ns"), "a key of type tuple"),
    "deep shape": (
        pickled(SHAPE.replace(b"X\x04\x00\x00\x00here", b")" + b"\x85" * DEEP)),
        "claims the shape ('tuple',)",
    ),
    "list in itself": (pickled(b"]q\x01h\x01a"), "holds list"),
    "dict in itself": (pickled(b"}q\x01X\x01\x00\x00\x00ah\x01s"), "holds dict"),
    "dicts": (pickled(b"(" + b"}" * 4_100_000 + b"t"), "over 4,000,000 operations"),
    "1 TB of bytes": (pickled(BROKEN["1 TB of bytes"][0]), "it claims 1,099,511,627,776 bytes"),
    "4 GB of text": (pickled(BROKEN["4 GB of text"][0]), "it claims 4,294,967,295 bytes"),
    "line": (pickled(b"I" + b"9" * 50_000_000), "its INT at byte"),
}


@on_linux
def test_memory_stays_bounded(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.npy", content) for i, (content, _) in enumerate(BOMBS.values())]
    code = """
import resource, sys
from pathlib import Path
from kit.data.readers.npy import read_pickled_arrays
from kit.errors import DataError
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 600 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
    try:
        print(read_pickled_arrays(Path(path)).keys())
    except DataError as error:
        print(error)
"""
    done = python(code, *paths)
    assert done.returncode == 0, done.stderr[-2000:]
    for line, (name, (_, received)) in zip(done.stdout.splitlines(), BOMBS.items(), strict=True):
        assert received in line, (name, line)
