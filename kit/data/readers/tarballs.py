"""Known members of `.tar` and `.tar.gz` archives, read in one pass and never extracted.

Of the library only the parsing of a header block is used. Its `TarFile` reads what a long name or an extended
header claims into memory, goes into itself for each header before a header, and its filters for extraction
were got round (CVE-2025-4517). Here extended headers are skipped over, so that a name longer than 100
characters is not found; no known data set has one.
"""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kit.data.readers.faults import FaultError, reading, shown, stranger
from kit.errors import DataError

_BLOCK = 512  # bytes; the unit of a tar archive
_PIECE = 2**20  # bytes read at a time
_MAX_MEMBERS = 10_000
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
_DAMAGED = "it is truncated or damaged: download or copy the archive again"
_HOSTILE = "do not unpack it; download it from where it was published"


def spool_members(path: Path, wanted: Collection[str], directory: Path, limit: int = 2**30) -> dict[str, Path]:
    """Copy known members of an archive into files whose names are made up here.

    Args:
        path: a ``.tar`` file, compressed by gzip or not; its content says which.
        wanted: base names, such as ``data_batch_1``; they are found in whatever folder of the archive. Its
            other members are skipped, whatever they are.
        directory: where to write the files.
        limit: bytes that may be decompressed in all, also of what is skipped; CIFAR takes less than 200 MB.

    Returns:
        base name -> file, for every name that is wanted. Its suffix is that of the name.

    Raises:
        DataError: the archive is missing, unreadable, damaged or something else, is larger than the limit, or
            has a wanted member twice, not at all, or as a link, a device or a name that leads elsewhere.
    """
    targets = {name: directory / f"{number}{Path(name).suffix}" for number, name in enumerate(sorted(wanted))}
    with reading(path, "archive", f"expected a .tar or .tar.gz archive with {_listed(wanted)}") as (file, _):
        _spool(_Content(file, limit), targets)
    return targets


@contextmanager
def spooled_members(path: Path, wanted: Collection[str], directory: Path) -> Iterator[dict[str, Path]]:
    """`spool_members` into a scratch directory that goes when the block ends.

    Within the block, a `DataError` about one of the files is raised as one about ``archive: member``.
    """
    with tempfile.TemporaryDirectory(prefix=".members-", dir=directory) as scratch:
        members = spool_members(path, wanted, Path(scratch))
        try:
            yield members
        except DataError as error:
            message = str(error)
            for name, member in members.items():
                message = message.replace(f"{member}: ", f"{path}: {name}: ")
            raise DataError(message) from None


class _Content:
    """What an archive holds once it is decompressed, from front to back, up to a limit."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        start = file.read(_BLOCK)
        if not start:
            raise FaultError("it is empty (0 bytes)", "download or copy it again")
        file.seek(0)
        self.compressed = start.startswith(b"\x1f\x8b")
        self.file: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=file, mode="rb") if self.compressed else file
        self.limit, self.read = limit, 0

    def piece(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        try:
            content = self.file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FaultError(f"it cannot be decompressed after {self.read:,} bytes ({error})", _DAMAGED) from None
        self.read += len(content)
        if self.read > self.limit:
            raise FaultError(f"it holds more than {self.limit:,} bytes, far more than its data set", _HOSTILE)
        return content

    def pieces(self, size: int) -> Iterator[bytes]:
        """So many bytes, a piece at a time."""
        while size > 0:
            content = self.piece(min(size, _PIECE))
            if not content:
                raise FaultError(f"it ends after {self.read:,} bytes, within a member", _DAMAGED)
            size -= len(content)
            yield content


def _spool(content: _Content, targets: dict[str, Path]) -> None:
    found: set[str] = set()
    for header in _headers(content):
        folder, _, name = header.name.rpartition("/")
        if name not in targets or header.isdir():
            _skip(content, header)
            continue
        if header.type not in _REGULAR:
            raise FaultError(f"its member {shown(header.name)} is a link or a device, not a file", _HOSTILE)
        if folder.startswith("/") or header.name.startswith("/") or ".." in folder.split("/"):
            raise FaultError(f"its member {shown(header.name)} leads out of the archive", _HOSTILE)
        if name in found:
            raise FaultError(f"it has {name} more than once, the second as {shown(header.name)}", _HOSTILE)
        found.add(name)
        _copy(content, header.size, targets[name])
        _pass(content, -header.size % _BLOCK)
    while content.piece(_PIECE):  # to the end, where gzip's checksum stands
        pass
    if missing := targets.keys() - found:
        raise FaultError(f"it has no {_listed(missing)}", "check which archive this is")


def _headers(content: _Content) -> Iterator[tarfile.TarInfo]:
    """The header of each member; whoever takes one reads past the member's data."""
    for number in range(_MAX_MEMBERS + 1):
        block = content.piece(_BLOCK)
        if block == bytes(_BLOCK):  # marks the end
            return
        if len(block) < _BLOCK and number:
            raise FaultError(f"it ends after {content.read:,} bytes, before the mark of its end", _DAMAGED)
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            if number == 0 and not content.compressed:
                raise stranger(block, "a tar archive") from None
            received = "it is a gzip file of something else" if number == 0 else f"its member {number + 1} is damaged"
            raise FaultError(received, "check which file this is" if number == 0 else _DAMAGED) from None
        if header.size < 0:
            raise FaultError(f"its member {shown(header.name)} claims {header.size:,} bytes", _DAMAGED)
        yield header
    raise FaultError(f"it has more than {_MAX_MEMBERS:,} members", _HOSTILE)


def _skip(content: _Content, header: tarfile.TarInfo) -> None:
    if header.type not in _WITHOUT_DATA:
        _pass(content, header.size + -header.size % _BLOCK)


def _pass(content: _Content, size: int) -> None:
    for _ in content.pieces(size):
        pass


def _copy(content: _Content, size: int, target: Path) -> None:
    try:
        with target.open("wb") as file:
            for piece in content.pieces(size):
                file.write(piece)
    except OSError as error:
        received = f"its members cannot be copied to {target.parent.parent} ({error.strerror or error})"
        raise FaultError(received, "free space there, or choose another directory") from None


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:8]) + (", ..." if len(names) > 8 else "")
