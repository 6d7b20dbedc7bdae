import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from kit.errors import RecipeError
from kit.training.augment import augmentation
from kit.training.augment.elastic import displace, smooth, smoothing_matrix

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("shape", [(28, 28), (20, 33), (7, 9)])
@pytest.mark.parametrize("sigma", [0.7, 3.0, 8.0])
def test_smoothing_is_scipys_gaussian_filter(shape: tuple[int, int], sigma: float) -> None:
    fields = np.random.default_rng(0).uniform(-1, 1, (3, 2, *shape)).astype(np.float32)
    expected = [[gaussian_filter(field, sigma, mode="reflect", truncate=4.0) for field in pair] for pair in fields]
    np.testing.assert_allclose(np.asarray(smooth(fields, sigma)), expected, atol=2e-6)


@pytest.mark.parametrize("shape", [(28, 28, 1), (20, 33, 3)])
@pytest.mark.parametrize("reach", [0.0, 0.8, 5.0, 40.0])  # pixels; 40 folds at both borders
def test_displacement_is_scipys_map_coordinates(shape: tuple[int, int, int], reach: float) -> None:
    random = np.random.default_rng(1)
    images = random.uniform(0, 255, (4, *shape)).astype(np.float32)
    displacement = random.uniform(-reach, reach, (4, 2, *shape[:2])).astype(np.float32)
    received = np.asarray(displace(images, displacement))
    rows, columns = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    for image, (down, right), result in zip(images, displacement, received, strict=True):
        for channel in range(shape[2]):
            place = [rows + down, columns + right]
            expected = map_coordinates(image[..., channel], place, order=1, mode="reflect")
            np.testing.assert_allclose(result[..., channel], expected, atol=0.02)  # of 255, in float32


def test_images_are_distorted_as_by_scipy_one_by_one() -> None:
    import keras

    images = np.random.default_rng(1).uniform(0, 255, (5, 20, 33, 3)).astype(np.float32)
    stage = augmentation("elastic((30, 60), sigma=4)")
    received = np.asarray(stage(keras.ops.convert_to_tensor(images), None, keras.random.SeedGenerator(5))[0])
    seed = keras.random.SeedGenerator(5)  # the same draws again
    fields = np.asarray(keras.random.uniform((5, 2, 20, 33), -1.0, 1.0, seed=seed))
    alphas = np.asarray(keras.random.uniform((5, 1, 1, 1), 30.0, 60.0, seed=seed)).ravel()
    assert len(np.unique(alphas)) == 5
    rows, columns = np.meshgrid(np.arange(20), np.arange(33), indexing="ij")
    for image, pair, alpha, result in zip(images, fields, alphas, received, strict=True):
        down, right = (alpha * gaussian_filter(field, 4, mode="reflect", truncate=4.0) for field in pair)
        assert np.abs(down - right).max() > 1
        for channel in range(3):
            place = [rows + down, columns + right]
            expected = map_coordinates(image[..., channel], place, order=1, mode="reflect")
            np.testing.assert_allclose(result[..., channel], expected, atol=0.05)  # of 255, in float32


def test_smoothing_keeps_a_constant_field() -> None:
    np.testing.assert_allclose(np.ones(12, np.float32) @ smoothing_matrix(12, 3.0), 1, atol=1e-6)


@pytest.mark.parametrize(
    "options", ["(5, 2)", "sigma=0", "(-1, 2)", "probability=2", "sigma=1e10", "(1e30, 1e30)", "(0, 1e300)"]
)
def test_bad_options_are_refused(options: str) -> None:
    with pytest.raises(RecipeError, match="elastic"):
        augmentation(f"elastic({options})")
