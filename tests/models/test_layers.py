import keras
import numpy as np
import pytest

from kit.errors import RecipeError
from kit.models.layers import dropout

pytestmark = pytest.mark.backend


def dropped(shape: tuple[int, ...], rate: float, training: bool = True, dtype: str = "float32") -> np.ndarray:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape[1:], dtype=dtype)
    model = keras.Model(inputs, dropout(inputs, rate))
    return np.asarray(keras.ops.cast(model(np.ones(shape, np.float32), training=training), "float32"))


@pytest.mark.parametrize("shape", [(50, 14, 14, 5), (400, 7), (1000, 1)])  # sizes that four divides, and not
@pytest.mark.parametrize("rate", [0.25, 0.5, 0.3])
def test_a_share_is_zero_and_the_mean_stays(shape: tuple[int, ...], rate: float) -> None:
    result = dropped(shape, rate)
    exact = round(rate * 256) / 256
    deviation = np.sqrt(exact * (1 - exact) / result.size)
    assert abs((result == 0).mean() - exact) < 4 * deviation
    assert np.unique(result).tolist() == [0, pytest.approx(1 / (1 - exact), rel=1e-6)]


def test_decisions_are_independent_of_their_neighbours() -> None:
    """Four neighbours share a random word."""
    kept = dropped((500, 40, 1, 1), 0.5)[:, :, 0, 0] > 0
    for distance in (1, 2, 3, 4):
        assert abs(np.corrcoef(kept[:, :-distance].ravel(), kept[:, distance:].ravel())[0, 1]) < 0.04
    assert np.abs(np.corrcoef(kept.T) - np.eye(40)).max() < 0.25  # 780 pairs of standard deviation 0.045


def test_nothing_is_dropped_when_predicting_or_at_rate_zero() -> None:
    assert (dropped((20, 30), 0.5, training=False) == 1).all()
    assert (dropped((20, 30), 0.0) == 1).all()


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0])
def test_rates_that_leave_nothing(rate: float) -> None:
    with pytest.raises(RecipeError, match="expected 0 up to, not including, 1"):
        dropout(keras.Input((3,)), rate)
