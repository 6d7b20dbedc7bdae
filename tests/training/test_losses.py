from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.losses import LOSSES, class_weights, smoothed
from kit.training.step import training_step

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


def test_weighted_parts_of_a_mixture_pull_as_their_classes_do() -> None:
    """Half of a rare class and half of a frequent one: as if both images were there, each with its weight."""
    import keras
    from keras import ops

    weights = np.array([5.0, 0.5, 1.0], np.float32)
    for spec in ("crossentropy", "focal(2.0)"):
        loss = LOSSES.bind_one(spec)()
        classifier = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        step = training_step(classifier, "none", 3, spec, 0.1, weights)
        logits = ops.convert_to_tensor(LOGITS[:1])

        def of(target: list[float], step=step, logits=logits) -> float:  # type: ignore[no-untyped-def]
            answers = {"targets": ops.convert_to_tensor(np.float32([target])), "logits": logits}
            return float(step.compute_loss(y_pred=answers))

        assert of([1, 0, 0]) == pytest.approx(5 * float(loss(smoothed(np.eye(3, dtype="float32")[:1], 0.1), logits)[0]))
        assert of([0.5, 0.5, 0]) == pytest.approx((of([1, 0, 0]) + of([0, 1, 0])) / 2)


def test_a_confident_mistake_is_learned_from(slope_of: Callable[..., np.ndarray]) -> None:
    """Keras's own focal loss cuts probabilities off at 1e-7, and has no slope beyond."""
    sure_and_wrong = np.array([[30.0, 0.0]], np.float32)
    target = np.array([[0.0, 1.0]], np.float32)
    for spec in ("crossentropy", "focal(0)", "focal(0.5)", "focal(2)"):
        slope = slope_of(LOSSES.bind_one(spec)(), target, sure_and_wrong)
        np.testing.assert_allclose(slope, [[1, -1]], atol=1e-4)
        assert np.isfinite(slope_of(LOSSES.bind_one(spec)(), target[:, ::-1].copy(), sure_and_wrong)).all()


def test_the_slope_of_weighted_targets(slope_of: Callable[..., np.ndarray]) -> None:
    slope = slope_of(LOSSES.bind_one("crossentropy")(), 3 * TARGETS, LOGITS)
    np.testing.assert_allclose(slope, 3 * (PROBABILITIES - TARGETS), atol=1e-5)


@pytest.fixture
def slope_of() -> Callable[..., np.ndarray]:
    """The derivative of a sum of losses by the logits, on either backend."""
    import keras

    def slope(loss: Any, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if keras.backend.backend() == "jax":
            import jax

            return np.asarray(jax.grad(lambda x: loss(targets, x).sum())(logits))
        import tensorflow as tf

        at = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(at)
            total = tf.reduce_sum(loss(tf.constant(targets), at))
        return np.asarray(tape.gradient(total, at))

    return slope
