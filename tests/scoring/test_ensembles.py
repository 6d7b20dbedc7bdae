from dataclasses import asdict

import numpy as np
import pytest

from kit.cli.predict import judged_in_words
from kit.errors import RecipeError
from kit.scoring.blending import _judged, error_correlation, fit_weights, judge_weights
from kit.scoring.calibration import fit_temperature, tempered, tempered_by_others
from kit.scoring.ensembles import MEANS, blend, check_blend
from kit.scoring.metrics import mean_log_loss


def answers(labels: np.ndarray, skill: float, seed: int, classes: int = 4) -> np.ndarray:
    """Probabilities that know the labels better the higher the skill is."""
    scores = np.random.default_rng(seed).normal(size=(len(labels), classes))
    scores[np.arange(len(labels)), labels] += skill
    odds = np.exp(scores)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


LABELS = np.random.default_rng(0).integers(0, 4, 2000)
GOOD, OTHER, BAD = answers(LABELS, 2, 1), answers(LABELS, 2, 2), answers(LABELS, 0, 3)


def test_means_by_hand() -> None:
    first, second = np.array([[0.9, 0.1, 0.0]]), np.array([[0.1, 0.3, 0.6]])
    np.testing.assert_allclose(blend([first, second]), [[0.5, 0.2, 0.3]], atol=1e-7)
    np.testing.assert_allclose(blend([first, second], [3, 1]), [[0.7, 0.15, 0.15]], atol=1e-7)
    roots = np.sqrt([0.9 * 0.1, 0.1 * 0.3, 1e-12 * 0.6])
    np.testing.assert_allclose(blend([first, second], mean="geometric"), [roots / roots.sum()], atol=1e-6)
    third = np.array([[0.2, 0.1, 0.7]])
    np.testing.assert_allclose(blend([first, second, third], mean="vote"), [[1 / 3, 0, 2 / 3]], atol=1e-3)


@pytest.mark.parametrize("members", [3, 7, 10, 11, 30])
def test_equal_members_stay_what_they_are(members: int) -> None:
    sure = np.array([[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]], np.float32)
    for mean in MEANS:
        blended = blend([sure] * members, None, mean)
        assert blended.max() <= 1
        np.testing.assert_allclose(blended[0], sure[0], atol=1e-4)


def test_a_tie_of_votes_goes_to_the_higher_mean() -> None:
    first, second = np.array([[0.6, 0.4]]), np.array([[0.1, 0.9]])
    assert blend([first, second], mean="vote").argmax() == 1
    assert blend([first, second], [2, 1], "vote").argmax() == 0


@pytest.mark.parametrize("mean", MEANS)
def test_every_blend_is_a_distribution_and_one_member_stays_itself(mean: str) -> None:
    blended = blend([GOOD, OTHER, BAD], [0.5, 0.2, 0.3], mean)
    assert blended.dtype == np.float32
    np.testing.assert_allclose(blended.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(blend([GOOD], None, mean).argmax(axis=1), GOOD.argmax(axis=1))


@pytest.mark.parametrize("mean", MEANS)
def test_fitted_weights_favour_who_knows(mean: str) -> None:
    weights = fit_weights([GOOD, OTHER, BAD], LABELS, mean)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert weights[2] < 0.1 < min(weights[0], weights[1])


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_no_other_weights_have_a_lower_log_loss(mean: str) -> None:
    members = [GOOD, OTHER, BAD]
    best = mean_log_loss(blend(members, list(fit_weights(members, LABELS, mean)), mean), LABELS)
    for weights in np.random.default_rng(0).dirichlet([1, 1, 1], 50):
        assert mean_log_loss(blend(members, list(weights), mean), LABELS) >= best - 1e-4


def test_weights_are_judged_on_rows_that_did_not_fit_them() -> None:
    """Of many members that know nothing, weights fitted to the rows they are scored on would seem to gain."""
    noise = [answers(LABELS[:60], 0, seed) for seed in range(30)]
    judged = judge_weights(lambda rows: noise, LABELS[:60], "accuracy")
    inside = mean_log_loss(blend(noise, list(fit_weights(noise, LABELS[:60]))), LABELS[:60])
    assert inside < judged.equal["log_loss"] < judged.fitted["log_loss"]
    gain = judge_weights(lambda rows: [GOOD, BAD], LABELS, "accuracy")
    assert gain.gain > gain.gain_interval[0] > 0
    assert gain.gain_p < 0.001
    assert gain.fitted["accuracy"] - gain.equal["accuracy"] == pytest.approx(gain.gain)


def test_a_few_rows_gained_are_no_more_than_noise() -> None:
    """Four of 200, and none lost: a normal interval of the gain has no zero in it; the exact test is not convinced."""
    labels = np.zeros(200, int)
    right = np.tile([0.9, 0.1], (200, 1))
    wrong = np.where(np.arange(200)[:, None] < 4, [0.1, 0.9], [0.9, 0.1])
    judged = _judged(right, wrong, labels, "accuracy")
    assert judged.gain == 0.02
    assert judged.gain_p == 0.125
    assert judged.gain_interval[0] < 0
    words = judged_in_words({**asdict(judged), "metric": "accuracy"})
    assert words.endswith(": no more than noise")
    assert "accuracy +2.00 points (-0." in words


def test_errors_of_a_model_and_itself_are_alike() -> None:
    correlation = error_correlation([GOOD, GOOD, OTHER], LABELS)
    assert correlation[0, 1] == pytest.approx(1)
    assert abs(correlation[0, 2]) < 0.1


@pytest.mark.parametrize(
    ("mean", "weights", "message"),
    [
        ("harmonic", None, "unknown mean 'harmonic'.*arithmetic, geometric, vote"),
        ("vote", [1.0], "--weights has 1 numbers for 2 members"),
        ("arithmetic", [1.0, -1.0], "--weights are 1.0, -1.0, expected numbers from 0 up"),
        ("arithmetic", [0.0, 0.0], "one above 0"),
        ("arithmetic", [1.0, float("nan")], "expected numbers from 0 up"),
        ("arithmetic", [1.0, float("inf")], "expected numbers from 0 up"),
    ],
)
def test_what_is_no_blend(mean: str, weights: list[float] | None, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_blend(mean, weights, 2)


def test_too_few_rows() -> None:
    with pytest.raises(RecipeError, match="12 out-of-fold rows are too few to fit weights to, expected 50"):
        judge_weights(lambda rows: [GOOD[:12], BAD[:12]], LABELS[:12], "accuracy")


def test_temperature_undoes_what_sharpened() -> None:
    """Probabilities drawn from themselves are calibrated; sharpened by 3, they need a temperature of 3."""
    random = np.random.default_rng(5)
    honest = random.dirichlet([0.5] * 4, 20_000)
    labels = (honest.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    assert fit_temperature(honest[None], labels) == pytest.approx(1, abs=0.05)
    sure = tempered(honest, 1 / 3)
    assert fit_temperature(sure[None], labels) == pytest.approx(3, rel=0.05)
    assert mean_log_loss(tempered_by_others(sure[None], labels), labels) < mean_log_loss(sure, labels)
    np.testing.assert_array_equal(tempered(sure, 3).argmax(axis=1), sure.argmax(axis=1))
