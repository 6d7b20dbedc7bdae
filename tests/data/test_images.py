from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.data.images import Images, decode_labels, encode_labels, windows
from kit.errors import DataError

label_sets = st.one_of(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=8, unique=True),
    st.lists(st.text("abcé ", min_size=1, max_size=4), min_size=2, max_size=8, unique=True),
)


@given(values=label_sets, rows=st.lists(st.integers(0, 7), max_size=30))
def test_labels_survive_the_round_trip(values: list, rows: list[int]) -> None:
    original = [values[row % len(values)] for row in rows]
    array = np.array(original, dtype=np.array(values).dtype)
    labels = encode_labels(array, tuple(values), "here")
    assert labels.dtype == np.int64
    assert decode_labels(labels, tuple(values)) == original


def test_the_competitions_own_labels() -> None:
    assert encode_labels(np.array([1.0, 5.0, 3.0]), (1, 2, 3, 4, 5), "f").tolist() == [0, 4, 2]
    assert encode_labels(np.array([42, 3]), (3, 7, 42), "f").tolist() == [2, 0]
    assert decode_labels(np.array([0, 4]), (1, 2, 3, 4, 5)) == [1, 5]
    assert all(type(value) is int for value in decode_labels(np.array([0, 4]), (1, 2, 3, 4, 5)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 0.0], r"f: 1 labels are not in the set \{1, 2, 3\}; the first is 0.0 in row 1"),
        ([1.5, 2.0], "the first is 1.5 in row 0"),
        ([np.nan, 2.0], "the first is nan in row 0"),
        ([4, 9], "2 labels are not in the set"),
        (["1", "2"], "labels are text, expected numbers"),
    ],
)
def test_labels_outside_the_set(values: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode_labels(np.array(values), (1, 2, 3), "f")


@pytest.mark.parametrize("fortran", [False, True])
def test_windows_of_a_memory_map(tmp_path: Path, fortran: bool) -> None:
    expected = np.random.default_rng(0).integers(0, 256, (25, 3, 2, 1), np.uint8)
    np.save(tmp_path / "a.npy", np.asfortranarray(expected) if fortran else expected)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for array in (expected, mapped, mapped[5:], mapped[::2], mapped.reshape(25, 6)):
        parts = list(windows(array, 7))
        assert [len(part) for part in parts[:-1]] == [7] * (len(parts) - 1)
        np.testing.assert_array_equal(np.concatenate(parts), np.asarray(array))


def test_images_are_checked() -> None:
    with pytest.raises(DataError, match="expected uint8"):
        Images(np.zeros((2, 4, 4, 1)), np.arange(2))
    with pytest.raises(DataError, match="2 images but labels of shape"):
        Images(np.zeros((2, 4, 4, 1), np.uint8), np.arange(2), np.arange(3))
