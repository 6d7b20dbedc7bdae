from pathlib import Path

import numpy as np
import pytest

from competitions import open_competition
from kit.data.images import Images
from kit.data.prepared import whole_directory, write_png_competition
from kit.data_tools import prepare, score
from kit.errors import DataError
from tests import layouts


def rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def test_cifar10_as_kaggle_has_it(tmp_path: Path) -> None:
    layouts.cifar10_python(tmp_path)
    written = prepare("cifar10", "local", tmp_path)
    assert [path.name for path in written] == [
        "train",
        "test",
        "trainLabels.csv",
        "sampleSubmission.csv",
        "answers.csv",
    ]
    original, local = open_competition("cifar10", tmp_path), open_competition("cifar10", Path("local"))
    np.testing.assert_array_equal(local.load_train().pixels, original.load_train().pixels)
    np.testing.assert_array_equal(local.load_train().labels, original.load_train().labels)  # type: ignore[arg-type]
    np.testing.assert_array_equal(local.load_test().pixels, original.load_test().pixels)
    assert local.load_test().labels is None  # they are held out
    truth = [original.class_names[label] for label in original.load_test().labels]  # type: ignore[union-attr]
    assert rows(Path("local/answers.csv"))[1:] == [[str(n), name] for n, name in enumerate(truth, start=1)]
    assert score("local/answers.csv", "local/answers.csv")["all"]["score"] == 1


def test_digits_as_tables() -> None:
    prepare("digits", "local")
    original, local = open_competition("digits"), open_competition("pixels", Path("local"))
    np.testing.assert_array_equal(local.load_train().pixels, original.load_train().pixels)
    np.testing.assert_array_equal(local.load_train().labels, original.load_train().labels)  # type: ignore[arg-type]
    np.testing.assert_array_equal(local.load_test().pixels, original.load_test().pixels)


def test_fashion_mnist_from_the_original_files(tmp_path: Path) -> None:
    layouts.fashion_idx(tmp_path)
    prepare("fashion_mnist", "local", tmp_path)
    ten, five = open_competition("fashion_mnist(labels=10)", tmp_path), open_competition("fashion_mnist", Path("local"))
    np.testing.assert_array_equal(five.load_train().pixels, ten.load_train().pixels)
    np.testing.assert_array_equal(five.load_train().labels, ten.load_train().labels // 2)  # type: ignore[operator]
    assert five.load_test().labels is None
    assert len(rows(Path("local/fashion_mnist_answers.csv"))) == 1 + layouts.TEST_ROWS


def test_nothing_is_overwritten_or_left_half_written() -> None:
    Path("taken").mkdir()
    Path("taken/file").write_text("precious")
    images = Images(layouts.random_pixels(4, 8, 8, 3), np.arange(4), np.arange(4) % 2)
    with pytest.raises(DataError, match="taken exists and is never overwritten: move it away, or choose another --out"):
        write_png_competition(Path("taken"), images, images, ("a", "b"))
    with pytest.raises(RuntimeError), whole_directory(Path("new/place")) as directory:
        (directory / "half").write_text("")
        raise RuntimeError
    assert not Path("new/place").exists()
    assert not list(Path("new").iterdir())
    Path("file").write_text("")
    with pytest.raises(DataError, match="cannot write to file/place: "):
        write_png_competition(Path("file/place"), images, images, ("a", "b"))
    unlabelled = Images(images.pixels, images.ids)
    with pytest.raises(DataError, match="the test images have no labels: expected the public data set"):
        write_png_competition(Path("other"), images, unlabelled, ("a", "b"))
    assert not Path("other").exists()
