import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from kit.scoring.metrics import score


def test_accuracy_its_interval_and_log_loss() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 500)
    odds = random.uniform(0, 1, (500, 4)) + 2 * np.eye(4)[labels] * random.integers(0, 2, (500, 1))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    scores = score(probabilities, labels)
    assert scores["rows"] == 500
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    assert scores["accuracy"] == pytest.approx(accuracy)
    assert scores["log_loss"] == pytest.approx(sklearn_log_loss(labels, probabilities))
    centre = (accuracy + 1.96**2 / 1000) / (1 + 1.96**2 / 500)  # Wilson's interval by its formula
    width = 1.96 / (1 + 1.96**2 / 500) * np.sqrt(accuracy * (1 - accuracy) / 500 + 1.96**2 / 1000000)
    assert scores["accuracy_interval"] == pytest.approx([centre - width, centre + width], abs=1e-4)


def test_a_probability_of_zero_is_not_infinite() -> None:
    scores = score(np.array([[0.0, 1.0], [1.0, 0.0]], np.float32), np.array([0, 0]))
    assert scores["log_loss"] == pytest.approx(-np.log(np.finfo(np.float32).tiny) / 2)
    assert scores["accuracy"] == 0.5
