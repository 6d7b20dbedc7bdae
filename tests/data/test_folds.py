import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.data.folds import Fold, make_split
from kit.data.images import Images
from kit.errors import DataError, RecipeError

GOLDEN = Path(__file__).with_name("golden_folds.json")


def images(labels: list[int] | np.ndarray, seed: int = 0) -> Images:
    """Distinct images, one a label."""
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 4, 4, 1), np.uint8)
    return Images(pixels, np.arange(len(labels)), np.asarray(labels))


labellings = st.lists(st.integers(0, 4), min_size=12, max_size=120)


@settings(max_examples=60, deadline=None)
@given(labels=labellings, folds=st.integers(2, 10), seed=st.integers(0, 2**32 - 1))
def test_stratified_kfold(labels: list[int], folds: int, seed: int) -> None:
    data = images(labels)
    made = make_split(f"stratified_kfold({folds})").make_folds(data, seed)
    validated = np.concatenate([fold.validation for fold in made])
    assert sorted(validated.tolist()) == list(range(len(labels)))  # each row in exactly one validation fold
    for fold in made:
        assert sorted([*fold.train.tolist(), *fold.validation.tolist()]) == list(range(len(labels)))
        assert len(fold.test) == 0
    assert spread([len(fold.validation) for fold in made]) <= 1
    for label in set(labels):
        assert spread([int((data.labels[fold.validation] == label).sum()) for fold in made]) <= 1


def spread(sizes: list[int]) -> int:
    return max(sizes) - min(sizes)


@settings(max_examples=30, deadline=None)
@given(labels=labellings, seed=st.integers(0, 2**32 - 1))
def test_holdout_parts_are_disjoint_and_complete(labels: list[int], seed: int) -> None:
    (fold,) = make_split("holdout").make_folds(images(labels), seed)
    parts = [fold.train, fold.validation, fold.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for part, share in zip(parts, (0.8, 0.1, 0.1), strict=True):
        tenths = round(share * 10)
        assert abs(len(part) - share * len(labels)) < tenths + 1e-9
        for label in set(labels):
            assert abs(np.sum(np.array(labels)[part] == label) - share * labels.count(label)) < tenths + 1e-9


def test_holdout_of_sixty_thousand() -> None:
    labels = np.repeat(np.arange(5), 12_000)
    (fold,) = make_split("holdout").make_folds(images(labels), seed=0)
    assert [len(fold.train), len(fold.validation), len(fold.test)] == [48_000, 6_000, 6_000]
    assert np.bincount(labels[fold.validation]).tolist() == [1_200] * 5
    assert np.bincount(labels[fold.test]).tolist() == [1_200] * 5


def contents(data: Images, folds: list[Fold]) -> list[set[bytes]]:
    return [{data.pixels[row].tobytes() for row in fold.validation} for fold in folds]


@pytest.mark.parametrize("spec", ["holdout", "stratified_kfold(4)"])
def test_row_order_and_relabelling_change_nothing(spec: str) -> None:
    data = images(np.arange(97) % 3)
    split = make_split(spec)
    before = contents(data, split.make_folds(data, 5))
    order = np.random.default_rng(9).permutation(97)
    shuffled = Images(data.pixels[order], data.ids[order], data.labels[order])
    relabelled = Images(data.pixels, data.ids, np.array([2, 0, 1])[data.labels])
    assert contents(shuffled, split.make_folds(shuffled, 5)) == before
    assert contents(relabelled, split.make_folds(relabelled, 5)) == before
    assert contents(data, split.make_folds(data, 6)) != before


def test_the_same_seed_gives_the_folds_of_the_golden_file() -> None:
    """Raise SPLIT_VERSION before you write this file anew: old runs could not be compared with new ones."""
    pixels = (np.arange(40 * 16) * 37 % 251).astype(np.uint8).reshape(40, 4, 4, 1)
    data = Images(pixels, np.arange(40), np.arange(40) % 3)
    made = {
        spec: [
            [part.tolist() for part in (fold.train, fold.validation, fold.test)] for fold in split.make_folds(data, 7)
        ]
        for spec in ("holdout", "stratified_kfold(3)")
        if (split := make_split(spec))
    }
    assert made == json.loads(GOLDEN.read_text())


def test_too_few_images() -> None:
    with pytest.raises(DataError, match="4 labelled images cannot be split into 10 parts: get at least 10"):
        make_split("holdout").make_folds(images([0, 1, 0, 1]), 0)


def test_one_fold_is_none() -> None:
    with pytest.raises(RecipeError, match="folds is 1, expected at least 2"):
        make_split("stratified_kfold(1)")
