"""What went wrong once, with real layouts and at bad moments."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import kit
from competitions import open_competition
from kit.data import cache
from kit.data.cache import cached_arrays, cached_tree
from kit.data.readers.trees import open_tree
from kit.errors import KitError
from tests.layouts import (
    PETS,
    class_folders,
    pixel_tables,
    random_pixels,
    save_image,
    table_and_images,
    write_csv,
    zipped,
)

FILES = Path("files")


@pytest.mark.parametrize("first", [0, 2**40], ids=["hashed meanwhile", "hashed first"])
def test_a_file_that_changes_while_it_is_read_leaves_no_entry(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "HASHED_FIRST", first)
    source = Path("source.txt")
    source.write_text("1 2 3")

    def convert(path: Path, directory: Path) -> None:
        path.write_text("7 8 9")
        np.save(directory / "numbers.npy", np.array([7, 8, 9]))

    with pytest.raises(KitError, match="source.txt was changed while it was read: start again when it is complete"):
        cached_arrays(source, "text", convert)
    assert not list(Path("cache/arrays").iterdir())


def test_a_tree_that_changes_while_it_is_read_leaves_no_entry() -> None:
    FILES.mkdir()
    (FILES / "a").write_text("1")
    with open_tree(FILES) as tree:

        def convert(directory: Path) -> str:
            (FILES / "a").write_text("22")
            np.save(directory / "numbers.npy", np.zeros(1))
            return "content"

        with pytest.raises(KitError, match="^files: files in it changed while they were read: start again"):
            cached_tree("files\0", lambda: tree.stamp(["a"]), "text", convert)
    assert not list(Path("cache/arrays").iterdir())


def test_other_files_in_the_directory_decode_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    table_and_images(FILES)
    first = open_competition("csv", FILES).load_train()
    monkeypatch.setattr("kit.data.picture_sets.write_pictures", lambda *words, **options: pytest.fail("decoded again"))
    (FILES / "folds.csv").write_text("id,fold\n")
    rows = (FILES / "train.csv").read_text().replace("cat", "dog", 1)
    (FILES / "train.csv").write_text(rows)  # a label is corrected
    second = open_competition("csv", FILES).load_train()
    assert first.labels is not None
    assert second.labels is not None
    assert (first.labels != second.labels).sum() == 1


def test_options_of_a_table_do_not_collide_in_the_cache() -> None:
    names = ["a", "b-c", "a-b", "c", *(f"pixel{n}" for n in range(4))]
    rows = [[n % 2, n, n % 3, n + 100, *range(4)] for n in range(6)]
    write_csv(FILES / "train.csv", names, rows)
    with pytest.raises(KitError, match="6 columns of pixels are no square image"):
        open_competition("pixels(label_column='a', id_column='b-c')", FILES)
    write_csv(FILES / "train.csv", ["x/y", "b", *names[4:]], [[n % 2, n, *range(4)] for n in range(6)])
    assert open_competition("pixels(label_column='x/y', id_column='b')", FILES).label_values == ("0", "1")
    with pytest.raises(KitError, match=r"train.csv \(x/y\): 2 ids occur more than once"):
        open_competition("pixels(label_column='b', id_column='x/y')", FILES)


def test_a_folder_around_archives_of_the_parts() -> None:
    class_folders(Path("plain"))
    class_folders(FILES / "around" / "pets")
    for part in ("train", "test"):
        zipped(FILES / "around" / "pets" / part, FILES / "around" / "pets" / f"{part}.zip")
    (FILES / "README.md").write_text("")
    found = open_competition("folder", FILES)
    np.testing.assert_array_equal(
        found.load_train().pixels, open_competition("folder", Path("plain")).load_train().pixels
    )
    assert len(found.load_test()) == 12


def test_class_names_across_folds() -> None:
    class_folders(FILES, train="train1")
    class_folders(FILES, train="train2")
    (FILES / "train2" / "cat").rename(FILES / "train2" / "Cat")
    with pytest.raises(KitError, match="files/train2/Cat: its name differs from 'cat' in upper and lower case only"):
        open_competition("folder", FILES)
    (FILES / "train2" / "Cat").rename(FILES / "train2" / "test")
    assert open_competition("folder", FILES).class_names == (*PETS, "test")  # a class like any other


def test_images_beside_the_class_folders_are_told() -> None:
    class_folders(FILES)
    save_image(FILES / "train" / "stray.png", random_pixels(12, 12, 3))
    (note,) = open_competition("folder", FILES).load_train().notes
    assert note == "files: 1 images lie in no class folder and are left out, such as train/stray.png"


def test_labels_are_not_told_apart_by_spaces_or_case() -> None:
    table_and_images(FILES)
    table = (FILES / "train.csv").read_text()
    (FILES / "train.csv").write_text(table.replace(",cat,", ", cat ,", 3))
    assert open_competition("csv", FILES).label_values == PETS
    (FILES / "train.csv").write_text(table.replace(",cat,", ",CAT,", 1))
    with pytest.raises(
        KitError, match="the labels 'CAT' and 'cat' differ in upper and lower case only; write them alike"
    ):
        open_competition("csv", FILES)


def test_ids_that_name_the_folder_too() -> None:
    table_and_images(FILES)
    table = (FILES / "train.csv").read_text()
    (FILES / "train.csv").write_text(table.replace("\nimg_", "\n./train_images/img_"))
    assert len(open_competition("csv", FILES).load_train()) == 40


@pytest.mark.parametrize(
    ("spec", "write", "train_files"),
    [
        ("folder", class_folders, ["train"]),
        ("csv", table_and_images, ["train_images", "train.csv"]),
        ("pixels", pixel_tables, ["train.csv"]),
    ],
)
def test_prediction_needs_no_training_files(spec: str, write, train_files: list[str]) -> None:  # type: ignore[no-untyped-def]
    write(FILES)
    run = kit.train(spec, data=FILES, model="brief", epochs=1)
    kit.predict(run, out="with.csv")
    for name in train_files:
        (FILES / name).rename(name)
    kit.predict(run.path / "model.onnx", data=FILES, out="without.csv")
    assert Path("with.csv").read_text() == Path("without.csv").read_text()


def test_a_model_does_not_predict_another_data_set() -> None:
    class_folders(FILES)
    class_folders(Path("other"))
    (Path("other") / "train" / "hen").rename(Path("other") / "train" / "cow")
    run = kit.train("folder", data=FILES, model="brief", epochs=1)
    with pytest.raises(
        KitError, match="other/train: its classes are cat, cow, dog, expected cat, dog, hen: name the data"
    ):
        kit.predict(run, data="other", out="run.csv")


def test_a_terminated_reading_leaves_no_scratch(tmp_path: Path) -> None:
    for number in range(3000):
        save_image(FILES / "train" / PETS[number % 3] / f"{number}.png", random_pixels(60, 60, 3, seed=number))
    words = [sys.executable, "-m", "kit", "data", "check", "folder", "--data", str(FILES)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env={**os.environ})
    arrays = Path("cache/arrays")
    while not (arrays.is_dir() and list(arrays.iterdir())) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert not list(arrays.iterdir())
