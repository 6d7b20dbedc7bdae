"""What every registered augmentation keeps: shape, dtype, range, label mass; and where its randomness comes from."""

from pathlib import Path

import numpy as np
import pytest

from kit.data.folds import Fold
from kit.errors import RecipeError
from kit.training.augment import AUGMENTATIONS, augmentation
from kit.training.augment.catalog import Ranged, augmentation_stages
from kit.training.events import Listener
from kit.training.fold_directory import FoldDirectory
from kit.training.preparation import Task
from kit.training.recipe import Recipe
from kit.training.switches import resolve_switches
from kit.training.trainer import train_fold
from tests.conftest import striped_images

EVERY = [name for name in AUGMENTATIONS.names() if name != "none"]
OTHERS = ["flip('vertical')", "shift(3, 0, 'reflect')", "trivial_augment('narrow', 'reflect')", "flip|shift|elastic"]
CHANGING = [*EVERY, *OTHERS]
SPECS = ["none", *CHANGING, "|".join(EVERY)]
RANGED = [spec for spec in [*EVERY, *OTHERS[:3]] if isinstance(augmentation_stages(spec)[0][1], Ranged)]


def batch(rows: int = 16, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (rows, 12, 15, channels)).astype(np.float32)
    return images, np.eye(4, dtype=np.float32)[random.integers(0, 4, rows)]


def run(spec: str, images: np.ndarray, targets: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    import keras

    generator = keras.random.SeedGenerator(seed)
    received = augmentation(spec)(keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(targets), generator)
    return np.asarray(received[0]), np.asarray(received[1])


@pytest.mark.backend
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


@pytest.mark.backend
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


@pytest.mark.backend
@pytest.mark.parametrize(("spec", "axis"), [("flip", 2), ("flip('vertical')", 1)])
def test_flip_mirrors_half_of_the_images(spec: str, axis: int) -> None:
    images, targets = batch(rows=400)
    flipped, _ = run(spec, images, targets)
    mirrored = (flipped == np.flip(images, axis)).all(axis=(1, 2, 3))
    kept = (flipped == images).all(axis=(1, 2, 3))
    assert (mirrored | kept).all()
    assert 140 < mirrored.sum() < 260  # 200 expected, standard deviation 10


@pytest.mark.backend
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


@pytest.mark.parametrize("name", EVERY)
def test_probability_zero_changes_nothing(name: str) -> None:
    before = batch()
    for given, received in zip(before, run(f"{name}(probability=0)", *before), strict=True):
        np.testing.assert_array_equal(received, given)


@pytest.mark.parametrize("name", EVERY)
def test_half_of_the_images_change(name: str) -> None:
    images, targets = batch(rows=400)
    full, half = (run(f"{name}(probability={share})", images, targets)[0] for share in (1.0, 0.5))
    changed, expected = ((result != images).any(axis=(1, 2, 3)).mean() for result in (half, full))
    assert changed == pytest.approx(expected / 2, abs=0.1)  # standard deviation 0.025


@pytest.mark.parametrize("spec", RANGED)
@pytest.mark.parametrize("channels", [1, 3])
def test_ends_are_the_ends_of_what_is_drawn(spec: str, channels: int) -> None:
    """Of one image, each end is an image within range, unlike the others; and no draw goes far beyond them."""
    import keras

    image = smooth_image(channels)
    ((_, stage),) = augmentation_stages(spec)
    ends = {words: np.asarray(change(image)) for words, change in stage.extremes.items()}  # type: ignore[attr-defined]
    for words, end in ends.items():
        assert end.shape == image.shape, words
        assert end.dtype == np.float32
        assert end.min() >= 0
        assert end.max() <= 255
        same = channels == 1 and words.startswith("colour")
        assert same or (end != image).any(), words
    shown = [end.tobytes() for end in ends.values() if end.any()]  # moved by its own width, an image is all black
    assert channels == 1 or len(set(shown)) == len(shown)
    images = np.repeat(image, 500, axis=0)
    drawn, _ = stage(keras.ops.convert_to_tensor(images), None, keras.random.SeedGenerator(4))
    furthest = max(distance(end, image) for end in ends.values())
    assert distance(np.asarray(drawn), image).max() <= 1.5 * furthest  # corners of two ranges lie beyond their ends


@pytest.mark.parametrize(
    "spec",
    [
        *("flip", "flip('vertical')", "shift(1, 0)", "shift(0, 1, 'reflect')", "pad_crop(1)", "brightness", "contrast"),
        *("rotate", "zoom", "shear", "rotate(90, 'constant')", "affine(0, 0, height=0.1)", "affine(0, 0, width=0.1)"),
    ],
)
def test_every_end_is_drawn(spec: str) -> None:
    """Among many draws of one image, one comes close to each end; no single range has more than its ends."""
    import keras

    image = smooth_image(1)
    ((_, stage),) = augmentation_stages(spec)
    drawn, _ = stage(np.repeat(image, 1500, axis=0), None, keras.random.SeedGenerator(4))
    for words, change in stage.extremes.items():  # type: ignore[attr-defined]
        end = np.asarray(change(image))
        assert distance(np.asarray(drawn), end).min() <= 0.02 * distance(end, image).max(), words


def smooth_image(channels: int) -> np.ndarray:
    """float32 (1, 12, 15, channels): bright at one side, so that every motion shows, and far from 0 and 255."""
    row, column, channel = np.mgrid[:12, :15, :channels]
    wave = np.sin(row / 2 + channel) + np.cos(column / 3 - row / 5) + column / 5
    return (90 + 20 * wave)[None].astype(np.float32)


def distance(images: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Root mean square difference of each image from one: (batch,)."""
    return np.sqrt(((images - image) ** 2).mean(axis=(1, 2, 3)))


@pytest.mark.backend
def test_validation_and_test_rows_are_never_augmented() -> None:
    """A net that learns nothing answers alike whatever its training rows go through."""
    images, fold = striped_images(60), Fold(np.arange(20), np.arange(20, 40), np.arange(40, 60))
    answers = []
    for number, augment in enumerate(["none", "|".join(EVERY)]):
        Path(f"{number}").mkdir()
        recipe = Recipe("tiny", "baseline", epochs=1, optimizer="sgd", learning_rate=1e-30, augment=augment)
        directory = FoldDirectory(Path(f"{number}"))
        train_fold(images, Task(recipe, resolve_switches("float32"), 0, fold, 3, directory), Listener())
        answers.append(directory.read_predictions())
    for part in ("validation", "test"):
        plain, augmented = (answer[f"{part}_probabilities"] for answer in answers)
        np.testing.assert_array_equal(plain, augmented)
        assert len(np.unique(plain, axis=0)) == 20


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
