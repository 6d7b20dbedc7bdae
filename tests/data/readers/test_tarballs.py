"""kit.data.readers.tarballs: known members and nothing else, whatever an archive says."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kit.data.readers.cifar import read_batch
from kit.data.readers.tarballs import spool_members, spooled_members
from kit.errors import DataError

WANTED = ("data_batch_1", "test.bin")
ONE, TWO = b"first" * 1000, bytes(512)


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


HONEST = (member("cifar/data_batch_1", ONE), member("cifar/readme.html", b"hi"), member("cifar/test.bin", TWO))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def failure(path: Path, scratch: Path, limit: int = 2**20) -> str:
    with pytest.raises(DataError) as caught:
        spool_members(path, WANTED, scratch, limit)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "expected a .tar or .tar.gz archive with data_batch_1, test.bin" in message
    assert "\n" not in message
    assert message.count("; ") >= 2, "received; expected; fix"
    return message


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_members_by_their_base_names(tmp_path: Path, scratch: Path, compress: type, form: int) -> None:
    others = (
        member("cifar", type=tarfile.DIRTYPE),
        member("cifar/" + "long" * 60, b"x" * 700),
        member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("../outside", b"skipped"),
        member("/dev/tape", type=tarfile.CHRTYPE),
        member("data_batch_1.txt", b"another name", mtime=1.5),
    )
    path = tmp_path / "data.tar.gz"
    path.write_bytes(compress(tar(*others[: 6 if form != tarfile.USTAR_FORMAT else 1], *HONEST, form=form)))
    found = spool_members(path, WANTED, scratch)
    assert {name: file.read_bytes() for name, file in found.items()} == {"data_batch_1": ONE, "test.bin": TWO}
    assert sorted(file.name for file in scratch.iterdir()) == ["0", "1.bin"]  # never the archive's names


def test_errors_about_members_name_the_archive(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "data.tar"
    path.write_bytes(tar(*HONEST))
    with (
        pytest.raises(DataError, match=f"^{path}: data_batch_1: it starts with b'firstfirst"),
        spooled_members(path, WANTED, scratch) as members,
    ):
        read_batch(members["data_batch_1"])
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("members", "received"),
    [
        ((member("a/data_batch_1", type=tarfile.SYMTYPE, linkname="/etc/passwd"),), "is a link or a device"),
        ((member("data_batch_1", type=tarfile.LNKTYPE, linkname="x"),), "is a link or a device"),
        ((member("data_batch_1", type=tarfile.FIFOTYPE),), "is a link or a device"),
        ((member("data_batch_1", type=tarfile.GNUTYPE_SPARSE),), "is a link or a device"),
        ((member("../data_batch_1", ONE),), "'../data_batch_1' leads out of the archive"),
        ((member("/tmp/data_batch_1", ONE),), "'/tmp/data_batch_1' leads out of the archive"),
        ((member("/data_batch_1", ONE),), "leads out of the archive"),
        ((member("a/../../data_batch_1", ONE),), "leads out of the archive"),
        ((*HONEST, member("again/data_batch_1", ONE)), "it has data_batch_1 more than once"),
        (HONEST[:2], "it has no test.bin"),
        ((), "it has no data_batch_1, test.bin"),
        ([member(str(number)) for number in range(10_001)], "it has more than 10,000 members"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_members(tmp_path: Path, scratch: Path, members: Any, received: str) -> None:
    path = tmp_path / "data.tar.gz"
    path.write_bytes(gzip.compress(tar(*members)))
    assert received in failure(path, scratch, 2**24)
    assert {file.name for file in scratch.iterdir()} <= {"0", "1.bin"}


# Without the time in its header: the bytes name the tests, and must be the same in every worker of pytest-xdist.
gzipped = functools.partial(gzip.compress, mtime=0)


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"", "it is empty (0 bytes)"),
        (b"<!DOCTYPE html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"),
        (b"PK\x03\x04" + bytes(600), "it is a ZIP archive, not a tar archive"),
        (bytes(10_240), "it has no data_batch_1, test.bin"),
        (b"x" * 2000, "not as a tar archive"),
        (gzipped(b"x" * 2000), "it is a gzip file of something else"),
        (gzipped(b""), "it is a gzip file of something else"),
        (tar(*HONEST)[:3000], "it ends after 3,000 bytes, within a member"),
        (tar(*HONEST)[: 512 * 11], "it ends after 5,632 bytes, before the mark of its end"),
        (gzipped(tar(*HONEST))[:-4], "it cannot be decompressed"),
        (gzipped(tar(*HONEST))[:60], "it cannot be decompressed after"),
        (gzipped(tar(*HONEST))[:-8] + bytes(8), "(CRC check failed"),
        (gzipped(tar(*HONEST)) + b"rest", "(Not a gzipped file"),
    ],
)
def test_wrong_and_damaged_archives(tmp_path: Path, scratch: Path, content: bytes, received: str) -> None:
    path = tmp_path / "data.tar.gz"
    path.write_bytes(content)
    assert received in failure(path, scratch)


def test_damaged_header(tmp_path: Path, scratch: Path) -> None:
    content = bytearray(tar(*HONEST))
    content[512 * 11] ^= 1  # the second member's name, which its checksum covers
    (tmp_path / "a.tar").write_bytes(content)
    assert "its member 2 is damaged" in failure(tmp_path / "a.tar", scratch)


def test_sizes_that_lie(tmp_path: Path, scratch: Path) -> None:
    for size, received in ((2**40, "it ends after"), (-1, "claims -1 bytes")):
        info = tarfile.TarInfo("data_batch_1")
        info.size = size
        (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        assert received in failure(tmp_path / "a.tar", scratch)


@pytest.mark.parametrize("name", ["data_batch_1", "skipped"])
def test_bombs_stop_at_the_limit(tmp_path: Path, scratch: Path, name: str) -> None:
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(tar(member(name, bytes(5_000_000)), *HONEST)))
    assert "it holds more than 1,000,000 bytes" in failure(path, scratch, limit=1_000_000)
    assert sum(file.stat().st_size for file in scratch.iterdir()) <= 1_000_000


def test_a_bomb_behind_the_end(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(tar(*HONEST) + bytes(5_000_000)))
    assert "it holds more than 1,000,000 bytes" in failure(path, scratch, limit=1_000_000)


def test_no_room_for_the_members(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar(*HONEST))
    with pytest.raises(DataError, match=r"cannot be copied to .* \(No such file or directory\)"):
        spool_members(tmp_path / "a.tar", WANTED, tmp_path / "nowhere")
