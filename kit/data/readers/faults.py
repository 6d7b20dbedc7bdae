"""Opening files nobody vouches for, and saying in one line what is wrong with them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kit.errors import DataError


class FaultError(Exception):
    """What is wrong with a file, and what to do about it; becomes a DataError that names the file."""

    def __init__(self, received: str, fix: str = "it is truncated or damaged: download or copy the file again") -> None:
        super().__init__(received)
        self.received, self.fix = received, fix


@contextmanager
def reading(path: Path, kind: str, expected: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file -> (file, size in bytes); every fault within becomes a DataError of one line.

    Args:
        path: the file to open.
        kind: what such a file is called.
        expected: what it should hold, and how to write it.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise FaultError(f"it is {what}", f"give the path of the {kind} itself")
        with path.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
            return
    except FileNotFoundError:
        received, fix = "there is no such file", "check the path, or download the data first"
    except PermissionError:
        received, fix = "you have no permission to read it", "change its mode with chmod, or ask its owner"
    except OSError as error:
        received, fix = f"it cannot be read ({error.strerror or error})", "check the path and the disk"
    except FaultError as fault:
        received, fix = fault.received, fault.fix
    raise DataError(f"{path}: {received}; {expected}; {fix}")


def shown(value: object) -> str:
    """A value of a stranger's file, fit for one line."""
    text = ascii(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def stranger(start: bytes, what: str, fix: str = "unpack it") -> FaultError:
    """Name the file that was saved under the data's name.

    Args:
        start: its first bytes; some hundred are enough.
        what: what was expected, such as "a .npy file".
        fix: what to do with an archive, or a pickle, that was given in its place.
    """
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        return FaultError("it is a web page, not data", "download it again, logged in where it is needed")
    if text.startswith(b"version https://git-lfs"):
        return FaultError("it is a Git LFS pointer, not the data itself", "fetch the data with git lfs pull")
    for magic, name in {b"PK": "a ZIP archive", b"\x1f\x8b": "a gzip file", b"\x80": "a bare pickle"}.items():
        if start.startswith(magic):
            return FaultError(f"it is {name}, not {what}", fix)
    return FaultError(f"it starts with {shown(start[:24])}, not as {what}", "check which file this is")
