from typing import Any

import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.averaging import AVERAGES, EVERY


class Weights:
    """As much of a model as an average wants."""

    def __init__(self) -> None:
        self.value = 0.0

    def get_weights(self) -> list[np.ndarray]:
        return [np.full((2, 3), self.value, np.float32), np.array([-self.value], np.float32)]


def averaged(spec: str, values: list[float], steps_per_epoch: int) -> Any:
    average, model = AVERAGES.bind_one(spec)(), Weights()
    for step, value in enumerate(values, 1):
        model.value = value
        average.step_ended(step, model)
        if step % steps_per_epoch == 0:
            average.epoch_ended(step // steps_per_epoch, len(values) // steps_per_epoch, model)
    return average.weights()


def test_ema_follows_its_formula() -> None:
    values = np.random.default_rng(0).normal(size=400).tolist()
    expected = values[EVERY - 1]
    for step in range(EVERY, 401, EVERY):
        kept = min(0.95, (1 + step) / (10 + step)) ** EVERY
        expected = kept * expected + (1 - kept) * values[step - 1]
    weights = averaged("ema(0.95)", values, 100)
    np.testing.assert_allclose(weights[0], np.full((2, 3), expected), rtol=1e-4)
    np.testing.assert_allclose(weights[1], [-expected], rtol=1e-4)


def test_ema_smooths_noise_around_a_mean() -> None:
    values = (3 + np.random.default_rng(0).normal(size=3000)).tolist()
    assert abs(averaged("ema(0.995)", values, 100)[0][0, 0] - 3) < 0.25


def test_swa_is_the_mean_of_the_last_epochs_ends() -> None:
    weights = averaged("swa(0.5)", [float(step) for step in range(1, 41)], 5)  # 8 epochs end at 5, 10, ..., 40
    np.testing.assert_allclose(weights[0], np.full((2, 3), np.mean([25, 30, 35, 40])))


def test_there_is_no_average_before_it_begins() -> None:
    assert averaged("swa(0.9)", [1.0] * 5, 1)[0][0, 0] == 1.0  # the last of five epochs is past nine tenths
    assert AVERAGES.bind_one("swa")().weights() is None
    assert AVERAGES.bind_one("ema")().weights() is None
    assert AVERAGES.bind_one("none")() is None


@pytest.mark.parametrize("spec", ["ema(0.0)", "ema(1.0)", "swa(1.0)", "swa(-0.1)"])
def test_bad_options(spec: str) -> None:
    with pytest.raises(RecipeError, match="expected"):
        AVERAGES.bind_one(spec)()
