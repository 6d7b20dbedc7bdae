"""Submissions: ids and labels as a CSV that scores."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
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
    ids: every id that must occur once, as text.
    labels: every label that may occur, as text: integers without a decimal point.
    """

    header: tuple[str, str]
    ids: tuple[str, ...]
    labels: frozenset[str]


def expected_submission(
    header: tuple[str, str], ids: np.ndarray, label_values: Sequence[LabelValue], sample: Path | None
) -> Expected:
    """What to expect: header and ids of the organiser's sample where there is one, else the competition's own."""
    labels = frozenset(map(str, label_values))
    if sample is None:
        return Expected(header, tuple(map(str, ids.tolist())), labels)
    rows = _read_rows(sample)
    if len(rows[0]) != 2:
        raise SubmissionError(f"{sample} has {len(rows[0])} columns, expected an id and a target column")
    return Expected((rows[0][0], rows[0][1]), tuple(row[0] for row in rows[1:] if row), labels)


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
    if path.is_dir():
        raise SubmissionError(f"--out {path} is a directory: name a CSV file in it")
    try:
        with replacing(path) as scratch:
            with scratch.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(expected.header)
                writer.writerows(zip(ids.tolist(), labels, strict=True))
            return validate_submission(scratch, expected)
    except OSError as error:
        raise SubmissionError(f"cannot write {path}: {error.strerror or error}") from None


def validate_submission(path: Path, expected: Expected) -> Counter[str]:
    """Check a CSV against what the competition wants. Row order does not matter.

    Returns:
        How often each label occurs.

    Raises:
        SubmissionError: the first thing that is wrong.
    """
    header, *rows = _read_rows(path)
    if tuple(header) != expected.header:
        raise SubmissionError(f"{path}: the header is {','.join(header)}, expected {','.join(expected.header)}")
    for line, row in enumerate(rows, start=2):
        if len(row) != 2:
            raise SubmissionError(f"{path}, line {line}: {len(row)} columns, expected 2")
    _check_ids(path, [row[0] for row in rows], expected.ids)
    counts = Counter(row[1] for row in rows)
    if wrong := [label for label in counts if label not in expected.labels]:
        allowed = ", ".join(sorted(expected.labels)[:10])
        raise SubmissionError(
            f"{path}: {sum(counts[label] for label in wrong)} labels are not allowed, such as {wrong[0]!r}; "
            f"expected one of {allowed}"
        )
    return counts


def _check_ids(path: Path, ids: list[str], expected: tuple[str, ...]) -> None:
    counts, wanted = Counter(ids), set(expected)
    problems = {
        "missing": [name for name in expected if name not in counts],
        "unknown": [name for name in counts if name not in wanted],
        "repeated": [name for name, count in counts.items() if count > 1],
    }
    found = [f"{len(names)} {problem} ({', '.join(names[:5])})" for problem, names in problems.items() if names]
    if found:
        raise SubmissionError(f"{path}: the ids are not the test set's: {'; '.join(found)}")


def _read_rows(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SubmissionError(f"cannot read {path} as a CSV: {error}") from None
    if not rows:
        raise SubmissionError(f"{path} is empty, expected a header and a row an image")
    return rows
