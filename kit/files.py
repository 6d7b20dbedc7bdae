"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write to the path this yields; it takes the place of ``path`` when the block ends without an error.

    Until then, and after an error, whatever was at ``path`` is still there. The scratch file lies in a
    directory of its own beside ``path`` (same file system, so that the last step is a rename) and keeps
    the name, because some writers look at the suffix. A symbolic link stays one: the file that it leads to
    is replaced.

    Raises:
        OSError: nothing can be written there; ``strerror`` says why.
    """
    _refuse_what_is_no_file(path)
    target = Path(os.path.realpath(path))
    missing = [parent for parent in target.parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as directory:
            scratch = Path(directory) / path.name
            yield scratch
            with scratch.open("rb+") as file:
                os.fsync(file.fileno())
            scratch.replace(target)
        _sync(target.parent)
    except BaseException:
        for parent in missing:
            with contextlib.suppress(OSError):  # somebody else uses it by now
                parent.rmdir()
        raise


def _sync(directory: Path) -> None:
    """Have a rename survive a power cut, where the file system can be asked for that."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_replaceable(path: Path) -> None:
    """Find out early that nothing can be written at a path, before hours of work for what goes there.

    Raises:
        OSError: so it is; ``strerror`` says why. A disk may still fill up, and a directory go away.
    """
    _refuse_what_is_no_file(path)
    parent = next(parent for parent in Path(os.path.realpath(path)).parents if parent.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _refuse_what_is_no_file(path: Path) -> None:
    """A rename would put a file in the place of a pipe or a device without a word."""
    for parent in path.parents:
        if parent.exists() and not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{parent} is a file, not a directory", str(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a directory, not a file", str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a regular file", str(path))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text through :func:`replacing`."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def file_hash(path: Path) -> str:
    """SHA-256 of what a file holds, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
