"""Submissions: ids and labels as a CSV that scores."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np

from kit.data.images import decode_labels
from kit.deploy.validator import Expected, validate_submission
from kit.errors import SubmissionError
from kit.files import replacing


def write_submission(path: Path, ids: np.ndarray, probabilities: np.ndarray, expected: Expected) -> Counter[str]:
    """Write what was expected; the file takes its place only after it was read back and found valid.

    Args:
        path: where the CSV goes.
        ids: (rows,) as the competition gave them.
        probabilities: float (rows, classes), in the order of ``expected.labels``.

    Returns:
        How often each label is the most probable one.

    Raises:
        SubmissionError: the result would not score, or cannot be written; ``path`` is as it was.
    """
    chosen = list(map(str, decode_labels(probabilities.argmax(axis=1), expected.labels)))
    columns = [chosen]
    if expected.wants_probabilities:
        asked = probabilities[:, expected.classes_asked_for].T.astype(np.float64)
        columns = [[f"{value:.8g}" for value in column.tolist()] for column in asked]
    try:
        if path.is_dir():
            raise SubmissionError(f"--out {path} is a directory: name a CSV file in it")
        with replacing(path) as scratch:
            with scratch.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(expected.header)
                writer.writerows(zip(ids.tolist(), *columns, strict=True))
            validate_submission(scratch, expected, path)
    except OSError as error:
        raise SubmissionError(f"cannot write {path}: {error.strerror or error}") from None
    return Counter(chosen)
