import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from competitions import open_competition
from competitions.cifar10 import CLASSES
from competitions.cifar100 import COARSE, FINE, SUPERCLASSES
from kit.data.folds import make_split
from kit.data.images import Competition
from kit.errors import DataError
from tests import layouts


def opened(write, spec: str, folder: str) -> Competition:  # type: ignore[no-untyped-def]
    Path(folder).mkdir()
    write(Path(folder))
    return open_competition(spec, Path(folder))


def test_all_packagings_hold_the_same_images() -> None:
    python = opened(layouts.cifar10_python, "cifar10", "python").load_train()
    assert python.pixels.shape == (50, 32, 32, 3)
    assert python.ids.tolist() == list(range(1, 51))
    first = layouts.cifar_rows(10, seed=0)[0]  # 1,024 red values, then green, then blue
    np.testing.assert_array_equal(python.pixels[0, ..., 1].ravel(), first[1024:2048])
    assert python.columns["batch"].tolist()[::10] == [f"data_batch_{n}" for n in range(1, 6)]
    for write, name in ((layouts.cifar10_binary, "binary"), (layouts.cifar10_archive, "archive")):
        other = opened(write, "cifar10", name).load_train()
        np.testing.assert_array_equal(other.pixels, python.pixels)
        np.testing.assert_array_equal(other.labels, python.labels)


def test_batches_need_not_have_ten_thousand_rows(tmp_path: Path) -> None:
    layouts.cifar10_python(tmp_path)
    small = tmp_path / "cifar-10-batches-py" / "test_batch"
    small.rename(tmp_path / "cifar-10-batches-py" / "data_batch_5")
    assert len(open_competition("cifar10", tmp_path).load_train()) == 50
    with pytest.raises(DataError, match="no test files of cifar10 in"):
        open_competition("cifar10", tmp_path).load_test()


def test_ready_made_folds(tmp_path: Path) -> None:
    layouts.cifar10_folders(tmp_path)
    competition = open_competition("cifar10", tmp_path)
    train, test = competition.load_train(), competition.load_test()
    assert sorted(set(train.columns["folder"].tolist())) == ["train1", "train2", "train3"]
    assert train.ids[0] == "train1/000_airplane/00000.png"
    assert train.labels is not None
    assert [CLASSES[label] in name for label, name in zip(train.labels, train.ids.tolist(), strict=True)] == [True] * 60
    assert test.labels is not None
    assert len(test) == 20
    (fold,) = make_split("group_folders('train2')").make_folds(train, 0)
    assert {name.split("/")[0] for name in train.ids[fold.validation].tolist()} == {"train2"}
    assert {name.split("/")[0] for name in train.ids[fold.train].tolist()} == {"train1", "train3"}
    assert len(make_split("group_folders").make_folds(train, 0)) == 3


@pytest.mark.parametrize("archives", [False, True])
def test_kaggles_files(archives: bool, tmp_path: Path) -> None:
    layouts.cifar10_kaggle(tmp_path, with_archives=archives)
    competition = open_competition("cifar10", tmp_path)
    train, test = competition.load_train(), competition.load_test()
    assert train.ids.tolist()[:3] == ["1", "2", "3"]
    assert train.labels is not None
    assert [CLASSES[label] for label in train.labels[:3]] == ["automobile", "bird", "cat"]
    np.testing.assert_array_equal(train.pixels, layouts.random_pixels(layouts.ROWS, 32, 32, 3))
    assert test.ids.tolist() == [str(n) for n in range(1, layouts.TEST_ROWS + 1)]
    assert test.labels is None
    np.testing.assert_array_equal(test.pixels, layouts.random_pixels(layouts.TEST_ROWS, 32, 32, 3))


def test_larger_pictures_are_another_competition(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            layouts.save_image(tmp_path / part / name / "1.png", layouts.random_pixels(40, 30, 3))
    with pytest.raises(DataError, match="received images of 30x40 pixels, expected 32x32"):
        open_competition("cifar10", tmp_path).load_train()


def test_the_official_grouping() -> None:
    assert len(FINE) == 100
    assert FINE[:3] == ("apple", "aquarium_fish", "baby")
    assert FINE[-1] == "worm"
    assert list(COARSE) == sorted(COARSE)
    assert {len(names.split()) for names in SUPERCLASSES.values()} == {5}


def test_fine_and_coarse_labels() -> None:
    fine = opened(layouts.cifar100_python, "cifar100", "python")
    coarse = open_competition("cifar100(labels='coarse')", Path("python"))
    assert len(coarse.class_names) == 20
    assert coarse.superclasses is None
    kinds = fine.superclasses
    assert {name: kinds.names[kind] for name, kind in zip(FINE, kinds.of_class, strict=True)} == {
        name: group for group, names in SUPERCLASSES.items() for name in names.split()
    }
    for load in ("load_train", "load_test"):
        pairs = zip(getattr(fine, load)().labels, getattr(coarse, load)().labels, strict=True)
        assert all(FINE[label] in SUPERCLASSES[COARSE[group]].split() for label, group in pairs)
    binary = opened(layouts.cifar100_binary, "cifar100", "binary").load_train()
    np.testing.assert_array_equal(binary.pixels, fine.load_train().pixels)


class _Archive(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serves a small CIFAR-100 in the official format."""
    layouts.cifar100_python(tmp_path / "upstream", protocol=4)  # Keras refuses what protocol 2 makes of bytes
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        file.add(tmp_path / "upstream" / "cifar-100-python", "cifar-100-python")
    _Archive.content = packed.getvalue()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Archive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/cifar-100-python.tar.gz"
        server.shutdown()


def redirect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str) -> None:
    """Keras checks the hash of the official archive; this one has another."""
    import keras.src.datasets.cifar100 as source

    real = source.get_file
    (tmp_path / "keras").mkdir()
    monkeypatch.setattr(
        source,
        "get_file",
        lambda fname, origin, extract, file_hash: real(
            fname=fname, origin=address, extract=extract, cache_dir=str(tmp_path / "keras")
        ),
    )


def test_without_files_keras_downloads_them(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    redirect(monkeypatch, tmp_path, server)
    competition = open_competition("cifar100")
    train, test = competition.load_train(), competition.load_test()
    np.testing.assert_array_equal(train.pixels[0, ..., 0].ravel(), layouts.cifar_rows(200, seed=0)[0, :1024])
    assert train.labels is not None
    assert train.labels.tolist() == [n % 100 for n in range(200)]
    assert len(test) == 100
    assert Path("data/cifar100/cifar-100-binary/train.bin").is_file()
    assert len(open_competition("cifar100(labels='coarse')").load_train().labels) == 200  # type: ignore[arg-type]


def test_archives_within_kaggles_archive_are_to_be_unpacked() -> None:
    with zipfile.ZipFile("cifar-10.zip", "w") as archive:
        archive.writestr("trainLabels.csv", "id,label\n1,cat\n")
        archive.writestr("train.7z", "7z")
    with pytest.raises(
        DataError, match=r"cifar-10.zip: train.7z is a 7z archive, expected a folder: unpack all, and name"
    ):
        open_competition("cifar10", Path("cifar-10.zip")).load_train()


def test_folders_right_in_the_data_directory_are_ours() -> None:
    layouts.cifar10_folders(Path("data"))
    train = open_competition("cifar10").load_train()
    assert set(train.columns["folder"]) == {"train1", "train2", "train3"}


def test_folders_of_somebody_else_are_not_ours(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("data/pets/train/beagle").mkdir(parents=True)
    Path("data/pets/test").mkdir()
    Path("data/pets/gone").symlink_to("nowhere")
    redirect(monkeypatch, tmp_path, server)
    competition = open_competition("cifar100")
    assert competition.test_is_labelled
    assert len(competition.load_train()) == 200
    with pytest.raises(DataError, match="gone: it is a link that leads nowhere"):  # named, they are meant
        open_competition("cifar100", Path("data/pets")).load_train()


def test_a_download_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redirect(monkeypatch, tmp_path, "http://127.0.0.1:9/nothing")
    with pytest.raises(
        DataError, match=r"no train files of cifar100 in data/cifar100 or data: put .* it cannot be downloa"
    ):
        open_competition("cifar100").load_train()
    assert capsys.readouterr() == ("", "")  # the error is the only line
    assert not Path("data").exists()


def test_the_real_files(kit_data: Path) -> None:
    competition = open_competition("cifar10", kit_data)
    train, test = competition.load_train(), competition.load_test()
    assert train.pixels.shape == (50_000, 32, 32, 3)
    assert train.labels is not None
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert test.labels is not None
    assert isinstance(train.pixels, np.memmap)
    if (kit_data / "cifar10_folders").is_dir():
        folders = open_competition("cifar10", kit_data / "cifar10_folders").load_train()
        assert len(folders) == 50_000
        order = np.lexsort([folders.ids])
        assert np.bincount(folders.labels[order]).tolist() == [5000] * 10  # type: ignore[index]
