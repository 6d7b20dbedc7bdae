"""Answers for people and programs, where a submission is not wanted: the K likeliest labels, or a Parquet file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kit.data.images import LabelValue
from kit.deploy.submission import writing_table
from kit.errors import SubmissionError

_ROW_GROUP = 2**22  # numbers in a row group of a Parquet file; with few rows in each, it is slow and large


def likeliest(answers: np.ndarray, count: int) -> np.ndarray:
    """Class indices of the ``count`` highest probabilities of each row, highest first: int64 (rows, count)."""
    return np.argsort(-answers, axis=1, kind="stable")[:, :count]


def check_likeliest(count: int, labels: int) -> None:
    """Refuse more labels than there are.

    Raises:
        SubmissionError: so it is.
    """
    if not 1 <= count <= labels:
        raise SubmissionError(f"--top is {count}, expected 1 to {labels}, the number of labels")


def likeliest_header(id_column: str, count: int) -> tuple[str, ...]:
    """``id, top_1, probability_1, ...``"""
    places = range(1, count + 1)
    return (id_column, *(name for place in places for name in (f"top_{place}", f"probability_{place}")))


def write_likeliest(
    path: Path,
    id_column: str,
    ids: np.ndarray,
    answers: Iterable[np.ndarray],
    label_values: Sequence[LabelValue],
    count: int,
) -> int:
    """A CSV of the ``count`` likeliest labels of each image with their probabilities: ``id,top_1,probability_1,...``.

    Returns:
        The number of rows.

    Raises:
        SubmissionError: it cannot be written, or there are fewer labels.
    """
    check_likeliest(count, len(label_values))
    labels, start = np.array(label_values, object), 0
    with writing_table(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(likeliest_header(id_column, count))
        for window in answers:
            best = likeliest(window, count)
            chances = np.take_along_axis(window, best, axis=1)
            columns = [ids[start : start + len(window)].tolist()]
            for place in range(count):
                columns += [labels[best[:, place]].tolist(), [f"{chance:.6g}" for chance in chances[:, place].tolist()]]
            writer.writerows(zip(*columns, strict=True))
            start += len(window)
    return start


def write_parquet(
    path: Path, id_column: str, ids: np.ndarray, answers: Iterable[np.ndarray], label_values: Sequence[LabelValue]
) -> int:
    """A Parquet file of an id column and a float32 column a class, written a batch at a time.

    Returns:
        The number of rows.

    Raises:
        SubmissionError: pyarrow is not installed, or it cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise SubmissionError(
            "Parquet needs pyarrow: pip install 'kit[parquet]', or name an --out ending in .csv"
        ) from None
    names, start = [id_column, *map(str, label_values)], 0
    waiting: list[np.ndarray] = []
    with writing_table(path) as scratch:
        kinds = [pyarrow.array(ids[:1].tolist()).type, *[pyarrow.float32()] * len(label_values)]
        with parquet.ParquetWriter(scratch, pyarrow.schema(list(zip(names, kinds, strict=True)))) as writer:

            def write() -> int:
                rows = np.concatenate(waiting)
                columns = [pyarrow.array(ids[start : start + len(rows)].tolist(), kinds[0]), *rows.T]
                writer.write_table(pyarrow.table([pyarrow.array(each) for each in columns], writer.schema))
                waiting.clear()
                return len(rows)

            for window in answers:
                waiting.append(window)
                if sum(each.size for each in waiting) >= _ROW_GROUP:
                    start += write()
            if waiting:
                start += write()
    return start
