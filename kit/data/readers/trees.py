"""A directory or a `.zip` archive, read in place, as a set of named files that nobody vouches for.

Nothing is extracted: no name in an archive ever becomes a path on disk. Links in a directory are followed
wherever they lead, because people build class folders out of links to data that lies elsewhere, and because an
archive cannot plant one here: kit writes nothing that it holds, and refuses archives with links in them.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import threading
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import IO

from kit.data.readers.faults import FaultError, reading, shown, stranger
from kit.errors import DataError

MAX_FILE_BYTES = 2**28  # of one file, unpacked
MAX_ENTRIES = 2_000_000  # files and folders; ImageNet has 1.4 million
MAX_DIRECTORY_BYTES = 2**28  # the list of contents at the end of an archive; 2 million names of 80 letters
MAX_RATIO = 200  # unpacked to packed bytes, of members above MAX_UNPACKED_FREELY; pictures stay below 50
MAX_UNPACKED_FREELY = 2**24  # an empty picture is packed well, and does no harm when it is small

_IGNORED = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # and every name that starts with a dot
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # cannot be told in one line, or in UTF-8
_READ_ONLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe would block
_LOCAL_HEADER = 30  # bytes before the name of a member
_ENCRYPTED, _UTF8 = 0x1, 0x800  # flags of a member
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}  # what others pack with

_EXPECTED = "expected a directory or a .zip archive of images in folders"
_AGAIN = "it is truncated or damaged: download or copy the archive again"
_REPACK = "unpack it, or pack it again with zip -r"
_STRANGER = "do not trust it, and ask whoever made it"
_UNFIT_NAME = "{} holds characters that cannot be shown; expected names of plain text; rename it"


class Tree(ABC):
    """Named files below one root.

    path: what the user named.
    files: POSIX names relative to the root, sorted.
    folders: likewise, empty ones too, without the root.
    ignored: names of what file managers leave behind, left out above; an ignored folder is one name ending in ``/``.
    """

    path: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]
    ignored: tuple[str, ...]

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of one of ``files``, at most ``MAX_FILE_BYTES``; may be called from several threads.

        Raises:
            DataError: it cannot be read, is damaged, or is too large.
        """

    @abstractmethod
    def describe(self, name: str) -> str:
        """How an error names a file: ``data/train/1.png``, or ``data/train.zip: train/1.png``."""

    @abstractmethod
    def stamp(self, names: Sequence[str] | None = None) -> str:
        """A digest that changes whenever one of these files, or any file, may have changed; it reads none.

        Take it before reading: a change that comes between is then seen the next time.
        """

    @property
    def top_folders(self) -> tuple[str, ...]:
        """The folders directly below the root, empty ones too: usually the classes."""
        return tuple(name for name in self.folders if "/" not in name)

    def below(self, folder: str) -> Tree:
        """The part of the tree below a folder, with names relative to that folder.

        Raises:
            DataError: there is no such folder.
        """
        if folder not in self.folders:
            there = ", ".join(self.top_folders[:10]) or "none"
            raise DataError(f"{self.path}: there is no folder {shown(folder)} in it; its folders: {there}")
        return _Part(self, folder)


@contextmanager
def open_tree(path: Path) -> Iterator[Tree]:
    """Open a directory or a `.zip` archive and list what is in it.

    Raises:
        DataError: it is neither, or holds what no collection of files should: loops of links, pipes and devices,
            names that leave the root, encrypted or overlapping members, more than ``MAX_ENTRIES`` entries.
    """
    if path.is_dir():
        yield _Directory(path)
        return
    file, members = _open_archive(path)
    with file:
        yield _Archive(path, file, members)


class _Part(Tree):
    """What lies below a folder of another tree."""

    def __init__(self, whole: Tree, folder: str) -> None:
        self._whole, self._prefix = whole, f"{folder}/"
        self.path = whole.path
        self.files, self.folders, self.ignored = map(self._inside, (whole.files, whole.folders, whole.ignored))

    def _inside(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix))

    def read(self, name: str) -> bytes:
        return self._whole.read(self._prefix + name)

    def describe(self, name: str) -> str:
        return self._whole.describe(self._prefix + name)

    def stamp(self, names: Sequence[str] | None = None) -> str:
        inside = [self._prefix + name for name in (self.files if names is None else names)]
        return hashlib.sha256(f"{self._whole.stamp(inside)} {self._prefix}".encode()).hexdigest()


# --- directories ------------------------------------------------------------------------------------------


class _Directory(Tree):
    def __init__(self, path: Path) -> None:
        self.path = path
        files, folders, ignored = _walk(path)
        self.files, self.folders, self.ignored = tuple(sorted(files)), tuple(sorted(folders)), tuple(sorted(ignored))

    def read(self, name: str) -> bytes:
        content = _ordinary_content(f"{self.path}/{name}")
        if content is not None:
            return content
        return read_file(self.path / name, "file", "expected a file of a data set")

    def describe(self, name: str) -> str:
        return str(self.path / name)

    def stamp(self, names: Sequence[str] | None = None) -> str:
        around = (self.folders, self.ignored) if names is None else ()
        digest = hashlib.sha256(repr((str(self.path.resolve()), around)).encode())
        root = str(self.path)
        for name in self.files if names is None else names:
            try:
                status = os.stat(f"{root}/{name}")  # noqa: PTH116 - pathlib takes three times as long
            except OSError as error:
                raise _unreadable(self.path / name, error) from None
            seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino)
            digest.update(f"{name}\0{seen}".encode())
        return digest.hexdigest()


def read_file(path: Path, kind: str, expected: str) -> bytes:
    """The content of a file, at most ``MAX_FILE_BYTES``; the arguments are those of :func:`reading`.

    Raises:
        DataError: it cannot be read, or is too large.
    """
    with reading(path, kind, expected) as (file, size):
        if size > MAX_FILE_BYTES:
            raise FaultError(f"it has {size:,} bytes, the limit is {MAX_FILE_BYTES:,}", "check which file this is")
        return file.read(size)


def _ordinary_content(path: str) -> bytes | None:
    """The content of a file, or None if anything is out of the ordinary, which `reading` then puts into words.

    With no more than four system calls: each may hand Python to another thread, and small pictures were decoded
    at nine tenths of the speed when `reading` read them.
    """
    try:
        handle = os.open(path, _READ_ONLY)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
                return None
            content = os.read(handle, status.st_size)
            return content if len(content) == status.st_size else None
        finally:
            os.close(handle)
    except OSError:
        return None


def _walk(root: Path) -> tuple[list[str], list[str], list[str]]:
    """Names of the files, the folders and what is ignored below a directory."""
    files: list[str] = []
    folders: list[str] = []
    ignored: list[str] = []
    # Each folder with all that it lies in, itself included: a link to one of them would never end.
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset({_identity(root)}))]
    while pending:
        prefix, above = pending.pop()
        for entry in _entries(root / prefix):
            name = prefix + entry.name
            if is_ignored(entry.name):
                ignored.append(f"{name}/" if entry.is_dir() else name)
            elif _UNFIT.search(entry.name):
                raise DataError(_UNFIT_NAME.format(f"{root}: {shown(name)}"))
            elif _is_folder(entry):
                folder = _identity(Path(entry.path))
                if folder in above:
                    raise DataError(
                        f"{entry.path}: it is a link to a folder that it lies in; "
                        "expected folders that end; remove the link"
                    )
                folders.append(name)
                pending.append((f"{name}/", above | {folder}))
            else:
                files.append(name)
        if len(files) + len(folders) > MAX_ENTRIES:
            raise DataError(
                f"{root}: it holds more than {MAX_ENTRIES:,} files and folders; expected one data set; "
                "check the path, and for links that lead back and forth"
            )
    return files, folders, ignored


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise _unreadable(folder, error) from None


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise _unreadable(folder, error) from None
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or else a file, links followed; anything else would block or never end when read."""
    try:
        if entry.is_dir() or entry.is_file():
            return entry.is_dir()
        mode = entry.stat().st_mode
    except FileNotFoundError:
        raise DataError(
            f"{entry.path}: it is a link that leads nowhere; expected a file or a folder; remove or mend the link"
        ) from None
    except OSError as error:
        raise _unreadable(Path(entry.path), error) from None
    what = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise DataError(f"{entry.path}: it is {what}; expected a file or a folder; move it elsewhere")


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path}: it cannot be read ({error.strerror or error}); expected files and folders readable by you; "
        "check the path, and its mode with ls -l"
    )


# --- archives ---------------------------------------------------------------------------------------------


class _Archive(Tree):
    def __init__(self, path: Path, file: IO[bytes], members: dict[str, zipfile.ZipInfo]) -> None:
        self.path, self._file, self._members = path, file, members
        self._lock = threading.Lock()
        wanted = {name: first_ignored(name) for name in members}
        self.ignored = tuple(sorted({part for part in wanted.values() if part}))
        kept = [name for name, part in wanted.items() if not part]
        self.files = tuple(sorted(name for name in kept if not name.endswith("/")))
        self.folders = tuple(sorted({folder for name in kept for folder in _parents(name)}))
        if both := set(self.files).intersection(self.folders):
            raise DataError(f"{path}: {shown(min(both))} is both a file and a folder in it; {_EXPECTED}; {_REPACK}")

    def read(self, name: str) -> bytes:
        try:
            return self._unpacked(self._members[name])
        except FaultError as fault:
            received, fix = fault.received, fault.fix
        except OSError as error:
            received, fix = f"it cannot be read ({error.strerror or error})", "check the disk"
        except zlib.error:
            received, fix = "its packed bytes are damaged", _AGAIN
        raise DataError(f"{self.describe(name)}: {received}; expected a file of a data set; {fix}")

    def _unpacked(self, member: zipfile.ZipInfo) -> bytes:
        """The content of a member; not by ``zipfile``, which takes longer to open one than to unpack it."""
        with self._lock:  # held while bytes are copied, not while they are unpacked
            self._file.seek(member.header_offset)
            header = self._file.read(_LOCAL_HEADER)
            if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\3\4"):
                raise FaultError("there is no such member where the archive says", _AGAIN)
            named, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
            start = self._file.read(named + extra)
            packed = self._file.read(member.compress_size)
        name = start[:named].decode("utf-8" if member.flag_bits & _UTF8 else "cp437", "replace")
        if name != member.orig_filename:
            raise FaultError(f"the archive holds {shown(name)} under this name", _AGAIN)
        content = packed
        if member.compress_type == zipfile.ZIP_DEFLATED:
            # What a member claims to be is checked when the archive is opened; here it may not be more than that.
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.file_size + 1)
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise FaultError("its size or checksum is not what the archive says", _AGAIN)
        return content

    def describe(self, name: str) -> str:
        return f"{self.path}: {name}"

    def stamp(self, names: Sequence[str] | None = None) -> str:
        status = os.fstat(self._file.fileno())
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino)
        return hashlib.sha256(repr(seen).encode()).hexdigest()


def _open_archive(path: Path) -> tuple[IO[bytes], dict[str, zipfile.ZipInfo]]:
    """The open file and its members by name, folders with a slash at the end, once all of them are accepted."""
    with reading(path, "directory or .zip archive", _EXPECTED) as (file, _):
        start = file.read(500)
        if not start:
            raise FaultError("it is empty (0 bytes)", "download or copy it again")
        try:
            with zipfile.ZipFile(_Listing(file)) as archive:
                found, end = archive.infolist(), archive.start_dir
        except FaultError:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged list makes zipfile fail in a dozen ways
            if not start.startswith(b"PK"):
                raise stranger(start, "a .zip archive", "unpack it, then name the directory") from None
            raise FaultError(f"its list of contents cannot be read ({shown(str(error))})", _AGAIN) from None
        members: dict[str, zipfile.ZipInfo] = {}
        for member in found:
            name = _accepted(member)
            if name in members and not name.endswith("/"):
                raise FaultError(f"it holds {shown(name)} twice", _REPACK)
            members[name] = member
        _refuse_overlaps(found, end)
        # The same open file, whatever the name leads to by now; `reading` closes its own.
        return os.fdopen(os.dup(file.fileno()), "rb"), members


class _Listing(io.RawIOBase):
    """The archive as ``zipfile`` may see it: it reads the whole list of contents at once, however long."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell  # type: ignore[method-assign]

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY_BYTES:
            raise FaultError(f"its list of contents claims {size:,} bytes, the limit is {MAX_DIRECTORY_BYTES:,}")
        content = self._file.read(size)
        if (members := content.count(b"PK\1\2")) > MAX_ENTRIES:
            raise FaultError(f"it lists {members:,} members, the limit is {MAX_ENTRIES:,}", _REPACK)
        return content


def _accepted(member: zipfile.ZipInfo) -> str:
    """The name of a member, if it is one that a data set can hold."""
    raw = member.orig_filename.replace("\\", "/")  # as some Windows programs write it
    if _UNFIT.search(raw):
        raise FaultError(f"the name {shown(raw)} in it holds characters that cannot be shown", _REPACK)
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if raw.startswith("/") or re.match("[A-Za-z]:", raw) or ".." in parts:
        raise FaultError(f"{shown(raw)} in it leads out of the archive", _STRANGER)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a link" if kind == stat.S_IFLNK else "a device or a pipe"
        raise FaultError(f"{shown(raw)} in it is {what}", "pack the file itself, such as with zip -r, without -y")
    if member.flag_bits & _ENCRYPTED:
        raise FaultError(f"{shown(raw)} in it is protected by a password", "unpack it, then name the directory")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = _METHODS.get(member.compress_type, member.compress_type)
        raise FaultError(f"{shown(raw)} in it is packed by the method {method}, not by Deflate", _REPACK)
    size, packed = member.file_size, member.compress_size
    if size > MAX_FILE_BYTES:
        raise FaultError(f"{shown(raw)} in it claims {size:,} bytes, the limit is {MAX_FILE_BYTES:,}", _STRANGER)
    if size > MAX_UNPACKED_FREELY and size > MAX_RATIO * packed:
        raise FaultError(f"{shown(raw)} in it claims {size:,} bytes packed into {packed:,}", _STRANGER)
    return "/".join(parts) + "/" * raw.endswith("/")


def _refuse_overlaps(members: list[zipfile.ZipInfo], end: int) -> None:
    """No byte of an archive may belong to two members: that is how one of 10 MB unpacks to 281 TB (Fifield, 2019)."""
    following = end
    for member in sorted(members, key=attrgetter("header_offset"), reverse=True):
        length = _LOCAL_HEADER + len(member.orig_filename) + member.compress_size  # at least
        if member.header_offset < 0 or member.header_offset + length > following:
            raise FaultError(f"{shown(member.orig_filename)} in it overlaps with what follows", _STRANGER)
        following = member.header_offset


# --- what both have ---------------------------------------------------------------------------------------


def is_ignored(part: str) -> bool:
    """Whether a file or folder of this name is something that a file manager leaves behind."""
    return part.startswith(".") or part in _IGNORED


def first_ignored(name: str) -> str:
    """The part of a member's name that ends where it is ignored, or ``""``."""
    parts = name.removesuffix("/").split("/")
    for index, part in enumerate(parts):
        if is_ignored(part):
            prefix = "/".join(parts[: index + 1])
            return prefix if prefix == name else f"{prefix}/"
    return ""


def _parents(name: str) -> list[str]:
    """All folders that a member lies in, and itself if its name ends as that of a folder."""
    return [name[:index] for index, letter in enumerate(name) if letter == "/"]
