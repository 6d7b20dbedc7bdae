import csv
import gzip
import http.server
import os
import shutil
import struct
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from competitions.fashion_mnist import FIVE, competition, load_test, load_train, prepare
from kit.data.folds import make_split
from kit.data.images import decode_labels
from kit.errors import DataError


def idx(array: np.ndarray) -> bytes:
    """The format of the original files: magic number, dimensions, bytes; compressed."""
    return gzip.compress(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


RANDOM = np.random.default_rng(0)
TRAIN = (RANDOM.integers(0, 256, (50, 28, 28), np.uint8), np.arange(50, dtype=np.uint8) % 10)
TEST = (RANDOM.integers(0, 256, (20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10)
FILES = {
    "train-images-idx3-ubyte.gz": idx(TRAIN[0]),
    "train-labels-idx1-ubyte.gz": idx(TRAIN[1]),
    "t10k-images-idx3-ubyte.gz": idx(TEST[0]),
    "t10k-labels-idx1-ubyte.gz": idx(TEST[1]),
}


class _Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = FILES[self.path.rsplit("/", 1)[-1]]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def download_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Send Keras's download to another address, with an empty cache."""
    import keras.src.datasets.fashion_mnist as source

    real = source.get_file
    (tmp_path / "keras").mkdir()  # Keras falls back to /tmp/.keras for a directory that is not there

    def redirect(address: str) -> None:
        monkeypatch.setattr(
            source,
            "get_file",
            lambda name, origin, cache_subdir: real(
                name, origin=address + name, cache_subdir=cache_subdir, cache_dir=str(tmp_path / "keras")
            ),
        )

    return redirect


def test_without_files_the_original_data_set_is_downloaded(  # type: ignore[no-untyped-def]
    server: str, download_from, capsys: pytest.CaptureFixture[str]
) -> None:
    download_from(server)
    assert not competition(None).test_is_labelled  # nor will they be, when they are there
    train = load_train()
    assert capsys.readouterr().out == ""  # of a program, it may be JSON
    np.testing.assert_array_equal(train.pixels[..., 0], TRAIN[0])
    assert train.labels is not None
    assert train.labels.tolist() == (TRAIN[1] // 2).tolist()
    assert decode_labels(train.labels[:3], FIVE) == [1, 1, 2]
    test = load_test()
    np.testing.assert_array_equal(test.pixels[..., 0], TEST[0])
    assert test.labels is None
    with Path("data/fashion_mnist/fashion_mnist_answers.csv").open() as file:
        answers = list(csv.DictReader(file))
    assert [int(row["id"]) for row in answers] == test.ids.tolist()
    assert [int(row["target"]) for row in answers] == (TEST[1] // 2 + 1).tolist()


def test_after_five_classes_the_ten_are_downloaded_too(server: str, download_from) -> None:  # type: ignore[no-untyped-def]
    download_from(server)
    load_train()
    assert load_train(labels=10).labels.tolist() == TRAIN[1].tolist()  # type: ignore[union-attr]
    assert load_train().labels.tolist() == (TRAIN[1] // 2).tolist()  # type: ignore[union-attr]


def test_a_download_that_was_cut_off(server: str, download_from, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    download_from(server)
    load_train()
    shutil.rmtree("data")
    (torn,) = tmp_path.rglob("train-images-idx3-ubyte.gz")
    torn.write_bytes(torn.read_bytes()[:100])
    with pytest.raises(
        DataError, match=r"cannot be downloaded \(.*; a download was cut off before: remove it from .*dataset"
    ):
        load_train()


def test_a_zip_as_it_was_downloaded() -> None:
    write("train", features=TRAIN[0], target=TRAIN[1] // 2 + 1.0)
    write("kaggle", features=TEST[0], id=np.arange(20))
    Path("data/sample_submission.csv").write_text("id,target\n" + "".join(f"{i},1\n" for i in range(20)))
    shutil.make_archive("fashion", "zip", "data")
    zipped, plain = (competition(Path(place)) for place in ("fashion.zip", "data"))
    assert zipped.sample_submission is not None
    for load in ("load_train", "load_test"):
        np.testing.assert_array_equal(getattr(zipped, load)().pixels, getattr(plain, load)().pixels)
    whole = Path("fashion.zip").read_bytes()
    Path("torn.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot read torn.zip: .*; download or copy it again"):
        load_train(Path("torn.zip"))
    with zipfile.ZipFile("fashion.zip", "a") as archive:
        archive.write("data/fashion_mnist_dataset_train.npy", "again/fashion_mnist_dataset_train.npy")
    with pytest.raises(
        DataError, match=r"fashion.zip has 2 files fashion_mnist_dataset_train.npy, expected one: unpack"
    ):
        load_train(Path("fashion.zip"))
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fashion_mnist_dataset_train.npy", bytes(10**7))
    with pytest.raises(
        DataError, match=r"bomb.zip: fashion_mnist_dataset_train.npy would unpack to 10,000,000 bytes: do"
    ):
        load_train(Path("bomb.zip"))


def test_without_a_network_the_error_says_what_to_do(  # type: ignore[no-untyped-def]
    download_from, capsys: pytest.CaptureFixture[str]
) -> None:
    download_from("http://127.0.0.1:9/")  # nothing listens there
    with pytest.raises(DataError) as error:
        load_train()
    assert capsys.readouterr() == ("", "")  # the error is the only line
    message = str(error.value)
    assert "no fashion_mnist files in data/fashion_mnist" in message
    assert "put fashion_mnist_dataset_train.npy and fashion_mnist_dataset_kaggle.npy there" in message
    assert "'kit train digits', which needs no download" in message
    assert "\n" not in message
    assert not Path("data").exists()


def test_named_directories_are_never_filled_by_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIT_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match="KIT_DATA .*typo is not a directory or a .zip: name the one that holds"):
        load_train()
    with pytest.raises(DataError, match=r"fashion_mnist_dataset_train.npy is not in .*--data"):
        load_train(tmp_path)


def write(name: str, **arrays: np.ndarray) -> None:
    Path("data").mkdir(exist_ok=True)
    np.save(f"data/fashion_mnist_dataset_{name}.npy", arrays, allow_pickle=True)  # type: ignore[arg-type]


def test_values_of_0_to_1_and_text_ids() -> None:
    write("kaggle", features=TEST[0] / 255, id=np.array([f"img-{i}" for i in range(20)]))
    images = load_test()
    np.testing.assert_array_equal(images.pixels[..., 0], TEST[0])
    assert images.ids.tolist()[:2] == ["img-0", "img-1"]


def test_byte_string_ids_are_text() -> None:
    write("kaggle", features=TEST[0], id=np.array([f"img-{i}".encode() for i in range(20)]))
    assert load_test().ids.tolist()[:2] == ["img-0", "img-1"]


def test_ids_that_came_as_floats_are_whole_numbers_again() -> None:
    write("kaggle", features=TEST[0], id=np.arange(20.0))
    assert [str(name) for name in load_test().ids.tolist()][:3] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.arange(20) + 0.5, "received fractions, expected whole numbers or text"),
        (np.full(20, np.nan), "received fractions"),
        (np.arange(20) // 2, "0 occurs more than once, expected unique ids"),
        (np.arange(19), r"features are \(20, 28, 28\) and id is \(19,\)"),
    ],
)
def test_bad_ids(ids: np.ndarray, message: str) -> None:
    write("kaggle", features=TEST[0], id=ids)
    with pytest.raises(DataError, match=message):
        load_test()


def test_files_under_each_others_names() -> None:
    write("train", features=TEST[0], id=np.arange(20))
    write("kaggle", features=TRAIN[0], target=np.arange(50) % 5 + 1)
    with pytest.raises(DataError, match=r"train.npy has 'id' instead of 'target': it looks like .*kaggle.npy under"):
        load_train()
    with pytest.raises(DataError, match=r"kaggle.npy has 'target' instead of 'id': it looks like .*train.npy under"):
        load_test()


def test_prepare_into_a_directory(server: str, download_from, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    download_from(server)
    written = prepare(tmp_path / "mine")
    assert [path.name for path in written] == [
        "fashion_mnist_dataset_train.npy",
        "fashion_mnist_dataset_kaggle.npy",
        "fashion_mnist_answers.csv",
    ]
    assert len(load_train(tmp_path / "mine")) == 50
    with pytest.raises(DataError, match=r"train.npy exists and is never overwritten: move it away"):
        prepare(tmp_path / "mine")


def test_the_real_files(kit_data: Path) -> None:
    train, test = load_train(kit_data), load_test(kit_data)
    assert train.pixels.shape == (60_000, 28, 28, 1)
    assert test.pixels.shape == (10_000, 28, 28, 1)
    assert train.labels is not None
    counts = np.bincount(train.labels)
    assert counts.min() > 11_900
    assert counts.max() < 12_100
    assert len(set(test.ids.tolist())) == 10_000
    assert isinstance(train.pixels, np.memmap)
    (fold,) = make_split("holdout").make_folds(train, 0)
    assert [len(fold.train), len(fold.validation), len(fold.test)] == [48_000, 6_000, 6_000]
    assert np.abs(np.bincount(train.labels[fold.test]) - counts / 10).max() <= 1
    raw = np.load(os.fspath(kit_data / "fashion_mnist" / "fashion_mnist_dataset_train.npy"), allow_pickle=True).item()
    np.testing.assert_array_equal(train.pixels[..., 0], raw["features"].astype(np.uint8))
    np.testing.assert_array_equal(train.labels, raw["target"].astype(int) - 1)
