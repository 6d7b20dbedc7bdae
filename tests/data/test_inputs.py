"""kit.data.inputs: whatever holds images is predicted in its order; whatever does not is told in a line."""

import mmap
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit.data.inputs import ImageSource, open_input
from kit.errors import DataError

SHAPE = (6, 5, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (7, *SHAPE), np.uint8)


def read(source: ImageSource, rows: int = 3) -> np.ndarray:
    windows = list(source.read(rows))
    assert {len(window) for window in windows[:-1]} <= {rows}
    return np.concatenate(windows)


def save_pictures(folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(folder / f"{number + 5}.png")
    return [f"{number + 5}.png" for number in range(len(PIXELS))]


def npy(array: np.ndarray, name: str = "x.npy") -> Path:
    np.save(name, array)
    return Path(name)


@pytest.mark.parametrize(
    "array",
    [PIXELS, PIXELS / np.float32(255), PIXELS.astype(np.int64), np.asfortranarray(PIXELS)],
    ids=["uint8", "0..1", "int64", "Fortran"],
)
@pytest.mark.parametrize("kind", ["npy", "npz", "packed", "pickled"])
def test_arrays_of_every_kind(array: np.ndarray, kind: str) -> None:
    if kind == "npy":
        path = npy(array)
    elif kind == "pickled":
        path = npy(np.array({"features": array, "target": np.arange(7)}, object))
    else:
        path = Path("x.npz")
        (np.savez if kind == "npz" else np.savez_compressed)(path, x=array, y=np.arange(7))
    for _ in range(2):  # the second time out of the cache
        source = open_input(path, SHAPE)
        np.testing.assert_array_equal(read(source), PIXELS)
        np.testing.assert_array_equal(source.ids, np.arange(7))


def test_a_large_array_is_mapped_window_by_window() -> None:
    """Else each page that was read would stay in memory."""
    (pixels,) = open_input(npy(PIXELS), SHAPE).read.args  # type: ignore[attr-defined]
    assert isinstance(pixels.base, mmap.mmap)


def test_names_beside_the_images_do_no_harm() -> None:
    np.savez(
        "x.npz", images=PIXELS, names=np.array(list("abcdefg"), object), ids=np.array([b"a%d" % n for n in range(7)])
    )
    source = open_input(Path("x.npz"), SHAPE)
    assert source.ids.tolist() == [f"a{n}" for n in range(7)]
    first = "p/" + save_pictures(Path("p"))[0]
    Path("t.csv").write_text(f"path\n{first}\n{first}\n")
    with pytest.raises(DataError, match=r"t.csv: 1 ids occur more than once \(p/5.png\), expected each once"):
        open_input(Path("t.csv"), SHAPE)


def test_ids_of_an_archive_of_arrays() -> None:
    np.savez("x.npz", images=PIXELS, ids=np.array(list("abcdefg")))
    assert open_input(Path("x.npz"), SHAPE).ids.tolist() == list("abcdefg")
    np.savez("y.npz", images=PIXELS, ids=np.arange(3))
    with pytest.raises(DataError, match=r"y.npz: 7 images but ids of shape \(3,\), expected an id each"):
        open_input(Path("y.npz"), SHAPE)


def test_one_image_and_grey_ones_without_channels() -> None:
    assert len(read(open_input(npy(PIXELS[0]), SHAPE))) == 1
    grey = open_input(npy(PIXELS[..., 0]), (6, 5, 1))
    np.testing.assert_array_equal(read(grey), PIXELS[..., :1])


@pytest.mark.parametrize("packed", [False, True])
def test_folders_of_pictures_in_the_order_people_expect(packed: bool) -> None:
    names = save_pictures(Path("pictures"))
    Path("pictures/notes.txt").write_text("no picture")
    path = Path("pictures")
    if packed:
        with zipfile.ZipFile("p.zip", "w") as archive:
            for file in path.iterdir():
                archive.write(file, file.name)
        path = Path("p.zip")
    source = open_input(path, SHAPE)
    assert source.ids.tolist() == names  # 5.png ... 9.png, 10.png, 11.png
    np.testing.assert_array_equal(read(source), PIXELS)
    assert not source.is_one_picture


@pytest.mark.parametrize(
    ("header", "ids"),
    [("path,kind", None), ("id,file_name,label", list("abcdefg")), ("where,photo", None)],
)
def test_a_table_of_paths(header: str, ids: list[str] | None) -> None:
    names = [f"pictures/{name}" for name in save_pictures(Path("pictures"))]
    rows = [f"{name},x" for name in names]
    if ids:
        rows = [f"{identity},{name},x" for identity, name in zip(ids, names, strict=True)]
    if header.startswith("where"):  # found by what is in it
        rows = [f"here,{name}" for name in names]
    Path("t.csv").write_text("\n".join([header, *rows]))
    source = open_input(Path("t.csv"), SHAPE)
    assert source.ids.tolist() == (ids or names)
    np.testing.assert_array_equal(read(source, 100), PIXELS)


def test_one_picture_is_brought_to_the_size_in_the_way_the_model_was_trained() -> None:
    Image.fromarray(np.repeat(PIXELS[0], 2, axis=1)).save("p.png")
    stretched, cropped = (read(open_input(Path("p.png"), SHAPE, fit)) for fit in ("stretch", "crop"))
    assert stretched.shape == cropped.shape == (1, *SHAPE)
    assert not np.array_equal(stretched, cropped)
    assert open_input(Path("p.png"), SHAPE).is_one_picture


@pytest.mark.parametrize("wrong", ["gone.png", "", "pictures"])
def test_a_table_with_a_picture_that_is_not_there(wrong: str) -> None:
    (first, *_) = save_pictures(Path("pictures"))
    Path("t.csv").write_text(f"path,n\n{wrong},1\npictures/{first},2\n")
    with pytest.raises(DataError, match=rf"t.csv, line 2: there is no file '{wrong}' \(path\), expected the path of"):
        open_input(Path("t.csv"), SHAPE)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            PIXELS.transpose(0, 3, 1, 2),
            r"shape \(7, 3, 6, 5\).*channels come first: save array.transpose\(0, 2, 3, 1\)",
        ),
        (PIXELS[:, :4], r"received shape \(7, 4, 5, 3\), the model takes \(rows, 6, 5, 3\)"),
        (PIXELS[:0], "received no images, expected at least one"),
        (np.full(PIXELS.shape, np.nan), "row 0 holds values that are not finite"),
        (PIXELS * -1.0, r"received values from -\d+ to -?0 in rows 0 to 6, expected 0..255 or 0..1"),
        (np.array({"y": np.arange(3)}, object), r"received y \(3,\), expected one array of \(rows, 6, 5, 3\)"),
        (PIXELS.astype("U3"), "received <U3 values, expected numbers"),
    ],
)
def test_arrays_that_are_no_images(array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_input(npy(array), SHAPE)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"\x93NUMPY", "it is no .npy of images, or damaged"),
        ("x.npy", b"", "it is no .npy of images, or damaged"),
        ("x.npz", b"hello", "it is no .npz of images, or damaged"),
        ("x.csv", b"a,b\n1,2\n", "none of its columns a, b holds paths of pictures"),
        ("x.txt", b"hello", "received a file that ends in '.txt', expected a picture, a folder"),
        ("x", b"hello", "received a file that ends in 'nothing'"),
    ],
)
def test_files_that_hold_no_images(name: str, content: bytes, message: str) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_input(Path(name), SHAPE)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file gone: expected a picture"):
        open_input(Path("gone"), SHAPE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there are no pictures in it"):
        open_input(tmp_path / "empty", SHAPE)


def test_a_truncated_array() -> None:
    path = npy(PIXELS)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged .*mmap length is greater than file size"):
        open_input(path, SHAPE)


@pytest.mark.parametrize("shape", ["(-1, 6, 5, 3)", f"({2**70}, 6, 5, 3)", "(True, 6, 5, 3)", "(7, 6, 5, 3.0)"])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_shapes_that_no_array_has(shape: str) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + PIXELS.tobytes()
    Path("x.npy").write_bytes(content)
    with zipfile.ZipFile("x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(DataError, match=f"{name}: "):
            open_input(Path(name), SHAPE)


def test_one_grey_image_in_any_order() -> None:
    grey = PIXELS[0, ..., 0]
    for array in (grey, np.asfortranarray(grey), np.asfortranarray(grey / 255)):
        np.testing.assert_array_equal(read(open_input(npy(array), (6, 5, 1)))[0, ..., 0], grey)


def test_an_archive_that_unpacks_to_gigabytes() -> None:
    np.savez_compressed("x.npz", x=np.zeros((1_000_000, 6, 5, 1), np.uint8))
    with pytest.raises(DataError, match="'x' in it claims 30,000,128 bytes packed into"):
        open_input(Path("x.npz"), (6, 5, 1))
