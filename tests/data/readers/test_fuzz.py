"""Damaged files of every format: the right kind of arrays or a DataError, in bounded time and memory."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.data.readers.cifar import CIFAR10, CIFAR100, read_batch, write_batches
from kit.data.readers.idx import read_idx
from kit.data.readers.npy import read_pickled_arrays
from kit.data.readers.tables import read_table, write_pixel_table
from kit.data.readers.tarballs import spooled_members
from kit.errors import DataError
from tests.data.readers.conftest import HEADER, PROTOCOLS, on_linux, python

MEMORY = 400  # MB beside the modules, for any file that started out as one of FORMATS

# --- valid files, and what reading one must give -----------------------------------------------------------

DRAW = np.random.default_rng(0)
DATA = DRAW.integers(0, 256, (3, 3072)).astype(np.uint8)
BATCH = {b"data": DATA, b"labels": [3, 0, 9], b"filenames": [b"a", b"b", b"c"], b"batch_label": b"1"}
FINE = {"data": DATA, "fine_labels": [99, 0, 1], "coarse_labels": [19, 0, 1], "filenames": ["a", "b", "c"]}


def _tar_gz() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name in ("cifar/readme", "cifar/data_batch_1", "cifar/" + "x" * 150):
            info, content = tarfile.TarInfo(name), pickle.dumps(BATCH, 2) if "data" in name else b"text"
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _npy(path: Path) -> None:
    for found in read_pickled_arrays(path).values():
        assert found.dtype.kind in "biufSU"
        found.tolist()


def _batch(path: Path, columns: Sequence[str] = CIFAR10) -> None:
    found = read_batch(path, columns)
    pixels = np.concatenate([images.copy() for images in found.images()])
    assert (pixels.dtype, pixels.shape[1:]) == (np.uint8, (32, 32, 3))
    for name, classes in zip(columns, (10,) if columns == CIFAR10 else (20, 100), strict=True):
        assert found.labels[name].shape == (len(pixels),)
        assert found.labels[name].min() >= 0
        assert found.labels[name].max() < classes
    assert found.filenames is None or found.filenames.shape == (len(pixels),)


def _tar(path: Path) -> None:
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as scratch,
        spooled_members(path, ["data_batch_1"], path.parent) as members,
    ):
        write_batches([members["data_batch_1"]], Path(scratch))
        assert np.load(Path(scratch) / "pixels.npy").shape[1:] == (32, 32, 3)


def _idx(path: Path) -> None:
    found = read_idx(path)
    assert (found.dtype, found.ndim in (1, 3)) == (np.uint8, True)


def _pixels(path: Path) -> None:
    found = write_pixel_table(path, path.with_suffix(".npy"))
    assert np.load(path.with_suffix(".npy")).shape == found.shape
    for column in (found.labels, found.ids):
        assert column is None or column.shape == found.shape[:1]


def _table(path: Path) -> None:
    (rows,) = {column.shape for column in read_table(path).values()}
    assert rows[0] > 0


FORMATS: dict[str, tuple[str, bytes, Callable[[Path], None]]] = {
    f"cifar-10 under protocol {protocol}": ("data_batch_1", pickle.dumps(BATCH, protocol), _batch)
    for protocol in PROTOCOLS
}
FORMATS |= {
    "cifar-100": ("train", pickle.dumps(FINE, 2), lambda path: _batch(path, CIFAR100)),
    "cifar-10 binary": ("data_batch_1.bin", np.column_stack([[3, 0, 9], DATA]).astype(np.uint8).tobytes(), _batch),
    "npy": ("train.npy", HEADER + pickle.dumps(np.array({"features": DATA, "id": [1, 2]}, object), 4), _npy),
    "tar.gz": ("cifar.tar.gz", _tar_gz(), _tar),
    "tar": ("cifar.tar", gzip.decompress(_tar_gz()), _tar),
    "idx": ("idx3", struct.pack(">4I", 0x803, 3, 64, 48) + DATA.tobytes(), _idx),
    "idx.gz": ("idx1.gz", gzip.compress(struct.pack(">2I", 0x801, 3072) + DATA[0].tobytes()), _idx),
    "pixels": ("train.csv", b"label,pixel0,pixel1,pixel2,pixel3\n7,0,255,3,1\n1,2,3,4,5\n", _pixels),
    "labels": ("labels.csv", b'id,label\n003,cat\n"a, b",NA\n1.0,\n', _table),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_files_are_right_before_they_are_damaged(tmp_path: Path, name: str) -> None:
    file, content, read = FORMATS[name]
    (tmp_path / file).write_bytes(content)
    read(tmp_path / file)


# --- damage -------------------------------------------------------------------------------------------------

Edit = tuple[str, int, int, bytes]
"""Kind, position, another position or number, bytes."""

NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
KINDS = ("flip", "cut", "insert", "drop", "copy", "little", "big", "repeat")
EDITS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2**16), st.integers(0, 2**16), st.binary(max_size=6)),
    min_size=1,
    max_size=5,
)


def damaged(content: bytes, edits: Sequence[Edit]) -> bytes:
    """A valid file after some edits; most positions are at the start, where headers and pickle operations are."""
    new = bytearray(content)
    for kind, at, other, inserted in edits:
        at, other = at % (len(new) + 1), other % (len(new) + 1)
        at = at % 64 if inserted[:1] < b"\x80" else at
        if kind == "flip":
            new[at : at + 1] = bytes(byte ^ (1 << other % 8) for byte in new[at : at + 1])
        elif kind == "cut":
            del new[at:]
        elif kind == "insert":
            new[at:at] = inserted
        elif kind == "drop":
            del new[at : at + other % 16]
        elif kind == "copy":
            new[at:at] = new[other : other + 64]
        elif kind == "repeat":
            new[at:at] = inserted * (other % 2000)
        else:  # a length field that lies
            width = (1, 2, 4, 8)[other % 4]
            number = NUMBERS[other // 4 % len(NUMBERS)] % 256**width
            new[at : at + width] = number.to_bytes(width, "little" if kind == "little" else "big")
    return bytes(new)


def read_damaged(name: str, edits: Sequence[Edit], directory: Path, repack: bool = False) -> None:
    """Read a damaged file of a format; anything but its arrays or a DataError about it is an error."""
    file, content, read = FORMATS[name]
    if repack and content.startswith(b"\x1f\x8b"):  # damage below an intact compression
        content = gzip.compress(damaged(gzip.decompress(content), edits), 1)
    else:
        content = damaged(content, edits)
    path = directory / file
    path.write_bytes(content)
    try:
        read(path)
    except DataError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        assert len(str(error)) < len(str(path)) + 600


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage")


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=120, deadline=5000)
@given(edits=EDITS, repack=st.booleans())
@example(edits=[("cut", 0, 0, b"")], repack=True)
def test_damaged_files_give_arrays_or_a_data_error(scratch: Path, name: str, edits: list[Edit], repack: bool) -> None:
    read_damaged(name, edits, scratch, repack)


def drawn_edits(seed: int) -> list[Edit]:
    """The same kind of damage without hypothesis, for other processes."""
    draw = np.random.default_rng(seed)
    return [
        (str(draw.choice(KINDS)), *draw.integers(0, 2**16, 2).tolist(), draw.bytes(draw.integers(0, 7)))
        for _ in range(draw.integers(1, 6))
    ]


@on_linux
def test_damaged_files_take_bounded_memory(tmp_path: Path) -> None:
    """Under a limit on all memory, in a process that would not survive a crash of NumPy either."""
    code = """
import resource, sys
from pathlib import Path
from tests.data.readers.test_fuzz import FORMATS, MEMORY, drawn_edits, read_damaged
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + MEMORY * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for name in FORMATS:
    for seed in range(60):
        read_damaged(name, drawn_edits(seed), Path(sys.argv[1]), repack=seed % 2 == 0)
print("done")
"""
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "done\n"


# --- guided by coverage: run by the slow tests ----------------------------------------------------------------


def write_corpus(directory: Path) -> None:
    """A valid file of every format to start from, each after a byte that chooses the format."""
    for number, (_, content, _) in enumerate(FORMATS.values()):
        (directory / str(number)).write_bytes(bytes([number]) + content)


def read_chosen(data: bytes, directory: Path) -> None:
    """Read what follows the byte that chooses the format."""
    file, _, read = FORMATS[list(FORMATS)[data[0] % len(FORMATS) if data else 0]]
    (directory / file).write_bytes(data[1:])
    try:
        read(directory / file)
    except DataError as error:
        assert "\n" not in str(error)
