import numpy as np
import pytest

from kit.training.normalization import NORMALIZATIONS


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (50, 6, 7, 3), np.uint8)


def normalized(name: str, pixels: np.ndarray) -> np.ndarray:
    rows = np.arange(5, 45)
    scale, offset = NORMALIZATIONS.bind_one(name)(pixels, rows)
    return (pixels * scale + offset)[rows]


def test_the_three(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(normalized("none", pixels), pixels[5:45])
    np.testing.assert_allclose(normalized("rescale", pixels), pixels[5:45] / 255)
    result = normalized("standardize", pixels)
    np.testing.assert_allclose(result.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(result.std(axis=(0, 1, 2)), 1, atol=1e-12)


def test_a_constant_channel(pixels: np.ndarray) -> None:
    pixels[..., 1] = 9
    assert np.abs(normalized("standardize", pixels)[..., 1]).max() < 1e-12
