"""Pickles from people nobody vouches for -> plain values, and notes of what was to be called.

The library's Unpickler is not used, not even with an allowlist: it allocates what a length field claims
before it reads it, copies every payload, and calls what the file names. Here a pickle is evaluated by a
machine that can only build tuples, lists, dicts and notes of what the file wants to have called;
`pickled_arrays` checks what a note means. Large payloads stay in the file.
"""

from __future__ import annotations

import os
import pickle
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from mmap import ACCESS_READ, mmap
from typing import IO, Any

from kit.data.readers.faults import FaultError, shown

ONLY_ARRAYS = "ask for a copy that holds plain arrays of numbers or text only"
_MAX_OPERATIONS = 4_000_000  # an operation of one byte can take about 100 bytes of memory
_LARGE = 65_536  # bytes; payloads from this size on stay in the file
_COUNTED = re.compile(r"(unicodestring|string|bytes|bytearray|long)([148])")  # bytes of the length

_LONG_BINPUT, _BINGET, _BINUNICODE = pickle.LONG_BINPUT[0], pickle.BINGET[0], pickle.BINUNICODE[0]
_BININT1, _TUPLE2, _REDUCE = pickle.BININT1[0], pickle.TUPLE2[0], pickle.REDUCE[0]

# What np.save and pickle.dump have written of arrays under protocols 0 to 5, from Python 2 on.
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "SHORT_BINSTRING", "BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_CALLS = {"REDUCE", "BUILD", "STACK_GLOBAL"}
_OTHERS = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND
    APPENDS EMPTY_DICT DICT SETITEM SETITEMS GLOBAL
"""
_WRITTEN = _VALUES | _PUTS | _GETS | _CALLS | {*_OTHERS.split()}
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NAMES = {
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # how protocols 0 to 2 write bytes
    ("__builtin__", "bytes"),  # and empty bytes
    ("builtins", "bytes"),
}


def evaluate(file: IO[bytes], size: int) -> Any:
    """Evaluate the pickle that starts where a file stands -> plain values, `Span`s and `Call`s."""
    if not size:
        raise FaultError("it is empty (0 bytes)")
    machine, left = _Machine(), _MAX_OPERATIONS
    with mmap(file.fileno(), size, access=ACCESS_READ) as data:  # twice as fast as to read a byte here and there
        data.seek(file.tell())
        while left > 0:
            left -= 1 + _frequent(machine, data, left)
            name, argument = _operation(data)
            if name == "STOP":
                return machine.stack[-1] if machine.stack else None
            try:
                machine.apply(name, argument)
            except (IndexError, KeyError):  # nothing on the stack, no mark, an unknown memo
                raise FaultError(f"its {name} before byte {data.tell():,} of {size:,} is out of place") from None
    raise FaultError(f"its pickle has over {_MAX_OPERATIONS:,} operations", "save long lists as arrays")


def _frequent(machine: _Machine, data: mmap, most: int) -> int:
    """Do operations for as long as they are of the six that long lists are made of; returns how many there were.

    The same as `_operation` and `apply` do, in a third of the time; whatever is wrong is left to them to tell.
    """
    stack, memo, byte = machine.stack, machine.memo, data.read_byte
    for count in range(most):
        position = data.tell()
        try:
            code = byte()
            if code == _LONG_BINPUT:
                memo[int.from_bytes(data.read(4), "little")] = stack[-1]
            elif code == _BINGET:
                stack.append(memo[byte()])
            elif code == _BINUNICODE:
                stack.append(_read_counted("unicodestring", 4, data))
            elif code == _BININT1:
                stack.append(byte())
            elif code == _TUPLE2:
                stack[-2:] = [(stack[-2], stack[-1])]
            elif code == _REDUCE:
                stack[-2:] = [_noted("REDUCE", stack[-2], stack[-1])]
            else:
                data.seek(position)
                return count
        except (ValueError, IndexError, KeyError):
            data.seek(position)
            return count
    return most


@dataclass(eq=False, slots=True)
class Call:
    """A name of the allowlist; with arguments, a call that a file asks for and nobody makes."""

    name: str
    arguments: tuple[Any, ...] | None = None
    state: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Span:
    """Bytes that stay in the file; is_text: those of a text in UTF-8, mostly bytes in disguise."""

    offset: int
    length: int
    is_text: bool = False

    def __len__(self) -> int:
        return self.length


def kind(value: object) -> str:
    """What a value is, in words."""
    if isinstance(value, Span):
        return "str" if value.is_text else "bytes"
    return f"call of {value.name}" if isinstance(value, Call) else type(value).__name__.strip("_")


def _operation(data: mmap) -> tuple[str, Any]:
    """The next operation and its argument; the forbidden is refused before its argument is read."""
    position = data.tell()
    try:
        code = data.read_byte()
    except ValueError:
        raise FaultError(f"it ends after {len(data):,} bytes, before its pickle does") from None
    name, reader = _READERS.get(code, ("", None))
    if not name:
        raise FaultError(f"its pickle has the operation {_name(code)}, which no array needs", ONLY_ARRAYS)
    try:
        return name, reader and reader(data)
    except ValueError:  # also of text that cannot be decoded
        raise FaultError(f"its {name} at byte {position:,} of {len(data):,} is broken") from None


def _name(code: int) -> str:
    return next((each.name for each in pickletools.opcodes if ord(each.code) == code), f"0x{code:02x}")


def _reader(argument: pickletools.ArgumentDescriptor | None) -> Callable[[Any], Any] | None:
    """What reads an argument of this form from where the data stands."""
    if argument is None:
        return None
    if argument.name == "uint1":
        return mmap.read_byte
    if argument.name == "stringnl_noescape_pair":
        return _read_pair
    if counted := _COUNTED.fullmatch(argument.name):
        return partial(_read_counted, counted[1], int(counted[2]))
    return argument.reader


def _read_pair(data: mmap) -> tuple[str, str]:
    first, second = data.readline(), data.readline()
    if not second.endswith(b"\n"):
        raise ValueError("no end of line")
    return first[:-1].decode("ascii"), second[:-1].decode("ascii")


def _read_counted(form: str, width: int, data: mmap) -> Any:
    """Read a length and so many bytes; a length is compared with the file before anything is allocated."""
    length = int.from_bytes(data.read(width), "little")
    start, left = data.tell(), len(data) - data.tell()
    if length > left:
        raise FaultError(f"it claims {length:,} bytes at byte {start:,}, and {left:,} are left")
    if length >= _LARGE:
        data.seek(length, os.SEEK_CUR)
        return Span(start, length, is_text=form == "unicodestring")
    content = data.read(length)
    if form == "unicodestring":
        return content.decode()
    if form == "string":
        return content.decode("latin-1")
    return int.from_bytes(content, "little", signed=True) if form == "long" else content


_READERS = {
    ord(operation.code): (operation.name, _reader(operation.arg))
    for operation in pickletools.opcodes
    if operation.name in _WRITTEN
}


class _Machine:
    """The pickle machine without anything to call: a stack, the stacks below the marks, a memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def apply(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _GETS:
            self.stack.append(self.memo[argument])
        elif name in _PUTS:
            index = len(self.memo) if name == "MEMOIZE" else argument
            if not 0 <= index < 2**32:  # longer numbers can be chosen to collide in the dict
                raise IndexError(index)
            self.memo[index] = self.stack[-1]
        elif name in _CALLS:
            above, below = self.stack.pop(), self.stack.pop()
            self.stack.append(_noted(name, below, above))
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name == "GLOBAL":
            self.stack.append(_noted(name, *argument))
        elif name == "MARK":
            self.below.append(self.stack)
            self.stack = []
        elif name in ("EMPTY_LIST", "EMPTY_DICT"):
            self.stack.append([] if name == "EMPTY_LIST" else {})
        elif name not in ("PROTO", "FRAME"):
            self.collect(name)

    def collect(self, name: str) -> None:
        """Put what lies above the mark, or the last few values, into a tuple, list or dict."""
        count = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2}.get(name)
        if count is None:
            items, self.stack = self.stack, self.below.pop()
        else:
            items = [self.stack.pop() for _ in range(count)][::-1]
        if name.startswith("TUPLE"):
            self.stack.append(tuple(items))
            return
        if name in ("LIST", "DICT"):
            self.stack.append([] if name == "LIST" else {})
        target = self.stack[-1]
        if isinstance(target, list) and name in ("LIST", "APPEND", "APPENDS"):
            target.extend(items)
        elif isinstance(target, dict) and name in ("DICT", "SETITEM", "SETITEMS"):
            target.update((_key(items[i]), items[i + 1]) for i in range(0, len(items), 2))
        else:
            raise IndexError(name)


def _noted(operation: str, target: Any, argument: Any) -> Call:
    """Note a name, a call of it, or the state it is to be given."""
    match operation, target, argument:
        case "GLOBAL" | "STACK_GLOBAL", str(), str():
            if (target, argument) in _NAMES:
                return Call(argument)
            name = shown(f"{target}.{argument}")
            fix = f"never open it with np.load(allow_pickle=True); {ONLY_ARRAYS}"
            raise FaultError(f"its pickle asks for {name}, which is code (none of it was run)", fix)
        case "REDUCE", Call(name, None), tuple():
            return Call(name, argument)
        case "BUILD", Call(_, tuple(), None), tuple():
            target.state = argument
            return target
    raise FaultError(f"its pickle has a {operation} of {kind(target)} with {kind(argument)}", ONLY_ARRAYS)


def _key(value: Any) -> str:
    """The name of an entry; nothing but text is hashed, since hashing a deep tuple overflows the C stack."""
    match value:
        case str(text) | Call("encode", (str(text), _)):
            return text
        case bytes():
            return value.decode("latin-1")
    raise FaultError(f"its dict has a key of type {kind(value)}", "name the arrays by text")
