import numpy as np
import pytest
import sklearn.metrics
from sklearn.metrics import log_loss as sklearn_log_loss

from kit.errors import RecipeError
from kit.scoring.metrics import METRICS, make_metric, score


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
    assert scores["log_loss"] == pytest.approx(-np.log(1e-15) / 2)
    assert scores["accuracy"] == 0.5


def test_every_metric_knows_its_better_end() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 4, 300)
    right, guess = np.eye(4)[labels] * 0.9 + 0.025, random.dirichlet(np.ones(4), 300)
    for name in METRICS.names():
        metric = make_metric(name)
        assert metric.key(metric.compute(right, labels)) >= metric.key(metric.compute(guess, labels)), name
        assert np.isfinite(metric.compute(right[:1], labels[:1])), name  # one class only
    assert make_metric("top_k_accuracy(4)").compute(guess, labels) == 1


def test_metrics_are_scikit_learns() -> None:
    random = np.random.default_rng(2)
    labels, guess = random.integers(0, 3, 200), random.dirichlet(np.ones(3), 200)
    chosen = guess.argmax(axis=1)
    assert make_metric("balanced_accuracy").compute(guess, labels) == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(labels, chosen)
    )
    assert make_metric("macro_f1").compute(guess, labels) == sklearn.metrics.f1_score(labels, chosen, average="macro")
    assert make_metric("roc_auc").compute(guess, labels) == pytest.approx(
        sklearn.metrics.roc_auc_score(labels, guess, multi_class="ovr")
    )
    assert make_metric("quadratic_kappa").compute(guess, labels) == pytest.approx(
        sklearn.metrics.cohen_kappa_score(labels, chosen, weights="quadratic")
    )
    assert make_metric("top_k_accuracy(2)").compute(guess, labels) == sklearn.metrics.top_k_accuracy_score(
        labels, guess, k=2
    )


def test_the_competitions_metric_is_the_score() -> None:
    probabilities, labels = np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([0, 0])
    assert score(probabilities, labels)["score"] == 0.5
    assert score(probabilities, labels, "log_loss")["score"] == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)
    with pytest.raises(RecipeError, match="unknown metric 'f1'"):
        score(probabilities, labels, "f1")
