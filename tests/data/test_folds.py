import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kit.data.folds import (
    SPLITS,
    Fold,
    _fill_bins,
    deal,
    make_split,
    separated_duplicates,
)
from kit.data.folds_file import write_folds_file
from kit.data.images import Images
from kit.errors import DataError, RecipeError

GOLDEN = Path(__file__).with_name("golden_folds.json")
MANY = np.random.default_rng(0).integers(0, 256, (200, 4, 4, 1), np.uint8)
"""Distinct images, far apart."""


def images(labels: Sequence[int] | np.ndarray, seed: int = 0) -> Images:
    """Distinct images, one a label."""
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 4, 4, 1), np.uint8)
    return Images(pixels, np.arange(len(labels)), np.asarray(labels))


def copies(numbers: Sequence[int], labels: Sequence[int] | np.ndarray, **columns: Sequence[object]) -> Images:
    """Rows with the same number are the same image."""
    named = {name: np.array(column) for name, column in columns.items()}
    return Images(MANY[list(numbers)], np.arange(len(numbers)), np.asarray(labels), named)


def reordered(data: Images, order: np.ndarray, classes: Sequence[int] = range(10)) -> Images:
    """The same images in another order, with other labels."""
    columns = {name: column[order] for name, column in data.columns.items()}
    return Images(data.pixels[order], data.ids[order], np.array(classes)[data.labels[order]], columns)


labellings = st.lists(st.integers(0, 4), min_size=12, max_size=120)
seeds = st.integers(0, 2**32 - 1)
rows_with_copies = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=12, max_size=120)
"""(number of the image, label)."""


def spread(sizes: list[int]) -> int:
    return max(sizes) - min(sizes)


def assert_each_row_validates_once(made: list[Fold], rows: int) -> None:
    assert sorted(np.concatenate([fold.validation for fold in made]).tolist()) == list(range(rows))
    for fold in made:
        assert sorted([*fold.train.tolist(), *fold.validation.tolist()]) == list(range(rows))
        assert len(fold.test) == 0


@settings(max_examples=60, deadline=None)
@given(labels=labellings, folds=st.integers(2, 10), seed=seeds)
def test_stratified_kfold(labels: list[int], folds: int, seed: int) -> None:
    data = images(labels)
    made = make_split(f"stratified_kfold({folds})").make_folds(data, seed)
    assert_each_row_validates_once(made, len(labels))
    assert spread([len(fold.validation) for fold in made]) <= 1
    for label in set(labels):
        assert spread([int((data.labels[fold.validation] == label).sum()) for fold in made]) <= 1


@settings(max_examples=100, deadline=None)
@given(rows=rows_with_copies, folds=st.integers(2, 8), seed=seeds, contradictory=st.booleans())
def test_equal_images_share_a_hand_and_hands_differ_by_one_group(
    rows: list[tuple[int, int]], folds: int, seed: int, contradictory: bool
) -> None:
    numbers = np.array([number for number, _ in rows])
    labels = np.array([label if contradictory else number % 4 for number, label in rows])
    assume(len(set(numbers.tolist())) >= folds)
    hand = deal(copies(numbers, labels), folds, seed)
    assert all(len(set(hand[numbers == number].tolist())) == 1 for number in numbers)
    sizes = np.bincount(hand, minlength=folds)
    assert sizes.min() > 0
    assert spread(sizes.tolist()) <= np.bincount(numbers).max()
    if not contradictory:
        for label in set(labels.tolist()):
            of_class = np.bincount(hand[labels == label], minlength=folds)
            assert spread(of_class.tolist()) <= np.bincount(numbers[labels == label]).max()


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), max_size=60), count=st.integers(1, 8))
def test_groups_go_into_the_smallest_bin_the_largest_first(sizes: list[int], count: int) -> None:
    bins, expected = [0] * count, [-1] * len(sizes)
    for group in sorted(range(len(sizes)), key=lambda group: -sizes[group]):
        expected[group] = bins.index(min(bins))
        bins[expected[group]] += sizes[group]
    bin_of_group, rows = _fill_bins(np.array(sizes, np.int64), count)
    assert (bin_of_group.tolist(), rows.tolist()) == (expected, bins)


@settings(max_examples=30, deadline=None)
@given(labels=labellings, seed=seeds)
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


def test_holdout_without_a_test_part() -> None:
    labels = np.repeat(np.arange(4), 50)
    (fold,) = make_split("holdout_80_20").make_folds(images(labels), seed=0)
    assert np.bincount(labels[fold.train]).tolist() == [40] * 4
    assert np.bincount(labels[fold.validation]).tolist() == [10] * 4
    assert len(fold.test) == 0


def contents(data: Images, folds: list[Fold]) -> list[list[bytes]]:
    return [sorted(data.pixels[row].tobytes() for row in fold.validation) for fold in folds]


@pytest.mark.parametrize(
    "spec",
    [
        "holdout",
        "holdout_80_20",
        "holdout_90_10",
        "stratified_kfold(4)",
        "stratified_kfold(4, near=3)",
        "stratified_kfold(4, group='patient')",
        "repeated_stratified_kfold(3, 2)",
    ],
)
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 199), st.integers(0, 2)), min_size=60, max_size=90), shuffle=seeds)
def test_row_order_and_relabelling_change_nothing(spec: str, rows: list[tuple[int, int]], shuffle: int) -> None:
    numbers, labels = [number for number, _ in rows], [label for _, label in rows]
    assume(len(set(numbers)) >= 40)
    data = copies(numbers, labels, patient=[f"p{number % 23}" for number in numbers])
    split = make_split(spec)
    before = contents(data, split.make_folds(data, 5))
    order = np.random.default_rng(shuffle).permutation(len(rows))
    again = reordered(data, order, classes=[2, 0, 1])
    assert contents(again, split.make_folds(again, 5)) == before
    assert contents(data, split.make_folds(data, 6)) != before


def test_classes_with_the_same_images_may_be_swapped() -> None:
    data = copies([*range(30), *range(30)], [0] * 30 + [1] * 30)
    swapped = reordered(data, np.arange(60), classes=[1, 0])
    split = make_split("stratified_kfold(3)")
    assert contents(swapped, split.make_folds(swapped, 0)) == contents(data, split.make_folds(data, 0))


def test_near_duplicates_share_a_fold_if_asked_to() -> None:
    brighter = np.minimum(MANY[:100], 254) + 1  # a difference of 1 in nearly every pixel
    pixels = np.concatenate([MANY[:100], brighter])
    data = Images(pixels, np.arange(200), np.arange(200) % 2)
    hand = deal(data, 5, 0)
    assert (hand[:100] != hand[100:]).sum() > 50
    for spec in ("stratified_kfold(5, near=1)", "repeated_stratified_kfold(5, near=1)"):
        for fold in make_split(spec).make_folds(data, 0):
            assert np.array_equal(
                np.isin(np.arange(100), fold.validation), np.isin(np.arange(100, 200), fold.validation)
            )
    (fold,) = make_split("holdout(near=1)").make_folds(data, 0)
    assert np.array_equal(fold.test[fold.test < 100] + 100, fold.test[fold.test >= 100])


@settings(max_examples=40, deadline=None)
@given(rows=rows_with_copies, patients=st.lists(st.integers(0, 20), min_size=120, max_size=120), seed=seeds)
def test_a_group_never_shares_both_sides(rows: list[tuple[int, int]], patients: list[int], seed: int) -> None:
    numbers = [number for number, _ in rows]
    data = copies(numbers, [label for _, label in rows], patient=patients[: len(rows)])
    try:
        made = make_split("stratified_kfold(2, group='patient')").make_folds(data, seed)
    except DataError as error:  # everything hangs together
        assert "make" in str(error)
        return
    assert_each_row_validates_once(made, len(rows))
    for fold in made:
        assert not set(data.columns["patient"][fold.train]) & set(data.columns["patient"][fold.validation])
        assert not {numbers[row] for row in fold.train} & {numbers[row] for row in fold.validation}


def test_groups_keep_the_classes_even() -> None:
    labels = np.tile([0, 0, 1], 60)
    data = copies(range(180), labels, patient=np.arange(180) // 6)
    for fold in make_split("stratified_kfold(5, group='patient')").make_folds(data, 0):
        assert np.bincount(labels[fold.validation]).tolist() == [24, 12]


def test_repeats_are_other_deals_and_the_first_is_that_of_stratified_kfold() -> None:
    data = images(np.arange(90) % 3)
    split = make_split("repeated_stratified_kfold(3, repeats=2)")
    made = split.make_folds(data, 4)
    assert split.num_folds == len(made) == 6
    once = make_split("stratified_kfold(3)").make_folds(data, 4)
    assert contents(data, made[:3]) == contents(data, once)
    assert contents(data, made[3:]) != contents(data, once)
    for repeat in (made[:3], made[3:]):
        assert_each_row_validates_once(repeat, 90)


@pytest.mark.parametrize(
    ("spec", "rows", "validation"),
    [
        ("middle_tenth", 50_000, (17_500, 22_500)),
        ("middle_tenth", 10, (3, 4)),
        ("first_rows", 50_000, (40_000, 50_000)),
        ("first_rows(3)", 5, (3, 5)),
    ],
)
def test_splits_by_position(spec: str, rows: int, validation: tuple[int, int]) -> None:
    data = Images(np.zeros((rows, 1, 1, 1), np.uint8), np.arange(rows), np.zeros(rows, np.int64))
    split = make_split(spec)
    (fold,) = split.make_folds(data, 0)
    assert split.num_folds == 1
    assert fold.validation.tolist() == list(range(*validation))
    assert fold.train.tolist() == [row for row in range(rows) if not validation[0] <= row < validation[1]]
    assert len(fold.test) == 0


def test_folders() -> None:
    data = copies(range(6), [0, 1] * 3, folder=["train2", "train1", "train2", "train3", "train1", "train1"])
    split = make_split("group_folders('train2')")
    (fold,) = split.make_folds(data, 0)
    assert (split.num_folds, fold.validation.tolist(), fold.train.tolist()) == (1, [0, 2], [1, 3, 4, 5])
    split = make_split("group_folders")
    assert split.num_folds is None
    assert [fold.validation.tolist() for fold in split.make_folds(data, 0)] == [[1, 4, 5], [0, 2], [3]]


@settings(max_examples=25, deadline=None)
@given(
    # Two characters that the csv module writes and cannot read; commas, quotes and line feeds it can.
    ids=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=4, max_size=20, unique=True
    ),
    seed=seeds,
)
def test_a_folds_file_comes_back(ids: list[str], seed: int) -> None:
    hand = np.random.default_rng(seed).permutation(np.arange(len(ids)) % 3)
    data = Images(MANY[: len(ids)], np.array(ids, object), np.zeros(len(ids), np.int64))
    write_folds_file(Path("some.csv"), data.ids, hand)
    split = make_split("folds_file('some.csv')")
    made = split.make_folds(data, 0)
    assert split.num_folds is None
    assert [fold.validation.tolist() for fold in made] == [np.flatnonzero(hand == fold).tolist() for fold in range(3)]


def test_a_folds_file_may_come_from_a_spreadsheet_in_any_order() -> None:
    Path("folds.csv").write_bytes(b"\xef\xbb\xbfid,fold\r\n2,0\r\n0,1\r\n\r\n1,0\r\n")
    made = make_split("folds_file").make_folds(images([0, 1, 0]), 0)
    assert [fold.validation.tolist() for fold in made] == [[1, 2], [0]]


ONCE = "expected each id of the images once, with its fold"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "f.csv cannot be read: No such file or directory; expected a CSV file with header id,fold"),
        (b"\xff\xfe", "f.csv is not a CSV file in UTF-8, expected one with header id,fold"),
        (b"", "f.csv: the header is 'missing', expected 'id,fold'"),
        (b"row,fold\n0,1\n", "f.csv: the header is 'row,fold', expected 'id,fold'"),
        (b"id,fold\n0,1\n1\n", f"f.csv: 1 rows that do not have two fields, {ONCE}: 1"),
        (b"id,fold\n0,1\n0,1\n1,0\n2,0\n3,0\n", f"f.csv: 1 ids that are listed more than once, {ONCE}: 0"),
        (b"id,fold\n0,1\n01,0\n", f"f.csv: 1 ids that no image has, {ONCE}: 01"),
        (b"id,fold\n5,1\n", f"f.csv: 7 images that are not listed, {ONCE}: 0, 1, 2, 3, 4, ..."),
        (
            b"id,fold\n0,1.0\n1,-1\n2,x\n3,\n4,0\n5,0\n6,0\n7,1\n",
            f"f.csv: 4 rows whose fold is not a whole number of 0 or more, {ONCE}: 0, 1, 2, 3",
        ),
        (
            b"id,fold\n0,0\n1,0\n2,2\n3,0\n4,0\n5,0\n6,0\n7,0\n",
            "f.csv: the folds are 0, 2, expected all whole numbers from 0 to at least 1, without gaps",
        ),
        (
            b"id,fold\n0,0\n1,0\n2,0\n3,0\n4,0\n5,0\n6,0\n7,0\n",
            "f.csv: the folds are 0, expected all whole numbers from 0 to at least 1, without gaps",
        ),
    ],
)
def test_bad_folds_files(content: bytes | None, message: str) -> None:
    if content is not None:
        Path("f.csv").write_bytes(content)
    with pytest.raises(DataError) as error:
        make_split("folds_file('f.csv')").make_folds(images([0, 1] * 4), 0)
    assert str(error.value) == message


def test_images_whose_ids_are_not_unique_cannot_be_looked_up() -> None:
    Path("folds.csv").write_text("id,fold\na,0\nb,1\n")
    data = Images(MANY[:3], np.array(["a", "b", "a"]), np.zeros(3, np.int64))
    with pytest.raises(DataError, match="folds.csv: 1 ids of the images that are not unique, .*: a$"):
        make_split("folds_file").make_folds(data, 0)


def test_separated_duplicates_are_told() -> None:
    data = copies([0, 1, 2, 0, 1, 3, 3, 4, 0], [0] * 9)
    folds = make_split("first_rows(4)").make_folds(data, 0)  # 0 and 1 lie on both sides, 3 on one
    assert separated_duplicates(data, folds) == (
        "2 images lie on both sides of the split, in 5 rows that are equal pixel by pixel: "
        "the score rewards remembering them"
    )
    for spec in ("holdout_80_20", "stratified_kfold(3)", "repeated_stratified_kfold(3)"):
        assert separated_duplicates(data, make_split(spec).make_folds(data, 0)) is None


def test_the_same_seed_gives_the_folds_of_the_golden_file() -> None:
    """Raise SPLIT_VERSION before you write this file anew: old runs could not be compared with new ones."""
    pixels = (np.arange(40 * 16) * 37 % 251).astype(np.uint8).reshape(40, 4, 4, 1)
    pixels[[4, 9, 35]] = pixels[20]
    pixels[7] = pixels[8]
    pixels[11] = pixels[12] // 2 * 2
    data = Images(pixels, np.arange(40), np.arange(40) % 3)
    made = {
        spec: [
            [part.tolist() for part in (fold.train, fold.validation, fold.test)] for fold in split.make_folds(data, 7)
        ]
        for spec in (
            "holdout",
            "holdout_80_20",
            "holdout_90_10",
            "stratified_kfold(3)",
            "stratified_kfold(3, near=1)",
            "repeated_stratified_kfold(2, 2)",
        )
        if (split := make_split(spec))
    }
    assert made == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("holdout", "4 labelled images cannot be split into 10 parts: get at least 10"),
        ("stratified_kfold(3)", "4 labelled images are 2 different ones, which cannot be split into 3 parts: get at "),
        ("middle_tenth", "middle_tenth: 4 images have no tenth to validate: get at least 10"),
        ("first_rows(4)", "first_rows: 4 images, expected more than the 4 that train, so that some are left to "),
        ("group_folders", "group_folders: the images have no column 'folder': choose one of eye, patient"),
        (
            "stratified_kfold(2, group='person')",
            "stratified_kfold: the images have no column 'person': choose one of eye, patient",
        ),
        (
            "stratified_kfold(2, group='patient')",
            "stratified_kfold: column 'patient' makes 1 groups, and the largest class has 2 rows, too few for 2 folds: "
            "take at most 1",
        ),
    ],
)
def test_images_that_do_not_fit_the_split(spec: str, message: str) -> None:
    data = copies([0, 1, 0, 1], [0, 1, 0, 1], patient=["a", "a", "b", "b"], eye=[0, 1, 0, 1])
    with pytest.raises(DataError) as error:
        make_split(spec).make_folds(data, 0)
    assert str(error.value).startswith(message)


def test_columns_and_folders_that_are_not_there() -> None:
    with pytest.raises(DataError, match="the images have no column 'folder': they have no columns at all"):
        make_split("group_folders").make_folds(images([0, 1]), 0)
    data = copies([0, 1], [0, 1], folder=["b", "a"])
    with pytest.raises(DataError, match="there is no folder 'c': choose one of a, b"):
        make_split("group_folders('c')").make_folds(data, 0)
    data = copies([0, 1], [0, 1], folder=["a", "a"])
    with pytest.raises(DataError, match="all images are in folder 'a', expected at least two folders"):
        make_split("group_folders").make_folds(data, 0)


@pytest.mark.parametrize("spec", ["holdout", "stratified_kfold(2)", "stratified_kfold(2, group='eye')"])
def test_only_labelled_images_are_dealt(spec: str) -> None:
    data = Images(MANY[:20], np.arange(20), None, {"eye": np.arange(20)})
    with pytest.raises(DataError, match="only labelled images can be split"):
        make_split(spec).make_folds(data, 0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("stratified_kfold(1)", "stratified_kfold: folds is 1, expected at least 2"),
        ("repeated_stratified_kfold(1)", "repeated_stratified_kfold: folds is 1, expected at least 2"),
        ("repeated_stratified_kfold(repeats=0)", "repeated_stratified_kfold: repeats is 0, expected at least 1"),
        ("first_rows(0)", "first_rows: rows is 0, expected at least 1"),
        ("holdout(near=-1)", "near is -1, expected a root-mean-square difference of 0 to 255 grey levels"),
        ("holdout_80_20(1e999)", "the spec 'holdout_80_20(1e999)' has a number beyond 3e+38: expected smaller ones"),
    ],
)
def test_options_that_cannot_be(spec: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        make_split(spec)
    assert str(error.value) == message


def test_every_split_says_how_many_folds_it_makes_if_it_can() -> None:
    assert {name: make_split(name).num_folds for name in SPLITS.names()} == {
        "first_rows": 1,
        "folds_file": None,
        "group_folders": None,
        "holdout": 1,
        "holdout_80_20": 1,
        "holdout_90_10": 1,
        "middle_tenth": 1,
        "repeated_stratified_kfold": 10,
        "stratified_kfold": 5,
    }
