import json

import numpy as np
import pytest

from kit.data.exploration import Exploration, Part, explore_images
from kit.data.folds import make_split
from kit.data.images import Images

NAMES = ("cat", "dog", "owl")


def images(rows: int, seed: int = 0, labelled: bool = True, **columns: np.ndarray) -> Images:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, 6, 5, 3), np.uint8)
    return Images(pixels, np.arange(rows), np.arange(rows) % 2 if labelled else None, columns)


def explored(train: Images, test: Images | None, split: str = "holdout") -> Exploration:
    return explore_images(train, test, NAMES, make_split(split).make_folds(train, 0))


def test_parts_of_the_split_of_folders_and_of_a_labelled_test_set() -> None:
    folder = np.array(["train1", "train2"])[np.arange(100) // 60]
    found = explored(images(100, folder=folder, file=np.arange(100), patient=np.arange(100) // 2), images(40, 1))
    assert found.parts == (
        Part("all", "", 100, (50, 50, 0)),
        Part("train", "split", 80, (40, 40, 0)),
        Part("validate", "split", 10, (5, 5, 0)),
        Part("held out", "split", 10, (5, 5, 0)),
        Part("train1", "folder", 60, (30, 30, 0)),
        Part("train2", "folder", 40, (20, 20, 0)),
        Part("test set", "test", 40, (20, 20, 0)),
    )
    assert found.notes == ("column patient: 50 different values, 2 to 2 images each",)
    assert found.audit.empty_classes == ("owl",)


def test_folds_and_a_test_set_without_labels() -> None:
    found = explored(images(60), images(40, 1, labelled=False), "repeated_stratified_kfold(3, 4)")
    assert [part.name for part in found.parts] == ["all", *(f"fold {n} validates" for n in range(10)), "test set"]
    assert {part.of_classes for part in found.parts[1:-1]} == {(10, 10, 0)}
    assert found.parts[-1].of_classes is None
    assert "the first 10 of 12 folds are listed" in found.notes


def test_histograms_are_of_both_sets() -> None:
    train, test = images(40), images(35, 1)
    found = explored(train, test)
    assert found.histograms.shape == found.test_histograms.shape == (3, 256)
    assert found.test_histograms[1, 7] == (test.pixels[..., 1] == 7).sum()
    assert found.test_channels[2].mean == pytest.approx(test.pixels[..., 2].mean())


@pytest.mark.parametrize("rows", [None, 0, 5])
def test_no_drift_without_a_test_set_of_some_size(rows: int | None) -> None:
    found = explored(images(40), None if rows is None else images(rows, 1))
    assert found.drift is None
    assert [note for note in found.notes if "drift" in note] == (
        ["drift was not looked for: 5 test images are too few to tell drift, expected at least 30"] if rows else []
    )
    assert found.test_channels == () or rows


def test_it_goes_through_json() -> None:
    found = json.loads(json.dumps(explored(images(40), images(35, 1)).to_dict()))
    assert found["parts"][1] == {"name": "train", "column": "split", "rows": 32, "of_classes": [16, 16, 0]}
    assert set(found["drift"]) == {"auc", "interval", "train_rows", "test_rows", "verdict"}
    assert sum(found["histograms"][0]) == 40 * 30
