import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from kit.scoring.confusion import (
    confused_pairs,
    confused_together,
    confusion_counts,
    differing_confusions,
    row_shares,
)


def test_counts_are_those_of_scikit_learn() -> None:
    labels, predicted = np.random.default_rng(0).integers(0, 4, (2, 50))
    expected = confusion_matrix(labels, predicted, labels=range(6))
    np.testing.assert_array_equal(confusion_counts(labels, predicted, 6), expected)


def test_classes_that_are_confused_stand_together() -> None:
    random = np.random.default_rng(0)
    shuffled = random.permutation(12)
    counts = np.full((12, 12), 1) + 50 * np.eye(12, dtype=int)
    for first, second in ((0, 7), (3, 9), (1, 11)):
        counts[first, second] = 20  # taken for the other, and not the other way round
    counts = counts[np.ix_(shuffled, shuffled)]
    order = confused_together(counts)
    assert sorted(order.tolist()) == list(range(12))
    place = {int(shuffled[label]): position for position, label in enumerate(order)}
    assert [abs(place[first] - place[second]) for first, second in ((0, 7), (3, 9), (1, 11))] == [1, 1, 1]


@pytest.mark.parametrize("counts", [np.eye(5, dtype=int), np.zeros((4, 4), int), np.array([[5, 1], [2, 4]])])
def test_an_order_of_two_classes_and_of_none_that_are_confused(counts: np.ndarray) -> None:
    assert confused_together(counts).tolist() == list(range(len(counts)))


def test_a_class_without_rows_has_no_share() -> None:
    counts = confusion_counts(np.array([0, 0, 2]), np.array([0, 2, 2]), 3)
    assert counts.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert row_shares(counts)[0].tolist() == [0.5, 0, 0.5]
    assert np.isnan(row_shares(counts)[1]).all()


def test_pairs_by_their_rows() -> None:
    counts = np.array([[9, 1, 0], [2, 5, 0], [2, 0, 1]])
    pairs = confused_pairs(counts)
    assert [(pair.true, pair.predicted, pair.rows) for pair in pairs] == [(2, 0, 2), (1, 0, 2), (0, 1, 1)]
    assert pairs[1].share == pytest.approx(2 / 7)


def test_the_mistakes_that_differ_most() -> None:
    one = np.array([[8, 2, 0], [0, 10, 0], [5, 0, 5]])
    other = np.array([[8, 1, 1], [0, 10, 0], [0, 0, 10]])
    assert differing_confusions([one, other], most=2) == [(2, 0, [0.5, 0.0]), (0, 1, [0.2, 0.1])]
    assert not differing_confusions([one, one])
    one[1] = 0  # a class without rows, which one of them may lack
    assert differing_confusions([one, other], most=2) == [(2, 0, [0.5, 0.0]), (0, 1, [0.2, 0.1])]
