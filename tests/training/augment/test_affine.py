"""Affine maps against SciPy, an image at a time, on the motions that the same seed draws."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform, map_coordinates

from kit.errors import RecipeError
from kit.training.augment import augmentation
from kit.training.augment.affine import Motions, draw
from kit.training.augment.interpolation import sample

SCIPY_MODES = {"nearest": "nearest", "reflect": "reflect", "constant": "grid-constant"}


def some_images(shape: tuple[int, int, int] = (20, 33, 3), rows: int = 6) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (rows, *shape)).astype(np.float32)


def run(spec: str, images: np.ndarray, seed: int = 5) -> np.ndarray:
    import keras

    return np.asarray(
        augmentation(spec)(keras.ops.convert_to_tensor(images), None, keras.random.SeedGenerator(seed))[0]
    )


def drawn(images: np.ndarray, most: Motions, seed: int = 5) -> list[Motions]:
    """The motions of each image, as plain numbers."""
    import keras

    motions = draw(images, most, keras.random.SeedGenerator(seed))
    return [Motions(*row) for row in np.stack([np.asarray(part).ravel() for part in motions], axis=1).astype(float)]


def moved(image: np.ndarray, motion: Motions, mode: str) -> np.ndarray:
    """One image, moved by SciPy: matrices act on (row, column) and run from the image to the moved image."""
    cosine, sine = np.cos(motion.angle), np.sin(motion.angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    slant = np.array([[1, 0], [np.tan(motion.slant), 1]])
    back = np.linalg.inv(turn @ slant * motion.factor)
    middle = (np.array(image.shape[:2]) - 1) / 2
    offset = middle - back @ (middle + np.array([motion.down, motion.right]))
    channels = [affine_transform(image[..., c], back, offset, order=1, mode=mode) for c in range(image.shape[2])]
    return np.stack(channels, axis=-1)


@pytest.mark.backend
@pytest.mark.parametrize("fill", SCIPY_MODES)
@pytest.mark.parametrize("shape", [(28, 28, 1), (20, 33, 3)])
@pytest.mark.parametrize(
    ("spec", "most"),
    [
        ("rotate(8, '{}')", Motions(0, 0, np.deg2rad(8), 0, 0)),
        ("rotate(180, '{}')", Motions(0, 0, np.pi, 0, 0)),
        ("zoom(0.6, '{}')", Motions(0.6, 0, 0, 0, 0)),
        ("shear(50, '{}')", Motions(0, np.deg2rad(50), 0, 0, 0)),
        ("affine(rotate=0, zoom=0, height=0.4, width=0.9, fill='{}')", Motions(0, 0, 0, 0.4, 0.9)),
        ("affine(30, 0.3, 20, 0.1, 0.2, '{}')", Motions(0.3, np.deg2rad(20), np.deg2rad(30), 0.1, 0.2)),
    ],
)
def test_motions_are_scipys_affine_transform(spec: str, most: Motions, shape: tuple[int, int, int], fill: str) -> None:
    images = some_images(shape)
    received = run(spec.format(fill), images)
    for image, motion, result in zip(images, drawn(images, most), received, strict=True):
        np.testing.assert_allclose(result, moved(image, motion, SCIPY_MODES[fill]), atol=0.03)  # of 255, in float32


@pytest.mark.backend
@pytest.mark.parametrize("fill", SCIPY_MODES)
@pytest.mark.parametrize("reach", [0.0, 0.8, 60.0])  # pixels; 60 is outside on every side
def test_samples_are_scipys_map_coordinates(fill: str, reach: float) -> None:
    images = some_images()
    random = np.random.default_rng(2)
    shift = random.uniform(-reach, reach, (2, *images.shape[:3])).astype(np.float32)
    row, column = shift[0] + np.arange(20, dtype=np.float32)[:, None], shift[1] + np.arange(33, dtype=np.float32)
    received = np.asarray(sample(images, row, column, fill))
    for image, place, result in zip(images, np.stack([row, column], axis=1), received, strict=True):
        for channel in range(3):
            expected = map_coordinates(image[..., channel], place, order=1, mode=SCIPY_MODES[fill])
            np.testing.assert_allclose(result[..., channel], expected, atol=0.03)


@pytest.mark.parametrize("fill", SCIPY_MODES)
def test_places_on_pixels_give_the_pixels(fill: str) -> None:
    images = some_images()
    row, column = np.meshgrid(np.arange(20, dtype=np.float32), np.arange(33, dtype=np.float32), indexing="ij")
    received = sample(images, np.repeat(row[None], 6, axis=0), np.repeat(column[None], 6, axis=0), fill)
    np.testing.assert_array_equal(np.asarray(received), images)


def test_motions_fill_their_ranges_and_are_independent() -> None:
    most = Motions(0.2, 0.3, 0.4, 0.5, 0.25)
    motions = np.array(drawn(some_images(rows=4000), most)) - [1, 0, 0, 0, 0]
    reach = np.array([0.2, 0.3, 0.4, 0.5 * 20, 0.25 * 33])  # shifts in pixels
    assert (np.abs(motions) <= reach).all()
    assert (np.abs(motions).max(axis=0) > 0.99 * reach).all()
    np.testing.assert_allclose(motions.mean(axis=0) / reach, 0, atol=0.05)  # standard error 0.009
    np.testing.assert_allclose(np.corrcoef(motions.T), np.eye(5), atol=0.1)  # standard error 0.016


def test_a_turn_to_the_left_and_a_larger_factor() -> None:
    """Directions as the docstrings say them: a dot right of the centre moves up, and outwards."""
    from kit.training.augment.affine import places

    images = np.zeros((1, 21, 21, 1), np.float32)
    images[0, 10, 15] = 255
    for motion, expected in [
        (Motions(1, 0, np.pi / 2, 0, 0), (5, 10)),
        (Motions(1.6, 0, 0, 0, 0), (10, 18)),
        (Motions(1, np.pi / 4, 0, 0, 0), (10, 15)),
        (Motions(1, 0, 0, 3, -2), (13, 13)),
    ]:
        motions = Motions(*(np.full((1, 1, 1), value, np.float32) for value in motion))
        turned = np.asarray(sample(images, *places(images, motions), "constant"))
        assert np.unravel_index(turned[0, ..., 0].argmax(), (21, 21)) == expected


@pytest.mark.backend
def test_one_seed_moves_alike_by_a_stage_and_by_affine() -> None:
    images = some_images()
    np.testing.assert_array_equal(run("rotate(20)", images), run("affine(20, 0)", images))
    np.testing.assert_array_equal(run("zoom(0.3)", images), run("affine(0, 0.3)", images))
    np.testing.assert_array_equal(run("shear(20)", images), run("affine(0, 0, 20)", images))


@pytest.mark.parametrize("fill", ["nearest", "reflect"])
def test_white_stays_white(fill: str) -> None:
    white = np.full((512, 28, 15, 1), 255, np.float32)
    received = run(f"affine(30, 0.3, 20, 0.2, 0.2, '{fill}')", white)
    assert received.max() <= 255  # although nothing clips: 1 - r is exact for the r that places have
    np.testing.assert_allclose(received, 255, atol=1e-3)


def test_what_is_uncovered_is_black() -> None:
    white = np.full((64, 12, 15, 1), 255, np.float32)
    received = run("rotate(45, 'constant')", white)
    assert (received[:, 0, 0] == 0).mean() > 0.5  # corners
    assert (received[:, 6, 7] > 254.9).all()  # the centre


@pytest.mark.parametrize("name", ["rotate", "zoom", "shear", "affine"])
def test_probability_is_the_share_that_moves(name: str) -> None:
    images = some_images((9, 8, 1), rows=400)
    np.testing.assert_array_equal(run(f"{name}(probability=0)", images), images)
    kept = (run(f"{name}(probability=0.25)", images) == images).all(axis=(1, 2, 3))
    assert 250 < kept.sum() < 350  # 300 expected, standard deviation 9


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rotate(0)", "rotate: degrees is 0, expected more than 0, at most 180"),
        ("rotate(181)", "rotate: degrees is 181"),
        ("rotate(fill='white')", "fill is 'white', expected 'nearest' or 'reflect' or 'constant'"),
        ("rotate(probability=2)", "rotate: probability is 2, expected 0 to 1"),
        ("zoom(1)", "zoom: amount is 1, expected more than 0, less than 1"),
        ("zoom(-0.1)", "zoom: amount is -0.1"),
        ("shear(90)", "shear: degrees is 90, expected more than 0, less than 90"),
        (
            "affine(0, 0)",
            "affine: rotate is 0, zoom 0, shear 0.0, height 0.0, width 0.0; expected 0 or more, not all 0",
        ),
        ("affine(height=1.5)", "height 1.5"),
        ("affine(shear=-1)", "shear -1"),
        ("affine(probability=-1)", "affine: probability is -1"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        augmentation(spec)
