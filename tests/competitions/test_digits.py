import numpy as np
from sklearn.datasets import load_digits

from competitions.digits import load_test, load_train


def test_the_images_are_scikit_learns_enlarged() -> None:
    small, target = load_digits(return_X_y=True)
    train, test = load_train(), load_test()
    assert train.pixels.shape == (1437, 28, 28, 1)
    assert test.pixels.shape == (360, 28, 28, 1)
    assert test.labels is None
    assert train.labels is not None
    np.testing.assert_array_equal(train.labels, target[:1437])
    large = np.concatenate([train.pixels, test.pixels])[..., 0]
    centres = large[:, 1::7, 1::7] / 255 * 16  # every second cell, near its middle
    assert np.corrcoef(centres.ravel(), small.reshape(-1, 8, 8)[:, ::2, ::2].ravel())[0, 1] > 0.95
    assert large.min() == 0
    assert large.max() == 255
