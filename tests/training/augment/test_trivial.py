"""TrivialAugment's operations against Pillow and SciPy, an image at a time."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy.ndimage import affine_transform

from kit.errors import RecipeError
from kit.training.augment import augmentation
from kit.training.augment.catalog import augmentation_stages
from kit.training.augment.trivial import OPERATIONS, SPACES, operate

WIDE = SPACES["wide"]
STRENGTHS = np.array([-1, -0.71, -0.33, 0.07, 0.5, 1], np.float32)
FACTORS = 1 + 0.99 * STRENGTHS.astype(float)


def some_images(channels: int) -> np.ndarray:
    """One image a strength, of whole grey levels: smooth, dark ones to full ones."""
    random = np.random.default_rng(2)
    coarse = random.uniform(0, 1, (len(STRENGTHS), 3, 4, channels))
    fine = random.uniform(0, 1, (len(STRENGTHS), 24, 32, channels))
    light = np.linspace(90, 255, len(STRENGTHS))[:, None, None, None]
    return np.rint(light * (0.8 * coarse.repeat(8, axis=1).repeat(8, axis=2) + 0.2 * fine)).astype(np.float32)


def operated(name: str, images: np.ndarray, fill: str = "constant") -> np.ndarray:
    operation = np.full(len(images), OPERATIONS.index(name), np.int32)
    return np.asarray(operate(images, operation, STRENGTHS, WIDE, fill))  # type: ignore[arg-type]


def pillow(change: Callable[[Image.Image, int], Image.Image], images: np.ndarray) -> np.ndarray:
    """Each image, changed by Pillow; ``change`` takes its number too."""
    changed = [
        np.asarray(change(Image.fromarray(image.astype(np.uint8).squeeze()), number))
        for number, image in enumerate(images)
    ]
    return np.stack(changed).reshape(images.shape).astype(float)


PILLOW: dict[str, tuple[Callable[[Image.Image, int], Image.Image], float]] = {  # and the most that rounding may do
    "identity": (lambda image, _: image, 0),
    "autocontrast": (lambda image, _: ImageOps.autocontrast(image), 1.01),
    "equalize": (lambda image, _: ImageOps.equalize(image), 0),
    "solarize": (lambda image, n: ImageOps.solarize(image, int(np.ceil(256 * (1 - abs(STRENGTHS[n]))))), 0),
    "posterize": (lambda image, n: ImageOps.posterize(image, 8 - round(6 * abs(float(STRENGTHS[n])))), 0),
    "contrast": (lambda image, n: ImageEnhance.Contrast(image).enhance(FACTORS[n]), 1.5),
    "brightness": (lambda image, n: ImageEnhance.Brightness(image).enhance(FACTORS[n]), 1),
    "sharpness": (lambda image, n: ImageEnhance.Sharpness(image).enhance(FACTORS[n]), 1.5),
    "colour": (lambda image, n: ImageEnhance.Color(image).enhance(FACTORS[n]), 1.5),
}


@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_pillows(name: str, channels: int) -> None:
    images = some_images(channels)
    change, rounding = PILLOW[name]
    expected = pillow(change, images)
    np.testing.assert_allclose(operated(name, images), expected, atol=rounding)
    assert name == "identity" or (name, channels) == ("colour", 1) or (expected != images).mean() > 0.2


def test_tables_take_the_nearest_level_and_others_keep_fractions() -> None:
    images = some_images(3)
    between = images + np.float32(0.3)
    np.testing.assert_array_equal(operated("equalize", between), operated("equalize", images))
    np.testing.assert_array_equal(operated("identity", between), between)


def test_an_image_of_one_colour_stays() -> None:
    even = np.full((len(STRENGTHS), 24, 32, 3), 77, np.float32)
    for name in ("autocontrast", "equalize", "colour", "contrast", "sharpness"):
        np.testing.assert_allclose(operated(name, even), even, atol=1e-3)


BACK: dict[str, Callable[[float], tuple[list[list[float]], tuple[float, float]]]] = {
    # strength -> matrix from the changed image to the original on (row, column), and the shift in pixels of 24x32
    "rotate": lambda s: (
        [
            [np.cos(s * 0.75 * np.pi), np.sin(s * 0.75 * np.pi)],
            [-np.sin(s * 0.75 * np.pi), np.cos(s * 0.75 * np.pi)],
        ],
        (0, 0),
    ),
    "shear_x": lambda s: ([[1, 0], [-0.99 * s, 1]], (0, 0)),
    "shear_y": lambda s: ([[1, -0.99 * s], [0, 1]], (0, 0)),
    "translate_x": lambda s: ([[1, 0], [0, 1]], (0, 32 * s)),
    "translate_y": lambda s: ([[1, 0], [0, 1]], (24 * s, 0)),
}


@pytest.mark.backend
@pytest.mark.parametrize("fill", ["nearest", "reflect", "constant"])
@pytest.mark.parametrize("name", BACK)
def test_motions_are_scipys_affine_transform(name: str, fill: str) -> None:
    images = some_images(3)
    middle = np.array([11.5, 15.5])
    for image, strength, result in zip(images, STRENGTHS.astype(float), operated(name, images, fill), strict=True):
        back, shift = BACK[name](strength)
        offset = middle - np.array(back) @ (middle + shift)
        mode = "grid-constant" if fill == "constant" else fill
        expected = [affine_transform(image[..., c], back, offset, order=1, mode=mode) for c in range(3)]
        np.testing.assert_allclose(result, np.stack(expected, axis=-1), atol=0.03)


@pytest.mark.backend
def test_operations_and_strengths_are_drawn_alike() -> None:
    import keras

    images = np.repeat(some_images(3)[3:4], 4200, axis=0)
    changed = augmentation("trivial_augment")(keras.ops.convert_to_tensor(images), None, keras.random.SeedGenerator(1))
    same = (np.asarray(changed[0]) == images).all(axis=(1, 2, 3))
    assert 300 < same.sum() < 470  # one in 14 is identity, and some are too weak to see: 300 and up, deviation 17
    none, _ = augmentation("trivial_augment(probability=0)")(images, None, keras.random.SeedGenerator(1))
    np.testing.assert_array_equal(np.asarray(none), images)


def test_ends_say_what_they_do() -> None:
    """A dot right of the centre, and a light and a dark half."""
    ends = augmentation_stages("trivial_augment('narrow')")[0][1].extremes  # type: ignore[attr-defined]
    assert len(ends) == 2 * 9 + 4  # four operations have one end, identity none
    dot = np.zeros((1, 65, 65, 1), np.float32)
    dot[0, 32, 52] = 255
    found = {
        words: np.subtract(np.unravel_index(np.asarray(change(dot))[0, ..., 0].argmax(), (65, 65)), (32, 52))
        for words, change in ends.items()
    }
    assert found["rotate 30° left"][0] == -10
    assert found["rotate 30° right"][0] == 10
    assert found["up 31.25 %"][0] == -20
    assert found["left 31.25 %"][1] == -20
    assert found["shear up 0.3"][0] == -found["shear down 0.3"][0] == -6
    halves = np.full((1, 9, 9, 3), 50, np.float32)
    halves[:, :, 5:] = 90
    means = {words: float(np.asarray(change(halves)).mean()) for words, change in ends.items()}
    assert means["brightness 0.1"] < means["brightness 1.9"] / 10
    assert np.ptp(np.asarray(ends["contrast 0.1"](halves))) < 5
    assert sorted(np.unique(np.asarray(ends["posterize 4 bits"](halves)))) == [48, 80]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("trivial_augment('huge')", "space is 'huge', expected 'wide' or 'narrow'"),
        ("trivial_augment(fill='grey')", "fill is 'grey'"),
        ("trivial_augment(probability=3)", "trivial_augment: probability is 3, expected 0 to 1"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        augmentation(spec)
