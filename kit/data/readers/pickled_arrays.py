"""The dict of arrays that a pickle holds: what its notes mean, checked by shape, dtype and byte count."""

from __future__ import annotations

import math
import re
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from kit.data.readers.faults import FaultError, shown
from kit.data.readers.pickles import ONLY_ARRAYS, Call, Span, evaluate, kind

ONE_DICT = "save the arrays under their names, in one dict"

_MAX_ENTRIES = 256  # each may hold a memory map, and with it an open file
_MAX_DIMENSIONS = 32
_MAX_TEXT = 10_000_000  # characters, and bytes, of one element
_PIECE = 2**18  # bytes; fits the processor's cache with what becomes of them
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9]\d{0,6}")


def read_arrays(file: IO[bytes], size: int, *, boxed: bool = False) -> dict[str, np.ndarray]:
    """Read the pickled dict of arrays that starts where the file stands, without running any code of it.

    Every value becomes a read-only array in the file's byte order: an object array or list of plain values of
    one type a text, int64, float64 or bool array, a single value a 0-d array. Bytes among them are latin-1
    text, as are keys: Python 2 made no difference. Arrays of 64 KiB and more are memory maps of the file,
    which must stay as it is while they are used.

    Args:
        file: a file of the disk, open for reading.
        size: its size in bytes.
        boxed: the dict is within a 0-d object array, as np.save makes it.

    Raises:
        FaultError: the pickle is damaged, of something else, or asks for anything but arrays.
    """
    entries = evaluate(file, size)
    if boxed:
        entries = _unboxed(entries)
    if not isinstance(entries, dict):
        raise FaultError("its pickle is not of a dict", ONE_DICT)
    return _Arrays(file, size).of_dict(entries)


def _unboxed(value: Any) -> Any:
    """The only value of a 0-d object array; None for anything else."""
    match value:
        case Call("_reconstruct", _, (_, (), dtype, _, [content])) if _holds_objects(dtype):
            return content
    return None


class _Arrays:
    """Checks what a file says of its arrays, and makes them."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file = file
        self.budget = 8 * size + 2**26  # bytes to make or look through; text arrays take 4 a character

    def spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise FaultError("its arrays would take far more memory than the file has bytes", ONLY_ARRAYS)

    def of_dict(self, entries: dict[str, Any]) -> dict[str, np.ndarray]:
        if len(entries) > _MAX_ENTRIES:
            raise FaultError(f"it has {len(entries):,} entries, the limit is {_MAX_ENTRIES}", ONE_DICT)
        arrays: dict[str, np.ndarray] = {}
        made: dict[int, np.ndarray] = {}  # by identity: what a file repeats is made once
        for name, value in entries.items():
            try:
                arrays[name] = made[id(value)] if id(value) in made else self.of_value(value)
                made[id(value)] = arrays[name]
            except FaultError as fault:
                raise FaultError(f"its entry {shown(name)} {fault.received}", fault.fix) from None
        if not any(array.ndim for array in arrays.values()):
            raise FaultError(f"its dict holds no arrays (its keys: {shown([*arrays][:5])})", ONE_DICT)
        return arrays

    def of_value(self, value: Any) -> np.ndarray:
        match value:
            case Call("_reconstruct", (Call("ndarray", None), *_), (_, tuple(shape), dtype, order, content)):
                if _holds_objects(dtype) and isinstance(content, list):
                    return self.of_objects(content, shape)
                return self.view(self.payload(content), _dtype(dtype), shape, bool(order))
            case Call("_frombuffer", (content, dtype, tuple(shape), "C" | "F" as order), None):
                return self.view(self.payload(content), _dtype(dtype), shape, order == "F")
            case Call("_frombuffer", (content, dtype, tuple(shape), "K", tuple(axes)), None):
                if set(map(type, axes)) - {int} or sorted(axes) != list(range(len(shape))):
                    raise FaultError(f"has its axes in the order {_figures(axes)}")
                return self.view(self.payload(content), _dtype(dtype), shape).transpose(axes)
            case Call("scalar", (dtype, content), None):
                return self.view(self.payload(content), _dtype(dtype), ())
            case list():
                return self.of_objects(value, (len(value),))
        return self.of_objects([value], ())

    def payload(self, value: Any) -> bytes | memoryview | Span:
        match value:
            case (Span(is_text=True) as text) | Call("encode", (Span(is_text=True) as text, "latin1")):
                return self.encoded(text)
            case bytes() | Span():
                return value
            case Call("bytes", ()):
                return b""
            case str(text) | Call("encode", (str(text), "latin1")):
                self.spend(len(text))
                try:
                    return text.encode("latin-1")
                except UnicodeEncodeError:
                    raise FaultError("has text for its bytes") from None
        raise FaultError(f"has a {kind(value)} for its bytes", ONLY_ARRAYS)

    def encoded(self, text: Span) -> memoryview:
        """Bytes that were written as text, piece by piece: as a whole the text would take as much memory again."""
        self.spend(text.length)
        content, decoder = bytearray(), getincrementaldecoder("utf-8")()
        try:
            for piece in self.pieces(text):
                content += decoder.decode(piece).encode("latin-1")
            decoder.decode(b"", final=True)
        except UnicodeError:
            raise FaultError("has text for its bytes that cannot be encoded") from None
        return memoryview(content).toreadonly()

    def pieces(self, span: Span) -> Iterator[bytes]:
        self.file.seek(span.offset)
        for left in range(span.length, 0, -_PIECE):
            yield self.file.read(min(left, _PIECE))

    def text(self, value: Any) -> Any:
        """Text, also of bytes as protocols 3 to 5 write them, or 0 to 2, in latin-1; anything else as it is."""
        match value:
            case bytes():
                return value.decode("latin-1")
            case Call("encode", (str(text), "latin1"), None):
                return text
            case Call("bytes", (), None):
                return ""
            case Span(is_text=True) if value.length <= _MAX_TEXT:
                self.spend(4 * value.length)
                try:
                    return b"".join(self.pieces(value)).decode()
                except UnicodeDecodeError:
                    raise FaultError("holds a text that is not UTF-8") from None
            case Span(is_text=True):
                raise FaultError("holds a text that is too long", ONLY_ARRAYS)
        return value

    def view(
        self, payload: bytes | memoryview | Span, dtype: np.dtype, shape: tuple[int, ...], turned: bool = False
    ) -> np.ndarray:
        """A read-only array over bytes, once every figure fits; turned: in Fortran order."""
        needed = dtype.itemsize * _count(shape)
        if needed != len(payload):
            claim = f"claims the shape {_figures(shape)} of {dtype}, which takes {shown(needed)} bytes"
            raise FaultError(f"{claim}, and has {len(payload):,}")
        stored = shape[::-1] if turned else shape
        if isinstance(payload, Span):
            array: np.ndarray = np.memmap(self.file, dtype, "r", payload.offset, stored)
        else:
            array = np.frombuffer(payload or bytes(dtype.itemsize), dtype)[: _count(shape)].reshape(stored)
        if array.size and dtype.kind in "bU":  # NumPy trusts the content of both
            self.spend(needed)
            unit, largest = ("u1", 1) if dtype.kind == "b" else (f"{dtype.byteorder}u4", sys.maxunicode)
            if array.reshape(-1).view(unit).max() > largest:
                raise FaultError(f"has content that is not valid as {dtype}")
        return array.transpose() if turned else array

    def of_objects(self, values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
        """Plain values of one type -> a read-only text, int64, float64 or bool array."""
        if _count(shape) != len(values):
            raise FaultError(f"claims the shape {_figures(shape)}, and has {len(values):,} values")
        if not {bytes, Call, Span}.isdisjoint(map(type, values)):
            values = [self.text(value) for value in values]
        type_, *others = set(map(type, values)) or {float}
        if others or type_ not in (str, int, float, bool):
            what = " and ".join(sorted({kind(value) for value in values[:1000]}))
            raise FaultError(f"holds {what[:80]} in place of plain numbers or text", ONLY_ARRAYS)
        dtype = {int: "int64", float: "float64"}.get(type_, "bool")
        if type_ is str:
            longest = max(map(len, values))
            if longest > _MAX_TEXT or any(text.endswith("\0") for text in values):  # NumPy drops such zeros
                raise FaultError("holds a text that is too long or ends in a zero character", ONLY_ARRAYS)
            dtype = f"U{longest or 1}"
        elif type_ is int and not -(2**63) <= min(values) <= max(values) < 2**63:
            raise FaultError("holds a number beyond int64", ONLY_ARRAYS)
        self.spend(np.dtype(dtype).itemsize * len(values))
        array = np.array(values, dtype).reshape(shape)
        array.flags.writeable = False
        return array


def _figures(values: tuple[Any, ...]) -> str:
    """What should be a tuple of numbers, fit for one line; what is in it may be too deep for `ascii`."""
    return shown(tuple(each if isinstance(each, int | str) else kind(each) for each in values[:80]))


def _count(shape: tuple[Any, ...]) -> int:
    """The number of elements, for shapes that NumPy can hold."""
    if len(shape) > _MAX_DIMENSIONS or not all(type(length) is int and length >= 0 for length in shape):
        raise FaultError(f"claims the shape {_figures(shape)}")
    if math.prod(length or 1 for length in shape) > 2**40:  # with a 0 in it, no size of a file sets a limit
        raise FaultError(f"claims the shape {_figures(shape)}, more than any file holds")
    return math.prod(shape)


def _holds_objects(dtype: Any) -> bool:
    match dtype:
        case Call("dtype", ("O" | "O4" | "O8", *_)):
            return True
    return False


def _dtype(value: Any) -> np.dtype:
    """The dtype that a file describes: no objects, fields, subarrays or metadata."""
    match value:
        case Call("dtype", (str(code), *_), (_, str(order), None, None, None, size, _, int(flags))):
            if order in ("<", ">", "|") and _DTYPE.fullmatch(code) and not flags & 1:  # 1: holds references
                dtype = np.dtype(f"{order}{code}")
                if size in (-1, dtype.itemsize):
                    return dtype
            raise FaultError(f"has the dtype {shown(code)}", ONLY_ARRAYS)
    raise FaultError("has a dtype that is neither numbers nor text", ONLY_ARRAYS)
