"""Submissions: ids and labels as a CSV that scores."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.data.images import LabelValue, TextFile
from kit.data.sample import is_fraction
from kit.errors import SubmissionError
from kit.files import replacing


@dataclass(frozen=True)
class Expected:
    """What a valid submission looks like.

    header: the id column, then one column for the label, or a column a class for its probability.
    ids: every id that must occur, and occur once, as text.
    labels: every label that may occur, as text: integers without a decimal point; in the order of the classes.
    wants_probabilities: of every class (a column each) or, with two classes and one column, of the second class.
    """

    header: tuple[str, ...]
    ids: frozenset[str]
    labels: tuple[str, ...]
    wants_probabilities: bool = False

    @property
    def classes_asked_for(self) -> list[int]:
        """The class index that each probability column is about."""
        columns = self.header[1:]
        return [self.labels.index(name.strip()) for name in columns] if len(columns) > 1 else [1]


def expected_submission(
    header: tuple[str, str], ids: np.ndarray, label_values: Sequence[LabelValue], sample: TextFile | None
) -> Expected:
    """What to expect: as the organiser's sample has it where there is one, else the competition's own header.

    Raises:
        SubmissionError: the sample cannot be read, its ids are not the test set's, or its columns are not the classes.
    """
    known, labels = frozenset(map(str, ids.tolist())), tuple(map(str, label_values))
    if sample is None:
        return Expected(header, known, labels)
    rows = _rows(io.StringIO(sample.text), sample.name)
    first = next(rows)
    body = [row for row in rows if row]
    if len(first) < 2 or (len(first) > 2 and sorted(name.strip() for name in first[1:]) != sorted(labels)):
        raise SubmissionError(
            f"{sample.name}: the header is {','.join(first)!r}, expected an id and a target column, or an id column "
            f"and one a class: {', '.join(labels[:10])}"
        )
    sampled = [row[0] for row in body]
    problems = _id_problems(missing=sorted(known.difference(sampled)), unknown=[i for i in sampled if i not in known])
    if problems:
        raise SubmissionError(
            f"{sample.name}: the ids are not the test set's: {problems}; sample and test file do not belong together: "
            "put those of one competition there, or move the sample away"
        )
    one_probability = len(labels) == 2 and len(first) == 2 and any(is_fraction(row[1]) for row in body if len(row) > 1)
    return Expected(tuple(first), known, labels, len(first) > 2 or one_probability)


def expected_probabilities(id_column: str, ids: np.ndarray, label_values: Sequence[LabelValue]) -> Expected:
    """An id and a column a class, named like its label, with its probability."""
    labels = tuple(map(str, label_values))
    return Expected((id_column, *labels), frozenset(map(str, ids.tolist())), labels, True)


def write_submission(
    path: Path, ids: np.ndarray, answers: Iterable[np.ndarray], expected: Expected
) -> tuple[Counter[str], float]:
    """Write what was expected; the file takes its place only after it was read back and found valid.

    Args:
        path: where the CSV goes.
        ids: (rows,) as the competition gave them.
        answers: float (some rows, classes) probabilities, window by window, in the order of ``expected.labels``.

    Returns:
        How often each label is the most probable one, and the mean of the largest probabilities.

    Raises:
        SubmissionError: the result would not score, or cannot be written; ``path`` is as it was.
    """
    labels = np.array(expected.labels, object)
    counts, certainty, start = np.zeros(len(labels), np.int64), 0.0, 0
    with writing_table(path) as scratch:
        with scratch.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(expected.header)
            for window in answers:
                best = window.argmax(axis=1)
                counts += np.bincount(best, minlength=len(labels))
                certainty += float(window.max(axis=1).sum())
                columns = [labels[best].tolist()]
                if expected.wants_probabilities:
                    asked = window[:, expected.classes_asked_for].T.astype(np.float64)
                    columns = [[f"{value:.8g}" for value in column.tolist()] for column in asked]
                writer.writerows(zip(ids[start : start + len(window)].tolist(), *columns, strict=True))
                start += len(window)
        validate_submission(scratch, expected, path)
    return Counter(dict(zip(expected.labels, counts.tolist(), strict=True))), certainty / max(start, 1)


@contextmanager
def writing_table(path: Path) -> Iterator[Path]:
    """:func:`kit.files.replacing` for what ``--out`` names.

    Raises:
        SubmissionError: the file cannot be written; what was there still is.
    """
    try:
        if path.is_dir():
            raise SubmissionError(f"--out {path} is a directory: name a CSV file in it")
        with replacing(path) as scratch:
            yield scratch
    except OSError as error:
        raise SubmissionError(f"cannot write {path}: {error.strerror or error}") from None


def validate_submission(path: Path, expected: Expected, name: Path | None = None) -> None:
    """Check a CSV against what the competition wants, a line at a time. Row order does not matter.

    Args:
        name: what to call the file in an error, if not ``path``.

    Raises:
        SubmissionError: what is wrong.
    """
    name = name or path
    rows = read_rows(path, name)
    header = next(rows)
    if header[0].startswith("\ufeff"):
        raise SubmissionError(f"{name}: it starts with a byte order mark; save it as UTF-8 without one")
    if tuple(header) != expected.header:
        raise SubmissionError(f"{name}: the header is {','.join(header)}, expected {','.join(expected.header)}")
    counts: Counter[str] = Counter()
    missing = set(expected.ids)
    unknown: list[str] = []
    repeated: list[str] = []
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise SubmissionError(f"{name}, line {line}: {len(row)} columns, expected {len(header)}")
        if row[0] in missing:
            missing.remove(row[0])
        else:
            (repeated if row[0] in expected.ids else unknown).append(row[0])
        if expected.wants_probabilities:
            _check_probabilities(name, line, row[1:])
        else:
            counts[row[1]] += 1
    if problems := _id_problems(missing=sorted(missing), unknown=unknown, repeated=repeated):
        raise SubmissionError(f"{name}: the ids are not the test set's: {problems}")
    _check_labels(name, counts, expected.labels)


def _check_probabilities(name: Path, line: int, texts: list[str]) -> None:
    """Each from 0 to 1; where every class has a column, they sum to one."""
    try:
        values = [float(text) for text in texts]
    except ValueError:
        values = [math.nan]
    if not all(0 <= value <= 1 for value in values) or (len(values) > 1 and abs(sum(values) - 1) > 1e-3):
        raise SubmissionError(
            f"{name}, line {line}: received {', '.join(texts)[:80]}, expected probabilities from 0 to 1"
            + (" that sum to 1" if len(texts) > 1 else "")
        )


def _id_problems(**problems: list[str]) -> str:
    """How many ids each problem has, and the first of them; empty where there is none."""
    return "; ".join(f"{len(ids)} {problem} ({', '.join(ids[:5])})" for problem, ids in problems.items() if ids)


def _check_labels(name: Path, counts: Counter[str], allowed: Sequence[str]) -> None:
    wrong = [label for label in counts if label not in allowed]
    if wrong:
        raise SubmissionError(
            f"{name}: {sum(counts[label] for label in wrong)} labels are not allowed, such as {wrong[0]!r}; "
            f"expected one of {', '.join(allowed[:10])}"
        )


def read_rows(path: Path, name: Path) -> Iterator[list[str]]:
    """The rows of a CSV, the first of which is there."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from _rows(file, str(name))
    except (OSError, UnicodeDecodeError) as error:
        raise SubmissionError(f"cannot read {name} as a CSV: {error}") from None


def _rows(lines: Iterable[str], name: str) -> Iterator[list[str]]:
    rows = csv.reader(lines, strict=True)
    try:
        first = next(rows, None)
        if first is None:
            raise SubmissionError(f"{name} is empty, expected a header and a row an image")
        yield first
        yield from rows
    except csv.Error as error:
        raise SubmissionError(f"cannot read {name} as a CSV: {error}") from None
