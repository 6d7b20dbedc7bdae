import base64
import io

import numpy as np
from PIL import Image

from kit.report.thumbnails import data_uri, shrunk, strip


def decoded(address: str) -> np.ndarray:
    assert address.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_pixels_arrive_as_they_are() -> None:
    random = np.random.default_rng(0)
    for channels in (1, 3, 4):
        image = random.integers(0, 256, (5, 7, channels), np.uint8)
        np.testing.assert_array_equal(decoded(data_uri(image)).reshape(image.shape), image)


def test_a_strip_has_gaps_that_show_the_page() -> None:
    grey, colour = np.full((4, 3, 1), 9, np.uint8), np.full((4, 3, 3), (1, 2, 3), np.uint8)
    joined = strip([grey, colour])
    assert joined.shape == (4, 7, 4)
    assert joined[0].tolist() == [[9, 9, 9, 255]] * 3 + [[0, 0, 0, 0]] + [[1, 2, 3, 255]] * 3


def test_large_images_shrink_in_proportion() -> None:
    assert shrunk(np.zeros((30, 400, 1), np.uint8), 64).shape == (5, 64, 1)
    assert shrunk(np.zeros((400, 2, 3), np.uint8), 64).shape == (64, 1, 3)
    small = np.arange(64 * 20 * 4, dtype=np.uint8).reshape(64, 20, 4)
    np.testing.assert_array_equal(shrunk(small, 64), small[..., :3])
    np.testing.assert_array_equal(shrunk(small[..., :2], 64), small[..., :1])
