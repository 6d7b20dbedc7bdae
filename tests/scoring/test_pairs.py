import numpy as np
import pytest

from kit.scoring.metrics import log_loss
from kit.scoring.paired import holm, paired_test
from kit.scoring.pairs import Shared, class_changes, judge_pairs

ROWS = 600
LABELS = np.random.default_rng(0).integers(0, 3, ROWS)


def answers(right: float, seed: int) -> np.ndarray:
    """float (rows, 3), a share of them right."""
    random = np.random.default_rng(seed)
    predicted = np.where(random.random(ROWS) < right, LABELS, (LABELS + 1) % 3)
    return 0.1 + 0.7 * np.eye(3)[predicted]


def shared(first: str, second: str, known: dict[str, np.ndarray], **more: object) -> Shared:
    return Shared(first, second, "rows that both held out", "all", LABELS, (known[first], known[second]), **more)  # type: ignore[arg-type]


def test_each_pair_is_corrected_for_all() -> None:
    known = {"good": answers(0.9, 1), "fair": answers(0.85, 2), "poor": answers(0.5, 3)}
    pairs = [shared("good", "fair", known), shared("good", "poor", known), shared("fair", "poor", known)]
    judged = judge_pairs(pairs, "accuracy")
    raw = [paired_test(known[p.first].argmax(1) == LABELS, known[p.second].argmax(1) == LABELS).p for p in pairs]
    assert [pair.p for pair in judged] == holm(raw)
    assert judged[0].p > 0.01 > judged[1].p
    assert "good is better than poor" in judged[1].words
    assert "for 3 comparisons" in judged[1].words
    assert all(pair.metric_difference is None for pair in judged)


def test_rows_that_had_a_say_are_told() -> None:
    known = {"a": answers(0.9, 1), "b": answers(0.9, 2)}
    (none,) = judge_pairs([shared("a", "b", known)], "accuracy")
    (one,) = judge_pairs([shared("a", "b", known, selected=("b",))], "accuracy")
    (both,) = judge_pairs([shared("a", "b", known, selected=("a", "b"))], "accuracy")
    assert "had a say" not in none.words
    assert one.words.endswith("These rows had a say in the training of b, which flatters it.")
    assert both.words.endswith("had a say in the training of a and b, which flatters both.")


def test_places_choose_the_shared_rows() -> None:
    known = answers(0.9, 1), answers(0.5, 2)
    places = np.arange(100, 300), np.arange(100, 300)
    (part,) = judge_pairs([Shared("a", "b", "rows", "part", LABELS[100:300], known, places)], "accuracy")
    direct = paired_test(*(each[100:300].argmax(1) == LABELS[100:300] for each in known))
    assert part.rows == 200
    assert part.paired == direct


def test_another_metric_has_an_interval_of_its_own() -> None:
    known = {"a": answers(0.9, 1), "b": answers(0.7, 2), "same": answers(0.9, 1)}
    worse, same = judge_pairs([shared("b", "a", known), shared("a", "same", known)], "log_loss")
    difference = worse.metric_difference
    assert difference is not None
    expected = log_loss().compute(known["b"], LABELS) - log_loss().compute(known["a"], LABELS)
    assert difference.value == pytest.approx(expected)
    assert 0 < difference.low < expected < difference.high
    assert "without zero" in worse.words
    assert same.metric_difference is not None
    assert (same.metric_difference.low, same.metric_difference.high) == (0, 0)  # the same resamples for both


def test_held_out_and_test_rows_may_be_numbered_alike() -> None:
    """Equal ids are not equal rows: each part has figures of its own."""
    held, tested = answers(0.9, 1), answers(0.6, 4)
    other = answers(0.7, 2)
    parts = [
        Shared("a", "b", part, "same ids", LABELS, (mine, other))
        for part, mine in (("rows that both held out", held), ("test rows", tested))
    ]
    together = [pair.metric_difference for pair in judge_pairs(parts, "log_loss")]
    assert together == [judge_pairs([part], "log_loss")[0].metric_difference for part in parts]
    assert together[0] != together[1]


def test_classes_that_changed() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    changes = class_changes(labels, 4, np.array([0, 0, 0, 2, 1, 2]), np.array([0, 1, 1, 1, 1, 2]))
    assert [(c.label, c.rows, c.first_right, c.second_right) for c in changes] == [(1, 2, 1, 2), (0, 3, 3, 1)]
