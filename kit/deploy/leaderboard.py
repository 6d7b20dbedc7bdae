"""A local leaderboard: a submission against held-out answers, in a public and a private part."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.labelled_tables import whole_numbers
from kit.data.sample import is_fraction
from kit.deploy.validator import Expected, read_rows, validate_submission
from kit.errors import SubmissionError
from kit.scoring.bootstrap import intervals
from kit.scoring.evaluation import measure_metric
from kit.scoring.metrics import make_metric

PUBLIC_SHARE = 0.3
_MOST_WRONG = 1000  # labels that the answers do not have; more are numbers of another kind
_USAGES = ("public", "private", "ignored")
_USAGE = "usage"  # the column by which Kaggle's own solution files say who is public


def score_submission(
    submission: Path, answers: Path, metric: str | None = None, public: float = PUBLIC_SHARE
) -> dict[str, Any]:
    """Score a submission as a competition's host would.

    Args:
        submission: CSV of an id and a label column, or of an id column and a probability column a class.
        answers: CSV of an id and a label column; with a third one, ``Usage`` of Public and Private, that decides
            the parts. Otherwise a hash of the id does, so that a row is always in the same part.
        metric: spec; by default accuracy of labels, log loss of probabilities.
        public: share of the ids in the public part.

    Returns:
        ``metric``, and for ``public``, ``private`` and ``all`` its ``rows``, ``score`` and ``interval``, the 2.5th and
        97.5th percentile over bootstrap samples of the rows. A part without rows, or with too few classes for the
        metric, is left out.

    Raises:
        SubmissionError: a file cannot be read, or the submission would not be accepted.
    """
    if not 0 <= public <= 1:
        raise SubmissionError(f"--public is {public:g}, expected a share from 0 to 1")
    header, truth, usage = _read_answers(answers)
    expected = _expected(submission, header, truth)
    spec = metric or ("log_loss" if expected.wants_probabilities else "accuracy")
    judge = make_metric(spec)
    if judge.needs_probabilities and not expected.wants_probabilities:
        raise SubmissionError(f"{submission} holds labels, but {spec} needs a probability column a class")
    validate_submission(submission, expected)
    index = {label: number for number, label in enumerate(expected.labels)}
    ids, probabilities = _read_probabilities(submission, expected, index)
    labels = np.array([index[truth[name]] for name in ids])
    part_of = np.array([usage[name] if usage else "public" if _fraction(name) < public else "private" for name in ids])
    parts = {"public": part_of == "public", "private": part_of == "private", "all": part_of != "ignored"}
    scored = {part: rows for part, rows in parts.items() if len(set(labels[rows])) >= judge.fewest_classes}
    return {"metric": spec} | {
        part: _score_with_interval(spec, probabilities[rows], labels[rows]) for part, rows in scored.items()
    }


def _read_answers(path: Path) -> tuple[tuple[str, str], dict[str, str], dict[str, str]]:
    """Header, id -> label, and id -> usage where the file has it."""
    rows = read_rows(path, path)
    header = next(rows)
    has_usage = len(header) == 3 and header[2].lower() == _USAGE
    if len(header) != 2 and not has_usage:
        raise SubmissionError(f"{path}: the header is {','.join(header)!r}, expected an id and a label column")
    truth: dict[str, str] = {}
    usage: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header) or row[0] in truth:
            what = f"{len(row)} columns, expected {len(header)}" if len(row) != len(header) else f"id {row[0]} again"
            raise SubmissionError(f"{path}, line {line}: {what}")
        truth[row[0]] = row[1]
        if has_usage:
            usage[row[0]] = row[2].strip().lower()
            if usage[row[0]] not in _USAGES:
                raise SubmissionError(f"{path}, line {line}: Usage is {row[2]!r}, expected Public, Private or Ignored")
    if not truth:
        raise SubmissionError(f"{path} has a header and no rows, expected an answer an image")
    labels = whole_numbers(np.array(list(truth.values())))  # 3.0 is 3, as the trained labels are
    return (header[0].removeprefix("\ufeff"), header[1]), dict(zip(truth, labels.tolist(), strict=True)), usage


def _expected(submission: Path, header: tuple[str, str], truth: dict[str, str]) -> Expected:
    """What the answers make of a submission: labels, or probabilities of every class or of the second of two.

    A label that the answers do not have is a wrong one, unless it is one of theirs in another spelling.
    """
    rows = read_rows(submission, submission)
    columns = next(rows)
    answered = set(truth.values())
    if len(columns) > 2:
        if len(set(columns)) < len(columns):
            raise SubmissionError(f"{submission}: the header is {','.join(columns)[:200]!r}, expected each column once")
        if unknown := sorted(answered - set(columns[1:])):
            raise SubmissionError(
                f"{submission}: the header is {','.join(columns)[:200]!r}, which lacks the classes "
                f"{', '.join(unknown[:5])} of the answers; expected a column a class"
            )
        classes = tuple(sorted(columns[1:], key=_in_order))
        return Expected((header[0], *columns[1:]), frozenset(truth), classes, wants_probabilities=True)
    given = {row[1] for row in rows if len(row) == 2}
    if len(answered) == 2 and any(map(is_fraction, given)):
        return Expected(header, frozenset(truth), tuple(sorted(answered, key=_in_order)), wants_probabilities=True)
    spelt = {"", *map(_plain, answered)}
    wrong = {label for label in given if _plain(label) not in spelt}
    if len(wrong) > max(_MOST_WRONG, len(answered)):
        raise SubmissionError(
            f"{submission} holds {len(wrong):,} labels that the answers do not have, such as "
            f"{', '.join(sorted(wrong)[:3])}; expected labels like {', '.join(sorted(answered, key=_in_order)[:3])}"
        )
    return Expected(header, frozenset(truth), tuple(sorted(answered | wrong, key=_in_order)))


def _plain(label: str) -> str:
    """A label but for how it is written: ``3`` of ``3.0`` and of `` 3``, ``cat`` of ``Cat``."""
    text = label.strip().casefold()
    number = re.fullmatch(r"(-?\d+)\.0+", text)
    return number[1] if number else text


def _in_order(label: str) -> tuple[float, str]:
    """Numbers by their size, which grades need, before other text."""
    try:
        return float(label), label
    except ValueError:
        return np.inf, label


def _read_probabilities(path: Path, expected: Expected, index: dict[str, int]) -> tuple[list[str], np.ndarray]:
    """The ids in their order, and a row of class probabilities each; a label is a probability of one."""
    rows = read_rows(path, path)
    next(rows)
    body = list(rows)
    probabilities = np.zeros((len(body), len(expected.labels)))
    if expected.wants_probabilities:
        probabilities[:, expected.classes_asked_for] = [[float(text) for text in row[1:]] for row in body]
        if len(expected.header) == 2:  # the second of two classes alone
            probabilities[:, 0] = 1 - probabilities[:, 1]
    else:
        probabilities[np.arange(len(body)), [index[row[1]] for row in body]] = 1
    return [row[0] for row in body], probabilities


def _fraction(name: str) -> float:
    """A number from 0 to 1 that depends on the id alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def _score_with_interval(metric: str, probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    measure = measure_metric(metric, probabilities, labels)
    figure = make_metric(metric).compute(probabilities, labels)
    return {"rows": len(labels), "score": figure, "interval": list(intervals([measure], len(labels))[metric])}
