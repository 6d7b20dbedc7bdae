import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.losses import LOSSES, class_weights, smoothed

pytestmark = pytest.mark.backend

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], np.float32)
TARGETS = np.array([[1.0, 0.0, 0.0], [0.0, 0.3, 0.7]], np.float32)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def test_crossentropy_by_hand() -> None:
    expected = -(TARGETS * np.log(PROBABILITIES)).sum(axis=1)
    np.testing.assert_allclose(np.asarray(LOSSES.bind_one("crossentropy")()(TARGETS, LOGITS)), expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_by_hand(gamma: float) -> None:
    expected = -((1 - PROBABILITIES) ** gamma * TARGETS * np.log(PROBABILITIES)).sum(axis=1)
    loss = LOSSES.bind_one(f"focal({gamma})")()(TARGETS, LOGITS)
    np.testing.assert_allclose(np.asarray(loss), expected, rtol=1e-4)


def test_focal_refuses_a_negative_gamma() -> None:
    with pytest.raises(RecipeError, match="focal: gamma is -1, expected 0 or more"):
        LOSSES.bind_one("focal(-1)")()


def test_smoothing_keeps_the_mass_and_zero_changes_nothing() -> None:
    smooth = np.asarray(smoothed(TARGETS, 0.3))
    np.testing.assert_allclose(smooth.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(smooth[0], [0.8, 0.1, 0.1], rtol=1e-6)
    assert smoothed(TARGETS, 0.0) is TARGETS


def test_weighted_classes_count_the_same() -> None:
    labels = np.repeat([0, 1, 3], [60, 30, 10])
    weights = class_weights(labels, 4)
    counted = np.bincount(labels, weights[labels], minlength=4)
    np.testing.assert_allclose(counted, [100 / 3, 100 / 3, 0, 100 / 3], rtol=1e-6)
