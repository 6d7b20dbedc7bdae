import numpy as np

from kit.data.averages import ROWS_AT_A_TIME, average_images


def test_averages_are_exact_over_several_windows() -> None:
    random = np.random.default_rng(0)
    rows = ROWS_AT_A_TIME + 900
    pixels = random.integers(0, 256, (rows, 3, 2, 3), np.uint8)
    pixels[:, 0, 0] = 255
    labels = random.integers(0, 3, rows)
    found = average_images(pixels, labels, 4)
    np.testing.assert_allclose(found.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.deviation, pixels.std(axis=0), rtol=1e-9, atol=1e-9)
    for label in range(3):
        np.testing.assert_allclose(found.of_classes[label], pixels[labels == label].mean(axis=0), rtol=1e-12)
    assert np.isnan(found.of_classes[3]).all()
    assert found.deviation[0, 0].tolist() == [0, 0, 0]
