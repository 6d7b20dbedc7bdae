from pathlib import Path

import numpy as np
import pytest

from kit.data.pixels import write_as_uint8
from kit.errors import DataError

SHAPE = (4, 5, 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int64])
def test_values_of_0_to_255_are_kept(tmp_path: Path, dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 256, (3000, 4, 5))
    write_as_uint8(values.astype(dtype), SHAPE, tmp_path / "p.npy", "here")
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), values[..., None])


def test_values_of_0_to_1_are_scaled(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (10, 4, 5, 1))
    write_as_uint8(values / 255, SHAPE, tmp_path / "p.npy", "here")
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), values)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.full((2, 4, 5), -1.0), "received values from -1 to -1 in rows 0 to 1, expected 0..255 or 0..1"),
        (np.full((2, 4, 5), 300), "received values from 300 to 300"),
        (np.where(np.arange(40).reshape(2, 4, 5) == 30, np.nan, 1.0), "row 1 holds values that are not finite"),
        (np.zeros((2, 5, 4)), r"received shape \(2, 5, 4\), expected \(rows, 4, 5, 1\)"),
        (np.zeros((0, 4, 5)), "here: received no images, expected at least one row"),
        (np.zeros(5), "received shape"),
        (np.full((2, 4, 5), "x"), "received <U1 values"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, features: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_as_uint8(features, SHAPE, tmp_path / "p.npy", "here")
    assert not (tmp_path / "p.npy").exists()
