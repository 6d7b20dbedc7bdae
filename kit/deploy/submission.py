"""Submissions: ids and labels as a CSV that scores."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kit.deploy.validator import Expected, validate_submission
from kit.errors import SubmissionError
from kit.files import replacing


def write_submission(path: Path, ids: np.ndarray, answers: Iterable[np.ndarray], expected: Expected) -> Counter[str]:
    """Write what was expected; the file takes its place only after it was read back and found valid.

    Args:
        path: where the CSV goes.
        ids: (rows,) as the competition gave them.
        answers: float (some rows, classes) probabilities, window by window, in the order of ``expected.labels``.

    Returns:
        How often each label is the most probable one.

    Raises:
        SubmissionError: the result would not score, or cannot be written; ``path`` is as it was.
    """
    labels = np.array(expected.labels, object)
    counts, start = np.zeros(len(labels), np.int64), 0
    with writing_table(path) as scratch:
        with scratch.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(expected.header)
            for window in answers:
                best = window.argmax(axis=1)
                counts += np.bincount(best, minlength=len(labels))
                columns = [labels[best].tolist()]
                if expected.wants_probabilities:
                    asked = window[:, expected.classes_asked_for].T.astype(np.float64)
                    columns = [[f"{value:.8g}" for value in column.tolist()] for column in asked]
                writer.writerows(zip(ids[start : start + len(window)].tolist(), *columns, strict=True))
                start += len(window)
        validate_submission(scratch, expected, path)
    chosen = {label: count for label, count in zip(expected.labels, counts.tolist(), strict=True) if count}
    return Counter(chosen)


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
