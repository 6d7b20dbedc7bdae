"""Converted arrays on disk: keyed by the content of the file they came from, memory-mapped, atomic.

    <cache>/index/<hash of path>.json      size, times and content hash of a source file seen before
    <cache>/arrays/<content>-<format>/     one .npy an array
    <cache>/unpacked/<checksum-sizes>/     a file out of a .zip that is read from the disk

A source that has not been touched since is recognised by its size and times alone, so that a later start does
not read it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from kit.data.readers.trees import MAX_RATIO
from kit.errors import DataError, first_line
from kit.files import replacing, write_text

HASHED_FIRST = 2**26  # bytes of a source below which hashing takes no time
_UNUSABLE = (OSError, ValueError, EOFError)  # what reading an absent or damaged entry raises

Arrays = dict[str, np.ndarray]
Source = TypeVar("Source", Path, tuple[Path, ...])


def cache_directory() -> Path:
    """``KIT_CACHE``, or ``kit`` in the user's cache directory."""
    if chosen := os.environ.get("KIT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kit"


def cached_arrays(source: Source, format_name: str, convert: Callable[[Source, Path], None]) -> Arrays:
    """The arrays that ``convert`` makes of a file, or of several files, converted only once.

    Args:
        source: the file people have, or the files in their order.
        format_name: names the conversion and its version; another name is another entry.
        convert: called with the source and an empty directory, into which it writes ``NAME.npy`` files.

    Returns:
        name -> read-only memory-mapped array.

    Raises:
        DataError: from ``convert``, or when the cache cannot be written.
    """
    paths = (source,) if isinstance(source, Path) else source
    with ThreadPoolExecutor(1) as pool:
        content = pool.submit(_content_of, paths)
        # A large file that nobody has seen is hashed while it is converted, as each takes about as long. A small
        # one is hashed first: it may have been converted under another name.
        if all(map(_seen_before, paths)) or sum(map(_size, paths)) < HASHED_FIRST:
            with contextlib.suppress(*_UNUSABLE):
                return _map(_entry(content.result(), format_name))

        def convert_source(directory: Path) -> str:
            before = [_stamp_or_none(path) for path in paths]
            convert(source, directory)
            found = content.result()
            if before != [_stamp_or_none(path) for path in paths]:
                raise DataError(f"{paths[0]} was changed while it was read: start again when it is complete")
            return found

        return _converted(format_name, convert_source)[1]


def cached_tree(place: str, stamp: Callable[[], str], format_name: str, convert: Callable[[Path], str]) -> Arrays:
    """The arrays that ``convert`` makes of many small files, which are read, hashed and converted at once.

    Args:
        place: tells these files from others: their directory or archive, a zero character, and which of its files.
        stamp: tells a string that changes when any of them may have changed, and reads none; see ``readers.trees``.
        format_name: names the conversion, its options and its version.
        convert: called with an empty directory, into which it writes ``NAME.npy`` files; returns the hash of
            the files' names and contents.
    """
    index, seen = _index_file(f"{place} {format_name}"), stamp()
    with contextlib.suppress(*_UNUSABLE, KeyError, TypeError):
        known = json.loads(index.read_text())
        if known["seen"] == seen:
            return _map(_entry(known["content"], format_name))

    def convert_unchanged(directory: Path) -> str:
        found = convert(directory)
        if seen != stamp():
            raise DataError(f"{place.partition(chr(0))[0]}: files in it changed while they were read: start again")
        return found

    content, arrays = _converted(format_name, convert_unchanged)
    with contextlib.suppress(OSError):  # the index saves time only
        write_text(index, json.dumps({"place": place, "seen": seen, "content": content}))
    return arrays


def unpacked(archive: Path, name: str) -> Path | None:
    """The one file of that name in a `.zip`, unpacked once; None if there is none. ``name`` is ours, not the archive's.

    For large files of a known name; pictures are read in place by ``readers.trees``.

    Raises:
        DataError: the archive is damaged, has several of that name, or one that unpacks to far more than itself; or
            the cache cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            found = [each for each in opened.infolist() if PurePosixPath(each.filename).name == name]
            found = [each for each in found if not each.filename.startswith("__MACOSX/")]
            if not found:
                return None
            (member, *others) = found
            if others:
                raise DataError(
                    f"{archive} has {len(found)} files {name}, expected one: unpack it, and name a directory"
                )
            if member.file_size > MAX_RATIO * max(member.compress_size, 1):
                raise DataError(f"{archive}: {name} would unpack to {member.file_size:,} bytes: do not trust it")
            key = f"{member.CRC:08x}-{member.file_size}-{member.compress_size}"  # the same wherever the archive lies
            path = cache_directory() / "unpacked" / key / name
            if not path.is_file() or path.stat().st_size != member.file_size:
                with replacing(path) as scratch, opened.open(member) as source, scratch.open("wb") as file:
                    shutil.copyfileobj(source, file, 2**20)
            return path
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:  # RuntimeError: it is encrypted
        raise DataError(f"cannot read {archive}: {first_line(error)}; download or copy it again") from None
    except OSError as error:
        if error.filename == str(archive):
            raise DataError(f"cannot read {archive}: {error.strerror or error}; make it readable") from None
        raise DataError(f"cannot unpack {name} of {archive} into {cache_directory()}: {first_line(error)}") from None


def _entry(content: str, format_name: str) -> Path:
    return cache_directory() / "arrays" / f"{content}-{format_name}"


def _index_file(place: str) -> Path:
    return cache_directory() / "index" / f"{hashlib.sha256(place.encode()).hexdigest()[:32]}.json"


def _converted(format_name: str, convert: Callable[[Path], str]) -> tuple[str, Arrays]:
    """Convert into a scratch directory, which becomes the entry of the content that ``convert`` tells."""
    arrays = cache_directory() / "arrays"
    try:
        arrays.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".converting-", dir=arrays) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            content = convert(new)
            entry = _entry(content, format_name)
            _put_in_place(new, entry)
        return content, _map(entry)
    except OSError as error:
        if error.filename and not str(error.filename).startswith(str(cache_directory())):
            raise  # of a source, not of the cache
        raise DataError(
            f"cannot write the cache in {cache_directory()}: {error.strerror or error}; "
            "free space there, or set KIT_CACHE to a directory that can be written"
        ) from None


def _put_in_place(new: Path, entry: Path) -> None:
    """Another process may have made the same entry meanwhile: then that one stays, as it may be in use."""
    (new / "names.json").write_text(json.dumps(sorted(path.stem for path in new.iterdir())))
    for path in new.iterdir():
        with path.open("rb+") as file:  # Windows syncs what can be written
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


def _content_of(paths: Sequence[Path]) -> str:
    """The hash of a file's content, or of those of several files in their order."""
    contents = [_seen_before(path) or _hash(path) for path in paths]
    return contents[0] if len(contents) == 1 else hashlib.sha256("".join(contents).encode()).hexdigest()[:32]


def _seen_before(path: Path) -> str | None:
    """The hash of a file's content, if it was hashed since it was changed."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(_index_file(str(path.resolve())).read_text())
        if known["seen"] == _stamp(path):
            return str(known["content"])
    return None


def _hash(path: Path) -> str:
    try:
        seen = _stamp(path)
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}; expected the competition's file, readable by you"
        ) from None
    with contextlib.suppress(OSError):  # the index saves time only
        index = _index_file(str(path.resolve()))
        write_text(index, json.dumps({"path": str(path), "seen": seen, "content": content}))
    return content


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _stamp_or_none(path: Path) -> list[int] | None:
    with contextlib.suppress(OSError):
        return _stamp(path)
    return None


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
