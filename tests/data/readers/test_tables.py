"""kit.data.readers.tables: text stays as it is, pixels are checked one by one, and every fault has its line."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.data.readers import tables
from kit.data.readers.tables import MAX_TABLE_BYTES, PixelTable, read_table, write_pixel_table
from kit.errors import DataError
from tests.data.readers.conftest import on_linux, python


def fault(path: Path, call: object) -> str:
    with pytest.raises(DataError) as caught:
        call()  # type: ignore[operator]
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message.count("; ") >= 2, "received; expected; fix"
    return message


def lists(columns: dict[str, np.ndarray]) -> dict[str, list[str]]:
    assert all(values.dtype.kind == "U" for values in columns.values())
    return {name: values.tolist() for name, values in columns.items()}


# --- small tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,label\n003,NA\n1.0,\n", {"id": ["003", "1.0"], "label": ["NA", ""]}),
        ("\ufeffid,label\r\n1,caf\xe9\r\n", {"id": ["1"], "label": ["caf\xe9"]}),
        ('id,text\n1,"a, ""b""\nc"\n\n2,d', {"id": ["1", "2"], "text": ['a, "b"\nc', "d"]}),
        ("file\na.png\n\nb.png\n", {"file": ["a.png", "b.png"]}),
        ("\n id , label\n1, x", {"id": ["1"], "label": [" x"]}),
        (",id\n0,a\n", {"": ["0"], "id": ["a"]}),
        ("id,a;b\r1,2;3\r", {"id": ["1"], "a;b": ["2;3"]}),
    ],
)
def test_everything_is_text(tmp_path: Path, content: str, expected: dict[str, list[str]]) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode())
    assert lists(read_table(tmp_path / "a.csv")) == expected
    assert lists(read_table("archive.zip: a.csv", content.encode(), required=[*expected])) == expected


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
ROWS = st.lists(st.tuples(TEXTS.filter(lambda text: text.strip("\r\n")), TEXTS), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_what_was_written_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "label"), *rows])
    found = read_table(path)
    assert list(zip(found["id"].tolist(), found["label"].tolist(), strict=True)) == rows


WRONG_TABLES = {
    "empty": (b"", "it is empty (0 bytes)"),
    "blank": (b"\xef\xbb\xbf\r\n \n", "it is empty (7 bytes)"),
    "web page": (b"\n<!DOCTYPE html><html>", "it is a web page"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "it is a Git LFS pointer"),
    "ZIP": (b"PK\x03\x04", "it is a ZIP archive, not a CSV file"),
    "gzip": (gzip.compress(b"id\n1"), "it is a gzip file, not a CSV file"),
    "npy": (b"\x93NUMPY\x01", "not as a CSV file"),
    "UTF-16": ("id,label\n1,2".encode("utf-16"), "it is in UTF-16"),
    "latin-1": ("id,label\n1,caf\xe9".encode("latin-1"), r"its byte 14, b'\xe9', is not UTF-8 text"),
    "zero byte": (b"id,label\n1,\0", "it has a zero byte at byte 11"),
    "semicolons": (b"id;label\n1;2", "it seems to be separated by ';' (its header: 'id;label')"),
    "tabs": (b"id\tlabel\n1\t2", r"it seems to be separated by '\t'"),
    "repeated": (b"id,label,label\n1,2,3", "its header has 'label' more than once"),
    "no header": (b"0,0,cat\n1,1,dog", "its header has '0' more than once"),
    "missing": (b"id,target\n1,2", "it has no column label, it has 'id, target'"),
    "short row": (b"id,label\n1,2\n3\n", "its line 3 has 1 fields and its header 2"),
    "long row": (b"id,label\n1,2\n\n3,4,5\n", "its line 4 has 3 fields and its header 2"),
    "open quote": (b'id,label\n1,"2\n', "its line 2 cannot be read (unexpected end of data)"),
    "huge field": (b"id,label\n1," + b"x" * 200_000, "cannot be read (field larger than field limit"),
    "no rows": (b"id,label\n", "it has a header and no rows"),
    "long among many": (b"id,label\n" + b"x" * 100_000 + b",2\n" + b"1,2\n" * 1000, "has a text of 100,000 characters"),
    "too many fields": (b"id,label\n" + b"1,2\n" * 2_000_001, "it has more than 4,000,000 fields"),
    "too large": (bytes(MAX_TABLE_BYTES + 1), "it has 33,554,433 bytes, the limit is 33,554,432"),
}


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_wrong_tables(tmp_path: Path, name: str) -> None:
    content, received = WRONG_TABLES[name]
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    for message in (
        fault(path, lambda: read_table(path, required=("id", "label"))),
        fault(path, lambda: read_table(path, content, required=("id", "label"))),
    ):
        assert received in message
        assert "expected a CSV file with a header and the columns id, label" in message


def test_missing_table(tmp_path: Path) -> None:
    assert "there is no such file" in fault(tmp_path / "a", lambda: read_table(tmp_path / "a"))


# --- tables of pixels ---------------------------------------------------------------------------------------


def write(path: Path, text: str) -> tuple[PixelTable, np.ndarray]:
    path.write_text(text)
    found = write_pixel_table(path, path.with_suffix(".npy"))
    return found, np.load(path.with_suffix(".npy"))


def rows_of(pixels: np.ndarray) -> str:
    return "\n".join(",".join(map(str, row)) for row in pixels.reshape(len(pixels), -1).tolist())


def test_as_the_digit_recognizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_CELLS_AT_A_TIME", 785 * 7)  # several pieces, the last one smaller
    pixels = np.random.default_rng(0).integers(0, 256, (30, 784))
    labels = np.arange(30) % 10
    names = ",".join(f"pixel{number}" for number in range(784))
    found, written = write(tmp_path / "train.csv", f"label,{names}\n" + rows_of(np.column_stack([labels, pixels])))
    assert (found.shape, found.ids) == ((30, 28, 28, 1), None)
    assert found.labels is not None
    assert found.labels.tolist() == [str(label) for label in labels]
    assert (written.dtype, written.shape) == (np.uint8, (30, 28, 28, 1))
    np.testing.assert_array_equal(written.reshape(30, -1), pixels)
    found, written = write(tmp_path / "test.csv", f"{names}\n" + rows_of(pixels))
    assert (found.labels, found.ids) == (None, None)
    np.testing.assert_array_equal(written.reshape(30, -1), pixels)


def test_labels_and_ids_are_text_wherever_they_stand(tmp_path: Path) -> None:
    text = '\ufeffp0,id,p1,p2,label,p3\r\n1,007,2,3,"a, b",4\r\n\r\n5.0,x,6,7,NA,255\r\n'
    found, written = write(tmp_path / "a.csv", text)
    assert found.labels is not None
    assert found.ids is not None
    assert (found.labels.tolist(), found.ids.tolist()) == (["a, b", "NA"], ["007", "x"])
    assert written.reshape(2, -1).tolist() == [[1, 2, 3, 4], [5, 6, 7, 255]]


def test_pixels_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    columns = np.random.default_rng(0).permutation(16)
    header = ",".join(f"pixel{column}" for column in columns)
    _, written = write(tmp_path / "a.csv", f"{header}\n{','.join(str(column + 100) for column in columns)}\n")
    assert written.reshape(-1).tolist() == list(range(100, 116))
    _, written = write(tmp_path / "b.csv", "1x2,1x1,2x2,2x1\n5,6,7,8\n")  # no single number: as they stand
    assert written.reshape(-1).tolist() == [5, 6, 7, 8]


def test_colours_lie_pixel_by_pixel(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",".join(f"v{i}" for i in range(12)) + "\n" + ",".join(map(str, range(12))))
    assert write_pixel_table(tmp_path / "a.csv", tmp_path / "a.npy", channels=3).shape == (1, 2, 2, 3)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.arange(12).reshape(1, 2, 2, 3))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0,0.5,1,1", "0,0,0,1e-3"], [0, 128, 255, 255, 0, 0, 0, 0]),
        (["0,1,1,0", "1,1,1,0"], [0, 255, 255, 0, 255, 255, 255, 0]),  # black and white
        (["0,1,1,0", "1,1,2,0"], [0, 1, 1, 0, 1, 1, 2, 0]),
        (["0,1,1,0", "1,0.2,0,0"], [0, 255, 255, 0, 255, 51, 0, 0]),
    ],
)
def test_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: list[str], expected: list[int]) -> None:
    monkeypatch.setattr(tables, "_CELLS_AT_A_TIME", 1)  # the second row tells how the first is meant
    _, written = write(tmp_path / "a.csv", "\n".join(["a,b,c,d", *cells]))
    assert written.reshape(-1).tolist() == expected


WRONG_PIXELS = {
    "empty": ("", "it is empty (0 bytes)"),
    "web page": ("<html>", "it is a web page"),
    "semicolons": ("label;a;b;c;d\n1;2;3;4;5", "it seems to be separated by ';'"),
    "no rows": ("label,a,b,c,d\n", "it has a header and no rows"),
    "no pixels": ("label,id\n1,2\n", "its 0 columns of pixels are no square image"),
    "no square": ("label,index,a,b,c,d\n1,2,3,4,5,6", "its 5 columns of pixels are no square image of 1 channel(s)"),
    "colour": (",".join(f"p{i}" for i in range(12)) + "\n", "say channels=3 if they are in colour"),
    "no header": ("0,0,0,0\n0,0,0,0", "its header has '0' more than once"),
    "text": ("a,b,c,d\n1,2,3,4\n1,x,3,4\n", "its line 3, column 'b' holds 'x', which is no number"),
    "nothing": ("a,b,c,d\n1,2,3,\n", "its line 2, column 'd' holds '', which is no number"),
    "NaN": ("a,b,c,d\n1,2,nan,2\n", "its line 2, column 'c' holds nan and not a whole number 0..255"),
    "256": ("a,b,c,d\n1,2,3,4\n\n5,6,7,256\n", "its line 4, column 'd' holds 256 and not a whole number 0..255"),
    "negative": ("a,b,c,d\n1,-2,3,4\n", "its line 2, column 'b' holds -2 and not"),
    "fraction": ("a,b,c,d\n1,2,3.5,4\n", "its line 2, column 'c' holds 3.5 and not"),
    "beyond 1": ("a,b,c,d\n1,0.5,1,1\n0,0,0,1.5", "its line 3, column 'd' holds 1.5 and not 0..1"),
    "infinite": ("a,b,c,d\n1,inf,1,1\n", "holds inf and not"),
    "short row": ("a,b,c,d\n1,2,3\n", "its line 2 has 3 fields and its header 4"),
    "long row": ("a,b,c,d\n1,2,3,4,5\n", "its line 2 has 5 fields and its header 4"),
    "open quote": ('a,b,c,d\n1,2,3,"4\n', "its line 2 has a broken quote"),
    "zero byte": ("a,b,c,d\n1,2,3,\x004\n", "its line 2 has a zero byte"),
    "not UTF-8": ("a,b,c,d\n1,2,3,\udcff\n", "its line 2 is not UTF-8 text"),
    "long line": ("a,b,c,d\n1,2,3," + "4" * 1000, "its line 2 has more than 360 bytes"),
    "long header": ("a," * 2**20 + "b\n", "its line 1 has more than 2,097,152 bytes"),
    "long label": ("label,a\n" + "x" * 101 + ",1\n", "a label or an id of more than 100 characters from line 2 on"),
}


@pytest.mark.parametrize("name", WRONG_PIXELS)
@pytest.mark.filterwarnings("error")
def test_wrong_pixels(tmp_path: Path, name: str) -> None:
    content, received = WRONG_PIXELS[name]
    path = tmp_path / "train.csv"
    path.write_text(content, errors="surrogateescape")
    assert received in fault(path, lambda: write_pixel_table(path, tmp_path / "a.npy"))


@on_linux
def test_pixels_take_bounded_memory(tmp_path: Path) -> None:
    """20,000 images of 28x28, 63 MB as text and 16 MB as pixels, with 40 MB."""
    row = b",".join(b"255" for _ in range(784))
    names = ",".join(f"pixel{number}" for number in range(784)).encode()
    (tmp_path / "a.csv").write_bytes(names + b"\n" + (row + b"\n") * 20_000)
    code = """
import resource, sys
from pathlib import Path
from kit.data.readers.tables import write_pixel_table
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(write_pixel_table(Path(sys.argv[1]), Path(sys.argv[2])).shape[0])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = python(code, tmp_path / "a.csv", tmp_path / "a.npy")
    assert done.returncode == 0, done.stderr
    rows, kilobytes = map(int, done.stdout.split())
    assert rows == 20_000
    assert kilobytes < 40_000
