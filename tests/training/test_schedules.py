import numpy as np
import pytest

from kit.errors import RecipeError
from kit.training.schedules import learning_rates


def test_constant() -> None:
    assert learning_rates("constant", 0.1, 2, 5).tolist() == [np.float32(0.1)] * 10


def test_cosine_is_half_a_cosine() -> None:
    rates = learning_rates("cosine(0.2)", 1.0, 4, 25)
    assert len(rates) == 100
    assert rates[[0, 50]] == pytest.approx([1.0, 0.6])
    assert rates[-1] == pytest.approx(0.2, abs=3e-4)
    assert (np.diff(rates) < 0).all()


def test_warmup_comes_in_front_and_shortens_the_rest() -> None:
    rates = learning_rates("warmup(2)|cosine", 0.8, 6, 10)
    assert len(rates) == 60
    np.testing.assert_allclose(rates[:20], 0.8 * np.arange(1, 21) / 20, rtol=1e-6)
    np.testing.assert_allclose(rates[20:], learning_rates("cosine", 0.8, 4, 10), rtol=1e-6)
    assert learning_rates("warmup(0.5)|constant", 1.0, 1, 10)[:6].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_warmup_takes_at_most_half_of_a_short_run() -> None:
    rates = learning_rates("warmup(3)|cosine", 1.0, 1, 10)
    assert rates[:6].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert len(rates) == 10


def test_warm_restarts_of_the_reference_recipe() -> None:
    """0.006 -> 0.001 within ten epochs, step by step, then from the top again."""
    rates = learning_rates("warm_restarts(0.001, period=10)", 0.006, 100, 375)
    cycle = rates[:3750]
    np.testing.assert_array_equal(rates.reshape(10, 3750), np.tile(cycle, (10, 1)))
    steps = np.arange(3750)
    np.testing.assert_allclose(cycle, 0.001 + 0.0025 * (1 + np.cos(np.pi * steps / 3750)), rtol=1e-6)


def test_warm_restarts_that_grow() -> None:
    rates = learning_rates("warm_restarts(period=1, t_mul=2)", 1.0, 7, 10)
    assert np.flatnonzero(rates == 1.0).tolist() == [0, 10, 30]
    assert len(learning_rates("warm_restarts(period=3)", 1.0, 7, 10)) == 70  # the last cycle is cut


def test_step_and_piecewise_are_stairs() -> None:
    rates = learning_rates("step(2, 0.1)", 1.0, 5, 10)
    np.testing.assert_allclose(rates, np.repeat([1, 0.1, 0.01], [20, 20, 10]), rtol=1e-6)
    rates = learning_rates("piecewise(((6, 0.1), (9, 0.01), (11, 0.001), (13, 0.0005)))", 1e-3, 15, 4)
    expected = np.repeat(
        [1e-3, 1e-4, 1e-5, 1e-6, 5e-7], np.array([6, 3, 2, 2, 2]) * 4
    )  # of `preactivation_cnn`'s course
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_triangular_cycles() -> None:
    rates = learning_rates("triangular(0.2, period=4)", 1.0, 8, 10)
    np.testing.assert_allclose(rates[[0, 10, 20, 30, 40, 60]], [0.2, 0.6, 1.0, 0.6, 0.2, 1.0], rtol=1e-6)
    assert (rates.min(), rates.max()) == (np.float32(0.2), 1.0)


def test_one_cycle_rises_and_falls() -> None:
    rates = learning_rates("one_cycle(start=0.1, rise=0.25)", 2.0, 4, 25)
    assert rates[0] == pytest.approx(0.2)
    assert rates.argmax() == 25
    assert rates.max() == pytest.approx(2.0)
    assert rates[-1] < 0.01
    assert (np.diff(rates[:26]) > 0).all()
    assert (np.diff(rates[25:]) < 0).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("step(0)", "epochs is 0, factor 0.1; expected epochs > 0 and factor between 0 and 1"),
        ("step(factor=1.0)", "expected epochs > 0 and factor between"),
        ("piecewise(((9, 0.1), (6, 0.01)))", "expected .epochs, factor. pairs, epochs rising from above 0"),
        ("piecewise((6, 0.1))", r"changes is \(6, 0.1\), expected \(\(a number, a number\), ...\)"),
        ("piecewise(())", "changes are .., expected"),
        ("triangular(period=0)", "period is 0, expected 1e-06 epochs or more"),
        ("triangular(period=1e-320)", "expected 1e-06 epochs or more"),
        ("one_cycle(rise=1.0)", "start is 0.04, rise 1.0; expected both between 0 and 1"),
        ("cosin", "unknown schedule 'cosin': did you mean 'cosine'"),
        ("cosine(2.0)", "minimum is 2.0, expected 0 up to the learning rate, 1.0"),
        ("cosine(-1)", "minimum is -1"),
        ("warmup(1)", r"'warmup\(1\)' ends after 1 of 5 epochs: add a last stage"),
        ("piecewise(((1, 1e38), (2, 1e39)))", "has a number beyond 3e.38: expected smaller ones"),
        ("cosine|constant", "its other stages take every epoch"),
        ("warmup(0)|cosine", "epochs is 0, expected more than 0"),
        ("warm_restarts(period=0)", "expected period >= 1e-06"),
        ("warm_restarts(t_mul=0.5)", "t_mul >= 1"),
    ],
)
def test_bad_schedules_are_refused(spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        learning_rates(spec, 1.0, 5, 10)


def test_rates_that_float32_does_not_hold_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"rises to a rate of 1e\+39, expected at most 3e\+38"):
        learning_rates("piecewise(((1, 1e38),))", 10.0, 5, 10)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("warmup(1e38)|constant", np.append(np.arange(1, 26) / 25, np.ones(25))),
        ("warm_restarts(0, 1e38)", np.ones(50)),
        ("step(1e38)", np.ones(50)),
        ("piecewise(((1e38, 0.1),))", np.ones(50)),
        ("triangular(0.5, 1e38)", np.full(50, 0.5)),
        ("warm_restarts(0, 1e-6)", np.ones(50)),  # cycles of one step
        ("warm_restarts(0, 0.2)", np.tile([1, 0.5], 25)),
        ("warm_restarts(0, 0.2, t_mul=1e38)", np.append([1, 0.5], np.ones(48))),
    ],
)
def test_stages_far_longer_or_shorter_than_the_run(spec: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(learning_rates(spec, 1.0, 5, 10), expected, rtol=1e-6)


def test_a_run_of_one_step() -> None:
    assert learning_rates("warmup(1)|cosine", 1.0, 1, 1).tolist() == [1.0]
