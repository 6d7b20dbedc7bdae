import numpy as np
import pytest

from kit.scoring.label_errors import likely_label_errors


def test_planted_errors_are_found() -> None:
    """2 % of 4,000 labels are wrong, and the answers right in 93 of 100 rows."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 5, 4000)
    scores = 1.5 * random.normal(size=(4000, 5))
    scores[np.arange(4000), truth] += 4.5
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    is_wrong = random.random(4000) < 0.02
    labels = np.where(is_wrong, (truth + random.integers(1, 5, 4000)) % 5, truth)
    found = likely_label_errors(probabilities.astype(np.float32), labels)
    assert is_wrong[found].sum() / is_wrong.sum() > 0.75
    assert is_wrong[found].mean() > 0.5
    assert is_wrong[found[:20]].mean() > 0.9  # the surest come first
    own = probabilities[found, labels[found]]
    assert (np.diff(own) >= 0).all()
    assert (probabilities[found].argmax(axis=1) != labels[found]).all()


def test_by_hand() -> None:
    """Class 0 is usual at 0.72, class 1 at 0.9: one row labelled 0 reaches what is usual for 1, and is named."""
    second = np.array([0.05, 0.1, 0.1, 0.2, 0.95, 0.9, 0.9, 0.9, 0.45, 0.5])
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 1])
    np.testing.assert_array_equal(likely_label_errors(np.stack([1 - second, second], axis=1), labels), [4])


def test_both_signs_must_point_at_a_row() -> None:
    """One row labelled 0 reaches what is usual for 1; another one, torn between 1 and 2, has even less of 0."""
    apart, torn = [0.3, 0.7, 0.0], [0.25, 0.35, 0.4]
    probabilities = np.array([[0.9, 0.05, 0.05]] * 4 + [apart, torn] + [[0.35, 0.65, 0]] * 4 + [[0, 0.1, 0.9]] * 4)
    labels = np.repeat([0, 1, 2], [6, 4, 4])
    assert likely_label_errors(probabilities, labels).tolist() == []
    probabilities[5] = [0.4, 0.3, 0.3]
    assert likely_label_errors(probabilities, labels).tolist() == [4]


def test_labels_that_nothing_speaks_against_are_left_alone() -> None:
    labels = np.arange(30) % 3
    assert not len(likely_label_errors(np.eye(3)[labels] * 0.7 + 0.1, labels))


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.filterwarnings("error")
def test_tiny_sets_and_missing_classes(rows: int) -> None:
    probabilities = np.array([[0.1, 0.8, 0.1, 0], [0.9, 0.1, 0, 0]], np.float32)[:rows]
    assert likely_label_errors(probabilities, np.array([1, 0])[:rows]).tolist() == []
    wrong = likely_label_errors(probabilities, np.array([3, 3])[:rows])
    assert set(wrong.tolist()) <= set(range(rows))
