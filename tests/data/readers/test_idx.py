"""kit.data.readers.idx: honest files, lying headers, damaged compression."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from kit.data.readers.idx import MAX_BYTES, read_idx
from kit.errors import DataError
from tests.data.readers.conftest import on_linux, python

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 28, 28)).astype(np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 10


def idx(values: np.ndarray, *claimed: int) -> bytes:
    shape = claimed or values.shape
    return struct.pack(f">{1 + len(shape)}I", 0x800 | len(shape), *shape) + values.tobytes()


def failure(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.count("; ") >= 2, "received; expected; fix"
    return message


@pytest.mark.parametrize("values", [IMAGES, LABELS], ids=["images", "labels"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_honest_files(tmp_path: Path, values: np.ndarray, compress: type) -> None:
    (tmp_path / "train-ubyte").write_bytes(compress(idx(values)))
    found = read_idx(tmp_path / "train-ubyte")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, values)


WRONG = {
    "empty": (b"", "it is empty (0 bytes)"),
    "web page": (b"<!doctype html>", "it is a web page"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"),
    "float idx": (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "not as an idx file of bytes"),
    "half a header": (idx(IMAGES)[:10], "it ends within its header"),
    "one byte": (b"\0", "not as an idx file"),
    "truncated": (idx(IMAGES)[:-1], "claims the shape (30, 28, 28), and 23,519 bytes follow"),
    "more follows": (idx(LABELS) + b"x", "claims the shape (30,), and 31 bytes follow"),
    "too much": (idx(IMAGES, 2**32 - 1, 2**32 - 1, 2**32 - 1), f"the limit is {MAX_BYTES:,} bytes"),
    "no rows": (idx(IMAGES[:0]), "claims the shape (0, 28, 28)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file(tmp_path: Path, name: str) -> None:
    content, received = WRONG[name]
    (tmp_path / "a").write_bytes(content)
    assert received in failure(tmp_path / "a")


def test_wrong_compressed_files(tmp_path: Path) -> None:
    whole = gzip.compress(idx(IMAGES))
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # in the checksum
    for content, received in {
        whole[: len(whole) // 2]: "it cannot be decompressed",
        whole[:-4]: "it cannot be decompressed",
        bytes(flipped): "it cannot be decompressed (CRC check failed",
        whole[:5000] + bytes(20) + whole[5020:]: "it cannot be decompressed",
        gzip.compress(b""): "it starts with b'', not as an idx file",
        gzip.compress(idx(IMAGES) + b"x"): "and more bytes follow",
        gzip.compress(idx(IMAGES)[:-5]): "and 23,515 bytes follow",
    }.items():
        (tmp_path / "a.gz").write_bytes(content)
        assert received in failure(tmp_path / "a.gz")


@on_linux
def test_what_is_claimed_is_not_allocated(tmp_path: Path) -> None:
    """A header that claims 1 GB over a few bytes, and 100 MB of zeros behind a small claim."""
    (tmp_path / "lie.gz").write_bytes(gzip.compress(idx(IMAGES, 2**10, 2**10, 2**10)))
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(idx(LABELS) + bytes(100_000_000), 1))
    code = """
import resource, sys
from pathlib import Path
from kit.data.readers.idx import read_idx
from kit.errors import DataError
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 30 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
    try:
        read_idx(Path(path))
    except DataError as error:
        print(error)
"""
    done = python(code, tmp_path / "lie.gz", tmp_path / "bomb.gz")
    assert done.returncode == 0, done.stderr
    lie, bomb = done.stdout.splitlines()
    assert "claims the shape (1024, 1024, 1024), and 23,520 bytes follow" in lie
    assert "claims the shape (30,), and more bytes follow" in bomb
