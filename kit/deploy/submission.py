"""Submissions: ids and labels as a CSV that scores."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.data.images import LabelValue
from kit.errors import SubmissionError
from kit.files import replacing


@dataclass(frozen=True)
class Expected:
    """What a valid submission looks like.

    header: names of the id and target columns.
    ids: every id that must occur, and occur once, as text.
    labels: every label that may occur, as text: integers without a decimal point.
    """

    header: tuple[str, str]
    ids: frozenset[str]
    labels: frozenset[str]


def expected_submission(
    header: tuple[str, str], ids: np.ndarray, label_values: Sequence[LabelValue], sample: Path | None
) -> Expected:
    """What to expect: the header of the organiser's sample where there is one, else the competition's own.

    Raises:
        SubmissionError: the sample cannot be read, or its ids are not the test set's.
    """
    known, labels = frozenset(map(str, ids.tolist())), frozenset(map(str, label_values))
    if sample is None:
        return Expected(header, known, labels)
    rows = _read_rows(sample, sample)
    first = next(rows)
    if len(first) != 2:
        raise SubmissionError(
            f"{sample}: the header is {','.join(first)!r} of {len(first)} columns, expected an id and a target column"
        )
    sampled = [row[0] for row in rows if row]
    problems = _id_problems(missing=sorted(known.difference(sampled)), unknown=[i for i in sampled if i not in known])
    if problems:
        raise SubmissionError(
            f"{sample}: the ids are not the test set's: {problems}; sample and test file do not belong together: "
            "put those of one competition there, or move the sample away"
        )
    return Expected((first[0], first[1]), known, labels)


def write_submission(path: Path, ids: np.ndarray, labels: Sequence[LabelValue], expected: Expected) -> Counter[str]:
    """Write ``id,target`` rows; the file takes its place only after it was read back and found valid.

    Args:
        path: where the CSV goes.
        ids: (rows,) as the competition gave them.
        labels: the competition's own labels, one a row.

    Returns:
        How often each label occurs.

    Raises:
        SubmissionError: the result would not score, or cannot be written; ``path`` is as it was.
    """
    try:
        if path.is_dir():
            raise SubmissionError(f"--out {path} is a directory: name a CSV file in it")
        with replacing(path) as scratch:
            with scratch.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(expected.header)
                writer.writerows(zip(ids.tolist(), labels, strict=True))
            return validate_submission(scratch, expected, path)
    except OSError as error:
        raise SubmissionError(f"cannot write {path}: {error.strerror or error}") from None


def validate_submission(path: Path, expected: Expected, name: Path | None = None) -> Counter[str]:
    """Check a CSV against what the competition wants, a line at a time. Row order does not matter.

    Args:
        name: what to call the file in an error, if not ``path``.

    Returns:
        How often each label occurs.

    Raises:
        SubmissionError: what is wrong.
    """
    name = name or path
    rows = _read_rows(path, name)
    header = next(rows)
    if tuple(header) != expected.header:
        raise SubmissionError(f"{name}: the header is {','.join(header)}, expected {','.join(expected.header)}")
    counts: Counter[str] = Counter()
    missing = set(expected.ids)
    unknown: list[str] = []
    repeated: list[str] = []
    for line, row in enumerate(rows, start=2):
        if len(row) != 2:
            raise SubmissionError(f"{name}, line {line}: {len(row)} columns, expected 2")
        if row[0] in missing:
            missing.remove(row[0])
        else:
            (repeated if row[0] in expected.ids else unknown).append(row[0])
        counts[row[1]] += 1
    if problems := _id_problems(missing=sorted(missing), unknown=unknown, repeated=repeated):
        raise SubmissionError(f"{name}: the ids are not the test set's: {problems}")
    _check_labels(name, counts, expected.labels)
    return counts


def _id_problems(**problems: list[str]) -> str:
    """How many ids each problem has, and the first of them; empty where there is none."""
    return "; ".join(f"{len(ids)} {problem} ({', '.join(ids[:5])})" for problem, ids in problems.items() if ids)


def _check_labels(name: Path, counts: Counter[str], allowed: frozenset[str]) -> None:
    wrong = [label for label in counts if label not in allowed]
    if wrong:
        raise SubmissionError(
            f"{name}: {sum(counts[label] for label in wrong)} labels are not allowed, such as {wrong[0]!r}; "
            f"expected one of {', '.join(sorted(allowed)[:10])}"
        )


def _read_rows(path: Path, name: Path) -> Iterator[list[str]]:
    """The rows of a CSV, the first of which is there."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file, strict=True)
            first = next(rows, None)
            if first is None:
                raise SubmissionError(f"{name} is empty, expected a header and a row an image")
            yield first
            yield from rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SubmissionError(f"cannot read {name} as a CSV: {error}") from None
