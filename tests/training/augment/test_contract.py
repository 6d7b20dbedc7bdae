"""What every registered augmentation keeps: shape, dtype, range, label mass; and where its randomness comes from."""

import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.augment import AUGMENTATIONS, augmentation

pytestmark = pytest.mark.backend

SPECS = [*AUGMENTATIONS.names(), "flip('vertical')", "shift(height=3, width=0)", "flip|shift|elastic"]
CHANGING = [spec for spec in SPECS if spec != "none"]


def batch(rows: int = 16, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (rows, 12, 15, channels)).astype(np.float32)
    return images, np.eye(4, dtype=np.float32)[random.integers(0, 4, rows)]


def run(spec: str, images: np.ndarray, targets: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    import keras

    generator = keras.random.SeedGenerator(seed)
    received = augmentation(spec)(keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(targets), generator)
    return np.asarray(received[0]), np.asarray(received[1])


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_dtype_range_and_label_mass(spec: str, channels: int) -> None:
    images, targets = batch(channels=channels)
    augmented, mixed = run(spec, images, targets)
    assert augmented.shape == images.shape
    assert augmented.dtype == np.float32
    assert augmented.min() >= 0
    assert augmented.max() <= 255
    assert mixed.shape == targets.shape
    assert mixed.min() >= 0
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("spec", CHANGING)
def test_the_seed_decides(spec: str) -> None:
    images, targets = batch()
    first, again, other = (run(spec, images, targets, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("spec", CHANGING)
def test_rows_of_one_image_come_out_different(spec: str) -> None:
    images, targets = batch()
    images[:] = np.tile(images[:2], (8, 1, 1, 1))  # two images: mixing one with itself changes nothing
    augmented, _ = run(spec, images, targets)
    assert len(np.unique(augmented.reshape(len(augmented), -1), axis=0)) > 2


@pytest.mark.parametrize(("spec", "axis"), [("flip", 2), ("flip('vertical')", 1)])
def test_flip_mirrors_half_of_the_images(spec: str, axis: int) -> None:
    images, targets = batch(rows=400)
    flipped, _ = run(spec, images, targets)
    mirrored = (flipped == np.flip(images, axis)).all(axis=(1, 2, 3))
    kept = (flipped == images).all(axis=(1, 2, 3))
    assert (mirrored | kept).all()
    assert 140 < mirrored.sum() < 260  # 200 expected, standard deviation 10


def test_shift_moves_by_whole_pixels_and_fills_with_the_nearest() -> None:
    images, targets = batch(rows=300)
    shifted, _ = run("shift(height=2, width=1)", images, targets)
    offsets = set()
    for image, result in zip(images, shifted, strict=True):
        padded = np.pad(image, ((2, 2), (1, 1), (0, 0)), mode="edge")
        fits = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-1, 2)
            if np.array_equal(padded[2 - down : 14 - down, 1 - right : 16 - right], result)
        ]
        assert len(fits) == 1
        offsets |= set(fits)
    assert len(offsets) == 15  # every combination occurs


@pytest.mark.parametrize("spec", ["flip(probability=0)", "elastic(probability=0.0)", "shift(probability=0)"])
def test_probability_zero_changes_nothing(spec: str) -> None:
    images, targets = batch()
    np.testing.assert_array_equal(run(spec, images, targets)[0], images)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("flip(probability=1.5)", "flip: probability is 1.5, expected 0 to 1"),
        ("flip('diagonal')", "axis is 'diagonal', expected 'horizontal' or 'vertical'"),
        ("shift(height=-1)", "height is -1 and width 2 pixels, expected 0 or more"),
        ("shift(0, 0)", "not both 0"),
        ("elastc", "did you mean 'elastic'"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        augmentation(spec)
