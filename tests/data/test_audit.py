import json

import numpy as np
import pytest

from kit.data.audit import Channel, Duplicates, EqualImages, Finding, audit
from kit.data.images import Images
from kit.errors import DataError

NAMES = ("cat", "dog", "owl")
DIFFERENT = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), np.uint8)


def labelled(numbers: list[int], labels: list[int], **more: object) -> Images:
    return Images(DIFFERENT[numbers], np.array([f"t{row}" for row in range(len(numbers))]), np.array(labels), **more)


def test_clean_images() -> None:
    found = audit(labelled([0, 1, 2, 3], [0, 1, 2, 2]), None, NAMES)
    assert (found.rows, found.test_rows, found.image_shape) == (4, None, (6, 5, 3))
    assert found.class_counts == {"cat": 1, "dog": 1, "owl": 2}
    assert (found.empty_classes, found.balance) == ((), 0.5)
    assert found.duplicates == found.conflicts == Duplicates(0, 0)
    assert found.constant == Finding(0, ())
    assert found.in_test is found.test_duplicates is found.near_duplicates is None
    assert (found.conflict_examples, found.notes) == ((), ())


def test_empty_classes() -> None:
    found = audit(labelled([0, 1], [1, 1]), None, NAMES)
    assert (found.class_counts, found.empty_classes, found.balance) == (
        {"cat": 0, "dog": 2, "owl": 0},
        ("cat", "owl"),
        0,
    )


def test_duplicates_and_contradictions() -> None:
    found = audit(labelled([5, 7, 7, 5, 8, 7, 9, 9, 1], [0, 1, 2, 0, 1, 1, 2, 0, 0]), None, NAMES)
    assert found.duplicates == Duplicates(groups=3, rows=7)
    assert found.conflicts == Duplicates(groups=2, rows=5)
    assert found.duplicate_examples == (EqualImages(("t0", "t3"), ("cat", "cat")),)
    assert found.conflict_examples == (
        EqualImages(("t1", "t2", "t5"), ("dog", "owl", "dog")),
        EqualImages(("t6", "t7"), ("owl", "cat")),
    )


def test_the_first_examples_are_shown() -> None:
    numbers = [*range(20), *range(20)]
    found = audit(labelled(numbers, [0] * 20 + [1] * 20), Images(DIFFERENT[:20], np.arange(20)), NAMES)
    assert [example.ids for example in found.conflict_examples] == [(f"t{row}", f"t{row + 20}") for row in range(5)]
    assert found.in_test == Finding(40, ("t0", "t1", "t2", "t3", "t4"))


def test_training_images_in_the_test_set() -> None:
    test = Images(DIFFERENT[[30, 3, 31, 3, 1]], np.arange(5), notes=("2 files skipped",))
    found = audit(labelled([0, 1, 2, 3], [0, 1, 2, 2], notes=("no sizes",)), test, NAMES)
    assert found.test_rows == 5
    assert found.in_test == Finding(2, ("t1", "t3"))
    assert found.in_test_examples == (EqualImages(("t1",), ("dog",), (4,)), EqualImages(("t3",), ("owl",), (1, 3)))
    assert found.test_duplicates == Duplicates(1, 2)
    assert found.notes == ("no sizes", "2 files skipped")


def test_near_duplicates() -> None:
    near = DIFFERENT // 2 * 2 + 1  # at most one grey level away, unless the image is odd in every pixel
    train = Images(np.concatenate([DIFFERENT[:3], near[:2]]), np.arange(5), np.zeros(5, np.int64))
    test = Images(np.concatenate([near[2:4], DIFFERENT[:1]]), np.arange(3))  # the last is in both: it counts as train
    found = audit(train, test, NAMES, near=1).near_duplicates
    assert (found.radius, found.within_train, found.train_to_test, found.conflicts) == (1, 2, 1, 0)
    assert [(pair.ids, pair.classes) for pair in found.examples] == [
        ((2, 0), ("cat",)),
        ((0, 3), ("cat", "cat")),
        ((1, 4), ("cat", "cat")),
    ]
    apart = np.sqrt(np.square(DIFFERENT[0].astype(float) - near[0]).mean())
    assert found.examples[1].distance == pytest.approx(apart)
    alone = audit(train, None, NAMES, near=1).near_duplicates
    assert (alone.within_train, alone.train_to_test) == (2, 0)


def test_near_duplicates_of_different_classes_come_first() -> None:
    near = DIFFERENT // 2 * 2 + 1
    train = Images(np.concatenate([DIFFERENT[:3], near[:3]]), np.arange(6), np.array([0, 0, 0, 0, 2, 0]))
    found = audit(train, None, NAMES, near=1, examples=1).near_duplicates
    assert (found.within_train, found.conflicts) == (3, 1)
    assert [pair.classes for pair in found.examples] == [("cat", "owl"), ("cat", "cat")]


def test_channels_are_exact() -> None:
    random = np.random.default_rng(1)
    pixels = np.stack(
        [random.integers(*ends, (9000, 2, 3), np.uint8) for ends in ((3, 251), (7, 8), (0, 256))], axis=-1
    )
    found = audit(Images(pixels, np.arange(9000), np.zeros(9000, np.int64)), None, NAMES).channels
    assert found[1] == Channel(7, 7, 7.0, 0.0)
    for number in (0, 2):
        values = pixels[..., number].astype(np.float64)
        assert (found[number].minimum, found[number].maximum) == (values.min(), values.max())
        assert found[number].mean == pytest.approx(values.mean(), rel=1e-14)
        assert found[number].deviation == pytest.approx(values.std(), rel=1e-12)


def test_constant_images_have_one_colour() -> None:
    data = labelled([0, 1, 2, 3], [0, 1, 2, 0])
    data.pixels[1] = 255
    data.pixels[3] = (9, 8, 7)
    assert audit(data, None, NAMES).constant == Finding(2, ("t1", "t3"))


def test_it_goes_through_json() -> None:
    train = labelled([0, 1, 1], [0, 1, 2])
    found = audit(train, Images(DIFFERENT[:2], np.arange(2)), NAMES, near=2.5).to_dict()
    again = json.loads(json.dumps(found))
    assert again["conflict_examples"] == [{"ids": ["t1", "t2"], "classes": ["dog", "owl"], "test_ids": []}]
    assert again["near_duplicates"]["radius"] == 2.5
    assert again["in_test"] == {"rows": 3, "ids": ["t0", "t1", "t2"]}


def test_an_empty_test_set_is_no_mistake() -> None:
    found = audit(labelled([0], [0]), Images(DIFFERENT[:0], np.arange(0)), NAMES, near=1)
    assert (found.test_rows, found.in_test, found.test_duplicates) == (0, Finding(0, ()), Duplicates(0, 0))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (Images(DIFFERENT, np.arange(40)), None, "only labelled images can be audited, expected training images with "),
        (labelled([], []), None, "there are no training images, expected at least one"),
        (
            labelled([0], [0]),
            Images(DIFFERENT[:, :5], np.arange(40)),
            "test images are (5, 5, 3), expected (6, 5, 3) as the training images are",
        ),
    ],
)
def test_what_cannot_be_audited(train: Images, test: Images | None, message: str) -> None:
    with pytest.raises(DataError) as error:
        audit(train, test, NAMES)
    assert str(error.value).startswith(message)
