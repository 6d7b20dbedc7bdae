from fractions import Fraction

import numpy as np
import pytest

from kit.data.channels import channel_histograms, mean_and_deviation


def test_histograms_do_not_depend_on_batches() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 4, 3, 2), np.uint8)
    whole = channel_histograms([pixels])
    assert whole.shape == (2, 256)
    for channel in (0, 1):
        assert whole[channel].tolist() == [int((pixels[..., channel] == value).sum()) for value in range(256)]
    assert np.array_equal(channel_histograms([pixels[30:], pixels[:7], pixels[7:30]]), whole)


def test_sums_are_exact_for_more_pixels_than_64_bits_can_square() -> None:
    histogram = np.zeros(256, np.int64)
    histogram[[254, 255]] = 10**12, 10**12 + 1
    mean, deviation = mean_and_deviation(histogram)
    rows = 2 * 10**12 + 1
    assert mean == float(Fraction(254 * 10**12 + 255 * (10**12 + 1), rows))
    assert deviation == pytest.approx(0.5, abs=1e-15)


def test_a_constant_channel_has_no_deviation() -> None:
    assert mean_and_deviation(np.bincount([37] * 1001, minlength=256)) == (37.0, 0.0)
