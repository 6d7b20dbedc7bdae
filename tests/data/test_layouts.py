"""Directories, archives and tables as they were downloaded: what is found where, and which file is whose."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from competitions import open_competition
from kit.data.images import Images
from kit.data.sample import files_of_ids
from kit.errors import DataError
from tests.layouts import (
    PETS,
    ROWS,
    TEST_ROWS,
    class_folders,
    pixel_tables,
    random_pixels,
    save_image,
    table_and_images,
    write_csv,
    zipped,
)

FILES = Path("files")


def same(a: Images, b: Images) -> bool:
    return np.array_equal(a.pixels, b.pixels) and a.labels is not None and np.array_equal(a.labels, b.labels)


def test_one_archive_each_and_everything_in_one() -> None:
    """Also with a folder around everything, as archives of GitHub and Kaggle have it."""
    for name in ("plain", "parts", "whole", "around"):
        class_folders(Path(name))
    zipped(Path("parts/train"), Path("parts/train.zip"))
    zipped(Path("parts/test"), Path("parts/test.zip"), below="test/")
    zipped(Path("whole"), Path("whole.zip"))
    zipped(Path("around"), Path("around.zip"), below="pets-main/")
    plain = open_competition("folder", Path("plain"))
    for name in ("parts", "whole.zip", "around.zip"):
        other = open_competition("folder", Path(name))
        assert other.class_names == PETS
        assert same(other.load_train(), plain.load_train()), name
        np.testing.assert_array_equal(other.load_test().pixels, plain.load_test().pixels)
    Path("alone").mkdir()
    Path("around.zip").rename("alone/pets.zip")
    assert same(open_competition("folder", Path("alone")).load_train(), plain.load_train())


def test_classes_right_there_beside_the_test_folder() -> None:
    class_folders(FILES)
    for name in PETS:
        (FILES / "train" / name).rename(FILES / name)
    (FILES / "train").rmdir()
    competition = open_competition("folder", FILES)
    assert competition.class_names == PETS
    assert len(competition.load_train()) == ROWS
    assert competition.load_test().ids.tolist()[:3] == ["1.png", "2.png", "3.png"]  # not 1, 10, 11


def test_a_test_folder_with_classes_is_labelled() -> None:
    class_folders(FILES)
    for path in (FILES / "test").iterdir():
        path.unlink()
    for name in PETS:
        save_image(FILES / "test" / name / "a.png", random_pixels(12, 12, 3))
    test = open_competition("folder", FILES).load_test()
    assert test.labels is not None
    assert test.labels.tolist() == [0, 1, 2]


def test_train_and_val_are_ready_made_folds() -> None:
    class_folders(FILES)
    class_folders(FILES, train="val")
    assert set(open_competition("folder", FILES).load_train().columns["folder"].tolist()) == {"train", "val"}


def test_what_file_managers_leave_is_skipped_and_counted() -> None:
    class_folders(FILES)
    for name in ("train/.DS_Store", "train/cat/Thumbs.db", "train/cat/._1.png", "train/readme.txt"):
        (FILES / name).write_bytes(b"x")
    (note,) = open_competition("folder", FILES).load_train().notes
    assert note.startswith("files: 4 files skipped that are no images, such as ")


def test_images_of_any_size_and_kind() -> None:
    class_folders(FILES)
    Image.new("RGB", (40, 20), (255, 0, 0)).save(FILES / "train/cat/0.png")
    wide = open_competition("folder(image_size=10, fit='pad')", FILES).load_train()
    row = wide.ids.tolist().index("train/cat/0.png")
    assert wide.pixels.shape == (ROWS, 10, 10, 3)
    assert wide.pixels[row, 0].max() == 0  # padded above
    assert wide.pixels[row, 5].tolist() == [[255, 0, 0]] * 10
    grey = open_competition("folder(image_size=(8, 6), channels=1)", FILES)
    assert grey.image_shape == (8, 6, 1)
    assert grey.load_test().pixels.shape == (TEST_ROWS, 8, 6, 1)


def test_the_cache_is_keyed_by_content_and_options() -> None:
    class_folders(FILES)
    first = open_competition("folder", FILES).load_train().pixels
    entries = sorted(Path("cache/arrays").iterdir())
    assert isinstance(first, np.memmap)
    again = open_competition("folder", FILES).load_train().pixels
    assert again.filename == first.filename  # type: ignore[attr-defined]
    assert sorted(Path("cache/arrays").iterdir()) == entries
    save_image(FILES / "train/cat/0.png", random_pixels(12, 12, 3, seed=9))
    changed = open_competition("folder", FILES).load_train()
    row = changed.ids.tolist().index("train/cat/0.png")
    np.testing.assert_array_equal(changed.pixels[row], random_pixels(12, 12, 3, seed=9))


def test_a_table_with_its_sample() -> None:
    table_and_images(FILES)
    competition = open_competition("csv", FILES)
    train, test = competition.load_train(), competition.load_test()
    assert competition.class_names == PETS
    assert (competition.id_column, competition.target_column, competition.metric) == ("image_id", "label", "accuracy")
    assert competition.image_shape == (12, 10, 1)
    assert train.ids.tolist()[:2] == ["img_0.jpg", "img_1.jpg"]
    assert train.columns["patient"].tolist()[:5] == ["patient-0"] * 4 + ["patient-1"]
    assert test.ids.tolist() == [f"img_{n}.jpg" for n in range(TEST_ROWS)]  # the order of the sample


def test_a_sample_with_a_column_a_class_sets_classes_and_metric() -> None:
    table_and_images(FILES, probabilities=True)
    competition = open_competition("csv", FILES)
    assert competition.label_values == PETS[::-1]  # the order of the columns
    assert competition.metric == "log_loss"
    train = competition.load_train()
    assert train.labels is not None
    assert train.labels[:3].tolist() == [2, 1, 0]


def test_labels_that_were_saved_as_floats() -> None:
    for number in range(8):
        save_image(FILES / "images" / f"{number}.png", random_pixels(4, 4, 1, seed=number))
    write_csv(FILES / "labels.csv", ["name", "target"], [(number, f"{number % 2 + 3}.0") for number in range(6)])
    competition = open_competition("csv", FILES)
    assert competition.label_values == ("3", "4")
    assert competition.load_test().ids.tolist() == ["6", "7"]  # without a label, and named as in the table
    for number in (6, 7):
        (FILES / "images" / f"{number}.png").unlink()
    with pytest.raises(DataError, match=r"files/images: there are no images without a label in it, expected those to"):
        open_competition("csv", FILES).load_test()


def test_a_table_of_test_ids_without_a_sample() -> None:
    table_and_images(FILES)
    (FILES / "sample_submission.csv").unlink()
    write_csv(FILES / "test.csv", ["image_id", "patient"], [(f"img_{n}.jpg", 1) for n in (7, 3)])
    assert open_competition("csv", FILES).load_test().ids.tolist() == ["img_7.jpg", "img_3.jpg"]


def test_the_file_of_an_id() -> None:
    files = ["a/1.png", "a/2.png", "b/2.png", "b/x.y.jpg"]
    assert files_of_ids(["1", "1.png", "a/1.png", "b/2.png", "x.y"], files, "s") == [
        "a/1.png", "a/1.png", "a/1.png", "b/2.png", "b/x.y.jpg",
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"^s: 1 ids have several files each \(2.png\)"):
        files_of_ids(["2.png"], files, "s")


@pytest.mark.parametrize("packed", ["each", "all"])
def test_pixel_tables_in_archives(packed: str) -> None:
    pixel_tables(FILES)
    pixel_tables(Path("packed"))
    if packed == "each":
        for name in ("train", "test"):
            (Path("packed") / name).mkdir()
            (Path("packed") / f"{name}.csv").rename(Path("packed") / name / f"{name}.csv")
            zipped(Path("packed") / name, Path("packed") / f"{name}.csv.zip")
        where = Path("packed")
    else:
        where = zipped(Path("packed"), Path("packed.zip"))
    plain, other = open_competition("pixels", FILES), open_competition("pixels", where)
    assert same(plain.load_train(), other.load_train())
    np.testing.assert_array_equal(plain.load_test().pixels, other.load_test().pixels)
    assert other.load_test().ids.tolist() == [str(n) for n in range(1, TEST_ROWS + 1)]
    assert (other.id_column, other.target_column) == ("ImageId", "Label")


def test_pixel_tables_without_a_sample_count_from_one() -> None:
    pixel_tables(FILES)
    (FILES / "sample_submission.csv").unlink()
    competition = open_competition("pixels", FILES)
    assert competition.load_test().ids.tolist() == list(range(1, TEST_ROWS + 1))
    np.testing.assert_array_equal(competition.load_train().pixels.reshape(ROWS, -1), random_pixels(ROWS, 28 * 28))
