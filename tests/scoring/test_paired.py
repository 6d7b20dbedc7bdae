import numpy as np
import pytest

from kit.scoring.paired import Paired, holm, in_words, paired_test


def rights(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, only_first, only_second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_mcnemar_by_hand() -> None:
    """Of 10 rows that one model alone has right, 9 go to the first: p = 2 * (1 + 10) / 2**10."""
    paired = paired_test(*rights(50, 9, 1, 40))
    assert (paired.only_first, paired.only_second) == (9, 1)
    assert paired.difference == pytest.approx(0.08)
    assert paired.p == pytest.approx(2 * 11 / 1024)
    middle, disagreed = 8 / 102, 11 / 102
    spread = 1.959964 * ((disagreed - middle**2) / 102) ** 0.5
    assert (paired.low, paired.high) == (pytest.approx(middle - spread), pytest.approx(middle + spread))
    assert 0 < paired.low < paired.difference < paired.high


def test_the_other_way_round_is_the_mirror_image() -> None:
    first, second = rights(50, 9, 1, 40)
    one, other = paired_test(first, second), paired_test(second, first)
    assert (other.difference, other.low, other.high) == (-one.difference, -one.high, -one.low)
    assert other.p == one.p


def test_models_that_never_differ_say_nothing_yet_not_for_certain() -> None:
    paired = paired_test(*rights(60, 0, 0, 40))
    assert (paired.difference, paired.p) == (0, 1)
    assert paired.low < 0 < paired.high
    assert paired_test(*rights(0, 3, 0, 0)).high <= 1


def test_the_interval_holds_what_it_promises() -> None:
    """Of 400 made comparisons with a known difference of 3 points, about 95 % of the intervals have it."""
    random, held = np.random.default_rng(0), 0
    for _ in range(400):
        case = random.choice(4, 500, p=[0.8, 0.08, 0.05, 0.07])
        paired = paired_test(case < 2, (case == 0) | (case == 2))
        held += paired.low <= 0.03 <= paired.high
    assert 0.92 < held / 400 < 0.98


def test_different_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the same rows"):
        paired_test(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="expected the same rows"):
        paired_test(np.ones(0, bool), np.ones(0, bool))


def test_holm_by_hand() -> None:
    """The published example of four: the smallest times 4, the next times 3, and never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_words() -> None:
    paired = Paired(0.0054, 0.0028, 0.0080, 90, 36, 0.0007)
    assert in_words("a", "b", paired, 0.0021, 3) == (
        "a is better than b by 0.54 points (0.28 to 0.80): more than noise "
        "(p = 0.0021 after Holm's correction for 3 comparisons)"
    )
    worse = Paired(-0.0054, -0.0080, -0.0028, 36, 90, 0.0007)
    assert in_words("a", "b", worse, 0.00002, 1) == (
        "b is better than a by 0.54 points (0.28 to 0.80): more than noise (p < 0.001)"
    )
    noise = Paired(-0.001, -0.0035, 0.0015, 40, 50, 0.34)
    assert in_words("a", "b", noise, 0.34, 1) == (
        "a and b differ by -0.10 points (-0.35 to +0.15), which may be noise (p = 0.34)"
    )
