"""Moves by whole pixels, against NumPy."""

import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.augment import augmentation
from kit.training.augment.catalog import check_reach
from kit.training.augment.geometric import move

pytestmark = pytest.mark.backend

NUMPY_MODES = {"nearest": "edge", "reflect": "symmetric", "constant": "constant"}


def some_images(rows: int, channels: int = 1) -> np.ndarray:
    """Fractions as well, which a product in a short format would round."""
    return np.random.default_rng(3).uniform(0.01, 255, (rows, 7, 9, channels)).astype(np.float32)


def run(spec: str, images: np.ndarray, seed: int = 0) -> np.ndarray:
    import keras

    return np.asarray(
        augmentation(spec)(keras.ops.convert_to_tensor(images), None, keras.random.SeedGenerator(seed))[0]
    )


@pytest.mark.parametrize("fill", NUMPY_MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_moves_are_windows_of_numpys_pad(fill: str, channels: int) -> None:
    images = some_images(60, channels)
    random = np.random.default_rng(4)
    down, right = random.integers(-25, 26, (2, 60, 1)).astype(np.int32)  # further than the image reaches, too
    received = np.asarray(move(images, down, right, fill))
    for image, rows, columns, result in zip(images, down[:, 0], right[:, 0], received, strict=True):
        padded = np.pad(image, ((25, 25), (25, 25), (0, 0)), mode=NUMPY_MODES[fill])
        np.testing.assert_array_equal(result, padded[25 - rows : 32 - rows, 25 - columns : 34 - columns])


@pytest.mark.parametrize("fill", NUMPY_MODES)
def test_shift_fills_as_it_is_told(fill: str) -> None:
    images = some_images(200)
    offsets = set()
    for image, result in zip(images, run(f"shift(1, 1, '{fill}')", images), strict=True):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode=NUMPY_MODES[fill])
        fits = [(y, x) for y in range(3) for x in range(3) if np.array_equal(padded[y : y + 7, x : x + 9], result)]
        assert len(fits) == 1
        offsets |= set(fits)
    assert len(offsets) == 9


@pytest.mark.parametrize("fill", NUMPY_MODES)
def test_pad_crop_draws_every_window_alike(fill: str) -> None:
    images = some_images(1000)
    cropped = run(f"pad_crop(2, '{fill}')", images)
    counts = np.zeros((5, 5), int)
    for image, result in zip(images, cropped, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode=NUMPY_MODES[fill])
        windows = [(y, x) for y in range(5) for x in range(5) if np.array_equal(padded[y : y + 7, x : x + 9], result)]
        assert len(windows) == 1
        counts[windows[0]] += 1
    assert counts.min() > 15  # 40 expected, standard deviation 6
    assert counts.max() < 70


def test_shift_is_the_same_for_one_direction_as_for_none_in_the_other() -> None:
    images = some_images(40)
    for spec, axis in [("shift(3, 0)", 1), ("shift(0, 3)", 2)]:
        shifted = run(spec, images)
        assert not np.array_equal(shifted, images)
        lines = np.moveaxis(images, axis, 1), np.moveaxis(shifted, axis, 1)
        for image, result in zip(*lines, strict=True):
            assert {line.tobytes() for line in result} <= {line.tobytes() for line in image}  # whole lines moved


def test_probability_is_the_share_that_is_cropped() -> None:
    images = some_images(400)
    np.testing.assert_array_equal(run("pad_crop(probability=0)", images), images)
    kept = (run("pad_crop(probability=0.25)", images) == images).all(axis=(1, 2, 3))
    assert 250 < kept.sum() < 350  # 303 expected, standard deviation 9


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pad_crop(0)", "pad_crop: padding is 0 pixels, expected 1 or more"),
        ("pad_crop(fill='white')", "fill is 'white', expected 'nearest' or 'reflect' or 'constant'"),
        ("shift(fill='wrap')", "fill is 'wrap', expected 'nearest' or 'reflect' or 'constant'"),
        ("pad_crop(probability=1.1)", "pad_crop: probability is 1.1, expected 0 to 1"),
        ("pad_crop(1.5)", "padding is 1.5, expected a whole number"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        augmentation(spec)


@pytest.mark.parametrize("spec", ["pad_crop(28)", "flip|shift(height=28)", "shift(width=3000000000)"])
def test_images_that_would_leave_their_frame_are_refused(spec: str) -> None:
    message = r"(pad_crop|shift) moves images by up to \d+ pixels down and \d+ right, expected fewer than the 28x28"
    with pytest.raises(RecipeError, match=message):
        check_reach(spec, (28, 28, 1))


def test_images_that_stay_in_their_frame_are_not() -> None:
    check_reach("none|flip|pad_crop(27)|shift(27, 30)|affine(height=1.0)|elastic", (28, 31, 3))
