"""Converted arrays on disk: keyed by the content of the file they came from, memory-mapped, atomic.

    <cache>/index/<hash of path>.json      size, times and content hash of a source file seen before
    <cache>/arrays/<content>-<format>/     one .npy an array

A source that has not been touched since is recognised by its size and times alone, so that a later start
reads neither it nor its hash again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kit.errors import DataError
from kit.files import write_text

_UNUSABLE = (OSError, ValueError, EOFError)  # what reading an absent or damaged entry raises

Arrays = dict[str, np.ndarray]


def cache_directory() -> Path:
    """``KIT_CACHE``, or ``kit`` in the user's cache directory."""
    if chosen := os.environ.get("KIT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kit"


def cached_arrays(source: Path, format_name: str, convert: Callable[[Path, Path], None]) -> Arrays:
    """The arrays that ``convert`` makes of a file, converted only once.

    Args:
        source: the file people have.
        format_name: names the conversion and its version; another name is another entry.
        convert: called with the source and an empty directory, into which it writes ``NAME.npy`` files.

    Returns:
        name -> read-only memory-mapped array.

    Raises:
        DataError: from ``convert``, or when the cache cannot be written.
    """
    content = _content_hash(source)
    entry = cache_directory() / "arrays" / f"{content}-{format_name}"
    with contextlib.suppress(*_UNUSABLE):
        return _map(entry)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".converting-", dir=entry.parent) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            convert(source, new)
            _put_in_place(new, entry)
        return _map(entry)
    except OSError as error:
        raise DataError(
            f"cannot write the cache in {cache_directory()}: {error.strerror or error}; "
            "free space there, or set KIT_CACHE to a directory that can be written"
        ) from None


def _put_in_place(new: Path, entry: Path) -> None:
    """Another process may have made the same entry meanwhile: then that one stays, as it may be in use."""
    (new / "names.json").write_text(json.dumps(sorted(path.stem for path in new.iterdir())))
    for path in new.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    try:
        new.rename(entry)
    except OSError:
        try:
            _map(entry)
        except _UNUSABLE:  # a damaged entry: out of the way, it goes with the scratch directory
            entry.rename(new.with_name("damaged"))
            new.rename(entry)


def _map(entry: Path) -> Arrays:
    """The arrays of an entry, which says itself which ones it has."""
    names = json.loads((entry / "names.json").read_text())
    return {name: np.load(entry / f"{name}.npy", mmap_mode="r") for name in names}


def _content_hash(source: Path) -> str:
    try:
        return _hash_unless_seen(source)
    except OSError as error:
        raise DataError(
            f"{source} cannot be read: {error.strerror or error}; expected the competition's file, readable by you"
        ) from None


def _hash_unless_seen(source: Path) -> str:
    status = source.stat()
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    index = cache_directory() / "index" / f"{hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:32]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(index.read_text())
        if known["seen"] == seen:
            return str(known["content"])
    with source.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    with contextlib.suppress(OSError):  # the index saves time only
        write_text(index, json.dumps({"path": str(source), "seen": seen, "content": content}))
    return content
