"""kit.data.readers.npy against NumPy for honest files, and on wrong and damaged ones."""

from __future__ import annotations

import base64
import io
import os
import pickle
import pickletools
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.data.images import windows
from kit.data.readers.npy import read_pickled_arrays
from kit.errors import DataError
from tests.data.readers.conftest import CUBE, HEADER, PROTOCOLS, array, failure, on_linux, python, write

# np.save of {"features": float64 (2, 3) in Fortran order, "id": [u"a", u"\xe9"], "name": object ["x", "yz"]}
# by NumPy 1.16 under Python 2.7, without the header.
PYTHON2 = zlib.decompress(
    base64.b64decode(
        "eNpVT8tKxDAUbdKO1jg+v6Juiu5cCDNrAx0Q7lIkaTN0wHbmZlKwouBmfHyVv+LWP3CnlzYqvSG5HM7hnJMnntdNtWrTfGlNWjW3"
        "bqGsVa24sSZf1mtnm9wJZL1K1EXPIpfBBph+ucIwkezE04VrV0ZgBHx2LgPJiB4lMgT2kGXZ5TdN98iJ02/XuPWI2wnEc6NcY80a"
        "45KV/7475Cu5DJ9Lspv/2onO7mJoFzj9CqdBNx/v/Y6mHk/6Pfb4y+PjqdMQ1aoyuDvIHXe5m3JEDfcSYHfA23vcNyTniwIPBuJD"
        "L6aKcOYrHv1VlBGdmP4KsaLIT7pON8rp9AdmxG4E"
    )
)


def load(path: Path) -> dict[str, Any]:
    return np.load(path, allow_pickle=True, encoding="latin1").item()


# --- honest files ---------------------------------------------------------------------------------------

DRAW = np.random.default_rng(0)
HONEST: dict[str, dict[str, Any]] = {
    "competition": {"features": CUBE, "target": DRAW.integers(1, 6, 40).astype(float), "id": np.arange(40)},
    "fortran": {"large": np.asfortranarray(CUBE), "small": np.asfortranarray(CUBE[:2, :3, :4])},
    "other axes": {"large": CUBE.transpose(1, 0, 2), "small": CUBE[:2, :3, :4].copy().transpose(1, 2, 0)},
    "not contiguous": {"large": CUBE[:, ::2, ::-1], "small": CUBE[:3, ::9, 5]},
    "big-endian": {
        "large": CUBE.astype(">f8"),
        "small": np.arange(5, dtype=">i2"),
        "text": np.array(["é"], ">U3"),
    },
    "empty": {
        "none": np.zeros((0, 28, 28)),
        "middle": np.zeros((3, 0, 2), np.uint8, "F"),
        "text": np.zeros(0, "U4"),
    },
    "integers": {f"i{size}": np.arange(-3, 4).astype(f"i{size}") for size in (1, 2, 4, 8)},
    "unsigned": {f"u{size}": np.arange(7).astype(f"u{size}") for size in (1, 2, 4, 8)},
    "floats": {f"f{size}": np.arange(-3, 4).astype(f"f{size}") / 2 for size in (2, 4, 8)},
    "flags": {"few": np.array([True, False]), "many": DRAW.integers(0, 2, 70_000).astype(bool)},
    "text": {"ids": np.array(["a.png", "", "\U0001f600é"]), "bytes": np.array([b"a", b"\xff\x00b"])},
    "large text": {
        "ids": np.array([f"image_{i:07d}.png" for i in range(3000)]),
        "flags": np.ones(70_000, bool),
    },
    "latin-1": {"bytes": np.arange(256, dtype=np.uint8), "large": np.arange(99_999).astype(np.uint8)},
    "0-d": {"rows": np.array([1, 2]), "zero": np.array(2.5), "scalar": np.float32(1.5), "text": np.str_("é")},
    "read-only": {"features": np.frombuffer(bytes(range(200)), np.uint8)},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", HONEST)
def test_equals_numpy(tmp_path: Path, name: str, protocol: int) -> None:
    path = write(tmp_path / "data.npy", HONEST[name], protocol)
    expected, arrays = load(path), read_pickled_arrays(path)
    assert list(arrays) == list(expected)
    for key, value in expected.items():
        assert isinstance(arrays[key], np.ndarray)
        assert arrays[key].dtype.newbyteorder("=") == value.dtype.newbyteorder("=")
        assert arrays[key].dtype.byteorder == HONEST[name][key].dtype.byteorder  # NumPy may swap it
        assert arrays[key].shape == value.shape
        assert not arrays[key].flags.writeable
        np.testing.assert_array_equal(arrays[key], value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        ["a", "bb", "é\U0001f600"],
        [3, -1, 2**63 - 1, -(2**63), -(2**40), 255, 65535],
        [0.5, float("inf"), -0.0],
        [True, False],
        np.array(["x.png", "y.png", "x.png"], object),
        np.array([[5, 6], [7, 8], [9, 10]], object),
        np.asfortranarray(np.array([["a", "b"], ["c", "d"]], object)),
        np.array([], object),
        [],
        "five classes",
        7,
        -0.25,
        True,
    ],
    ids=repr,
)
def test_plain_values_become_arrays(tmp_path: Path, value: Any, protocol: int) -> None:
    path = write(tmp_path / "data.npy", {"features": CUBE[0], "value": value}, protocol)
    found = read_pickled_arrays(path)["value"]
    assert found.dtype.kind in "Uifb"
    assert found.shape == np.shape(value)
    assert found.tolist() == np.asarray(value).tolist()
    assert not found.flags.writeable


def test_np_save_itself(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", HONEST["competition"], allow_pickle=True)
    arrays = read_pickled_arrays(tmp_path / "data.npy")
    assert {name: found.tolist() for name, found in arrays.items()} == {
        name: value.tolist() for name, value in HONEST["competition"].items()
    }


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_header_versions(tmp_path: Path, version: tuple[int, int]) -> None:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of versions that it would not have needed
        np.lib.format.write_array(file, np.array({"rows": CUBE}, object), version=version)
    (tmp_path / "data.npy").write_bytes(file.getvalue())
    np.testing.assert_array_equal(read_pickled_arrays(tmp_path / "data.npy")["rows"], CUBE)


def test_old_and_new_module_names(tmp_path: Path) -> None:
    content = pickle.dumps(np.array({"rows": np.arange(3)}, object), protocol=2)
    assert b"numpy._core.multiarray" in content
    path = write(tmp_path / "old.npy", content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert read_pickled_arrays(path)["rows"].tolist() == [0, 1, 2]


def test_python_2(tmp_path: Path) -> None:
    arrays = read_pickled_arrays(write(tmp_path / "old.npy", PYTHON2))
    assert arrays.keys() == {"features", "id", "name"}
    assert arrays["features"].tolist() == [[-0.5, 0.5, 1.5], [2.5, 3.5, 4.5]]
    assert arrays["id"].tolist() == ["a", "é"]
    assert arrays["name"].tolist() == ["x", "yz"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bytes_as_keys(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "data.npy", {b"data": np.arange(3)}, protocol)
    assert read_pickled_arrays(path)["data"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F", "K"])
def test_large_arrays_stay_in_the_file(tmp_path: Path, protocol: int, order: str) -> None:
    value = {"C": CUBE, "F": np.asfortranarray(CUBE), "K": CUBE.transpose(1, 0, 2)}[order]
    path = write(tmp_path / "data.npy", {"features": value}, protocol)
    found = read_pickled_arrays(path)["features"]
    assert isinstance(found, np.memmap)
    assert found.filename == str(path)
    if order == "C":
        assert path.read_bytes()[found.offset :][: found.nbytes] == CUBE.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1
    # Mapped anew for every window where the rows lie one after another, and right in any case.
    np.testing.assert_array_equal(np.concatenate(list(windows(found, 7))), value)


def test_the_same_array_twice_is_made_once(tmp_path: Path) -> None:
    arrays = read_pickled_arrays(write(tmp_path / "data.npy", {"a": CUBE, "b": CUBE, "c": CUBE[0]}, 2))
    assert arrays["a"] is arrays["b"]
    assert arrays["a"] is not arrays["c"]


@on_linux
def test_large_arrays_take_no_memory(tmp_path: Path) -> None:
    """A sparse file of 8 GB costs less than 50 MB to read."""
    whole = pickle.dumps(np.array({"a": array(b"here", (2**30,))}, object), protocol=3)
    start, end = HEADER + whole[: whole.index(b"C\x04here")], whole[whole.index(b"C\x04here") + 6 :]
    path = tmp_path / "large.npy"
    with path.open("wb") as file:
        file.write(start + b"\x8e" + (2**33).to_bytes(8, "little"))
        file.seek(2**33, os.SEEK_CUR)
        file.write(end)
    code = """
import resource, sys
from pathlib import Path
from kit.data.readers.npy import read_pickled_arrays
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = read_pickled_arrays(Path(sys.argv[1]))["a"]
print(found.shape, found[-1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = python(code, path)
    assert done.returncode == 0, done.stderr
    shape, last, kilobytes = done.stdout.rsplit(maxsplit=2)
    assert (shape, last) == ("(1073741824,)", "0.0")
    assert int(kilobytes) < 50_000


# --- the wrong file -------------------------------------------------------------------------------------

WRONG: dict[str, tuple[bytes, str, str]] = {
    "web page": (
        b"\n<!DOCTYPE html><html><body>Log in</body></html>",
        "it is a web page",
        "download it again",
    ),
    "web page with a mark": (b"\xef\xbb\xbf<HTML>", "it is a web page", "download it again"),
    "LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "Git LFS pointer",
        "git lfs pull",
    ),
    "empty": (b"", "it is empty (0 bytes)", "download or copy it again"),
    "archive": (b"PK\x03\x04" + bytes(30), "it is a ZIP archive", "unpack it"),
    "gzip": (b"\x1f\x8b\x08" + bytes(30), "it is a gzip file", "unpack it"),
    "bare pickle": (pickle.dumps({"a": 1}), "it is a bare pickle", "np.save"),
    "text": (b"id,target\n1,2\n", "it starts with b'id,target\\n1,2\\n'", "check which file"),
    "magic only": (b"\x93NUM", "its .npy version", "truncated"),
    "version 9": (b"\x93NUMPY\x09\x00\x76\x00", "its .npy version 0900", "download"),
    "half a header": (HEADER[:60], "its header of 50 bytes (claimed: 118)", "truncated"),
    "short header": (HEADER[:8] + b"\xff\x00" + HEADER[10:], "its header of 118 bytes (claimed: 255)", "truncated"),
    "no pickle": (HEADER, "it ends after 128 bytes", "truncated"),
    "header of 4 GB": (
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        "claims 4,294,967,295 bytes, the limit is 10,000",
        "download",
    ),
    "header of code": (HEADER.replace(b"'|O',", b"f(1),"), "its header of 118 bytes", "download"),
    "header of digits": (b"\x93NUMPY\x01\x00\x00\x20" + b"9" * 8192, "its header of 8,192 bytes", "download"),
    "newlines": (b"a\n\nb\x1b[31m", r"b'a\n\nb\x1b[31m'", "check which file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file(tmp_path: Path, name: str) -> None:
    content, received, fix = WRONG[name]
    path = tmp_path / "train.npy"
    path.write_bytes(content)
    message = failure(path)
    assert received in message
    assert fix in message
    assert "expected a pickled dict of arrays, as np.save(path, " in message


def test_hostile_header_is_quick(tmp_path: Path) -> None:
    """Nested repeats in the header's pattern would take years here."""
    shape = b"1" * 18 + b"L" + b"1, " * 2000
    text = b"{'descr': '|O', 'fortran_order': False, 'shape': (" + shape + b"x), }"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    assert "its header" in failure(tmp_path / "a.npy")


def test_numeric_array(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.zeros((3, 2), np.float32))
    message = failure(tmp_path / "plain.npy")
    assert "it is an array of dtype '<f4' and shape (3, 2)" in message
    assert "in one dict" in message


def test_structured_array(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.zeros(3, [("a", "f8"), ("b", "i4")]))
    assert "it is an array of dtype" in failure(tmp_path / "plain.npy")


def test_missing_file(tmp_path: Path) -> None:
    assert "there is no such file" in failure(tmp_path / "nothing.npy")
    assert "check the path, or download" in failure(tmp_path / "nothing.npy")


@on_linux
def test_directory_and_pipe(tmp_path: Path) -> None:
    assert "it is a directory" in failure(tmp_path)
    os.mkfifo(tmp_path / "pipe.npy")  # opening it would wait for ever
    assert "it is not a regular file" in failure(tmp_path / "pipe.npy")


def test_name_that_cannot_be(tmp_path: Path) -> None:
    assert "it cannot be read" in failure(tmp_path / ("long" * 100))
    (tmp_path / "file").touch()
    assert "it cannot be read (Not a directory)" in failure(tmp_path / "file" / "a.npy")


@on_linux
def test_no_permission(tmp_path: Path) -> None:
    path = write(tmp_path / "data.npy", HONEST["flags"])
    path.chmod(0)
    code = """
import os, sys
from pathlib import Path
from kit.data.readers.npy import read_pickled_arrays
if os.getuid() == 0:
    os.setuid(65534)
read_pickled_arrays(Path(sys.argv[1]))
"""
    done = python(code, path)
    assert f"DataError: {path}: you have no permission to read it" in done.stderr
    assert "chmod" in done.stderr


# --- damage -------------------------------------------------------------------------------------------------

MANY = {
    "features": CUBE[:1, :2, :3],
    "id": np.array(["a", "b"]),
    "old": np.array(["x", "y"], object),
    "n": [1, 2],
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_truncated(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "data.npy", MANY, protocol)
    content = path.read_bytes()
    ends = {len(HEADER) + position for *_, position in pickletools.genops(content[len(HEADER) :])}
    ends |= set(np.random.default_rng(protocol).integers(0, len(content), 60).tolist())
    for end in sorted(ends):
        path.write_bytes(content[:end])
        assert "download or copy" in failure(path)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_truncated_large(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path / "data.npy", {"features": CUBE}, protocol)
    content = path.read_bytes()
    for end in (len(content) - 1, len(content) - 100, len(content) // 2, 1000):
        path.write_bytes(content[:end])
        assert "it claims 250,880 bytes at byte" in failure(path) or end > 251_000


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage") / "data.npy"


@settings(max_examples=600, deadline=None)
@given(data=st.data(), protocol=st.sampled_from(PROTOCOLS))
def test_damaged_files_give_arrays_or_a_data_error(scratch: Path, data: st.DataObject, protocol: int) -> None:
    content = bytearray(write(scratch, MANY, protocol).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        removed = data.draw(st.integers(0, 3))
        content[start : start + removed] = data.draw(st.binary(max_size=3))
    scratch.write_bytes(content)
    try:
        arrays = read_pickled_arrays(scratch)
    except DataError as error:
        assert str(error).startswith(f"{scratch}: ")
        return
    assert arrays
    for name, found in arrays.items():
        assert isinstance(name, str)
        assert isinstance(found, np.ndarray)
        assert found.dtype.kind in "biufSU"
        assert len(found.tobytes()) == found.nbytes <= 8 * len(content)
        found.tolist()
