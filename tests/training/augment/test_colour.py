"""Brightness, contrast and colour, against NumPy."""

import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.augment import augmentation
from kit.training.augment.colour import colour_root

pytestmark = pytest.mark.backend


def some_images(rows: int = 300, channels: int = 3, low: float = 60, high: float = 180) -> np.ndarray:
    """Channels that vary together; the default range leaves room for changes that nothing clips."""
    random = np.random.default_rng(6)
    grey, own = random.uniform(0, 1, (rows, 6, 5, 1)), random.uniform(0, 1, (rows, 6, 5, channels))
    return (low + (high - low) * (0.7 * grey + 0.3 * own)).astype(np.float32)


def run(spec: str, images: np.ndarray, seed: int = 0) -> np.ndarray:
    import keras

    return np.asarray(
        augmentation(spec)(keras.ops.convert_to_tensor(images), None, keras.random.SeedGenerator(seed))[0]
    )


def factors(changed: np.ndarray, images: np.ndarray, about: np.ndarray | float) -> np.ndarray:
    """The factor of each image, by least squares, once all of its pixels are seen to follow it."""
    before, after = images - about, changed - about
    factor = (before * after).sum(axis=(1, 2, 3)) / (before**2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(after, before * factor[:, None, None, None], atol=1e-3)
    return factor


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_is_a_factor_of_each_image(channels: int) -> None:
    images = some_images(channels=channels)
    factor = factors(run("brightness(0.3)", images), images, 0.0)
    assert 0.7 <= factor.min() < 0.72
    assert 1.28 < factor.max() <= 1.3


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_is_a_factor_about_each_images_mean(channels: int) -> None:
    images = some_images(channels=channels).astype(np.float32)
    mean = images.astype(float).mean(axis=(1, 2, 3), keepdims=True)
    factor = factors(run("contrast(0.3)", images), images, mean)
    assert 0.7 <= factor.min() < 0.72
    assert 1.28 < factor.max() <= 1.3


def test_results_are_clipped_and_not_scaled() -> None:
    images = some_images(low=0, high=255)
    bright = run("brightness(0.9)", images)
    assert bright.max() == 255
    factor = bright.min(axis=(1, 2, 3)) / images.min(axis=(1, 2, 3))  # the darkest pixel stays below 255
    np.testing.assert_allclose(bright, np.minimum(images * factor[:, None, None, None], 255), rtol=1e-5)
    strong = run("contrast(1)", images)
    assert strong.min() == 0
    assert strong.max() == 255


def test_colours_follow_the_covariance_of_the_batch() -> None:
    images = some_images(4000)
    added = run("pca_colour(0.2)", images) - images
    np.testing.assert_allclose(added, np.broadcast_to(added[:, :1, :1], added.shape), atol=1e-3)
    covariance = np.cov(images.reshape(-1, 3).T.astype(float), bias=True)
    received = np.cov(added[:, 0, 0].T) / 0.2**2
    np.testing.assert_allclose(received, covariance, rtol=0.12)  # standard error 0.022
    np.testing.assert_allclose(added.mean(axis=(0, 1, 2)), 0, atol=0.4)  # standard error 0.08


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_root_is_that_of_the_principal_components(channels: int) -> None:
    images = some_images(100, channels)
    colours = images.reshape(-1, channels).astype(float)
    colours -= colours.mean(axis=0)
    _, deviations, components = np.linalg.svd(colours / np.sqrt(len(colours)), full_matrices=False)
    expected = components.T @ np.diag(deviations) @ components
    np.testing.assert_allclose(np.asarray(colour_root(images)), expected, rtol=1e-3, atol=1e-3)


def test_grey_images_stay_grey() -> None:
    images = np.repeat(some_images(channels=1), 3, axis=3)
    changed = run("pca_colour(0.3)", images)
    np.testing.assert_allclose(changed, np.broadcast_to(changed[..., :1], changed.shape), atol=0.02)
    one = some_images(4000, channels=1)
    assert np.std(run("pca_colour(0.3)", one)[:, 0, 0, 0] - one[:, 0, 0, 0]) == pytest.approx(0.3 * one.std(), rel=0.05)


def test_colours_of_a_batch_without_any_stay() -> None:
    black = np.zeros((8, 6, 5, 3), np.float32)
    np.testing.assert_array_equal(run("pca_colour", black), black)


@pytest.mark.parametrize("name", ["brightness", "contrast", "pca_colour"])
def test_probability_is_the_share_that_changes(name: str) -> None:
    images = some_images(400)
    np.testing.assert_array_equal(run(f"{name}(probability=0)", images), images)
    kept = (run(f"{name}(probability=0.25)", images) == images).all(axis=(1, 2, 3))
    assert 250 < kept.sum() < 350  # 300 expected, standard deviation 9


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("brightness(0)", "brightness: amount is 0, expected more than 0, at most 1"),
        ("brightness(1.5)", "brightness: amount is 1.5"),
        ("contrast(-0.1)", "contrast: amount is -0.1"),
        ("contrast(probability=2)", "contrast: probability is 2, expected 0 to 1"),
        ("pca_colour(0)", "pca_colour: deviation is 0, expected more than 0"),
        ("pca_colour(1e38)", "pca_colour: deviation is 1e.38, expected more than 0, at most 100"),
        ("pca_colour(probability=-1)", "pca_colour: probability is -1"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        augmentation(spec)
