import math

import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.augment import augmentation
from kit.training.augment.erasing import inner_boxes

pytestmark = pytest.mark.backend


def erased(spec: str, rows: int = 300, shape: tuple[int, int, int] = (28, 28, 3)) -> tuple[np.ndarray, ...]:
    """Images, what became of them, and which pixels changed: bool (rows, height, width)."""
    import keras

    images = np.random.default_rng(0).uniform(1, 255, (rows, *shape)).astype(np.float32)
    targets = keras.ops.zeros((rows, 2))
    result, same = augmentation(spec)(keras.ops.convert_to_tensor(images), targets, keras.random.SeedGenerator(3))
    np.testing.assert_array_equal(np.asarray(same), np.asarray(targets))
    result = np.asarray(result)
    return images, result, (result != images).any(axis=-1)


def sides(changed: np.ndarray) -> np.ndarray:
    """Height and width of the changed box of each image: (rows, 2); fails where it is no full box."""
    corners = []
    for image in changed:
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        assert image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        corners.append((rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1))
    return np.array(corners)


@pytest.mark.parametrize("fill", ["noise", "black", "mean"])
def test_the_box_is_filled(fill: str) -> None:
    images, result, changed = erased(f"erase(fill='{fill}', probability=1)")
    boxes = sides(changed)
    assert len(np.unique(boxes, axis=0)) > 50  # drawn for each image
    for image, after, box in zip(images, result, changed, strict=True):
        if fill == "black":
            assert not after[box].any()
        if fill == "mean":
            np.testing.assert_allclose(after[box], np.tile(image.mean(axis=(0, 1)), (box.sum(), 1)), rtol=1e-5)
    if fill == "noise":
        noise = result[changed]  # (pixels, channels)
        assert noise.mean() == pytest.approx(127.5, abs=1)
        assert noise.std() == pytest.approx(255 / math.sqrt(12), abs=1)
        assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.03


def test_area_and_aspect_cover_their_ranges() -> None:
    boxes = sides(erased("erase((0.05, 0.2), (0.5, 2), probability=1)", rows=1000, shape=(100, 100, 1))[2])
    area, aspect = boxes.prod(axis=1) / 10_000, boxes[:, 0] / boxes[:, 1]
    np.testing.assert_allclose([area.min(), area.mean(), area.max()], [0.05, 0.125, 0.2], atol=0.006)
    np.testing.assert_allclose([aspect.min(), aspect.max()], [0.5, 2], rtol=0.06)
    assert np.log(aspect).mean() == pytest.approx(0, abs=0.06)  # tall as often as wide


@pytest.mark.parametrize(("height", "width"), [(28, 28), (12, 40), (40, 12), (1, 1)])
def test_boxes_lie_inside_and_keep_their_area(height: int, width: int) -> None:
    random = np.random.default_rng(1)
    share, places = random.uniform(1e-4, 1, 2000).astype(np.float32), random.uniform(size=(2, 2000)).astype(np.float32)
    aspect = np.exp(random.uniform(-4, 4, 2000)).astype(np.float32)
    top, left, bottom, right = np.asarray(inner_boxes(share, aspect, places, height, width)).T
    assert min(top.min(), left.min()) >= 0
    assert bottom.max() == height
    assert right.max() == width
    tall, wide = bottom - top, right - left
    assert min(tall.min(), wide.min()) >= 1
    exact = np.clip(aspect, share * height / width, height / width / share)
    np.testing.assert_allclose(tall, np.sqrt(share * height * width * exact), atol=1)  # half a pixel, or the one pixel
    np.testing.assert_allclose(wide, np.sqrt(share * height * width / exact), atol=1)


def test_boxes_reach_every_pixel() -> None:
    changed = erased("erase(fill='black', probability=1)", rows=2000, shape=(9, 7, 1))[2]
    assert changed.any(axis=0).all()


def test_probability_is_the_share_of_images_that_change() -> None:
    assert erased("erase", rows=400)[2].any(axis=(1, 2)).sum() == pytest.approx(200, abs=50)  # standard deviation 10
    assert not erased("erase(probability=0)")[2].any()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("erase((0.4, 0.2))", r"^erase: area is \(0.4, 0.2\), expected 0 < area\[0\] <= area\[1\] <= 1"),
        ("erase((0.0, 0.2))", "erase: area is"),
        ("erase((0.1, 1.2))", "erase: area is"),
        ("erase(aspect=(0, 2))", r"^erase: aspect is \(0, 2\), expected 0 < aspect\[0\] <= aspect\[1\], as height"),
        ("erase(aspect=(3, 2))", "erase: aspect is"),
        ("erase(fill='white')", "fill is 'white', expected 'noise' or 'black' or 'mean'"),
        ("erase(probability=-1)", "^erase: probability is -1, expected 0 to 1$"),
    ],
)
def test_bad_options_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        augmentation(spec)
