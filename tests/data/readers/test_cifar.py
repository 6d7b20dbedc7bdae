"""kit.data.readers.cifar: batches as Python 2 wrote them, as others wrote them again, and wrong ones."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kit.data.readers.cifar import CIFAR10, CIFAR100, Batch, read_batch, write_batches
from kit.errors import DataError
from tests.data.readers.conftest import PROTOCOLS, Reduced, array, dtype, on_linux, python
from tests.data.readers.test_pickled_arrays import HIDDEN_OBJECT

ROWS = 300  # more than one window
DRAW = np.random.default_rng(0)
DATA = DRAW.integers(0, 256, (ROWS, 3072)).astype(np.uint8)
PIXELS = DATA.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
LABELS = DRAW.integers(0, 10, ROWS)
NAMES = [f"image_{row}_\xe9.png" for row in range(ROWS)]


def pixels(found: Batch) -> np.ndarray:
    return np.concatenate([images.copy() for images in found.images()])


def content(form: type = str, **changes: Any) -> dict[Any, Any]:
    """What a batch of CIFAR-10 holds, its texts and keys as ``form``; None takes an entry away."""
    entries = {"batch_label": "batch 1 of 5", "labels": LABELS.tolist(), "data": DATA, "filenames": NAMES, **changes}
    entries = {name: value for name, value in entries.items() if value is not None}
    if form is str:
        return entries
    encoded = {name.encode(): value for name, value in entries.items()}
    return encoded | {b"filenames": [name.encode("latin-1") for name in NAMES], b"batch_label": b"batch 1 of 5"}


def batch(path: Path, entries: Any, protocol: int = 2) -> Path:
    path.write_bytes(entries if isinstance(entries, bytes) else pickle.dumps(entries, protocol))
    return path


def python2(rows: int) -> bytes:
    """A batch by hand, as Python 2 writes it under protocol 2: all texts are BINSTRING or SHORT_BINSTRING."""

    def text(value: bytes) -> bytes:
        short = len(value) < 256
        return (b"U" + bytes([len(value)]) if short else b"T" + len(value).to_bytes(4, "little")) + value

    kind = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|")
    kind += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    data += b"(K\x01K" + bytes([rows]) + b"M\x00\x0c\x86" + kind + b"\x89" + text(DATA[:rows].tobytes()) + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in LABELS[:rows].tolist()) + b"e"
    names = b"](" + b"".join(text(name.encode("latin-1")) for name in NAMES[:rows]) + b"e"
    entries = {b"batch_label": text(b"batch 1"), b"labels": labels, b"data": data, b"filenames": names}
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in entries.items()) + b"u."


def failure(path: Path, columns: tuple[str, ...] = CIFAR10) -> str:
    with pytest.raises(DataError) as caught:
        read_batch(path, columns)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.count("; ") >= 2, "received; expected; fix"
    return message


# --- honest files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", [str, bytes])
def test_python_version(tmp_path: Path, form: type, protocol: int) -> None:
    found = read_batch(batch(tmp_path / "data_batch_1", content(form), protocol))
    np.testing.assert_array_equal(found.rows, DATA)
    np.testing.assert_array_equal(pixels(found), PIXELS)
    assert (found.labels["labels"].dtype, found.labels["labels"].tolist()) == (np.int64, LABELS.tolist())
    assert found.filenames is not None
    assert found.filenames.tolist() == NAMES


def test_as_python_2_wrote_it(tmp_path: Path) -> None:
    path = batch(tmp_path / "data_batch_1", python2(100))
    expected = pickle.loads(path.read_bytes(), encoding="latin1")
    assert expected["data"].tobytes() == DATA[:100].tobytes()
    found = read_batch(path)
    np.testing.assert_array_equal(pixels(found), PIXELS[:100])
    assert found.labels["labels"].tolist() == expected["labels"]
    assert found.filenames is not None
    assert found.filenames.tolist() == expected["filenames"]


def test_one_image_and_no_filenames(tmp_path: Path) -> None:
    found = read_batch(batch(tmp_path / "a", {"data": DATA[:1], "labels": [9]}))
    assert (pixels(found).shape, found.filenames) == ((1, 32, 32, 3), None)


def test_cifar100(tmp_path: Path) -> None:
    entries = content(labels=None, fine_labels=(LABELS * 11).tolist(), coarse_labels=(LABELS * 2).tolist())
    found = read_batch(batch(tmp_path / "train", entries), CIFAR100)
    assert {name: values.max() for name, values in found.labels.items()} == {"fine_labels": 99, "coarse_labels": 18}


def test_binary_version(tmp_path: Path) -> None:
    one = np.column_stack([LABELS, DATA]).astype(np.uint8)
    two = np.column_stack([LABELS * 2, LABELS * 11, DATA]).astype(np.uint8)
    (tmp_path / "data_batch_1.bin").write_bytes(one.tobytes())
    (tmp_path / "train.bin").write_bytes(two.tobytes())
    found = read_batch(tmp_path / "data_batch_1.bin")
    np.testing.assert_array_equal(pixels(found), PIXELS)
    assert found.labels["labels"].tolist() == LABELS.tolist()
    found = read_batch(tmp_path / "train.bin", CIFAR100)
    np.testing.assert_array_equal(pixels(found), PIXELS)
    assert found.labels["coarse_labels"].tolist() == (LABELS * 2).tolist()
    assert found.labels["fine_labels"].tolist() == (LABELS * 11).tolist()


def test_batches_become_one_array(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    record = np.column_stack([LABELS[:7], DATA[:7]]).astype(np.uint8)
    (tmp_path / "3.bin").write_bytes(record.tobytes())
    paths = [batch(tmp_path / "1", content()), batch(tmp_path / "2", content(bytes), 4)]
    assert write_batches(paths, tmp_path / "out") == [ROWS, ROWS]
    arrays = {path.stem: np.load(path) for path in (tmp_path / "out").iterdir()}
    assert arrays.keys() == {"pixels", "labels", "filenames"}
    np.testing.assert_array_equal(arrays["pixels"], np.concatenate([PIXELS, PIXELS]))
    assert arrays["labels"].tolist() == LABELS.tolist() * 2
    assert arrays["filenames"].tolist() == NAMES * 2
    (tmp_path / "more").mkdir()
    assert write_batches([*paths, tmp_path / "3.bin"], tmp_path / "more") == [ROWS, ROWS, 7]
    assert {path.name for path in (tmp_path / "more").iterdir()} == {"pixels.npy", "labels.npy"}
    assert np.load(tmp_path / "more" / "pixels.npy").shape == (2 * ROWS + 7, 32, 32, 3)


# --- wrong files --------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[Any, str]] = {
    "empty": (b"", "it is empty (0 bytes)"),
    "web page": (b"<!DOCTYPE html><html>", "it is a web page"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"),
    "archive": (b"\x1f\x8b\x08" + bytes(40), "it is a gzip file, not a CIFAR batch"),
    "text": (b"hello", "it starts with b'hello', not as a CIFAR batch"),
    "a list": ([DATA], "its pickle is not of a dict"),
    "no data": (content(data=None), "it has no data, it holds ['batch_label', 'labels', 'filenames']"),
    "no labels": (content(labels=None), "it has no labels, it holds"),
    "cifar-100": (content(labels=None, fine_labels=LABELS.tolist()), "it has no labels, it holds"),
    "floats": (content(data=DATA / 255), "its data is float64 of shape (300, 3072)"),
    "grey": (content(data=DATA[:, :1024]), "its data is uint8 of shape (300, 1024)"),
    "images": (content(data=DATA.reshape(-1, 32, 32, 3)), "its data is uint8 of shape (300, 32, 32, 3)"),
    "no rows": (content(data=DATA[:0]), "its data is uint8 of shape (0, 3072)"),
    "one label too few": (content(labels=[1] * 299), "its labels are int64 of shape (299,) for 300 images"),
    "text labels": (content(labels=["cat"] * 300), "its labels are <U3 of shape (300,) for 300 images"),
    "label 10": (content(labels=[1] * 299 + [10]), "its labels hold 10 in row 299, expected 0..9"),
    "label -1": (content(labels=[-1] * 300), "its labels hold -1 in row 0"),
    "one name": (content(filenames=["a"]), "its filenames are <U1 of shape (1,) for 300 images"),
    "mixed names": (content(filenames=["a", 3] * 150), "its entry 'filenames' holds int and str"),
    "code": (content(filenames=Reduced(os.system, ("true",))), "asks for 'posix.system', which is code"),
    "hidden object": (content(data=array(bytes(8), (1,), HIDDEN_OBJECT)), "a dtype that is neither"),
    "object flag": (content(data=array(bytes(8), (1,), dtype("f8", flags=63))), "has the dtype 'f8'"),
    "too few bytes": (content(data=array(bytes(3072), (2, 3072), dtype("u1", "|"))), "takes 6144 bytes, and has 3,072"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file(tmp_path: Path, name: str) -> None:
    entries, received = WRONG[name]
    assert received in failure(batch(tmp_path / "data_batch_1", entries))


def test_missing_file(tmp_path: Path) -> None:
    assert "there is no such file" in failure(tmp_path / "data_batch_1")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_truncated(tmp_path: Path, protocol: int) -> None:
    path = batch(tmp_path / "data_batch_1", content(), protocol)
    whole = path.read_bytes()
    for end in [*DRAW.integers(1, len(whole), 20).tolist(), len(whole) - 1]:
        path.write_bytes(whole[:end])
        assert "download or copy" in failure(path)


def test_large_text_that_is_no_utf8(tmp_path: Path) -> None:
    whole = pickle.dumps(content(), 2)
    at = whole.index(DATA[100, :16].tobytes().decode("latin-1").encode())
    for wrong in (b"\xff", "\u20ac".encode()):
        path = batch(tmp_path / "a", whole[:at] + wrong + whole[at + len(wrong) :])
        assert "its entry 'data' has text for its bytes that cannot be encoded" in failure(path)


def test_large_texts_in_a_list(tmp_path: Path) -> None:
    """Not what a batch holds, but what stays in the file and is looked at only when it is needed."""
    names = ["x" * 70_000, "caf\xe9"]
    found = read_batch(batch(tmp_path / "a", {"data": DATA[:2], "labels": [1, 2], "filenames": names}))
    assert found.filenames is not None
    assert found.filenames.tolist() == names


def test_wrong_binary_files(tmp_path: Path) -> None:
    path = tmp_path / "data_batch_1.bin"
    records = np.column_stack([LABELS, DATA]).astype(np.uint8)
    for whole, received in {
        records.tobytes()[:-1]: "its 921,899 bytes are no whole number of records",
        b"\x01": "its 1 bytes are no whole number",
        b"": "it is empty",
        b"<html>" + bytes(3067): "it is a web page",
        pickle.dumps(content()): "it is a bare pickle, not a CIFAR batch",
        records[:2].tobytes() + b"\x0a" + records[2].tobytes()[1:]: "its labels hold 10 in row 2, expected 0..9",
    }.items():
        path.write_bytes(whole)
        assert received in failure(path)


# --- attacks, in a process of its own -----------------------------------------------------------------------


@on_linux
def test_nothing_of_a_batch_is_run(tmp_path: Path) -> None:
    def call(name: str) -> Reduced:
        return Reduced(os.system, (f"touch {tmp_path / name}.ran",))

    contents: dict[str, Any] = {
        f"protocol{each}": (content(batch_label=call(f"protocol{each}")), each) for each in PROTOCOLS
    }
    contents |= {
        "names": (content(filenames=[call("names")]), 2),
        "label": (content(labels=[1, call("label")]), 2),
        "key": ({call("key"): 1}, 2),
        "dtype": (content(data=array(bytes(8), (1,), Reduced(np.dtype, ("u1", False, True), (3, call("dtype"))))), 2),
    }
    paths = [batch(tmp_path / name, *parts) for name, parts in contents.items()]
    crashes = [batch(tmp_path / f"crash{i}", WRONG[name][0]) for i, name in enumerate(("hidden object", "object flag"))]
    code = """
import sys
import numpy as np
from pathlib import Path
from kit.data.readers.cifar import read_batch
from kit.errors import DataError
for path in sys.argv[1:]:
    try:
        print(repr(np.concatenate([each.copy() for each in read_batch(Path(path)).images()])))
    except DataError as error:
        print("refused", error)
"""
    done = python(code, *paths, *crashes)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["refused"] * len([*paths, *crashes])
    assert not list(tmp_path.glob("*.ran"))
    library = """
import contextlib, pickle, sys
from pathlib import Path
for path in sys.argv[1:]:
    with contextlib.suppress(Exception):
        pickle.loads(Path(path).read_bytes())
"""
    python(library, *paths)  # the attacks are real: it falls for each of them
    assert {path.stem for path in tmp_path.glob("*.ran")} == contents.keys()
