import numpy as np
import pytest
import sklearn.metrics as sk

from kit.data.images import Superclasses
from kit.errors import RecipeError
from kit.scoring.bootstrap import draws
from kit.scoring.evaluation import evaluate_rows, figure_title, show_figure
from kit.scoring.metrics import METRICS, Metric, make_metric

PAIRS = Superclasses(("low", "middle", "high"), (0, 0, 1, 1, 2, 2, 2))


def answers(rows: int, classes: int, seed: int = 0, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are often right, rounded so that many are equal; classes of uneven sizes."""
    random = np.random.default_rng(seed)
    shares = np.arange(1, classes + 1) / (classes * (classes + 1) / 2)
    labels = random.choice(classes, rows, p=shares)
    scores = random.normal(size=(rows, classes))
    scores[np.arange(rows), labels] += 1.5
    odds = np.exp(scores)
    return np.round(odds / odds.sum(axis=1, keepdims=True), digits).astype(np.float32), labels


def by_scikit_learn(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    predicted, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    found = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "log_loss": -np.log(np.maximum(probabilities[np.arange(len(labels)), labels].astype(float), 1e-15)).mean(),
        "balanced_accuracy": np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)]),
        "kappa": sk.cohen_kappa_score(labels, predicted),
        "quadratic_kappa": sk.cohen_kappa_score(labels, predicted, weights="quadratic", labels=range(classes)),
        "roc_auc": np.mean(
            [sk.roc_auc_score(labels == c, probabilities[:, c]) for c in np.unique(labels) if classes > 2 or c == 1]
        ),
        "calibration_error": binned_error(probabilities, labels),
    }
    if classes > 5:
        among = np.argsort(-probabilities, axis=1, kind="stable")[:, :5] == labels[:, np.newaxis]
        found["top_5_accuracy"] = among.any(axis=1).mean()
    for average in ("macro", "weighted"):
        three = sk.precision_recall_fscore_support(labels, predicted, average=average, zero_division=0)
        found |= {f"{average}_{n}": value for n, value in zip(("precision", "recall", "f1"), three[:3], strict=True)}
    return found


def binned_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """As Guo et al. write it: bin after bin."""
    surest, right, error = probabilities.max(axis=1).astype(float), probabilities.argmax(axis=1) == labels, 0.0
    for number in range(15):
        inside = (surest > number / 15) & (surest <= (number + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - surest[inside].mean())
    return error


@pytest.mark.parametrize(("rows", "classes"), [(300, 7), (80, 2), (120, 3), (15, 7)])
def test_values_are_scikit_learns_and_intervals_those_of_a_loop(rows: int, classes: int) -> None:
    probabilities, labels = answers(rows, classes)
    scores = evaluate_rows(probabilities, labels, metric="quadratic_kappa", resamples=60, seed=3).scores
    truth = by_scikit_learn(probabilities, labels)
    assert next(iter(scores)) == "quadratic_kappa"
    assert set(scores) == set(truth)
    for name, value in truth.items():
        assert scores[name].value == pytest.approx(value, abs=1e-12), name
    samples = []
    for counts in np.concatenate(list(draws(rows, 60, 3)), axis=1).T:
        drawn = np.repeat(np.arange(rows), counts.astype(int))
        samples.append(by_scikit_learn(probabilities[drawn], labels[drawn]))
    for name in truth:
        low, high = np.percentile([sample[name] for sample in samples], [2.5, 97.5])
        assert (scores[name].low, scores[name].high) == (pytest.approx(low), pytest.approx(high)), name
        assert low < high


def test_figures_are_in_their_order_and_named_once() -> None:
    probabilities, labels = answers(60, 7)
    usual = list(evaluate_rows(probabilities, labels, metric="accuracy", resamples=20).scores)
    assert usual == [
        *("accuracy", "top_5_accuracy", "log_loss", "balanced_accuracy", "kappa", "calibration_error"),
        *("macro_precision", "macro_recall", "macro_f1", "weighted_precision", "weighted_recall", "weighted_f1"),
        "roc_auc",
    ]
    by_f1 = list(evaluate_rows(probabilities, labels, metric="macro_f1", resamples=20).scores)
    assert by_f1[:2] == ["macro_f1", "accuracy"]
    assert set(by_f1) == set(usual)
    by_top = list(evaluate_rows(probabilities, labels, metric="top_k_accuracy(2)", resamples=20).scores)
    assert by_top == ["top_k_accuracy(2)", *usual]
    assert "top_5_accuracy" not in evaluate_rows(probabilities, labels, metric="top_k_accuracy", resamples=20).scores
    assert (figure_title("macro_f1"), show_figure("macro_f1", 0.5)) == ("macro F1", "0.5000")
    assert (figure_title("top_k_accuracy(2)"), show_figure("top_k_accuracy(2)", 0.5)) == (
        "top_k_accuracy(2)",
        "50.00 %",
    )
    with pytest.raises(RecipeError, match="unknown metric 'acuracy'"):
        evaluate_rows(probabilities, labels, metric="acuracy")


@pytest.mark.parametrize("metric", METRICS.names())
def test_every_metric_that_a_competition_may_have(metric: str) -> None:
    probabilities, labels = answers(90, 4, seed=1)
    score = next(iter(evaluate_rows(probabilities, labels, metric=metric, resamples=25).scores.items()))
    assert score[0] == metric
    assert score[1].value == pytest.approx(make_metric(metric).compute(probabilities, labels), abs=1e-12)
    loop = [
        make_metric(metric).compute(probabilities[drawn], labels[drawn])
        for counts in np.concatenate(list(draws(90, 25, 0)), axis=1).T
        for drawn in [np.repeat(np.arange(90), counts.astype(int))]
    ]
    assert [score[1].low, score[1].high] == pytest.approx(np.percentile(loop, [2.5, 97.5]).tolist())


def test_a_metric_of_somebody_elses_is_computed_on_the_rows_of_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Metric(lambda probabilities, labels: float(probabilities[labels == 0, 0].sum()))
    monkeypatch.setitem(METRICS._entries, "sum_of_first", lambda: mine)
    probabilities, labels = answers(50, 3)
    score = evaluate_rows(probabilities, labels, metric="sum_of_first", resamples=40).scores["sum_of_first"]
    assert score.value == pytest.approx(probabilities[labels == 0, 0].sum())
    assert score.low < score.value < score.high


def test_a_probability_at_the_end_of_a_bin_is_in_it() -> None:
    """0.6 = 9/15 and 0.61 are in two bins: the error is the mean of |1 - 0.6| and |0 - 0.61|."""
    probabilities = np.array([[0.6, 0.4], [0.61, 0.39]])
    scores = evaluate_rows(probabilities, np.array([0, 1]), metric="accuracy", resamples=10).scores
    assert scores["calibration_error"].value == pytest.approx((0.4 + 0.61) / 2)


def test_superclasses_are_chosen_by_the_sum_of_their_classes() -> None:
    probabilities = np.array([[0.3, 0.3, 0.4, 0, 0, 0, 0], [0, 0, 0.1, 0.5, 0.2, 0.2, 0]], np.float32)
    found = evaluate_rows(probabilities, np.array([0, 2]), metric="accuracy", superclasses=PAIRS, resamples=20)
    assert found.scores["superclass_accuracy"].value == 1  # though both rows are taken for another class
    assert found.scores["accuracy"].value == 0


def test_classes() -> None:
    probabilities = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2]]
    found = evaluate_rows(probabilities, np.array([0, 1, 1, 1, 1]), metric="accuracy", selected=True, resamples=20)
    assert found.missing_classes == (2, 3)
    assert (found.best_class, found.worst_class) == (0, 1)
    assert (found.rows, found.selected) == (5, True)
    first, second, third, last = found.classes
    assert (first.rows, first.predicted, first.precision, first.recall, first.f1) == (
        1,
        2,
        0.5,
        1,
        pytest.approx(2 / 3),
    )
    assert (second.precision, second.recall) == (1, 0.5)
    assert (third.precision, third.recall, third.f1, third.roc_auc) == (0, None, 0, None)
    assert (last.precision, last.recall, last.f1, last.roc_auc) == (None, None, None, None)


@pytest.mark.parametrize("rows", [1, 4])
def test_rows_of_one_class_have_no_figures_that_need_two(rows: int) -> None:
    probabilities, labels = np.tile(np.float32([0.7, 0.2, 0.1]), (rows, 1)), np.zeros(rows, np.int64)
    for metric in ("accuracy", "roc_auc", "quadratic_kappa"):
        scores = evaluate_rows(probabilities, labels, metric=metric, resamples=20).scores
        assert {"roc_auc", "kappa", "quadratic_kappa"}.isdisjoint(scores)
        assert next(iter(scores)) == "accuracy"
        assert all(np.isfinite([score.value, score.low, score.high]).all() for score in scores.values())


def test_each_sample_has_as_many_rows() -> None:
    drawn = np.concatenate(list(draws(50, 200, 1)), axis=1)
    assert drawn.shape == (50, 200)
    assert (drawn.sum(axis=0) == 50).all()
    assert abs((drawn == 0).mean() - (1 - 1 / 50) ** 50) < 0.01
    again = np.concatenate(list(draws(50, 200, 1)), axis=1)
    np.testing.assert_array_equal(drawn, again)
    assert (drawn != np.concatenate(list(draws(50, 200, 2)), axis=1)).any()
