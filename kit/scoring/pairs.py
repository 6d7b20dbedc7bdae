"""Several models against each other on the rows that two of them share: who is better, and on which classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from kit.scoring.bootstrap import RESAMPLES, draws, interval_of
from kit.scoring.evaluation import Score, measure_metric
from kit.scoring.paired import Paired, holm, in_words, paired_test


@dataclass(frozen=True)
class Shared:
    """What two models answered to the same rows, neither of which was trained on them.

    part: what the rows are, in words, such as ``rows that both held out``.
    rows: tells equal sets of rows from others, such as a hash of their ids.
    labels: int (rows,).
    answers: all that the first and the second model answered, float (their rows, classes).
    places: where the shared rows stand in each, in the order of ``labels``; a copy for each pair would fill the memory.
    selected: the names of those that the rows had a say in, as by choosing the epoch.
    models: how many models each answered with, whose mean counts.
    """

    first: str
    second: str
    part: str
    rows: str
    labels: np.ndarray
    answers: tuple[np.ndarray, np.ndarray]
    places: tuple[np.ndarray | slice, np.ndarray | slice] = (slice(None), slice(None))
    selected: tuple[str, ...] = ()
    models: tuple[int, int] = (1, 1)

    def answered(self, which: int) -> np.ndarray:
        """float (rows, classes) of the first model (0) or the second (1)."""
        return self.answers[which][self.places[which]]

    def predicted(self, which: int) -> np.ndarray:
        """int (rows,), class indices."""
        return self.answered(which).argmax(axis=1)


@dataclass(frozen=True)
class ClassChange:
    """A class by its index, how many rows it has, and how many of them each of two models has right."""

    label: int
    rows: int
    first_right: int
    second_right: int


@dataclass(frozen=True)
class Pair:
    """Two models compared.

    p: after Holm's correction for all comparisons that were made together; ``paired.p`` is without.
    metric_difference: first minus second by another metric than accuracy, with its 95 % bootstrap interval.
    changes: classes of which the models have different numbers of rows right, best for the second model first.
    """

    first: str
    second: str
    part: str
    rows: int
    selected: tuple[str, ...]
    paired: Paired
    p: float
    words: str
    metric_difference: Score | None
    changes: tuple[ClassChange, ...]

    @property
    def largest_changes(self) -> list[ClassChange]:
        """Up to five classes that the second model gained on, and up to five that it lost on."""
        gained = [change for change in self.changes if change.second_right > change.first_right][:5]
        return gained + [change for change in self.changes if change.second_right < change.first_right][-5:]


def judge_pairs(shared: Sequence[Shared], metric: str | None, *, seed: int = 0) -> list[Pair]:
    """Test each pair on its rows, all of them corrected for as many comparisons as there are.

    Args:
        metric: spec of the metric that the models are ranked by; None if they are ranked by different ones.
    """
    tests = [paired_test(each.predicted(0) == each.labels, each.predicted(1) == each.labels) for each in shared]
    adjusted = holm([test.p for test in tests])
    differences = _metric_differences(shared, metric, seed) if metric not in (None, "accuracy") else [None] * len(tests)
    return [
        Pair(
            each.first,
            each.second,
            each.part,
            len(each.labels),
            each.selected,
            test,
            p,
            _sentence(each, test, p, len(tests), difference, metric),
            difference,
            class_changes(each.labels, each.answers[0].shape[1], each.predicted(0), each.predicted(1)),
        )
        for each, test, p, difference in zip(shared, tests, adjusted, differences, strict=True)
    ]


def _sentence(
    shared: Shared, test: Paired, p: float, comparisons: int, difference: Score | None, metric: str | None
) -> str:
    words = f"On {len(shared.labels):,} {shared.part}: {in_words(shared.first, shared.second, test, p, comparisons)}"
    if difference is not None:
        interval = f"{difference.low:+.4f} to {difference.high:+.4f}"
        beyond = "without zero" if difference.low > 0 or difference.high < 0 else "with zero in it"
        words += (
            f". By {metric}, {shared.first} less {shared.second} is {difference.value:+.4f} ({interval}, {beyond}; "
            "95 % bootstrap, not corrected)"
        )
    for name, models in zip((shared.first, shared.second), shared.models, strict=True):
        if models > 1:
            words += f". {name} answered with the mean of its {models} models"
    if shared.selected:
        words += f". These rows had a say in the training of {' and '.join(shared.selected)}, which flatters it"
        words = words.replace("flatters it", "flatters both") if len(shared.selected) > 1 else words
    return f"{words}."


def _metric_differences(shared: Sequence[Shared], metric: str | None, seed: int) -> list[Score | None]:
    """Each with its percentile interval over bootstrap samples, which are the same for all models on the same rows."""
    known: dict[tuple[str, str, str], np.ndarray] = {}

    def sampled(name: str, each: Shared, which: int) -> np.ndarray:
        key = name, each.part, each.rows  # test images may be numbered as training images are
        if key not in known:
            known[key] = _sampled(str(metric), each.answered(which), each.labels, seed)
        return known[key]

    scores: list[Score | None] = []
    for each in shared:
        differences = sampled(each.first, each, 0) - sampled(each.second, each, 1)
        interval = interval_of(differences[1:]) if np.isfinite(differences[0]) else None
        scores.append(None if interval is None else Score(float(differences[0]), *interval))
    return scores


def _sampled(metric: str, answers: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """The figure of the rows themselves, then of each sample."""
    measure = measure_metric(metric, answers, labels)
    once = np.ones((len(labels), 1), np.float32)
    return np.concatenate([measure(weights)[metric] for weights in chain([once], draws(len(labels), RESAMPLES, seed))])


def class_changes(labels: np.ndarray, classes: int, first: np.ndarray, second: np.ndarray) -> tuple[ClassChange, ...]:
    """Classes of which two models have different numbers of rows right; what the second gained most on comes first.

    Args:
        labels, first, second: int (rows,), true classes and what either model took them for.
    """
    rows = np.bincount(labels, minlength=classes)
    right = [
        np.bincount(labels, weights=predicted == labels, minlength=classes).astype(int) for predicted in (first, second)
    ]
    order = np.argsort(right[0] - right[1], kind="stable")
    return tuple(
        ClassChange(int(label), int(rows[label]), int(right[0][label]), int(right[1][label]))
        for label in order
        if right[0][label] != right[1][label]
    )
